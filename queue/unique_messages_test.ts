/** When a text that messages are unique by is taken, and what frees it. */
import { assertEquals } from "@std/assert";
import { type MessageDetails, type QueueSettings, SettleOperation } from "./commands.ts";
import { Consumer } from "./consumer.ts";
import { EffectBuffer } from "./effects.ts";
import { Partition } from "./partition.ts";
import { queueSettings } from "./settings.ts";

const { ack, nack, reject } = SettleOperation;
const LEASE_MS = 1_000;

/** A partition in which messages are unique by "u", and one consumer. */
class Bench {
  readonly partition: Partition;
  readonly consumer = new Consumer(1, 1, 1, 1);
  readonly #effects = new EffectBuffer();
  #entryIndex = 100;
  buried = 0;
  outboxIsFull = false;

  constructor(settings: Partial<QueueSettings> = {}, queueName = "jobs") {
    this.partition = new Partition({
      id: 1,
      queueId: 1,
      queueName,
      number: 0,
      settings: queueSettings({ leaseMs: LEASE_MS, ...settings }),
      paused: false,
      revision: 0,
    }, { bury: () => !this.outboxIsFull && ++this.buried > 0 });
    this.consumer.receiving = true;
    this.partition.attach(this.consumer, 0);
  }

  /** Publishes messages; tells which of them were not stored, and the offsets that are the answers. */
  publish(nowMs: number, ...asked: MessageDetails[]): Record<number, number> {
    const { length } = asked;
    const details = { hasOptions: true, at: (at: number) => asked[at]! };
    this.partition.publish(length, length * 10, this.#entryIndex++, 7, details, nowMs);
    const repeats = this.partition.repeats ?? [];
    return Object.fromEntries(repeats.map(({ position, offset }) => [position, offset]));
  }

  /** Whether a message with the text would be stored now. */
  isFree(nowMs: number): boolean {
    return this.publish(nowMs, { unique: "u" })[0] === undefined;
  }

  /** Hands out what can be; returns the offsets. */
  dispatch(nowMs: number): number[] {
    this.#effects.clear();
    this.partition.dispatch(nowMs, this.#effects);
    this.partition.checkInvariants();
    const { deliveries } = this.#effects;
    return [...deliveries.offset.slice(0, deliveries.count)];
  }

  settle(operation: SettleOperation, offset: number, deliveryCount: number, nowMs: number): void {
    const words = { operation, offsets: [offset], deliveryCounts: [deliveryCount] };
    this.partition.settle(this.consumer, words, nowMs);
  }
}

Deno.test("a unique text is taken while its message is delayed, ready, leased, and on its way back", () => {
  const bench = new Bench({ backoffFirstMs: 100, backoffJitterPercent: 0 });
  assertEquals(bench.publish(0, { unique: "u", delayMs: 50 }), {});
  assertEquals(bench.publish(10, { unique: "u" }), { 0: 0 }, "delayed");
  bench.partition.passTime(60, 100);
  assertEquals(bench.publish(60, { unique: "u" }), { 0: 0 }, "ready");
  assertEquals(bench.dispatch(70), [0]);
  assertEquals(bench.publish(80, { unique: "u" }), { 0: 0 }, "leased");
  bench.settle(nack, 0, 1, 90);
  assertEquals(bench.publish(95, { unique: "u" }), { 0: 0 }, "waiting for its back-off");
  bench.partition.passTime(200, 100);
  assertEquals(bench.publish(200, { unique: "u" }), { 0: 0 }, "ready again");
  assertEquals(bench.dispatch(210), [0]);
  bench.settle(ack, 0, 2, 220);
  assertEquals(bench.publish(230, { unique: "u" }), {}, "acked");
  assertEquals(bench.publish(230, { unique: "u" }), { 0: 6 }, "the new one");
  assertEquals(bench.partition.stats().repeated, 6);
});

Deno.test("a text in use keeps out only messages with the same one", () => {
  const bench = new Bench();
  bench.publish(0, { unique: "u" });
  assertEquals(bench.publish(0, { unique: "v" }, {}, { priority: 3 }, { unique: "u" }), { 3: 0 });
});

Deno.test("of one batch the first message with a text is stored", () => {
  const bench = new Bench();
  assertEquals(
    bench.publish(0, {}, { unique: "u" }, { unique: "u" }, { unique: "v" }, { unique: "u" }),
    { 2: 1, 4: 1 },
  );
  const { ready, repeated, published } = bench.partition.stats();
  assertEquals({ ready, repeated, published }, { ready: 3, repeated: 2, published: 5 });
});

Deno.test("a purge frees the texts of what waits, and not of what is leased", () => {
  const bench = new Bench();
  bench.publish(0, { unique: "u" }, { unique: "v" }, { unique: "w", delayMs: 500 });
  assertEquals(bench.dispatch(0), [0]);
  bench.partition.purge();
  assertEquals(
    bench.publish(0, { unique: "u" }, { unique: "v" }, { unique: "w" }),
    { 0: 0 },
  );
});

Deno.test("a message that is removed by its id frees its text", () => {
  for (const delayMs of [0, 500]) {
    const bench = new Bench();
    bench.publish(0, { unique: "u", delayMs });
    assertEquals(bench.partition.removeMessage(0), true);
    assertEquals(bench.isFree(0), true);
  }
});

Deno.test("a message that is dropped for newer ones frees its text, even in the step that stores it", () => {
  const bench = new Bench({ maxMessages: 2, overflow: "dropOldest" });
  bench.publish(0, { unique: "u" }, {}, {});
  assertEquals(bench.partition.stats().dropped, 1);
  assertEquals(bench.isFree(0), true);
});

Deno.test("a message that expires frees its text when it does, and not before", () => {
  const bench = new Bench();
  bench.publish(0, { unique: "u", ttlMs: 100 });
  assertEquals(bench.isFree(99), false);
  bench.partition.passTime(100, 100);
  assertEquals(bench.isFree(100), true);
});

Deno.test("a leased message keeps its text beyond its time to live, until it comes back", () => {
  const bench = new Bench({ backoffFirstMs: 0 });
  bench.publish(0, { unique: "u", ttlMs: 100 });
  bench.dispatch(0);
  bench.partition.passTime(500, 100);
  assertEquals(bench.isFree(500), false);
  bench.partition.passTime(LEASE_MS, 100);
  assertEquals(bench.partition.stats().expired, 1);
  assertEquals(bench.isFree(LEASE_MS), true);
});

Deno.test("a message that dies frees its text, and keeps it while the outbox is full", () => {
  const deaths: [string, (bench: Bench) => void][] = [
    ["too many failures", (bench) => bench.settle(nack, 0, 1, 0)],
    ["rejected", (bench) => bench.settle(reject, 0, 1, 0)],
  ];
  for (const [how, die] of deaths) {
    const bench = new Bench({ maxDeliveries: 1 });
    bench.publish(0, { unique: "u" });
    bench.dispatch(0);
    die(bench);
    assertEquals(bench.buried, 1, how);
    assertEquals(bench.isFree(0), true, how);

    const stuck = new Bench({ maxDeliveries: 1 });
    stuck.outboxIsFull = true;
    stuck.publish(0, { unique: "u" });
    stuck.dispatch(0);
    die(stuck);
    assertEquals(stuck.isFree(0), false, `${how}, with a full outbox`);
  }
});

Deno.test("what is rejected in a dead-letter queue frees its text there", () => {
  const bench = new Bench({}, "jobs.dead");
  bench.publish(0, { unique: "u" });
  bench.dispatch(0);
  assertEquals(bench.isFree(0), false);
  bench.settle(reject, 0, 1, 0);
  assertEquals(bench.partition.stats().dropped, 1);
  assertEquals(bench.isFree(0), true);
});

Deno.test("what was not stored is never delivered, takes no room, and leaves the order as it is", () => {
  const bench = new Bench({ maxMessages: 3, maxBytes: 30 });
  bench.publish(0, { unique: "u" }, { unique: "u", ttlMs: 5 }, { unique: "u", delayMs: 5 }, {});
  assertEquals(bench.partition.isFull, false);
  assertEquals(bench.partition.stats().bytesHeld, 20);
  bench.partition.passTime(10, 100);
  assertEquals(bench.dispatch(10), [0]);
  bench.settle(ack, 0, 1, 10);
  assertEquals(bench.dispatch(10), [3]);
  bench.settle(ack, 3, 1, 10);
  const { acked, expired, repeated } = bench.partition.stats();
  assertEquals({ acked, expired, repeated }, { acked: 2, expired: 0, repeated: 2 });
});
