import { assertThrows } from "@std/assert";
import { Conservation } from "./conservation.ts";
import { ModelPartition } from "./partition_model.ts";
import { ReadChecker } from "./read_checker.ts";
import { Violation, World } from "./world.ts";
import { queueSettings } from "../../queue/mod.ts";

const partitionId = 7;

/** Entry 1 makes a queue with one partition, entries 2 and 3 publish a message each, 4 acks one. */
function setUp(): ReadChecker {
  const world = new World(1);
  const conservation = new Conservation(0, world);
  const reads = new ReadChecker(world, [conservation]);
  const place = { shard: 0, id: partitionId, queue: "jobs", number: 0 };
  const host = { index: 0, nowMs: 0, died: () => {}, revived: () => {}, count: () => {} };
  const partition = new ModelPartition(place, queueSettings(), host);
  const record = (index: number) => {
    conservation.record(index, new Map([[partitionId, partition]]));
    reads.applied(0, index, [{ id: 1, name: "jobs", state: "ready" }]);
  };
  record(1);
  for (const index of [2, 3]) {
    const asked = {
      key: undefined,
      priority: 0,
      dueMs: 0,
      expiresAtMs: Infinity,
      unique: undefined,
      bytes: 1,
      share: 1,
    };
    partition.store({ ...asked, id: `${index}`, index, term: 1 });
    record(index);
  }
  const consumer = {
    sessionId: 1,
    consumerId: 1,
    prefetch: 1,
    leaseMs: 0,
    attached: true,
    held: 0,
  };
  partition.deliver(partition.messages[0]!, consumer);
  partition.ack(partition.messages[0]!);
  record(4);
  return reads;
}

function report(published: number, acked: number, partitions = 1) {
  const none = { leased: 0, delayed: 0, dead: 0, expired: 0, dropped: 0, purged: 0, repeated: 0 };
  const counts = { ...none, published, acked, ready: published - acked };
  const rest = { redelivered: 0, bytesPublished: 0, consumers: 0 };
  const one = { ...counts, ...rest, partitionId, partition: 0, shard: 0, nextOffset: published };
  const settings = queueSettings({ partitions, leaseMs: 1_000 });
  return { name: "jobs", id: 1, settings, paused: false, ...counts, ...rest, partitions: [one] };
}

Deno.test("a read may show any state since it was asked for", () => {
  for (const [published, acked] of [[0, 0], [1, 0], [2, 0], [2, 1]] as const) {
    const reads = setUp();
    reads.gotReport(reads.ask(), report(published, acked));
  }
});

Deno.test("a read that hides what was confirmed before it is found", () => {
  const reads = setUp();
  reads.told(0, 3);
  const asked = reads.ask();
  assertThrows(() => reads.gotReport(asked, report(1, 0)), Violation, "from entry 3 to 4");
});

Deno.test("a read that hides what another one has shown before it is found", () => {
  const reads = setUp();
  reads.gotReport(reads.ask(), report(2, 0));
  const asked = reads.ask();
  assertThrows(() => reads.gotReport(asked, report(0, 0)), Violation, "linearizable");
});

Deno.test("two reads at a time may show things in any order", () => {
  const reads = setUp();
  const asked = reads.ask();
  reads.gotReport(asked, report(2, 1));
  reads.gotReport(asked, report(0, 0));
});

Deno.test("a read that shows what never was is found", () => {
  const reads = setUp();
  const asked = reads.ask();
  assertThrows(() => reads.gotReport(asked, report(3, 0)), Violation, "linearizable");
  assertThrows(() => reads.gotReport(asked, report(1, 1)), Violation, "linearizable");
});

Deno.test("a partition that a ready queue has lost is found", () => {
  const reads = setUp();
  const asked = reads.ask();
  assertThrows(() => reads.gotReport(asked, report(2, 0, 2)), Violation, "all its partitions");
});

Deno.test("lists of queues are as old as their question at most", () => {
  const reads = setUp();
  const before = reads.ask();
  reads.toldOfQueue(before, "jobs", true);
  const asked = reads.ask();
  reads.gotList(before, []);
  reads.gotNotFound(before, "jobs");
  reads.gotList(asked, [{ id: 1, name: "jobs", state: "ready" }]);
  assertThrows(() => reads.gotList(asked, []), Violation, "linearizable");
  assertThrows(() => reads.gotNotFound(asked, "jobs"), Violation, "no queue jobs");
  assertThrows(() => reads.toldOfQueue(asked, "jobs", false), Violation, "is deleted");
});
