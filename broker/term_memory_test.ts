import { assertEquals } from "@std/assert";
import { TermMemory } from "./term_memory.ts";

const heartbeat = (from: number, term: number) =>
  ({ kind: "heartbeat", from, to: 1, term, commit: 0, round: 0 }) as const;

Deno.test("TermMemory notices a replica that knows of less than it said before", () => {
  const memory = new TermMemory();
  memory.heard(heartbeat(2, 5));
  memory.heard(heartbeat(2, 4));
  assertEquals(memory.forgotten({ replica: 2, term: 4 }), 5);
  assertEquals(memory.forgotten({ replica: 2, term: 5 }), 0);
  assertEquals(memory.forgotten({ replica: 2, term: 6 }), 0);
  assertEquals(memory.forgotten({ replica: 3, term: 1 }), 0);
});

Deno.test("TermMemory does not count on a term that may not have been durable yet", () => {
  const memory = new TermMemory();
  const head = { from: 2, to: 1, term: 9 };
  const log = { lastIndex: 0, lastTerm: 0 };
  memory.heard({ kind: "preVoteRequest", ...head, ...log });
  memory.heard({ kind: "preVoteResponse", ...head, granted: true });
  memory.heard({ kind: "voteRequest", ...head, ...log, leaderTransfer: false });
  memory.heard({ kind: "heartbeatResponse", ...head, round: 1 });
  assertEquals(memory.forgotten({ replica: 2, term: 8 }), 0);
  memory.heard({ kind: "voteResponse", ...head, granted: false });
  assertEquals(memory.forgotten({ replica: 2, term: 8 }), 9);
});
