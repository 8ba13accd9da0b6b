import { assertEquals } from "@std/assert";
import { bytes, configurationOf, TestGroup } from "./_test_group.ts";
import type { ConfigChange, ConfigChangeStep } from "./mod.ts";

function change(
  kind: ConfigChangeStep["kind"],
  node: number,
  transition: ConfigChange["transition"] = "auto",
): ConfigChange {
  return { steps: [{ kind, node }], transition };
}

Deno.test("A learner gets the log and does not count for a quorum", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.add(4, { voters: [1, 2, 3] });
  raft.proposeConfigChange(change("addLearner", 4));
  group.settle();
  group.propose(1, "x");
  assertEquals(group.node(4).texts, ["", "x"]);
  group.isolate(2, 3);
  raft.propose([bytes("y")]);
  group.settle();
  assertEquals([group.raft(4).lastIndex, raft.commitIndex], [4, 3]);
});

Deno.test("A learner becomes a voter and can then be elected", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.add(4, { voters: [1, 2, 3] });
  raft.proposeConfigChange(change("addLearner", 4));
  group.settle();
  raft.proposeConfigChange(change("addVoter", 4));
  group.settle();
  raft.transferLeadership(4);
  group.settle();
  assertEquals([group.raft(4).role, group.raft(1).leader], ["leader", 4]);
});

Deno.test("Several members are replaced through a joint configuration that the leader leaves itself", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  for (const id of [4, 5]) group.add(id, { voters: [1, 2, 3] });
  const result = raft.proposeConfigChange({
    steps: [
      { kind: "addVoter", node: 4 },
      { kind: "addVoter", node: 5 },
      { kind: "remove", node: 2 },
      { kind: "remove", node: 3 },
    ],
    transition: "auto",
  });
  assertEquals(result.kind, "accepted");
  group.settle();
  for (const id of [1, 4, 5]) {
    assertEquals(group.raft(id).configuration, configurationOf([1, 4, 5]));
  }
  group.isolate(2, 3);
  group.propose(1, "x");
  assertEquals(group.node(5).texts, ["", "x"]);
});

Deno.test("An explicit joint configuration needs both majorities until it is left", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  for (const id of [4, 5]) group.add(id, { voters: [1, 2, 3] });
  raft.proposeConfigChange({
    steps: [2, 3].map((node): ConfigChangeStep => ({ kind: "remove", node })).concat(
      [4, 5].map((node) => ({ kind: "addVoter", node })),
    ),
    transition: "explicit",
  });
  group.settle();
  assertEquals(raft.configuration.votersOutgoing, [1, 2, 3]);
  assertEquals(raft.proposeConfigChange(change("addVoter", 6)).kind, "refused");
  for (const half of [[2, 3], [4, 5]]) {
    const before = raft.commitIndex;
    group.isolate(...half);
    group.propose(1, "x");
    assertEquals(raft.commitIndex, before);
    // One of each half is enough, together with the leader, who is in both.
    group.isolate(3, 5);
    group.tick(2, 1);
    assertEquals(raft.commitIndex, before + 1);
    group.isolate();
    group.tick(2, 1);
  }
  raft.proposeConfigChange({ steps: [], transition: "auto" });
  group.settle();
  assertEquals(raft.configuration, configurationOf([1, 4, 5]));
});

Deno.test("A change is refused while another one is under way", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.isolate(1);
  assertEquals(raft.proposeConfigChange(change("addVoter", 4)).kind, "accepted");
  group.settle();
  const refused = { kind: "refused", reason: "changePending", leader: 1 } as const;
  assertEquals(raft.proposeConfigChange(change("addVoter", 5)), refused);
  group.isolate();
  group.tick(2, 1);
  assertEquals(raft.proposeConfigChange(change("addVoter", 5)).kind, "accepted");
});

Deno.test("A change is refused before the leader has committed an entry of its own term", () => {
  const group = new TestGroup([1, 2, 3]);
  group.loses = ({ kind }) => kind === "appendResponse";
  const raft = group.elect(1);
  const refused = { kind: "refused", reason: "termNotCommitted", leader: 1 } as const;
  assertEquals(raft.proposeConfigChange(change("addVoter", 4)), refused);
});

Deno.test("The last voter is not removed", () => {
  const group = new TestGroup([1]);
  const refused = { kind: "refused", reason: "noVoters", leader: 1 } as const;
  assertEquals(group.elect(1).proposeConfigChange(change("remove", 1)), refused);
});

Deno.test("A removed leader steps down once the change is committed, and the others go on", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  raft.proposeConfigChange(change("remove", 1));
  group.settle();
  assertEquals([raft.role, raft.configuration.voters], ["follower", [2, 3]]);
  group.tick(15, 2, 3);
  const leader = group.raft(2).leader;
  assertEquals([2, 3].includes(leader), true);
  group.propose(leader, "x");
  // It was told that it is not a member any more, and stays quiet.
  group.tick(100, 1);
  assertEquals([raft.role, raft.term], ["follower", 1]);
});

Deno.test("A removed node that does not know it does not disturb the rest", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.isolate(3);
  raft.proposeConfigChange(change("remove", 3));
  group.settle();
  group.isolate();
  group.tick(1);
  for (let i = 0; i < 3; i++) group.tick(15);
  assertEquals([raft.role, raft.term], ["leader", 1]);
  assertEquals(group.raft(3).configuration.voters, [1, 2, 3]);
});

Deno.test("A new leader finishes the change that its predecessor began", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.add(4, { voters: [1, 2, 3] });
  // Node 1 gets the joint configuration committed and is cut off before it can leave it.
  raft.proposeConfigChange({ ...change("addVoter", 4, "implicit") });
  group.loses = (message) =>
    message.from === 1 && message.kind === "appendRequest" &&
    message.entries.some(({ index }) => index > 2);
  group.settle();
  assertEquals(group.raft(2).configuration.votersOutgoing, [1, 2, 3]);
  group.isolate(1);
  group.tick(20, 2, 3, 4);
  const leader = group.raft(2).leader;
  assertEquals(group.raft(leader).configuration, configurationOf([1, 2, 3, 4]));
});

Deno.test("The commit index is made durable with a change of members", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.propose(1, "x", "y");
  assertEquals(group.node(2).storage.hardState.commit, 0);
  raft.proposeConfigChange(change("addLearner", 4));
  group.settle();
  assertEquals(group.node(2).storage.hardState.commit, 4);
});

Deno.test("A node takes a snapshot that does not name it among the members", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.propose(1, "x");
  group.node(1).compact();
  group.add(4, { voters: [1, 2, 3] });
  raft.proposeConfigChange(change("addVoter", 4));
  group.settle();
  group.tick(2, 1);
  assertEquals([group.raft(4).appliedIndex, group.raft(4).configuration], [
    3,
    configurationOf([1, 2, 3, 4]),
  ]);
});
