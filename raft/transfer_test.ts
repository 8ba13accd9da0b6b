import { assertEquals } from "@std/assert";
import { bytes, TestGroup } from "./_test_group.ts";

Deno.test("transferLeadership() makes an up-to-date follower the leader at once", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  assertEquals(raft.transferLeadership(3).kind, "accepted");
  group.settle();
  assertEquals([group.raft(3).role, raft.role, raft.leader], ["leader", "follower", 3]);
});

Deno.test("transferLeadership() brings the target up to date first", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.isolate(3);
  group.propose(1, "a", "b");
  group.isolate();
  raft.transferLeadership(3);
  group.tick(2, 1);
  assertEquals([group.raft(3).role, group.node(3).texts], ["leader", ["", "a", "b", ""]]);
});

Deno.test("Proposals are refused while leadership is handed over, and taken when nothing came of it", () => {
  const group = new TestGroup([1, 2, 3], { electionTicks: 10 });
  const raft = group.elect(1);
  group.isolate(3);
  raft.transferLeadership(3);
  const refused = { kind: "refused", reason: "transferring", leader: 1 } as const;
  assertEquals(raft.propose([bytes("x")]), refused);
  group.tick(9);
  assertEquals(raft.propose([bytes("x")]), refused);
  group.tick(1);
  assertEquals([raft.role, raft.propose([bytes("x")]).kind], ["leader", "accepted"]);
});

Deno.test("A second transfer takes the place of the first", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.isolate(3);
  raft.transferLeadership(3);
  raft.transferLeadership(2);
  group.settle();
  assertEquals(group.raft(2).role, "leader");
});

Deno.test("transferLeadership() goes to voters only", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  raft.proposeConfigChange({ steps: [{ kind: "addLearner", node: 4 }], transition: "auto" });
  group.settle();
  assertEquals(raft.transferLeadership(1), { kind: "refused", reason: "alreadyLeader", leader: 1 });
  assertEquals(raft.transferLeadership(4), { kind: "refused", reason: "notVoter", leader: 1 });
  assertEquals(raft.transferLeadership(9), { kind: "refused", reason: "notVoter", leader: 1 });
});

Deno.test("A follower passes a wish for a transfer on to its leader", () => {
  const group = new TestGroup([1, 2, 3]);
  assertEquals(group.raft(2).transferLeadership(3).kind, "refused");
  group.elect(1);
  assertEquals(group.raft(2).transferLeadership(3), { kind: "forwarded", leader: 1 });
  group.settle();
  assertEquals(group.raft(3).role, "leader");
});
