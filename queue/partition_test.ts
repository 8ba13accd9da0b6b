import { assertEquals } from "@std/assert";
import {
  type Death,
  type MessageDetails,
  type QueueSettings,
  SettleOperation,
} from "./commands.ts";
import { Consumer } from "./consumer.ts";
import { EffectBuffer } from "./effects.ts";
import { Partition } from "./partition.ts";
import { partsOfPartition } from "./partition_capture.ts";
import { queueSettings } from "./settings.ts";

const { ack, nack, extend, reject } = SettleOperation;
const LEASE_MS = 1_000;

/** A partition with some consumers, whose deliveries are read as text: consumer, offset, count. */
class Bench {
  readonly deaths: Death[] = [];
  readonly partition: Partition;
  readonly #effects = new EffectBuffer();
  #entryIndex = 100;

  constructor(settings: Partial<QueueSettings> = {}) {
    this.partition = new Partition({
      id: 1,
      queueId: 1,
      queueName: "jobs",
      number: 0,
      settings: queueSettings({ leaseMs: LEASE_MS, backoffFirstMs: 0, ...settings }),
      paused: false,
      revision: 0,
    }, { bury: (death) => this.deaths.push(death) > 0 });
  }

  consumer(name: number, prefetch: number): Consumer {
    const consumer = new Consumer(1, name, 1, prefetch);
    consumer.receiving = true;
    this.partition.attach(consumer, 0);
    return consumer;
  }

  publish(count: number, nowMs = 0, ...asked: MessageDetails[]): void {
    const details = asked.length === 0
      ? undefined
      : { hasOptions: true, at: (at: number) => asked[at] ?? {} };
    this.partition.publish(count, count * 10, this.#entryIndex++, 1, details, nowMs);
  }

  publishBytes(count: number, bytes: number): void {
    this.partition.publish(count, bytes, this.#entryIndex++, 1, undefined, 0);
  }

  /** One "consumer:offset", with "xN" behind it for a redelivery, for each delivery. */
  dispatch(nowMs: number): string {
    this.#effects.clear();
    this.partition.dispatch(nowMs, this.#effects);
    this.partition.checkInvariants();
    const { deliveries } = this.#effects;
    const texts = Array.from({ length: deliveries.count }, (_, at) => {
      const count = deliveries.deliveryCount[at]!;
      const text = `${deliveries.consumerId[at]}:${deliveries.offset[at]}`;
      return count === 1 ? text : `${text}x${count}`;
    });
    return [...texts, ...this.#effects.drained.map(({ consumerId }) => `drained ${consumerId}`)]
      .join(" ");
  }

  settle(
    consumer: Consumer | undefined,
    operation: SettleOperation,
    offsets: number[],
    count = 1,
    nowMs = 0,
    more: { delayMs?: number; reason?: string } = {},
  ): number[] {
    const deliveryCounts = offsets.map(() => count);
    const words = { operation, offsets, deliveryCounts, ...more };
    return [...this.partition.settle(consumer, words, nowMs)];
  }
}

Deno.test("Partition.dispatch() deals one message at a time in turns, until credit is used up", () => {
  const bench = new Bench();
  bench.consumer(1, 1);
  bench.consumer(2, 3);
  bench.consumer(3, 2);
  bench.publish(9);
  assertEquals(bench.dispatch(0), "1:0 2:1 3:2 2:3 3:4 2:5");
  assertEquals(bench.partition.ready, 3);
});

Deno.test("Partition.dispatch() gives those who got credit again the end of the line", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 2);
  const two = bench.consumer(2, 2);
  bench.publish(4);
  assertEquals(bench.dispatch(0), "1:0 2:1 1:2 2:3");
  bench.settle(two, ack, [3]);
  bench.settle(one, ack, [0, 2]);
  bench.publish(3);
  assertEquals(bench.dispatch(0), "2:4 1:5 1:6");
});

Deno.test("Partition.dispatch() hands out returned messages first, the lowest offset first", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 4);
  bench.publish(6);
  bench.dispatch(0);
  bench.settle(one, nack, [3, 1]);
  assertEquals(bench.dispatch(0), "1:1x2 1:3x2");
  bench.settle(one, nack, [2]);
  bench.settle(one, nack, [1], 2);
  assertEquals(bench.dispatch(0), "1:1x3 1:2x2");
});

Deno.test("Partition.settle() counts only for the very delivery", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 1);
  const two = bench.consumer(2, 1);
  bench.publish(2);
  assertEquals(bench.dispatch(0), "1:0 2:1");
  assertEquals(bench.settle(two, ack, [0]), [1], "held by another");
  assertEquals(bench.settle(one, ack, [0], 2), [1], "another delivery");
  assertEquals(bench.settle(undefined, ack, [0]), [1], "a consumer that is gone");
  assertEquals(bench.settle(one, ack, [0]), [0]);
  for (const operation of [ack, nack, extend]) {
    assertEquals(bench.settle(undefined, operation, [0], 9), [0], "acked is acked");
  }
});

Deno.test("Partition.settle() knows offsets never delivered, never published, and no offsets", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 1);
  bench.publish(2);
  bench.dispatch(0);
  assertEquals(bench.settle(one, ack, [1, 2, -1, 0.5, NaN, Infinity, 2 ** 60]), [
    1,
    1,
    1,
    1,
    1,
    1,
    1,
  ]);
  assertEquals(bench.partition.stats().acked, 0);
});

Deno.test("Partition.settle() judges a second word in one command after the first", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  bench.publish(3);
  bench.dispatch(0);
  assertEquals(bench.settle(one, ack, [0, 0]), [0, 0]);
  assertEquals(bench.settle(one, nack, [1, 1]), [0, 1]);
  assertEquals(bench.settle(one, extend, [2, 2]), [0, 0]);
  assertEquals(bench.dispatch(0), "1:1x2");
});

Deno.test("Partition.passTime() returns a lease when its time has come, not before", () => {
  const bench = new Bench();
  bench.consumer(1, 1);
  bench.publish(1);
  bench.dispatch(500);
  assertEquals(bench.partition.firstDeadlineMs, 1_500);
  bench.partition.passTime(1_499, 1_000);
  assertEquals(bench.dispatch(1_499), "");
  bench.partition.passTime(1_500, 1_000);
  assertEquals(bench.dispatch(1_500), "1:0x2");
});

Deno.test("Partition.settle() with extend gives a lease its full time from now", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 2);
  bench.publish(2);
  bench.dispatch(0);
  assertEquals(bench.settle(one, extend, [0], 1, 900), [0]);
  bench.partition.passTime(1_000, 1_000);
  assertEquals(bench.dispatch(1_000), "1:1x2");
  assertEquals(bench.partition.firstDeadlineMs, 1_900);
});

Deno.test("Partition.renewLeases() gives all leases their full time from now", () => {
  const bench = new Bench();
  bench.consumer(1, 2);
  bench.publish(1);
  bench.dispatch(0);
  bench.publish(1);
  bench.dispatch(500);
  bench.partition.renewLeases(5_000);
  bench.partition.passTime(5_999, 1_000);
  assertEquals(bench.dispatch(5_999), "");
  bench.partition.passTime(6_000, 1_000);
  assertEquals(bench.dispatch(6_000), "1:0x2 1:1x2");
});

Deno.test("Partition.detach() makes what the consumer held ready for the others", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  bench.publish(3);
  bench.dispatch(0);
  bench.consumer(2, 2);
  assertEquals(bench.dispatch(0), "");
  bench.partition.detach(one, undefined, 0);
  assertEquals(bench.dispatch(0), "2:0x2 2:1x2");
  assertEquals(bench.settle(one, ack, [0]), [1]);
});

Deno.test("Partition.refresh() lets a consumer with less prefetch than it holds wait", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  bench.publish(5);
  bench.dispatch(0);
  one.prefetch = 2;
  bench.partition.refresh(one);
  bench.settle(one, ack, [0]);
  assertEquals(bench.dispatch(0), "");
  bench.settle(one, ack, [1]);
  assertEquals(bench.dispatch(0), "1:3");
});

Deno.test("Partition.dispatch() says drained once, to those who asked, when nothing is ready", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 1);
  const two = bench.consumer(2, 1);
  bench.partition.setDraining(one, true);
  bench.publish(3);
  assertEquals(bench.dispatch(0), "1:0 2:1");
  bench.settle(one, ack, [0]);
  assertEquals(bench.dispatch(0), "1:2 drained 1");
  bench.partition.setDraining(one, true);
  bench.partition.setDraining(two, true);
  two.receiving = false;
  bench.partition.refresh(two);
  assertEquals(bench.dispatch(0), "drained 1", "not where nobody listens");
  two.receiving = true;
  bench.partition.refresh(two);
  assertEquals(bench.dispatch(0), "drained 2");
  assertEquals(bench.dispatch(0), "");
});

Deno.test("PartitionView.heldBy() says where each message is in the log", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  bench.publish(2);
  bench.publish(2);
  bench.dispatch(0);
  bench.settle(one, nack, [0]);
  bench.dispatch(0);
  bench.settle(one, extend, [1]);
  assertEquals(bench.partition.view.heldBy(one), [
    { offset: 0, deliveryCount: 2, entryIndex: 100, position: 0 },
    { offset: 1, deliveryCount: 1, entryIndex: 100, position: 1 },
    { offset: 2, deliveryCount: 1, entryIndex: 101, position: 0 },
  ]);
});

Deno.test("Partition.stats() counts every state", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 4);
  bench.publish(6);
  bench.dispatch(0);
  bench.settle(one, ack, [1, 2]);
  bench.settle(one, nack, [0]);
  const counts = {
    partitionId: 1,
    published: 6,
    acked: 2,
    ready: 3,
    leased: 1,
    bytesPublished: 60,
    redelivered: 0,
    consumers: 1,
    nextOffset: 6,
    delayed: 0,
    dead: 0,
    expired: 0,
    dropped: 0,
    repeated: 0,
  };
  assertEquals(bench.partition.stats(), { ...counts, purged: 0, dropped: 0 });
  bench.partition.purge();
  assertEquals(bench.partition.stats(), { ...counts, purged: 3, dropped: 0, ready: 0 });
  bench.dispatch(0);
  bench.publish(1);
  bench.settle(one, nack, [3]);
  bench.dispatch(0);
  assertEquals(bench.partition.stats().redelivered, 1);
});

Deno.test("Partition.purge() removes what nobody holds, and its batch records", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  for (let batch = 0; batch < 5; batch++) bench.publish(2);
  assertEquals(bench.dispatch(0), "1:0 1:1 1:2");
  bench.settle(one, nack, [0]);
  assertEquals(bench.partition.purge(), 8);
  assertEquals(bench.dispatch(0), "");
  assertEquals(bench.settle(one, nack, [1]), [0]);
  assertEquals(bench.dispatch(0), "1:1x2");
  assertEquals(bench.settle(one, ack, [0, 3]), [0, 0], "what is gone is done");
  bench.publish(1);
  bench.settle(one, ack, [1, 2], 2);
  assertEquals(bench.settle(one, ack, [2]), [0]);
  assertEquals(bench.dispatch(0), "1:10");
  assertEquals(bench.partition.purge(), 0);
  assertEquals([...bench.partition.capture(0).backlog.batches.runs(1)].length, 1);
});

Deno.test("Partition.dispatch() hands out nothing while the queue is paused, and says drained", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  const settings = queueSettings({ leaseMs: LEASE_MS, backoffFirstMs: 0 });
  bench.publish(3);
  bench.dispatch(0);
  bench.publish(1);
  bench.partition.update({ settings, paused: true, revision: 1 }, 0);
  assertEquals(bench.settle(one, ack, [0]), [0]);
  assertEquals(bench.settle(one, nack, [1]), [0]);
  assertEquals(bench.dispatch(0), "");
  bench.partition.setDraining(one, true);
  assertEquals(bench.dispatch(0), "drained 1");
  bench.partition.update({ settings, paused: false, revision: 2 }, 0);
  assertEquals(bench.dispatch(0), "1:1x2 1:3");
});

Deno.test("Partition.isFull when as many messages wait and are leased as may, leased ones included", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 2);
  const limit = (maxMessages: number, revision: number) =>
    bench.partition.update({
      settings: queueSettings({ partitions: 2, maxMessages }),
      paused: false,
      revision,
    }, 0);
  limit(7, 1);
  bench.publish(2);
  bench.dispatch(0);
  assertEquals(bench.partition.isFull, false);
  bench.publish(4);
  assertEquals(bench.partition.isFull, true, "half of seven is three");
  bench.settle(one, ack, [0, 1]);
  assertEquals(bench.partition.isFull, true);
  limit(10, 2);
  assertEquals(bench.partition.isFull, false);
  limit(1, 3);
  assertEquals(bench.partition.isFull, true);
  limit(0, 4);
  assertEquals(bench.partition.isFull, false);
});

Deno.test("Partition drops the oldest that nobody holds where its queue says so", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 2);
  const limit = (maxMessages: number, revision: number) => {
    const settings = queueSettings({ maxMessages, overflow: "dropOldest" });
    bench.partition.update({ settings, paused: false, revision }, 0);
  };
  bench.publish(3);
  bench.dispatch(0);
  bench.settle(one, nack, [0]);
  bench.publish(4);
  limit(5, 1);
  assertEquals([bench.partition.stats().dropped, bench.partition.ready], [2, 4]);
  bench.publish(2);
  assertEquals([bench.partition.stats().dropped, bench.partition.ready], [4, 4]);
  assertEquals(bench.dispatch(0), "1:5");
  limit(1, 2);
  assertEquals(
    [bench.partition.stats().dropped, bench.partition.ready],
    [7, 0],
    "leased ones stay",
  );
  assertEquals(bench.settle(one, ack, [1, 5]), [0, 0]);
  assertEquals(bench.partition.stats().acked, 2);
  bench.publish(3);
  assertEquals(bench.dispatch(0), "1:11");
});

Deno.test("Partition.isFull when its messages have as many bytes as they may, leased ones included", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 2);
  const limit = (maxBytes: number, revision: number) =>
    bench.partition.update({
      settings: queueSettings({ partitions: 2, maxBytes }),
      paused: false,
      revision,
    }, 0);
  const held = () => bench.partition.stats().bytesHeld;
  bench.publishBytes(2, 10);
  bench.publishBytes(1, 21);
  bench.dispatch(0);
  assertEquals(held(), undefined, "nobody counts without a limit");
  limit(100, 1);
  assertEquals(held(), 3 * 11, "what is there counts for the average of 10⅓, rounded up");
  bench.settle(one, ack, [0]);
  bench.publishBytes(3, 3 * 4 - 2);
  assertEquals([held(), bench.partition.isFull], [2 * 11 + 3 * 4, false]);
  bench.publishBytes(1, 16);
  assertEquals([held(), bench.partition.isFull], [50, true], "half of 100 is 50");
  bench.settle(one, ack, [1]);
  assertEquals([held(), bench.partition.isFull], [39, false]);
  limit(72, 2);
  assertEquals(bench.partition.isFull, true);
  bench.dispatch(0);
  assertEquals(bench.partition.purge(), 3);
  assertEquals(held(), 11 + 4, "what consumers hold stays");
  bench.partition.checkInvariants();
  limit(0, 3);
  assertEquals([held(), bench.partition.isFull], [undefined, false]);
  bench.partition.checkInvariants();
});

Deno.test("Partition drops the oldest until there are few enough bytes, and never the last", () => {
  const bench = new Bench();
  const settings = queueSettings({ maxBytes: 100, overflow: "dropOldest" });
  bench.partition.update({ settings, paused: false, revision: 1 }, 0);
  bench.publishBytes(3, 90);
  bench.publishBytes(1, 40);
  assertEquals([bench.partition.stats().bytesHeld, bench.partition.ready], [100, 3]);
  bench.publishBytes(1, 500);
  const { bytesHeld, dropped, ready } = bench.partition.stats();
  assertEquals([bytesHeld, dropped, ready], [500, 4, 1], "it is larger than the limit, and stays");
  bench.publishBytes(1, 1);
  assertEquals([bench.partition.stats().bytesHeld, bench.partition.ready], [1, 1]);
  bench.partition.checkInvariants();
});

Deno.test("Partition.update() gives leases that run the new time when it is another", () => {
  const bench = new Bench();
  bench.consumer(1, 2);
  bench.publish(2);
  bench.dispatch(0);
  bench.partition.update({
    settings: queueSettings({ leaseMs: LEASE_MS }),
    paused: false,
    revision: 1,
  }, 500);
  assertEquals(bench.partition.firstDeadlineMs, LEASE_MS);
  bench.partition.update(
    { settings: queueSettings({ leaseMs: 200 }), paused: false, revision: 2 },
    500,
  );
  assertEquals(bench.partition.firstDeadlineMs, 700);
});

Deno.test("Partition drops batch records behind the lowest message that is not acked", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 100);
  for (let batch = 0; batch < 20; batch++) bench.publish(2);
  bench.dispatch(0);
  const records = () => [...bench.partition.capture(0).backlog.batches.runs(1)].length;
  bench.settle(one, ack, Array.from({ length: 39 }, (_, at) => at + 1));
  assertEquals(records(), 20, "all behind the one at the head");
  bench.settle(one, ack, [0]);
  assertEquals(records(), 0);
});

Deno.test("Partition.capture() holds the partition of its moment, however it goes on", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 3);
  const two = bench.consumer(2, 2);
  bench.publish(9);
  bench.dispatch(100);
  bench.settle(one, nack, [2], 1, 200);
  const before = [...partsOfPartition(bench.partition.capture(0))];
  const capture = bench.partition.capture(0);
  bench.settle(two, extend, [1], 1, 200);
  bench.dispatch(200);
  bench.settle(two, ack, [3], 1, 300);
  bench.settle(one, ack, [0], 1, 300);
  bench.publish(3);
  bench.partition.setDraining(two, true);
  bench.partition.detach(one, undefined, 0);
  assertEquals([...partsOfPartition(capture)], before);
  assertEquals(before.map(({ kind }) => kind), [
    "partition",
    "consumers",
    "ring",
    "batches",
    "leases",
    "returned",
  ]);
});

Deno.test("Partition.settle() with nack lets a message wait for the back-off, then for twice as long", () => {
  const bench = new Bench({ backoffFirstMs: 100, backoffJitterPercent: 0 });
  const one = bench.consumer(1, 2);
  bench.publish(2);
  assertEquals(bench.dispatch(0), "1:0 1:1");
  bench.settle(one, nack, [0]);
  assertEquals([bench.dispatch(0), bench.partition.stats().delayed], ["", 1]);
  assertEquals(bench.partition.firstDeadlineMs, 100);
  assertEquals([bench.partition.passTime(99, 9), bench.partition.passTime(100, 9)], [0, 1]);
  assertEquals(bench.dispatch(100), "1:0x2");
  bench.settle(one, nack, [0], 2, 100);
  assertEquals(bench.partition.firstDeadlineMs, 300);
  bench.settle(one, nack, [1], 1, 100, { delayMs: 20 });
  assertEquals(bench.partition.firstDeadlineMs, 120, "an explicit delay counts instead");
});

Deno.test("Partition.detach() lets what a lost consumer held fail, and not what an orderly one did", () => {
  const bench = new Bench({ backoffFirstMs: 100, maxDeliveries: 2 });
  const one = bench.consumer(1, 1);
  bench.publish(1);
  bench.dispatch(0);
  bench.partition.detach(one, undefined, 0);
  const two = bench.consumer(2, 1);
  assertEquals(bench.dispatch(0), "2:0x2", "at once");
  bench.partition.detach(two, undefined, 0);
  const three = bench.consumer(3, 1);
  assertEquals(bench.dispatch(0), "3:0x3", "however often it was delivered");
  bench.partition.detach(three, "sessionTimedOut", 50);
  assertEquals(bench.deaths, [{
    queue: "jobs",
    partition: 0,
    offset: 0,
    entryIndex: 100,
    position: 0,
    deliveryCount: 3,
    reason: "maxDeliveries",
    detail: "sessionTimedOut",
    atMs: 50,
  }]);
  assertEquals([bench.partition.stats().dead, bench.partition.firstEntryIndex], [1, undefined]);
});

Deno.test("Partition.detach() gives what a lost consumer held to others at once, in order", () => {
  const bench = new Bench({ backoffFirstMs: 100, maxDeliveries: 3 });
  const lost = bench.consumer(1, 3);
  bench.publish(3);
  bench.dispatch(0);
  bench.partition.detach(lost, "sessionTimedOut", 50);
  bench.consumer(2, 3);
  assertEquals(bench.dispatch(50), "2:0x2 2:1x2 2:2x2");
});

Deno.test("Partition.settle() with reject lets a message die at once, with what the consumer said", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 2);
  bench.publish(2);
  bench.dispatch(0);
  assertEquals(bench.settle(one, reject, [1], 1, 7, { reason: "no such customer" }), [0]);
  assertEquals(
    bench.deaths.map(({ offset, reason, detail, atMs }) => [offset, reason, detail, atMs]),
    [
      [1, "rejected", "no such customer", 7],
    ],
  );
  assertEquals(bench.settle(one, reject, [1]), [0], "done is done");
  assertEquals(bench.deaths.length, 1);
});

Deno.test("Partition.publish() holds a delayed message back, which then takes the place of its offset", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 1);
  bench.publish(1, 0, { delayMs: 100 });
  bench.publish(1, 0, { atMs: 50 });
  bench.publish(3);
  assertEquals(bench.dispatch(0), "1:2");
  assertEquals([bench.partition.ready, bench.partition.stats().delayed], [2, 2]);
  bench.partition.passTime(100, 1);
  assertEquals(bench.partition.stats().delayed, 1, "so many at a time");
  assertEquals(bench.partition.firstDeadlineMs, 100);
  bench.partition.passTime(100, 9);
  bench.settle(one, ack, [2]);
  assertEquals(bench.dispatch(100), "1:0");
  bench.settle(one, ack, [0]);
  assertEquals(bench.dispatch(100), "1:1");
  bench.settle(one, ack, [1]);
  assertEquals(bench.dispatch(100), "1:3");
});

Deno.test("Partition.dispatch() takes the highest priority first, and an old message now and then", () => {
  const publish = (bench: Bench) => {
    bench.consumer(1, 5);
    bench.publish(6, 0, {}, { priority: 5 }, { priority: 9 }, {}, { priority: 5 }, { priority: 1 });
    return bench.dispatch(0);
  };
  assertEquals(publish(new Bench()), "1:2 1:1 1:4 1:5 1:0");
  assertEquals(publish(new Bench({ starvationLimit: 2 })), "1:2 1:1 1:0 1:4 1:5");
});

Deno.test("Partition.passTime() expires what waits, and lets a consumer finish what it holds", () => {
  const bench = new Bench({ ttlMs: 100, leaseMs: 500 });
  const one = bench.consumer(1, 2);
  bench.publish(4, 0, {}, {}, { ttlMs: 30 }, { delayMs: 200 });
  bench.dispatch(0);
  bench.partition.passTime(30, 9);
  assertEquals(bench.partition.stats().expired, 1);
  bench.partition.passTime(100, 9);
  assertEquals(bench.partition.stats().expired, 2, "a delayed one, too");
  assertEquals(bench.settle(one, ack, [0], 1, 150), [0]);
  bench.settle(one, nack, [1], 1, 150);
  const { acked, expired, ready, delayed } = bench.partition.stats();
  assertEquals([acked, expired, ready, delayed], [1, 3, 0, 0], "one that comes back is late");
  assertEquals(bench.partition.firstEntryIndex, undefined);
});

Deno.test("Partition keeps an expired message for a dead-letter queue that has no room, and tries again", () => {
  const bench = new Bench({ deadLetterExpired: true });
  const deaths: Death[] = [];
  let isFull = true;
  const partition = new Partition(bench.partition.identity, {
    bury: (death) => !isFull && deaths.push(death) > 0,
  });
  partition.publish(2, 20, 1, 1, { hasOptions: true, at: () => ({ ttlMs: 10 }) }, 0);
  partition.passTime(10, 9);
  partition.checkInvariants();
  assertEquals([partition.ready, partition.stats().delayed], [0, 2]);
  isFull = false;
  partition.passTime(partition.firstDeadlineMs!, 9);
  partition.checkInvariants();
  assertEquals(deaths.map(({ offset, reason }) => [offset, reason]), [[0, "expired"], [
    1,
    "expired",
  ]]);
  assertEquals(partition.stats().dead, 2);
});

Deno.test("Partition.setLease() lets consumers hold messages for different times", () => {
  const bench = new Bench({ leaseMs: 1_000 });
  const one = bench.consumer(1, 1);
  const two = bench.consumer(2, 1);
  bench.partition.setLease(two, 300, 0);
  bench.publish(2);
  bench.dispatch(0);
  assertEquals(bench.partition.firstDeadlineMs, 300);
  bench.settle(two, extend, [1], 1, 200);
  assertEquals(bench.partition.firstDeadlineMs, 500, "its own time");
  bench.partition.setLease(one, 100, 250);
  assertEquals(bench.partition.firstDeadlineMs, 350, "what it holds is renewed");
  bench.partition.renewLeases(2_000);
  bench.partition.checkInvariants();
  assertEquals(bench.partition.firstDeadlineMs, 2_100);
});

Deno.test("Partition.removeMessage() takes out what waits, and nothing else", () => {
  const bench = new Bench();
  const one = bench.consumer(1, 1);
  bench.publish(5, 0, {}, {}, { delayMs: 50 }, { priority: 1 });
  assertEquals(bench.dispatch(0), "1:3");
  assertEquals([3, 2, 1, 1, 9].map((offset) => bench.partition.removeMessage(offset)), [
    false,
    true,
    true,
    false,
    false,
  ]);
  bench.partition.checkInvariants();
  bench.settle(one, ack, [3]);
  assertEquals(bench.dispatch(0), "1:0");
  bench.settle(one, ack, [0]);
  assertEquals(bench.dispatch(0), "1:4");
  assertEquals([bench.partition.stats().purged, bench.partition.firstDeadlineMs], [2, 1_000]);
});
