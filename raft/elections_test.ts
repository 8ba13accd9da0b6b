import { assert, assertEquals } from "@std/assert";
import { append, bytes, makeRaft, only, storageOf, TestGroup, TestNode } from "./_test_group.ts";
import type { Message } from "./mod.ts";

Deno.test("A node that was cut off asks for pre-votes and leaves the leader alone when it is back", () => {
  const group = new TestGroup([1, 2, 3], { checkQuorum: false });
  group.elect(1);
  group.isolate(3);
  for (let i = 0; i < 5; i++) group.tick(20, 3);
  assertEquals([group.raft(3).role, group.raft(3).term], ["preCandidate", 1]);
  group.propose(1, "meanwhile");
  group.isolate();
  group.tick(1, 1);
  group.tick(1, 1);
  const states = [...group.nodes.values()].map(({ raft }) => [raft.role, raft.term, raft.leader]);
  assertEquals(states, [["leader", 1, 1], ["follower", 1, 1], ["follower", 1, 1]]);
  assertEquals(group.node(3).texts, ["", "meanwhile"]);
});

Deno.test("Voters that hear a leader do not answer campaigns", () => {
  const group = new TestGroup([1, 2, 3], { preVote: false });
  group.elect(1);
  group.raft(3).campaign();
  group.settle();
  assertEquals([group.raft(1).role, group.raft(1).term, group.raft(3).role], [
    "leader",
    1,
    "candidate",
  ]);
});

Deno.test("A candidate of a later term is taken back in, although it refuses the leader's messages", () => {
  const group = new TestGroup([1, 2, 3], { preVote: false });
  group.elect(1);
  group.raft(3).campaign();
  group.settle();
  group.propose(1, "x");
  // The answer to its heartbeat ends the leadership of term 1; a new election brings all together.
  for (let i = 0; i < 4; i++) group.tick(12);
  const leaders = new Set([...group.nodes.values()].map(({ raft }) => raft.leader));
  assertEquals(leaders.size, 1);
  assert(!leaders.has(0));
  for (const { texts } of group.nodes.values()) assert(texts.includes("x"));
});

Deno.test("A node that cannot campaign tells a leader of an earlier term that its time is over", () => {
  const raft = makeRaft({ id: 4, preVote: false, checkQuorum: false });
  raft.step(append({ from: 2, to: 4, term: 6 }, [0, 0]));
  raft.ready();
  raft.step({ kind: "heartbeat", from: 3, to: 4, term: 5, commit: 0, round: 1 });
  assertEquals(only(raft.ready().messagesAfterPersist, "appendResponse").term, 6);
});

Deno.test("A leader without contact to a quorum steps down within two election time-outs", () => {
  const group = new TestGroup([1, 2, 3], { electionTicks: 10 });
  group.elect(1);
  group.isolate(1);
  group.tick(20, 1);
  assertEquals([group.raft(1).role, group.raft(1).term, group.raft(1).leader], ["follower", 1, 0]);
});

Deno.test("A leader in contact with a quorum stays, and does not count learners for one", () => {
  const group = new TestGroup([1, 2, 3], { electionTicks: 10 });
  group.elect(1);
  group.isolate(3);
  group.tick(100);
  assertEquals(group.raft(1).role, "leader");
  group.raft(1).proposeConfigChange({
    steps: [{ kind: "addLearner", node: 4 }],
    transition: "auto",
  });
  group.add(4, { voters: [1, 2, 3] });
  group.settle();
  group.isolate(2, 3);
  group.tick(20);
  assertEquals(group.raft(1).role, "follower");
});

Deno.test("A vote is not answered before it is durable", () => {
  const raft = makeRaft();
  raft.step({
    kind: "voteRequest",
    from: 2,
    to: 1,
    term: 5,
    lastIndex: 0,
    lastTerm: 0,
    leaderTransfer: false,
  });
  const ready = raft.ready();
  assertEquals(ready.hardState, { term: 5, vote: 2, commit: 0 });
  assertEquals(ready.messages, []);
  assertEquals(ready.messagesAfterPersist.map(({ kind }) => kind), ["voteResponse"]);
});

Deno.test("A candidate that has a majority without itself waits for its own vote to be durable", () => {
  const node = new TestNode({ id: 1, voters: [1, 2, 3, 4, 5], preVote: false });
  node.holdWrites = true;
  node.raft.campaign();
  node.work();
  for (const from of [2, 3, 4, 5]) {
    node.raft.step({ kind: "voteResponse", from, to: 1, term: 1, granted: true });
  }
  assertEquals(node.raft.role, "candidate");
  node.finishWrites();
  assertEquals(node.raft.role, "leader");
});

Deno.test("A late grant of an earlier pre-vote does not count", () => {
  const raft = makeRaft({ storage: storageOf([1, 2, 3], [1], 1) });
  raft.campaign();
  raft.step(append({ from: 2, to: 1, term: 2 }, [1, 1]));
  raft.campaign();
  assertEquals([raft.role, raft.term], ["preCandidate", 2]);
  raft.step({ kind: "preVoteResponse", from: 3, to: 1, term: 2, granted: true });
  assertEquals(raft.role, "preCandidate");
  raft.step({ kind: "preVoteResponse", from: 3, to: 1, term: 3, granted: true });
  assertEquals(raft.role, "candidate");
});

Deno.test("A pre-vote changes neither term nor vote of the voter", () => {
  const raft = makeRaft();
  const request: Message = {
    kind: "preVoteRequest",
    from: 2,
    to: 1,
    term: 7,
    lastIndex: 0,
    lastTerm: 0,
  };
  raft.step(request);
  const ready = raft.ready();
  assertEquals([ready.hardState, raft.term], [undefined, 0]);
  assertEquals(ready.messagesAfterPersist.map((message) => message.term), [7]);
});

Deno.test("forgetLeader() lets a follower vote at once", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.isolate(1);
  for (const id of [2, 3]) group.raft(id).forgetLeader();
  group.raft(2).campaign();
  group.settle();
  assertEquals([group.raft(2).role, group.raft(3).leader], ["leader", 2]);
});

Deno.test("A candidate learns from a refusal what is committed, if it has it", () => {
  const storage = storageOf([1, 2, 3], [1, 1, 1]);
  const raft = makeRaft({ storage, preVote: false });
  raft.campaign();
  function refuse(from: number, commit: number, commitTerm: number): void {
    raft.step({
      kind: "voteResponse",
      from,
      to: 1,
      term: raft.term,
      granted: false,
      commit,
      commitTerm,
    });
  }
  refuse(2, 3, 2);
  assertEquals(raft.commitIndex, 0);
  refuse(3, 2, 1);
  assertEquals(raft.commitIndex, 2);
});

Deno.test("A node that is not a voter does not campaign", () => {
  const learner = makeRaft({ id: 4 });
  learner.campaign();
  for (let i = 0; i < 50; i++) learner.tick();
  assertEquals(learner.role, "follower");
});

Deno.test("A node with a membership change to apply does not campaign", () => {
  const node = new TestNode({ id: 1, voters: [1, 2, 3] });
  const group = new TestGroup([2, 3], { voters: [1, 2, 3] });
  group.nodes.set(1, node);
  const leader = group.elect(2);
  leader.proposeConfigChange({ steps: [{ kind: "addLearner", node: 4 }], transition: "auto" });
  group.settle();
  leader.proposeConfigChange({ steps: [{ kind: "addLearner", node: 5 }], transition: "auto" });
  group.settle();
  // It comes back with both changes in its log and applies nothing yet.
  node.restart();
  node.raft.campaign();
  assertEquals([node.raft.role, node.raft.commitIndex], ["follower", 3]);
  while (node.raft.hasReady()) node.work();
  node.raft.campaign();
  assertEquals(node.raft.role, "preCandidate");
});

Deno.test("A node keeps its vote over a restart", () => {
  const group = new TestGroup([1, 2, 3], { preVote: false, checkQuorum: false });
  group.elect(1);
  group.node(2).restart();
  group.raft(2).step({
    kind: "voteRequest",
    from: 3,
    to: 2,
    term: 1,
    lastIndex: 9,
    lastTerm: 9,
    leaderTransfer: false,
  });
  const answer = only(group.raft(2).ready().messagesAfterPersist, "voteResponse");
  assertEquals(answer.granted, false);
  assertEquals(group.raft(2).propose([bytes("x")]).kind, "refused");
});
