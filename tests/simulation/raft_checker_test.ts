import { assertEquals, assertThrows } from "@std/assert";
import { bootstrapConfiguration, type Entry, type Ready } from "../../raft/mod.ts";
import type { Shard } from "../../broker/mod.ts";
import { RaftChecker } from "./raft_checker.ts";
import { Violation, World } from "./world.ts";

function entry(index: number, term: number, data = `${index}/${term}`): Entry {
  return { index, term, kind: 0, data: new TextEncoder().encode(data) };
}

function ready(parts: Partial<Ready>): Ready {
  return {
    hardState: undefined,
    entries: [],
    snapshot: undefined,
    mustPersist: true,
    messages: [],
    messagesAfterPersist: [],
    committedEntries: [],
    readStates: [],
    leadership: undefined,
    configuration: undefined,
    ...parts,
  };
}

const configuration = bootstrapConfiguration([1, 2, 3]);

/** What the checker looks at of a shard. */
function shard(terms: number[] = [], term = 0, vote = 0, hash = "same"): Shard {
  return {
    id: 0,
    configuration,
    status: () => ({ term, vote }),
    store: {
      firstIndex: () => 1,
      lastIndex: () => terms.length,
      term: (index: number) => terms[index - 1],
    },
    machine: { stateHash: () => hash },
  } as unknown as Shard;
}

/** The same, for a node that starts. */
function replicaOf(node: number, ...state: Parameters<typeof shard>): Shard {
  return { ...shard(...state), replica: node } as unknown as Shard;
}

/** Three nodes that have just started, and shorthands for what they do. */
function setUp() {
  const checker = new RaftChecker(new World(1), 1, [1, 2, 3]);
  for (const node of [1, 2, 3]) checker.opened(node, replicaOf(node));
  const write = (node: number, entries: Entry[], parts: Partial<Ready> = {}) => {
    const one = ready({ entries, ...parts });
    checker.ready(node, shard(), one);
    return () => checker.durable(node, shard(), one);
  };
  /** Begins to lead, with a vote that is on the node's own disk. */
  const lead = (node: number, term: number, entries: Entry[] = []) => {
    write(node, [], { hardState: { term, vote: node, commit: 0 } })();
    return write(node, entries, { leadership: leading(term) });
  };
  return { checker, write, lead };
}

const leading = (term: number) => ({ role: "leader", leader: 1, term }) as const;

function assertViolation(run: () => void, invariant: string): void {
  const error = assertThrows(run, Violation) as Violation;
  assertEquals(error.invariant, invariant);
}

Deno.test("RaftChecker is content with an entry that is durable on a majority before it is applied", () => {
  const { checker, write, lead } = setUp();
  lead(1, 1, [entry(1, 1)])();
  write(2, [entry(1, 1)])();
  assertEquals(checker.applied(1, shard(), entry(1, 1)), true);
  assertEquals(checker.applied(2, shard(), entry(1, 1)), false);
  assertEquals(checker.lastApplied(0), 1);
  assertEquals(checker.leads(1), true);
});

Deno.test("RaftChecker finds an entry that was applied before a majority had synced it", () => {
  const { checker, write } = setUp();
  write(1, [entry(1, 1)])();
  write(2, [entry(1, 1)]);
  assertViolation(
    () => checker.applied(1, shard(), entry(1, 1)),
    "applied entries are durable on a majority",
  );
});

Deno.test("RaftChecker finds two leaders of one term, even far apart", () => {
  const { write, lead } = setUp();
  lead(1, 4);
  write(1, [], { leadership: { role: "follower", leader: 2, term: 5 } });
  assertViolation(() => lead(2, 4), "election safety");
});

Deno.test("RaftChecker finds a leader that lacks what was applied", () => {
  const { checker, write, lead } = setUp();
  write(1, [entry(1, 1)])();
  write(2, [entry(1, 1)])();
  checker.applied(1, shard(), entry(1, 1));
  assertViolation(() => lead(3, 2), "leader completeness");
});

Deno.test("RaftChecker allows an old candidate to win late, without what came after its term", () => {
  const { checker, write, lead } = setUp();
  lead(1, 5, [entry(1, 5)])();
  write(2, [entry(1, 5)])();
  checker.applied(1, shard(), entry(1, 5));
  lead(3, 4);
});

Deno.test("RaftChecker finds a leader that replaces its own entries", () => {
  const { write, lead } = setUp();
  lead(1, 1, [entry(1, 1), entry(2, 1)]);
  assertViolation(() => write(1, [entry(2, 1)]), "leader append-only");
});

Deno.test("RaftChecker finds a second vote in one term", () => {
  const { write } = setUp();
  write(1, [], { hardState: { term: 3, vote: 2, commit: 0 } });
  assertViolation(
    () => write(1, [], { hardState: { term: 3, vote: 1, commit: 0 } }),
    "one vote a term",
  );
});

Deno.test("RaftChecker finds a term, a vote and an entry that did not survive a restart", () => {
  for (
    const [found, invariant] of [
      [replicaOf(1, [1], 2, 1), "term and vote never go back"],
      [replicaOf(1, [1], 3, 2), "term and vote never go back"],
      [replicaOf(1, [], 3, 1), "what was durable survives"],
      [replicaOf(1, [2], 3, 1), "what was durable survives"],
    ] as const
  ) {
    const { checker, write } = setUp();
    write(1, [entry(1, 1)], { hardState: { term: 3, vote: 1, commit: 0 } })();
    assertViolation(() => checker.opened(1, found), invariant);
  }
});

Deno.test("RaftChecker allows what was not known to be durable to be lost, or not", () => {
  for (const found of [replicaOf(1, [1], 1, 1), replicaOf(1, [1, 1], 1, 1)]) {
    const { checker, write } = setUp();
    write(1, [entry(1, 1)], { hardState: { term: 1, vote: 1, commit: 0 } })();
    write(1, [entry(2, 1)]);
    checker.opened(1, found);
  }
});

Deno.test("RaftChecker finds two entries at one index and term", () => {
  const { write } = setUp();
  write(1, [entry(1, 1)]);
  assertViolation(() => write(2, [entry(1, 1, "other")]), "log matching");
});

Deno.test("RaftChecker finds replicas that apply different entries, or out of order", () => {
  const { checker, write } = setUp();
  for (const node of [1, 2, 3]) write(node, [entry(1, 1), entry(2, 1)])();
  checker.applied(1, shard(), entry(1, 1));
  assertViolation(() => checker.applied(2, shard(), entry(1, 2)), "state machine safety");
  assertViolation(() => checker.applied(3, shard(), entry(2, 1)), "entries are applied in order");
});

Deno.test("RaftChecker finds replicas whose state differs at the same index", () => {
  const { checker, write } = setUp();
  const entries = Array.from({ length: 8 }, (_, i) => entry(i + 1, 1));
  for (const node of [1, 2]) write(node, entries)();
  for (const one of entries) checker.applied(1, shard(), one);
  for (const one of entries.slice(0, 7)) checker.applied(2, shard(), one);
  assertViolation(
    () => checker.applied(2, shard([], 0, 0, "different"), entries[7]!),
    "same index, same state",
  );
});

Deno.test("RaftChecker finds a follower that gives up what was applied", () => {
  const { checker, write } = setUp();
  for (const node of [1, 2]) write(node, [entry(1, 1)])();
  checker.applied(1, shard(), entry(1, 1));
  assertViolation(() => write(2, [entry(1, 2)]), "committed entries stay");
});

Deno.test("RaftChecker finds a leader whose own vote is not on its disk", () => {
  const { write } = setUp();
  assertViolation(
    () => write(1, [], { leadership: leading(1) }),
    "a candidate's own vote is durable before it leads",
  );
});

Deno.test("RaftChecker finds a replica that is given up by a disk that has lost nothing", () => {
  const { checker } = setUp();
  const other = replicaOf(4_098);
  const forgetful = { isForgetful: true, isRolledBack: false };
  checker.opened(2, other, forgetful);
  assertViolation(
    () => checker.opened(1, replicaOf(4_097)),
    "a replica is given up only when its disk has forgotten",
  );
});

Deno.test("RaftChecker finds a replica that goes on under its name with an empty disk", () => {
  const { checker, lead } = setUp();
  lead(1, 1, [entry(1, 1)])();
  assertViolation(
    () => checker.opened(1, replicaOf(1), { isForgetful: true, isRolledBack: false }),
    "term and vote never go back",
  );
});

Deno.test("RaftChecker counts an entry for the voters only, whoever else has it", () => {
  const { checker, write, lead } = setUp();
  lead(1, 1, [entry(1, 1)])();
  // What has taken the place of the second is a learner yet.
  checker.opened(2, replicaOf(4_098), { isForgetful: true, isRolledBack: false });
  write(2, [entry(1, 1)])();
  assertViolation(
    () => checker.applied(1, shard(), entry(1, 1)),
    "applied entries are durable on a majority",
  );
});
