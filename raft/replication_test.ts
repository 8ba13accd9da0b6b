import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  append,
  bytes,
  entriesOf,
  makeRaft,
  only,
  storageOf,
  TestGroup,
  TestNode,
  text,
} from "./_test_group.ts";
import { InvariantError, type Message } from "./mod.ts";

function accepted(from: number, index: number, term = 1): Message {
  return {
    kind: "appendResponse",
    from,
    to: 1,
    term,
    rejected: false,
    index,
    hintIndex: 0,
    hintTerm: 0,
  };
}

function appendsTo(to: number, messages: readonly Message[]): string[] {
  return messages.flatMap((message) =>
    message.kind === "appendRequest" && message.to === to
      ? [message.entries.map(({ data }) => text(data)).join(",")]
      : []
  );
}

Deno.test("A leader does not count an entry on its own disk before it is durable", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.node(1).holdWrites = true;
  group.isolate(3);
  group.propose(1, "x");
  // Node 2 has it, node 1 is still writing.
  assertEquals(group.raft(1).commitIndex, 1);
  group.node(1).finishWrites();
  assertEquals(group.raft(1).commitIndex, 2);
});

Deno.test("A majority without the leader commits, and the leader applies, before its own disk is done", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.node(1).holdWrites = true;
  group.propose(1, "x");
  assertEquals([group.raft(1).commitIndex, group.node(1).texts], [2, ["", "x"]]);
});

Deno.test("With applyBeforeDurable off, a node applies only what is on its own disk", () => {
  const group = new TestGroup([1, 2, 3], { applyBeforeDurable: false });
  group.elect(1);
  group.node(1).holdWrites = true;
  group.propose(1, "x");
  assertEquals([group.raft(1).commitIndex, group.node(1).texts], [2, [""]]);
  group.node(1).finishWrites();
  group.settle();
  assertEquals(group.node(1).texts, ["", "x"]);
});

Deno.test("A follower does not acknowledge an entry before it is durable", () => {
  const node = new TestNode({ id: 1, voters: [1, 2, 3] });
  node.holdWrites = true;
  node.raft.step(append({ from: 2, to: 1, term: 1 }, [0, 0], [[1, 1]]));
  assertEquals(node.work(), []);
  // The same again: all there, but still not durable.
  node.raft.step(append({ from: 2, to: 1, term: 1 }, [0, 0], [[1, 1]]));
  assertEquals(node.work(), []);
  assertEquals(node.finishWrites().map(({ kind }) => kind), ["appendResponse", "appendResponse"]);
});

Deno.test("A stale report of a write that was overwritten does not count for a new leader", () => {
  const node = new TestNode({ id: 1, voters: [1, 2, 3], preVote: false, checkQuorum: false });
  node.holdWrites = true;
  // Two entries of term 1 are being written when term 2 replaces the second one.
  node.raft.step(append({ from: 2, to: 1, term: 1 }, [0, 0], [[1, 1], [2, 1]]));
  node.work();
  node.raft.step(append({ from: 3, to: 1, term: 2 }, [1, 1], [[2, 2]]));
  node.work();
  const [first, second] = node.writing.splice(0);
  node.raft.persisted(first!);
  assertEquals(node.raft.status().durableIndex, 1);
  node.raft.persisted(second!);
  assertEquals(node.raft.status().durableIndex, 2);
});

Deno.test("An acknowledgement of an earlier term does not count", () => {
  const group = new TestGroup([1, 2, 3], { preVote: false, checkQuorum: false });
  group.elect(1);
  group.isolate(1);
  group.propose(1, "lost");
  group.isolate();
  const leader = group.elect(2);
  group.isolate(2);
  leader.propose([bytes("new")]);
  while (leader.hasReady()) group.node(2).work();
  leader.step({ ...accepted(3, leader.lastIndex), to: 2, term: 1 });
  assertEquals(leader.commitIndex, leader.lastIndex - 1);
});

Deno.test("Acknowledgements of one ready are merged into the highest", () => {
  const raft = makeRaft();
  const from = { from: 2, to: 1, term: 1 };
  raft.step(append(from, [0, 0], [[1, 1]]));
  raft.step(append(from, [1, 1], [[2, 1], [3, 1]]));
  raft.step(append(from, [0, 0], [[1, 1]]));
  const answers = raft.ready().messagesAfterPersist;
  assertEquals(answers.map((answer) => answer.kind === "appendResponse" && answer.index), [3]);
});

Deno.test("Lists in a ready never change after they were handed out", () => {
  const raft = makeRaft();
  const first = raft.ready();
  raft.step(append({ from: 2, to: 1, term: 1 }, [0, 0], [[1, 1]]));
  raft.step({ kind: "heartbeat", from: 2, to: 1, term: 1, commit: 0, round: 1 });
  assertEquals([first.messages, first.messagesAfterPersist, first.entries], [[], [], []]);
});

Deno.test("Proposals between two readies travel in one append to each follower", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  for (const name of ["a", "b", "c"]) raft.propose([bytes(name)]);
  const { messages } = raft.ready();
  assertEquals([appendsTo(2, messages), appendsTo(3, messages)], [["a,b,c"], ["a,b,c"]]);
});

Deno.test("Appends are cut to appendBytesMax, and a bigger entry travels alone", () => {
  const group = new TestGroup([1, 2, 3], { appendBytesMax: 4 });
  const raft = group.elect(1);
  raft.propose(["aa", "bb", "cccccc", "d"].map(bytes));
  assertEquals(appendsTo(2, raft.ready().messages), ["aa,bb", "cccccc", "d"]);
});

Deno.test("A window bounds what is on its way to a follower, and moves on with its answers", () => {
  const group = new TestGroup([1, 2, 3], { appendBytesMax: 1, inflightMessagesMax: 2 });
  const raft = group.elect(1);
  group.isolate(3);
  raft.propose(["a", "b", "c", "d"].map(bytes));
  assertEquals(appendsTo(2, raft.ready().messages), ["a", "b"]);
  raft.step(accepted(2, 2));
  assertEquals(appendsTo(2, raft.ready().messages), ["c"]);
  raft.step(accepted(2, 4));
  assertEquals(appendsTo(2, raft.ready().messages), ["d"]);
});

Deno.test("A window in bytes bounds what is on its way to a follower", () => {
  const group = new TestGroup([1, 2, 3], { appendBytesMax: 10, inflightBytesMax: 15 });
  const raft = group.elect(1);
  raft.propose(["x", "y", "z"].map((name) => bytes(name.repeat(10))));
  assertEquals(appendsTo(2, raft.ready().messages).length, 2);
});

Deno.test("A slow follower does not hold up the others", () => {
  const group = new TestGroup([1, 2, 3], { inflightMessagesMax: 2, appendBytesMax: 1 });
  group.elect(1);
  group.loses = ({ to }) => to === 3;
  for (let i = 0; i < 20; i++) group.propose(1, `${i}`);
  assertEquals(group.raft(1).commitIndex, 21);
  const slow = group.raft(1).status().progress.find(({ id }) => id === 3)!;
  assertEquals([slow.matchIndex, slow.inflightMessages], [1, 2]);
  // What was in flight is lost: an answer to a heartbeat gets things going again.
  group.loses = () => false;
  group.tick(2);
  assertEquals(group.node(3).texts, group.node(1).texts);
});

Deno.test("A follower whose log is 100,000 entries off is found in a handful of round trips", () => {
  const length = 100_000;
  const group = new TestGroup([], { preVote: false, checkQuorum: false });
  const common = Array.from({ length: 1000 }, () => 1);
  const own = [...common, ...Array.from({ length }, (_, i) => 10 + Math.floor(i / 25_000) * 2)];
  const other = [...common, ...Array.from({ length }, (_, i) => 9 + Math.floor(i / 25_000) * 2)];
  const config = { preVote: false, checkQuorum: false, appendBytesMax: 64 * 1024 * 1024 };
  group.add(1, { storage: storageOf([1, 2, 3], own, 20), ...config });
  group.add(2, { storage: storageOf([1, 2, 3], other, 20), ...config });
  group.add(3, { storage: storageOf([1, 2, 3], [], 20), ...config });
  group.elect(1);
  const refused = group.delivered.filter((message) =>
    message.kind === "appendResponse" && message.from === 2 && message.rejected
  );
  assert(refused.length <= 6, `${refused.length} refusals`);
  assertEquals(group.node(2).terms, group.node(1).terms);
});

Deno.test("Heartbeats carry no more of the commit index than a follower is known to hold", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.isolate(3);
  group.propose(1, "x");
  raft.tick();
  const commits = raft.ready().messages.map((message) =>
    message.kind === "heartbeat" && [message.to, message.commit]
  );
  assertEquals(commits, [[2, 2], [3, 1]]);
});

Deno.test("A follower learns by heartbeat of a commit whose news was lost", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.loses = (message) =>
    message.kind === "appendRequest" && message.to === 3 && message.entries.length === 0;
  group.propose(1, "x");
  assertEquals(group.raft(3).commitIndex, 1);
  group.tick(1, 1);
  assertEquals(group.raft(3).commitIndex, 2);
});

Deno.test("With commitNews `tick`, a commit is told with the next append or the next tick", () => {
  const group = new TestGroup([1, 2, 3], { commitNews: "tick", heartbeatTicks: 5 });
  group.elect(1);
  group.tick(1, 1);
  group.propose(1, "a");
  const { lastIndex } = group.raft(1).status();
  assertEquals([1, 2, 3].map((id) => group.raft(id).commitIndex), [
    lastIndex,
    lastIndex - 1,
    lastIndex - 1,
  ]);
  group.propose(1, "b");
  assertEquals(group.raft(2).commitIndex, lastIndex);
  group.tick(1, 1);
  assertEquals([1, 2, 3].map((id) => group.raft(id).commitIndex), [
    lastIndex + 1,
    lastIndex + 1,
    lastIndex + 1,
  ]);
  // Once told, nothing more is said.
  group.delivered.length = 0;
  group.tick(1, 1);
  assertEquals(group.delivered, []);
});

Deno.test("reportUnreachable() goes back to probing, and an answered heartbeat to replicating", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  const states = () => raft.status().progress.map(({ state }) => state);
  raft.reportUnreachable(2);
  assertEquals(states(), ["probe", "replicate"]);
  group.tick(1, 1);
  assertEquals(states(), ["replicate", "replicate"]);
});

Deno.test("Proposals are refused while too many bytes are uncommitted, and taken again afterwards", () => {
  const group = new TestGroup([1, 2, 3], { uncommittedBytesMax: 10 });
  const raft = group.elect(1);
  group.isolate(1);
  group.propose(1, "123456");
  assertEquals(raft.propose([bytes("789")]).kind, "accepted");
  assertEquals(raft.propose([bytes("ab")]), { kind: "refused", reason: "overloaded", leader: 1 });
  group.isolate();
  group.tick(1, 1);
  assertEquals(raft.status().uncommittedBytes, 0);
  assertEquals(raft.propose([bytes("ab")]).kind, "accepted");
});

Deno.test("A proposal on an empty tail is taken, whatever its size", () => {
  const group = new TestGroup([1, 2, 3], { uncommittedBytesMax: 10 });
  const raft = group.elect(1);
  assertEquals(raft.propose([new Uint8Array(1000)]).kind, "accepted");
  assertEquals(raft.propose([new Uint8Array(1)]).kind, "refused");
});

Deno.test("propose() wants a command", () => {
  assertThrows(() => makeRaft().propose([]), RangeError, "current value is []");
});

Deno.test("A follower refuses proposals and names the leader, or forwards them", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  assertEquals(group.raft(2).propose([bytes("x")]), {
    kind: "refused",
    reason: "notLeader",
    leader: 1,
  });
  const forwarding = new TestGroup([1, 2, 3], { forwardProposals: true });
  forwarding.elect(1);
  assertEquals(forwarding.raft(2).propose([bytes("x"), bytes("y")]).kind, "forwarded");
  forwarding.settle();
  assertEquals(forwarding.node(3).texts, ["", "x", "y"]);
});

Deno.test("A follower that lacks what the leader has dropped gets a snapshot, then the log behind it", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.isolate(3);
  group.propose(1, "a", "b");
  group.node(1).compact();
  group.propose(1, "c");
  group.isolate();
  group.tick(2, 1);
  const { storage, texts, raft } = group.node(3);
  assertEquals(text(storage.snapshot()!.data), "state at 3");
  assertEquals([texts, raft.appliedIndex], [["", "c"], 4]);
  const { progress } = group.raft(1).status();
  assertEquals(progress.map(({ state, matchIndex }) => [state, matchIndex]), [
    ["replicate", 4],
    ["replicate", 4],
  ]);
});

Deno.test("A snapshot on its way blocks nobody else, and is tried again when it fails", () => {
  const group = new TestGroup([1, 2, 3]);
  const raft = group.elect(1);
  group.isolate(3);
  group.propose(1, "a");
  group.node(1).compact();
  group.loses = ({ kind }) => kind === "installSnapshot";
  group.tick(2, 1);
  const stateOf3 = () => raft.status().progress.find(({ id }) => id === 3)!.state;
  assertEquals(stateOf3(), "snapshot");
  group.propose(1, "b");
  assertEquals(group.node(2).texts, ["", "a", "b"]);
  raft.reportSnapshot(3, false);
  assertEquals(stateOf3(), "probe");
  group.loses = () => false;
  group.tick(2, 1);
  assertEquals([stateOf3(), group.raft(3).appliedIndex], ["replicate", 3]);
});

Deno.test("A snapshot that is no news is acknowledged and not installed", () => {
  const node = new TestNode({ id: 1, storage: storageOf([1, 2, 3], [1, 1, 1]) });
  const metadata = { index: 2, term: 1, configuration: node.raft.configuration };
  const snapshot = { metadata, data: bytes("state") };
  node.raft.step({ kind: "installSnapshot", from: 2, to: 1, term: 1, snapshot });
  const ready = node.raft.ready();
  assertEquals([ready.snapshot, node.raft.commitIndex], [undefined, 2]);
  const answer = only(ready.messagesAfterPersist, "appendResponse");
  assertEquals([answer.rejected, answer.index], [false, 2]);
});

Deno.test("A node whose disk lost what it had acknowledged says so instead of pretending", () => {
  const node = new TestNode({ id: 1, voters: [1, 2, 3] });
  const heartbeat: Message = {
    kind: "heartbeat",
    from: 2,
    to: 1,
    term: 1,
    commit: 5,
    round: 1,
  };
  assertEquals(node.raft.lostIndex, 0);
  node.raft.step(heartbeat);
  assertEquals([node.raft.lostIndex, node.raft.commitIndex], [5, 0]);
  assertEquals(node.raft.ready().messages, []);
});

Deno.test("persisted() insists on the order of readies", () => {
  const raft = makeRaft();
  const first = raft.ready();
  const second = raft.ready();
  assertThrows(() => raft.persisted(second), InvariantError, "in their order");
  assert(first !== second);
});

Deno.test("A restarted node goes on from its disk and applies the log again", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  group.propose(1, "a", "b");
  group.node(2).restart();
  group.node(2).applied.length = 0;
  group.tick(1, 1);
  assertEquals(group.node(2).texts, ["", "a", "b"]);
  assertEquals(group.node(2).terms, entriesOf([1, 1, 1]).map(({ term }) => term));
});
