import { assertThrows } from "@std/assert";
import { queueSettings } from "../../queue/mod.ts";
import { Conservation } from "./conservation.ts";
import { ModelPartition } from "./queue_model.ts";
import { Violation, World } from "./world.ts";

const partitionId = 7;

/** Entry 1 makes a partition, entry 3 publishes a message, 4 leases it, 5 acks it, 6 publishes and purges another, 7 ends it all. */
function setUp(): Conservation {
  const conservation = new Conservation(0, new World(1));
  const partition = new ModelPartition(0, "queue", 0, queueSettings());
  const partitions = new Map([[partitionId, partition]]);
  conservation.record(1, partitions);
  const message = {
    id: "a",
    key: undefined,
    index: 3,
    term: 1,
    acked: false,
    dead: false,
    ackedIndex: 0,
    deliveryCount: 0,
    deliveredIndex: 0,
    lease: undefined,
    dueMs: 0,
    seen: new Map(),
  };
  partition.messages.push(message);
  conservation.record(3, partitions);
  partition.leased.set(0, message);
  conservation.record(4, partitions);
  partition.leased.clear();
  partition.ackedCount = 1;
  conservation.record(5, partitions);
  partition.messages.push(message);
  partition.ackedCount = 2;
  partition.purgedCount = 1;
  conservation.record(6, partitions);
  partitions.clear();
  conservation.record(7, partitions);
  return conservation;
}

function counts(published: number, ready: number, leased: number, acked: number, purged = 0) {
  const none = { delayed: 0, dead: 0, dropped: 0, repeated: 0 };
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
