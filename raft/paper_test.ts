/**
 * The promises of the Raft paper, section by section ("In Search of an Understandable Consensus
 * Algorithm", extended version).
 */

import { assert, assertEquals } from "@std/assert";
import { append, bytes, makeRaft, only, storageOf, TestGroup, TestNode } from "./_test_group.ts";
import type { Message, Raft, Role } from "./mod.ts";

const NO_PRE_VOTE = { preVote: false, checkQuorum: false };

function inRole(role: Role): Raft {
  const group = new TestGroup([1, 2, 3], NO_PRE_VOTE);
  if (role === "leader") group.elect(1);
  else if (role === "candidate") group.raft(1).campaign();
  else group.elect(2);
  return group.raft(1);
}

for (const role of ["follower", "candidate", "leader"] as const) {
  Deno.test(`§5.1: a ${role} that hears of a higher term becomes a follower of that term`, () => {
    const raft = inRole(role);
    assertEquals(raft.role, role);
    raft.step(append({ from: 2, to: 1, term: raft.term + 3 }, [0, 0]));
    assertEquals([raft.role, raft.term, raft.leader], ["follower", 4, 2]);
  });

  Deno.test(`§5.1: a ${role} does not do what a message of an earlier term says`, () => {
    const raft = inRole(role);
    const before = raft.status();
    raft.step(append({ from: 3, to: 1, term: 0 }, [0, 0], [[1, 0], [2, 0]], 2));
    raft.step({ kind: "heartbeat", from: 3, to: 1, term: 0, commit: 1, round: 1 });
    raft.step({ kind: "timeoutNow", from: 3, to: 1, term: 0 });
    assertEquals(raft.status(), before);
  });
}

Deno.test("§5.2: a node starts as a follower", () => {
  assertEquals(makeRaft().role, "follower");
});

Deno.test("§5.2: a leader sends heartbeats every heartbeat interval", () => {
  const node = new TestNode({ id: 1, voters: [1], heartbeatTicks: 2, electionTicks: 6 });
  const group = new TestGroup([1, 2, 3], { heartbeatTicks: 2, electionTicks: 6 });
  const raft = group.elect(1);
  assertEquals(node.raft.role, "follower");
  raft.tick();
  assertEquals(raft.ready().messages.length, 0);
  raft.tick();
  const kinds = raft.ready().messages.map(({ kind, to }) => `${kind} ${to}`);
  assertEquals(kinds, ["heartbeat 2", "heartbeat 3"]);
});

Deno.test("§5.2: a follower that hears nothing campaigns: new term, own vote, requests to others", () => {
  const raft = makeRaft({ ...NO_PRE_VOTE, electionTicks: 10 });
  for (let i = 0; i < 10; i++) raft.tick();
  const { role, term, vote } = raft.status();
  assertEquals([role, term, vote], ["candidate", 1, 1]);
  const ready = raft.ready();
  assertEquals(ready.hardState, { term: 1, vote: 1, commit: 0 });
  assertEquals(ready.messages.map(({ kind, to, term }) => `${kind} ${to} ${term}`), [
    "voteRequest 2 1",
    "voteRequest 3 1",
  ]);
});

Deno.test("§5.2: a candidate that hears nothing campaigns again in the next term", () => {
  const raft = makeRaft({ ...NO_PRE_VOTE, electionTicks: 10 });
  for (let i = 0; i < 20; i++) raft.tick();
  assertEquals([raft.role, raft.term], ["candidate", 2]);
});

Deno.test("§5.2: an election is won by a majority, lost by one, and else goes on", () => {
  const cases: { size: number; votes: Record<number, boolean>; role: Role }[] = [
    { size: 1, votes: {}, role: "leader" },
    { size: 3, votes: { 2: true, 3: true }, role: "leader" },
    { size: 3, votes: { 2: true }, role: "leader" },
    { size: 5, votes: { 2: true, 3: true, 4: true, 5: true }, role: "leader" },
    { size: 5, votes: { 2: true, 3: true }, role: "leader" },
    { size: 3, votes: { 2: false, 3: false }, role: "follower" },
    { size: 5, votes: { 2: false, 3: false, 4: false, 5: false }, role: "follower" },
    { size: 5, votes: { 2: true, 3: false, 4: false, 5: false }, role: "follower" },
    { size: 3, votes: {}, role: "candidate" },
    { size: 5, votes: { 2: true }, role: "candidate" },
    { size: 5, votes: { 2: false, 3: false }, role: "candidate" },
  ];
  for (const { size, votes, role } of cases) {
    const voters = Array.from({ length: size }, (_, i) => i + 1);
    const node = new TestNode({ id: 1, voters, ...NO_PRE_VOTE });
    node.raft.campaign();
    node.work();
    for (const [from, granted] of Object.entries(votes)) {
      node.raft.step({ kind: "voteResponse", from: Number(from), to: 1, term: 1, granted });
    }
    assertEquals(node.raft.role, role, JSON.stringify({ size, votes }));
  }
});

Deno.test("§5.2: a voter votes once for each term, first come, first served", () => {
  for (const [vote, from, granted] of [[0, 2, true], [2, 2, true], [3, 2, false]] as const) {
    const storage = storageOf([1, 2, 3], []);
    storage.setHardState({ term: 1, vote, commit: 0 });
    const raft = makeRaft({ storage });
    raft.step({
      kind: "voteRequest",
      from,
      to: 1,
      term: 1,
      lastIndex: 0,
      lastTerm: 0,
      leaderTransfer: false,
    });
    const answer = only(raft.ready().messagesAfterPersist, "voteResponse");
    assertEquals(answer.granted, granted);
  }
});

Deno.test("§5.2: a candidate that hears a leader of its term, or a later one, follows it", () => {
  for (const term of [1, 2]) {
    const raft = inRole("candidate");
    raft.step(append({ from: 2, to: 1, term }, [0, 0]));
    assertEquals([raft.role, raft.term, raft.leader], ["follower", term, 2]);
  }
});

Deno.test("§5.2: election time-outs are spread evenly between one and two times the minimum", () => {
  const counts = new Map<number, number>();
  let seed = 0;
  for (let run = 0; run < 2000; run++) {
    const raft = makeRaft({
      ...NO_PRE_VOTE,
      electionTicks: 10,
      random: () => (seed = (seed + 0.6180339887) % 1),
    });
    let ticks = 0;
    while (raft.role === "follower") {
      raft.tick();
      ticks++;
    }
    counts.set(ticks, (counts.get(ticks) ?? 0) + 1);
  }
  assertEquals([...counts.keys()].sort((a, b) => a - b), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  for (const [ticks, count] of counts) assert(count > 150 && count < 250, `${ticks}: ${count}`);
});

Deno.test("§5.3: a leader sends an entry to all followers at once, while it writes it itself", () => {
  const group = new TestGroup([1, 2, 3], NO_PRE_VOTE);
  const raft = group.elect(1);
  raft.propose([bytes("x")]);
  const ready = raft.ready();
  assertEquals(ready.entries.map(({ index, term }) => [index, term]), [[2, 1]]);
  assertEquals(
    ready.messages.map((message) =>
      message.kind === "appendRequest" && [message.to, message.previousIndex, message.commit]
    ),
    [[2, 1, 1], [3, 1, 1]],
  );
});

Deno.test("§5.3: an entry is committed once a majority holds it", () => {
  const cases: { size: number; holders: number[]; committed: boolean }[] = [
    { size: 1, holders: [], committed: true },
    { size: 3, holders: [], committed: false },
    { size: 3, holders: [2], committed: true },
    { size: 3, holders: [2, 3], committed: true },
    { size: 5, holders: [2], committed: false },
    { size: 5, holders: [2, 5], committed: true },
    { size: 5, holders: [2, 3, 4, 5], committed: true },
  ];
  for (const { size, holders, committed } of cases) {
    const ids = Array.from({ length: size }, (_, i) => i + 1);
    const group = new TestGroup(ids, NO_PRE_VOTE);
    group.elect(1);
    group.loses = ({ from, to }) => !holders.includes(from) && !holders.includes(to);
    group.propose(1, "x");
    assertEquals(group.raft(1).commitIndex, committed ? 2 : 1, JSON.stringify({ size, holders }));
  }
});

Deno.test("§5.3: with an entry, everything before it is committed, in order, on every node", () => {
  for (const terms of [[], [2], [1, 2], [1]]) {
    const group = new TestGroup([], NO_PRE_VOTE);
    for (const id of [1, 2, 3]) {
      group.add(id, { storage: storageOf([1, 2, 3], id === 1 ? terms : [], 2), ...NO_PRE_VOTE });
    }
    group.elect(1);
    group.propose(1, "x");
    const expected = [...terms.map(String), "", "x"];
    for (const { texts } of group.nodes.values()) assertEquals(texts, expected);
  }
});

Deno.test("§5.3: a follower commits what its leader has committed, as far as it has it", () => {
  const node = new TestNode({ id: 1, voters: [1, 2, 3] });
  node.raft.step(append({ from: 2, to: 1, term: 1 }, [0, 0], [[1, 1], [2, 1]], 1));
  node.work();
  assertEquals(node.raft.commitIndex, 1);
  // Later than what is sent: what lies behind may not be the leader's.
  node.raft.step(append({ from: 2, to: 1, term: 1 }, [1, 1], [], 9));
  assertEquals(node.raft.commitIndex, 1);
  node.raft.step(append({ from: 2, to: 1, term: 1 }, [2, 1], [], 9));
  assertEquals(node.raft.commitIndex, 2);
});

Deno.test("§5.3: a follower does not commit its own entries for what the leader has there", () => {
  // Entry 2 of term 1 is this node's; the leader of term 3 has committed another one there.
  const node = new TestNode({ id: 1, storage: storageOf([1, 2, 3], [1, 1], 1) });
  node.raft.step(append({ from: 2, to: 1, term: 3 }, [0, 0], [[1, 1]], 2));
  node.work();
  assertEquals([node.raft.commitIndex, node.texts], [1, ["1"]]);
});

Deno.test("§5.3: a follower refuses an append whose previous entry it does not have", () => {
  const cases = [
    { previous: [0, 0], accepted: true },
    { previous: [1, 1], accepted: true },
    { previous: [2, 2], accepted: true },
    { previous: [1, 2], accepted: false },
    { previous: [2, 1], accepted: false },
    { previous: [3, 3], accepted: false },
  ] as const;
  for (const { previous, accepted } of cases) {
    const raft = makeRaft({ storage: storageOf([1, 2, 3], [1, 2]) });
    raft.step(append({ from: 2, to: 1, term: 2 }, previous));
    const answer = only(raft.ready().messagesAfterPersist, "appendResponse");
    assertEquals([answer.rejected, answer.index], [!accepted, previous[0]]);
  }
});

Deno.test("§5.3: a follower replaces what conflicts, and what is behind it", () => {
  const cases = [
    { previous: [2, 2], sent: [[3, 3]], after: [1, 2, 3] },
    { previous: [1, 1], sent: [[2, 3], [3, 4]], after: [1, 3, 4] },
    { previous: [0, 0], sent: [[1, 1]], after: [1, 2] },
    { previous: [0, 0], sent: [[1, 3]], after: [3] },
  ] as const;
  for (const { previous, sent, after } of cases) {
    const node = new TestNode({ id: 1, storage: storageOf([1, 2, 3], [1, 2]) });
    node.raft.step(append({ from: 2, to: 1, term: 4 }, previous, sent));
    node.work();
    assertEquals(node.terms, after);
  }
});

const FIGURE_7 = {
  a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
  b: [1, 1, 1, 4],
  c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
  d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
  e: [1, 1, 1, 4, 4, 4, 4],
  f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
};

for (const [name, terms] of Object.entries(FIGURE_7)) {
  Deno.test(`§5.3: figure 7 (${name}): a leader makes a follower's log the same as its own`, () => {
    const own = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const group = new TestGroup([], NO_PRE_VOTE);
    group.add(1, { storage: storageOf([1, 2, 3], own, 7), ...NO_PRE_VOTE });
    group.add(2, { storage: storageOf([1, 2, 3], terms, 7), ...NO_PRE_VOTE });
    // Not in the figure: its vote is needed where that of the other is refused.
    group.add(3, { storage: storageOf([1, 2, 3], [], 7), ...NO_PRE_VOTE });
    group.elect(1);
    group.propose(1, "x");
    assertEquals(group.node(2).terms, [...own, 8, 8]);
    assertEquals(group.node(2).texts, group.node(1).texts);
  });
}

Deno.test("§5.4.1: a request for a vote tells the candidate's last index and term", () => {
  const raft = makeRaft({ storage: storageOf([1, 2], [1, 2, 4]), ...NO_PRE_VOTE });
  raft.campaign();
  const request = only(raft.ready().messages, "voteRequest");
  assertEquals([request.lastIndex, request.lastTerm, request.term], [3, 4, 5]);
});

Deno.test("§5.4.1: a voter refuses a candidate whose log is less complete than its own", () => {
  const cases = [
    { own: [1], candidate: [1, 1], granted: true },
    { own: [1], candidate: [2, 1], granted: true },
    { own: [1, 1], candidate: [1, 1], granted: false },
    { own: [1], candidate: [1, 2], granted: true },
    { own: [1, 1], candidate: [1, 2], granted: true },
    { own: [2], candidate: [1, 1], granted: false },
    { own: [2], candidate: [9, 1], granted: false },
  ] as const;
  for (const { own, candidate: [lastIndex, lastTerm], granted } of cases) {
    const raft = makeRaft({ storage: storageOf([1, 2], own) });
    const message: Message = {
      kind: "voteRequest",
      from: 2,
      to: 1,
      term: 3,
      lastIndex,
      lastTerm,
      leaderTransfer: false,
    };
    raft.step(message);
    const answer = only(raft.ready().messagesAfterPersist, "voteResponse");
    assertEquals(answer.granted, granted, JSON.stringify({ own, lastIndex, lastTerm }));
  }
});

Deno.test("§5.4.2: figure 8: a leader does not commit entries of earlier terms by counting them", () => {
  const node = new TestNode({ id: 1, storage: storageOf([1, 2, 3], [1, 2]), ...NO_PRE_VOTE });
  node.raft.campaign();
  node.work();
  node.raft.step({ kind: "voteResponse", from: 2, to: 1, term: 3, granted: true });
  assertEquals(node.raft.role, "leader");
  node.work();
  function acknowledge(index: number): number {
    node.raft.step({
      kind: "appendResponse",
      from: 2,
      to: 1,
      term: 3,
      rejected: false,
      index,
      hintIndex: 0,
      hintTerm: 0,
    });
    return node.raft.commitIndex;
  }
  // A majority holds the entry of term 2, which another leader could still overwrite.
  assertEquals(acknowledge(2), 0);
  // The empty first entry of term 3 commits it.
  assertEquals(acknowledge(3), 3);
});

Deno.test("§5.4.2: a leader's first entry in its term is empty", () => {
  const group = new TestGroup([1, 2, 3]);
  group.elect(1);
  assertEquals(group.node(3).applied.map(({ index, data }) => [index, data.length]), [[1, 0]]);
});
