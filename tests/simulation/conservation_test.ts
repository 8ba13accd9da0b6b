import { assertThrows } from "@std/assert";
import { queueSettings } from "../../queue/mod.ts";
import { Conservation } from "./conservation.ts";
import { ModelPartition } from "./partition_model.ts";
import { Violation, World } from "./world.ts";

const partitionId = 7;

/** Entry 1 makes a partition, entry 3 publishes a message, 4 leases it, 5 acks it, 6 publishes and purges another, 7 ends it all. */
function setUp(): Conservation {
  const conservation = new Conservation(0, new World(1));
  const place = { shard: 0, id: partitionId, queue: "queue", number: 0 };
  const host = { index: 0, nowMs: 0, died: () => {}, revived: () => {}, count: () => {} };
  const partition = new ModelPartition(place, queueSettings(), host);
  const partitions = new Map([[partitionId, partition]]);
  conservation.record(1, partitions);
  const asked = {
    key: undefined,
    priority: 0,
    dueMs: 0,
    expiresAtMs: Infinity,
    unique: undefined,
    bytes: 1,
    share: 1,
  };
  partition.store({ ...asked, id: "a", index: 3, term: 1 });
  conservation.record(3, partitions);
  const [message] = partition.messages;
  const consumer = {
    sessionId: 1,
    consumerId: 1,
    prefetch: 1,
    leaseMs: 0,
    attached: true,
    held: 0,
  };
  partition.deliver(message!, consumer);
  conservation.record(4, partitions);
  partition.ack(message!);
  conservation.record(5, partitions);
  partition.store({ ...asked, id: "b", index: 6, term: 1 });
  partition.purge();
  conservation.record(6, partitions);
  partitions.clear();
  conservation.record(7, partitions);
  return conservation;
}

function counts(published: number, ready: number, leased: number, acked: number, purged = 0) {
  const none = { delayed: 0, dead: 0, expired: 0, dropped: 0, repeated: 0 };
  return { stats: () => ({ ...none, published, ready, leased, acked, purged }) };
}

const NOTHING = { stats: () => undefined };

Deno.test("a replica may be anywhere in the log", () => {
  const conservation = setUp();
  conservation.check(1, 0, NOTHING);
  conservation.check(1, 1, counts(0, 0, 0, 0));
  conservation.check(1, 2, counts(0, 0, 0, 0));
  conservation.check(1, 3, counts(1, 1, 0, 0));
  conservation.check(1, 4, counts(1, 0, 1, 0));
  conservation.check(1, 5, counts(1, 0, 0, 1));
  conservation.check(1, 6, counts(2, 0, 0, 1, 1));
  conservation.check(1, 7, NOTHING);
  conservation.check(1, 9, NOTHING);
});

Deno.test("counts that do not add up are found", () => {
  const conservation = setUp();
  assertThrows(() => conservation.check(1, 4, counts(1, 1, 1, 0)), Violation, "does not add up");
});

Deno.test("counts that add up, but are not those of the log, are found", () => {
  const conservation = setUp();
  assertThrows(() => conservation.check(1, 4, counts(1, 0, 0, 1)), Violation, "should be");
  assertThrows(() => conservation.check(1, 4, counts(1, 1, 0, 0)), Violation, "should be");
  assertThrows(() => conservation.check(1, 4, counts(2, 1, 1, 0)), Violation, "should be");
});

Deno.test("a partition that is missing, or there for too long, is found", () => {
  const conservation = setUp();
  assertThrows(() => conservation.check(1, 5, NOTHING), Violation, "no such partition");
  assertThrows(
    () => conservation.check(1, 7, counts(2, 0, 0, 1, 1)),
    Violation,
    "should be no such",
  );
});
