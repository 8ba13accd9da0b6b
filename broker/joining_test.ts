import { assertEquals } from "@std/assert";
import { bootstrapConfiguration, type Configuration } from "../raft/mod.ts";
import { JOIN_MS, Joining } from "./joining.ts";
import { silentLogger } from "./logger.ts";
import type { Shard } from "./shard.ts";

/** A node with one replica that has no vote. */
function newJoining() {
  let nowMs = 0;
  const asked: number[] = [];
  const joined: number[] = [];
  const failures: string[] = [];
  const shard = { id: 0, replica: 8_193, configuration: bootstrapConfiguration([1, 2, 3]) };
  const joining = new Joining({
    nodeId: 1,
    clock: {
      now: () => nowMs,
      monotonic: () => nowMs,
      setTimeout: () => 0,
      clearTimeout: () => {},
    },
    log: silentLogger,
    members: [1, 2, 3],
    send: (to) => asked.push(to),
    joined: ({ id }) => joined.push(id),
    fail: (error) => failures.push(error.message),
  });
  joining.add(shard as unknown as Shard);
  return {
    joining,
    shard: shard as unknown as Shard,
    asked,
    joined,
    failures,
    setConfiguration: (configuration: Configuration) => shard.configuration = configuration,
    pass(ms: number, meanwhile: () => void = () => {}) {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += JOIN_MS) {
        meanwhile();
        joining.check();
      }
    },
  };
}

Deno.test("Joining asks everybody until the replica has its vote for good", () => {
  const { pass, asked, joined, setConfiguration } = newJoining();
  pass(JOIN_MS);
  assertEquals(asked, [2, 3]);
  const joint = { ...bootstrapConfiguration([8_193, 2, 3]), votersOutgoing: [1, 2, 3] };
  setConfiguration(joint);
  pass(JOIN_MS);
  assertEquals([asked.length, joined], [4, []]);
  setConfiguration({ ...joint, votersOutgoing: [] });
  pass(JOIN_MS);
  assertEquals([asked.length, joined], [4, [0]]);
});

Deno.test("Joining gives up when every node asks for a vote, and only then", () => {
  const { joining, shard, pass, failures } = newJoining();
  pass(60_000, () => joining.noteAsked(shard, 2));
  assertEquals(failures, []);
  // The third asked, but not any more: it may have been given its vote.
  joining.noteAsked(shard, 3);
  pass(60_000, () => joining.noteAsked(shard, 2));
  assertEquals(failures, []);
  pass(10_000, () => {
    joining.noteAsked(shard, 2);
    joining.noteAsked(shard, 3);
  });
  assertEquals(failures, []);
  pass(JOIN_MS, () => joining.noteAsked(shard, 3));
  assertEquals(failures, [
    "Every node has lost its replica of shard 0: the cluster cannot go on. What was damaged is kept " +
    "as lost-shard-0 in the data directories",
  ]);
});
