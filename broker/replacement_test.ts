import { assert, assertEquals } from "@std/assert";
import { TestGroup } from "../raft/_test_group.ts";
import { MemoryStorage } from "../raft/mod.ts";
import { newReplica } from "./replica_id.ts";
import { admitReplica, laterReplica } from "./replacement.ts";

const replacement = newReplica(3, Date.UTC(2027, 0, 1));

/** Three nodes of which the third has lost its replica; the first leads. */
function groupWithoutThird(): TestGroup {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.propose(1, "a", "b");
  group.isolate(3);
  return group;
}

function addReplacement(group: TestGroup, id = replacement): void {
  group.add(id, { storage: new MemoryStorage({ ...group.raft(1).configuration }) });
}

Deno.test("admitReplica() makes a learner first, and a voter once it has caught up", () => {
  const group = groupWithoutThird();
  addReplacement(group);
  const leader = group.raft(1);
  assertEquals(admitReplica(leader, replacement).kind, "learner");
  assertEquals(admitReplica(leader, replacement).kind, "ignored");
  group.settle();
  assertEquals(leader.configuration.learners, [replacement]);
  assertEquals(leader.configuration.voters, [1, 2, 3]);
  group.tick(1, 1);
  assertEquals(admitReplica(leader, replacement).kind, "voter");
  group.settle();
  assertEquals(leader.configuration.voters, [1, 2, replacement]);
  assertEquals(leader.configuration.votersOutgoing, []);
  assertEquals(admitReplica(leader, replacement).kind, "ignored");
});

Deno.test("admitReplica() gives no vote to a learner that lacks a lot", () => {
  const group = groupWithoutThird();
  addReplacement(group);
  const leader = group.raft(1);
  admitReplica(leader, replacement);
  group.settle();
  group.isolate(3, replacement);
  for (let i = 0; i < 1_100; i++) group.propose(1, "x");
  assertEquals(admitReplica(leader, replacement).kind, "ignored");
});

Deno.test("admitReplica() drops learners that were lost before they got a vote", () => {
  const group = groupWithoutThird();
  addReplacement(group);
  admitReplica(group.raft(1), replacement);
  group.settle();
  const later = newReplica(3, 0, replacement);
  addReplacement(group, later);
  assertEquals(admitReplica(group.raft(1), later).kind, "learner");
  group.settle();
  assertEquals(group.raft(1).configuration.learners, [later]);
});

Deno.test("laterReplica() finds what has taken a replica's place, and nothing else", () => {
  const group = groupWithoutThird();
  addReplacement(group);
  admitReplica(group.raft(1), replacement);
  group.settle();
  const { configuration } = group.raft(1);
  assertEquals(laterReplica(configuration, 3), replacement);
  assertEquals(laterReplica(configuration, replacement), 0);
  assertEquals(laterReplica(configuration, 2), 0);
  assert(laterReplica(configuration, newReplica(3, 0, replacement)) === 0);
});
