import { assertEquals } from "@std/assert";
import { bytes, type TestConfig, TestGroup, type TestNode, text } from "./_test_group.ts";
import type { Message } from "./mod.ts";

function reads(node: TestNode): (readonly [string, number])[] {
  return node.reads.map(({ context, index }) => [text(context), index]);
}

function group(config: TestConfig = {}): TestGroup {
  const group = new TestGroup([1, 2, 3], config);
  // In lease mode nobody votes right after the start.
  if (config.readMode === "lease") group.tick(11);
  else group.elect(1);
  group.propose(1, "x");
  return group;
}

Deno.test("readIndex() on a leader answers after a round of heartbeats", () => {
  const cluster = group();
  cluster.raft(1).readIndex(bytes("r"));
  assertEquals(cluster.raft(1).ready().messages.map(({ kind }) => kind), [
    "heartbeat",
    "heartbeat",
  ]);
});

Deno.test("Reads asked for between two readies share a round", () => {
  const cluster = group();
  for (const name of ["a", "b", "c"]) cluster.raft(1).readIndex(bytes(name));
  cluster.settle();
  assertEquals(reads(cluster.node(1)), [["a", 2], ["b", 2], ["c", 2]]);
  assertEquals(cluster.delivered.filter(({ kind }) => kind === "heartbeat").length, 2);
});

Deno.test("readIndex() on a follower asks the leader", () => {
  const cluster = group();
  assertEquals(cluster.raft(3).readIndex(bytes("r")), { kind: "forwarded", leader: 1 });
  cluster.settle();
  assertEquals(reads(cluster.node(3)), [["r", 2]]);
});

Deno.test("readIndex() without a known leader is refused", () => {
  const cluster = new TestGroup([1, 2, 3]);
  const refused = { kind: "refused", reason: "notLeader", leader: 0 } as const;
  assertEquals(cluster.raft(1).readIndex(bytes("r")), refused);
});

Deno.test("A single voter answers reads at once", () => {
  const cluster = new TestGroup([1]);
  cluster.elect(1);
  cluster.raft(1).readIndex(bytes("r"));
  assertEquals(cluster.raft(1).ready().readStates.map(({ index }) => index), [1]);
});

Deno.test("A leader that was replaced does not answer reads", () => {
  const cluster = group({ checkQuorum: false });
  cluster.isolate(1);
  cluster.elect(2);
  cluster.propose(2, "y");
  cluster.raft(1).readIndex(bytes("r"));
  cluster.tick(3, 1);
  assertEquals(reads(cluster.node(1)), []);
});

Deno.test("An answer to a round from before the read does not confirm it", () => {
  const cluster = group({ checkQuorum: false });
  const raft = cluster.raft(1);
  // The answer of node 2 to the first round is held back.
  const late: Message[] = [];
  cluster.loses = (message) => message.kind === "heartbeatResponse" && late.push(message) > 0;
  cluster.tick(1, 1);
  cluster.isolate(1);
  cluster.elect(2);
  cluster.propose(2, "y");
  raft.readIndex(bytes("r"));
  cluster.settle();
  for (const message of late) raft.step(message);
  cluster.settle();
  assertEquals(reads(cluster.node(1)), []);
});

Deno.test("A new leader puts reads off until it has committed an entry of its own term", () => {
  const cluster = group();
  cluster.loses = ({ kind, to }) => kind === "appendResponse" && to === 2;
  cluster.raft(1).transferLeadership(2);
  cluster.settle();
  const raft = cluster.raft(2);
  assertEquals(raft.role, "leader");
  raft.readIndex(bytes("r"));
  cluster.tick(1, 2);
  assertEquals(reads(cluster.node(2)), []);
  cluster.loses = () => false;
  cluster.tick(2, 2);
  assertEquals(reads(cluster.node(2)), [["r", 3]]);
});

Deno.test("Reads that wait are bounded", () => {
  const cluster = group({ pendingReadsMax: 2 });
  const kinds = ["a", "b", "c"].map((name) => cluster.raft(1).readIndex(bytes(name)).kind);
  assertEquals(kinds, ["accepted", "accepted", "refused"]);
});

const LEASE = { readMode: "lease", electionTicks: 10, leaseMarginTicks: 3 } as const;

Deno.test("In lease mode a leader answers at once after a confirmed round, until the lease ends", () => {
  const cluster = group(LEASE);
  const raft = cluster.raft(1);
  cluster.tick(1, 1);
  function answered(): boolean {
    raft.readIndex(bytes("r"));
    const { readStates } = raft.ready();
    return readStates.length > 0;
  }
  assertEquals(answered(), true);
  cluster.isolate(1);
  for (let i = 0; i < 6; i++) raft.tick();
  assertEquals(answered(), true);
  raft.tick();
  assertEquals(answered(), false);
});

Deno.test("In lease mode nobody forgets a leader, campaigns, or votes right after a restart", () => {
  const cluster = group(LEASE);
  cluster.tick(1, 1);
  cluster.isolate(1);
  for (const id of [2, 3]) {
    cluster.raft(id).forgetLeader();
    assertEquals(cluster.raft(id).leader, 1);
  }
  cluster.raft(2).campaign();
  assertEquals(cluster.raft(2).role, "follower");
  cluster.node(3).restart();
  cluster.tick(12, 2);
  assertEquals(cluster.raft(2).role, "preCandidate");
  cluster.tick(10, 3);
  cluster.tick(12, 2);
  assertEquals(cluster.raft(2).role, "leader");
});

Deno.test("In lease mode an attempt to hand leadership over ends the lease for good", () => {
  const cluster = group(LEASE);
  const raft = cluster.raft(1);
  cluster.tick(1, 1);
  cluster.loses = ({ kind }) => kind === "timeoutNow";
  raft.transferLeadership(2);
  cluster.tick(12, 1);
  assertEquals(raft.status().transferee, 0);
  raft.readIndex(bytes("r"));
  assertEquals(raft.ready().readStates, []);
});
