/** Partitions whose keys take turns. */

import { assertEquals } from "@std/assert";
import { type MessageDetails, type QueueSettings, SettleOperation } from "./commands.ts";
import { Consumer } from "./consumer.ts";
import { EffectBuffer } from "./effects.ts";
import type { MessageView } from "./message_view.ts";
import { Partition } from "./partition.ts";
import type { PartitionContent } from "./partition_restorer.ts";
import { partsOfPartition } from "./partition_capture.ts";
import { queueSettings } from "./settings.ts";

const { ack, nack, reject } = SettleOperation;

/** A partition and consumers; what is delivered is read as the names of messages. */
class Bench {
  readonly partition: Partition;
  readonly effects = new EffectBuffer();
  readonly names: string[] = [];
  nowMs = 0;
  #revision = 0;

  constructor(settings: Partial<QueueSettings>) {
    this.partition = new Partition({
      id: 1,
      queueId: 1,
      queueName: "jobs",
      number: 0,
      settings: queueSettings({ leaseMs: 1_000, backoffFirstMs: 0, ...settings }),
      paused: false,
      revision: 0,
    }, { bury: () => true });
  }

  consumer(prefetch: number, name = 1): Consumer {
    const consumer = new Consumer(1, name, 1, prefetch);
    consumer.receiving = true;
    this.partition.attach(consumer, this.nowMs);
    return consumer;
  }

  /** A name is the key and a number; one that begins with `-` has no key. */
  publish(names: string, more: Omit<MessageDetails, "key"> = {}): void {
    const list = names.split(" ");
    const at = (position: number) => {
      const key = list[position]![0]!;
      return key === "-" ? more : { ...more, key };
    };
    const details = { hasOptions: Object.keys(more).length > 0, at };
    this.partition.publish(list.length, 1, 100 + this.names.length, 1, details, this.nowMs);
    this.names.push(...list);
  }

  /** Names in the order of their delivery, with "xN" behind them for a redelivery. */
  dispatch(): string {
    this.effects.clear();
    this.partition.dispatch(this.nowMs, this.effects);
    this.partition.checkInvariants();
    const { offset, deliveryCount, count } = this.effects.deliveries;
    return Array.from({ length: count }, (_, at) => {
      const name = this.names[offset[at]!]!;
      return deliveryCount[at] === 1 ? name : `${name}x${deliveryCount[at]}`;
    }).join(" ");
  }

  settle(consumer: Consumer, operation: SettleOperation, names: string, delayMs?: number): void {
    const offsets = names.split(" ").map((name) => this.names.indexOf(name));
    const held = this.partition.view.heldBy(consumer);
    const deliveryCounts = offsets.map((offset) =>
      held.find((one) => one.offset === offset)!.deliveryCount
    );
    const words = {
      operation,
      offsets,
      deliveryCounts,
      ...(delayMs === undefined ? {} : { delayMs }),
    };
    this.partition.settle(consumer, words, this.nowMs);
  }

  /** Acks what was delivered, again and again, until nothing is left. */
  drain(consumer: Consumer): string {
    const all: string[] = [];
    for (let names = this.dispatch(); names !== ""; names = this.dispatch()) {
      all.push(names);
      this.settle(consumer, ack, names.replaceAll(/x\d+/g, ""));
    }
    return all.join(" ");
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.partition.passTime(this.nowMs, Infinity);
  }

  edit(settings: Partial<QueueSettings>): void {
    const all = queueSettings({ leaseMs: 1_000, backoffFirstMs: 0, ...settings });
    this.partition.update({ settings: all, paused: false, revision: ++this.#revision }, this.nowMs);
  }

  view(name: string): MessageView {
    const fromOffset = this.names.indexOf(name);
    const look = { fromOffset, messagesMax: 1, offsetsMax: 1 };
    return this.partition.view.look(look, this.nowMs).messages[0]!;
  }
}

Deno.test("order key: one message of a key is in flight, and the next goes when it is acked", () => {
  const bench = new Bench({ order: "key" });
  const consumer = bench.consumer(10);
  bench.publish("a1 a2 b1 a3 b2 c1");
  assertEquals(bench.dispatch(), "a1 b1 c1");
  bench.settle(consumer, ack, "b1");
  assertEquals(bench.dispatch(), "b2");
  bench.settle(consumer, ack, "a1 c1");
  assertEquals(bench.dispatch(), "a2");
  assertEquals(bench.drain(consumer), "");
  bench.settle(consumer, ack, "a2");
  assertEquals(bench.dispatch(), "a3");
});

Deno.test("order key: what comes back goes before later ones of its key, whatever their priority", () => {
  const bench = new Bench({ order: "key" });
  const consumer = bench.consumer(10);
  bench.publish("a1 a2");
  assertEquals(bench.dispatch(), "a1");
  bench.publish("a3", { priority: 9 });
  bench.settle(consumer, nack, "a1");
  assertEquals(bench.dispatch(), "a1x2");
  assertEquals(bench.partition.detach(consumer, undefined, 0), undefined);
  const other = bench.consumer(10, 2);
  assertEquals(bench.drain(other), "a1x3 a3 a2");
});

Deno.test("order key: the back-off of a message holds its key, and no other", () => {
  const bench = new Bench({ order: "key" });
  const consumer = bench.consumer(10);
  bench.publish("a1 a2 b1 b2");
  assertEquals(bench.dispatch(), "a1 b1");
  bench.settle(consumer, nack, "a1", 500);
  bench.settle(consumer, ack, "b1");
  assertEquals(bench.dispatch(), "b2");
  const { block } = bench.view("a2");
  assertEquals(block, { by: "returned", offset: 0, untilMs: 500 });
  bench.pass(499);
  assertEquals(bench.dispatch(), "");
  bench.pass(1);
  assertEquals(bench.dispatch(), "a1x2");
});

Deno.test("order key: the next one goes however the one before ended", () => {
  const bench = new Bench({ order: "key", maxDeliveries: 1 });
  const consumer = bench.consumer(1);
  bench.publish("a1");
  bench.publish("a2", { ttlMs: 100 });
  bench.publish("a3 a4 a5 a6 a7");
  assertEquals(bench.dispatch(), "a1");
  bench.settle(consumer, reject, "a1");
  assertEquals(bench.dispatch(), "a2");
  bench.pass(100);
  bench.settle(consumer, nack, "a2");
  assertEquals(bench.dispatch(), "a3", "a2 has expired");
  bench.pass(1_000);
  assertEquals(bench.dispatch(), "a4", "the lease of a3 has ended, and it is dead");
  bench.partition.removeMessage(4);
  bench.settle(consumer, ack, "a4");
  assertEquals(bench.dispatch(), "a6", "a5 was removed");
  assertEquals(bench.partition.purge(), 1);
  bench.settle(consumer, ack, "a6");
  bench.publish("a8");
  assertEquals(bench.dispatch(), "a8");
});

Deno.test("order key: a message that was published with a delay holds up nothing, and is not lost", () => {
  const bench = new Bench({ order: "key" });
  const consumer = bench.consumer(10);
  bench.publish("a1", { delayMs: 100 });
  bench.publish("a2 a3 a4");
  assertEquals(bench.dispatch(), "a2");
  bench.pass(100);
  assertEquals(bench.dispatch(), "");
  bench.settle(consumer, ack, "a2");
  assertEquals(bench.drain(consumer), "a1 a3 a4");
});

Deno.test("fair keys: keys take turns, and those without a key have one turn together", () => {
  const bench = new Bench({ fairKeys: true });
  bench.publish("a1 a2 a3 a4 -1 -2 -3 b1 b2 c1");
  bench.consumer(20);
  // Those without a key have no line until somebody takes something.
  assertEquals(bench.dispatch(), "a1 b1 c1 -1 a2 b2 -2 a3 -3 a4");
});

Deno.test("fair keys: within a key priority counts, and between keys it does not", () => {
  const bench = new Bench({ fairKeys: true });
  bench.publish("a1 a2 b1");
  bench.publish("a3 b2", { priority: 5 });
  bench.publish("a4", { priority: 7 });
  bench.consumer(20);
  assertEquals(bench.dispatch(), "a4 b2 a3 b1 a1 a2");
});

Deno.test("key concurrency: so many of a key are in flight", () => {
  const bench = new Bench({ keyConcurrency: 2 });
  const consumer = bench.consumer(10);
  bench.publish("a1 a2 a3 a4 b1");
  assertEquals(bench.dispatch(), "a1 b1 a2");
  assertEquals(bench.view("a3").block, {
    by: "leased",
    offset: 0,
    lease: { sessionId: 1, consumerId: 1, sinceMs: 0, endsAtMs: 1_000 },
  });
  assertEquals([bench.view("a1").block, bench.partition.view.keyCounts(0)], [
    undefined,
    { keys: 1, blocked: 2 },
  ]);
  bench.settle(consumer, nack, "a2", 200);
  assertEquals(bench.dispatch(), "a3", "a back-off holds up nothing without an order");
  bench.edit({ keyConcurrency: 3 });
  assertEquals(bench.dispatch(), "a4");
  bench.edit({ keyConcurrency: 1 });
  bench.settle(consumer, ack, "a1 a3");
  bench.pass(200);
  assertEquals(bench.dispatch(), "");
  bench.settle(consumer, ack, "a4");
  assertEquals(bench.dispatch(), "a2x2");
});

Deno.test("key rate: a second's worth at once, and then as many as come in a second", () => {
  const bench = new Bench({ keyRatePerSecond: 3, leaseMs: 60_000 });
  bench.publish("a1 a2 a3 a4 a5 a6 a7 b1");
  bench.consumer(20);
  assertEquals(bench.dispatch(), "a1 b1 a2 a3");
  assertEquals(bench.partition.firstDeadlineMs, 333);
  assertEquals(bench.view("a4").block, { by: "rate", untilMs: 333 });
  bench.pass(332);
  assertEquals(bench.dispatch(), "");
  bench.pass(1);
  assertEquals(bench.dispatch(), "a4");
  bench.pass(667);
  assertEquals(bench.dispatch(), "a5 a6");
  bench.edit({ fairKeys: true, leaseMs: 60_000 });
  assertEquals(bench.dispatch(), "a7");
});

Deno.test("dropOldest drops by offset, whether a message has a key or not, and whose turn it is", () => {
  const bench = new Bench({ order: "key", maxMessages: 4, overflow: "dropOldest" });
  bench.publish("b1 -1 a1 a2");
  bench.publish("a3 a4 -2");
  const consumer = bench.consumer(20);
  assertEquals(bench.partition.stats().dropped, 3);
  assertEquals(bench.drain(consumer), "a2 -2 a3 a4");
});

Deno.test("an edit counts for what is published from then on; what waits keeps its turns", () => {
  const bench = new Bench({});
  bench.publish("a1 a2 a3");
  bench.edit({ order: "key" });
  bench.publish("a4 a5 b1");
  const consumer = bench.consumer(20);
  assertEquals(bench.dispatch(), "a4 b1 a1 a2 a3");
  bench.edit({});
  bench.publish("a6");
  assertEquals(bench.dispatch(), "a5 a6", "nothing limits them any more");
  bench.settle(consumer, ack, "a1 a2 a3 a4 a5 a6 b1");
  assertEquals(bench.partition.view.keyCounts(0), { keys: 0, blocked: 0 });
  bench.edit({ leaseMs: 2_000 });
  assertEquals(bench.partition.view.keyCounts(0), undefined, "as if keys had never mattered");
});

Deno.test("a partition is the same from its parts: turns, rates, rests, and what holds a key", () => {
  const bench = new Bench({ keyRatePerSecond: 2, keyConcurrency: 3 });
  const consumer = bench.consumer(8);
  bench.publish("a1 a2 a3 a4 -1 b1 c1 c2");
  bench.publish("d1", { delayMs: 5_000 });
  bench.publish("d2", { priority: 3 });
  assertEquals(bench.dispatch(), "a1 b1 c1 d2 -1 a2 c2");
  bench.settle(consumer, nack, "c1", 300);
  bench.settle(consumer, ack, "b1");
  bench.publish("-2 -3 -4 -5");
  assertEquals(bench.dispatch(), "-2 -3 -4");
  bench.pass(100);
  const parts = [...partsOfPartition(bench.partition.capture(bench.nowMs))];
  const restored = Partition.restore(parts[0] as never, { bury: () => true });
  const session = { state: "attached" as const, addConsumer: () => {} };
  const restorer = restored.restorer({ get: () => session });
  for (const part of parts.slice(1)) restorer.take(part as PartitionContent);
  restored.checkInvariants();
  assertEquals([...partsOfPartition(restored.capture(bench.nowMs))], parts);
  const kinds = new Set(parts.map(({ kind }) => kind));
  assertEquals(
    ["keyed", "keyTurns", "keyRests", "keyRates"].map((kind) => kinds.has(kind as never)),
    [
      true,
      true,
      true,
      true,
    ],
  );
});

Deno.test("very many messages of one key, and of as many keys, go one by one in order", () => {
  for (const keys of [1, 100_000]) {
    const bench = new Bench({ order: "key", leaseMs: 60_000 });
    const consumer = bench.consumer(1_000);
    const count = 100_000;
    const at = (position: number) => ({ key: String(position % keys) });
    const publish = () => bench.partition.publish(count, 1, 100, 1, { hasOptions: false, at }, 0);
    publish();
    let next = 0;
    while (next < 5_000) {
      bench.effects.clear();
      bench.partition.dispatch(0, bench.effects);
      const { offset, count } = bench.effects.deliveries;
      const offsets = offset.slice(0, count);
      for (const one of offsets) assertEquals(one, next++);
      const words = { operation: ack, offsets, deliveryCounts: offsets.map(() => 1) };
      bench.partition.settle(consumer, words, 0);
    }
  }
});
