import { assertEquals } from "@std/assert";
import { Checker, type CheckVerdict, type ConsumerOrder } from "./checker.ts";
import type { MessageName } from "./messages.ts";

/** One producer or more, one consumer, and a queue that does as it is told. */
class Scene {
  readonly checker: Checker;
  readonly order: ConsumerOrder = new Map();

  constructor(producers = 1) {
    this.checker = new Checker(producers);
  }

  publish(producer: number, offset: number, partition = 0): MessageName {
    const name = this.checker.publish(producer);
    this.checker.confirm(name, { partition, offset });
    return name;
  }

  deliver(name: MessageName | undefined, offset: number, deliveryCount = 1, partition = 0): void {
    this.checker.deliver(this.order, name, { partition, offset }, deliveryCount);
  }

  deliverAndAck(name: MessageName, offset: number, partition = 0): void {
    this.deliver(name, offset, 1, partition);
    this.checker.ack(name);
  }
}

type Wrong = "lost" | "duplicated" | "reordered" | "corrupted";

function wrong({ lost, duplicated, reordered, corrupted, ok }: CheckVerdict): unknown {
  const counts: Record<Wrong, number> = { lost, duplicated, reordered, corrupted };
  return { ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)), ok };
}

Deno.test("Checker finds nothing wrong with several producers on several partitions", () => {
  const scene = new Scene(2);
  const names = [[0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [1, 1]].map(([producer, partition], i) =>
    [scene.publish(producer!, i, partition), i, partition!] as const
  );
  for (const [name, offset, partition] of names) scene.deliverAndAck(name, offset, partition);
  assertEquals(scene.checker.complete, true);
  assertEquals(wrong(scene.checker.verdict()), { ok: true });
});

Deno.test("Checker sees a lost message", () => {
  const scene = new Scene();
  scene.deliverAndAck(scene.publish(0, 0), 0);
  scene.publish(0, 1);
  scene.deliverAndAck(scene.publish(0, 2), 2);
  assertEquals(scene.checker.complete, false);
  assertEquals(wrong(scene.checker.verdict()), { lost: 1, ok: false });
});

Deno.test("Checker sees a message that comes again after its ack was confirmed", () => {
  const scene = new Scene();
  const name = scene.publish(0, 0);
  scene.deliver(name, 0);
  scene.deliver(name, 0, 2);
  scene.checker.ack(name);
  assertEquals(wrong(scene.checker.verdict()), { ok: true });
  assertEquals(scene.checker.verdict().redelivered, 1);
  scene.deliver(name, 0, 3);
  assertEquals(wrong(scene.checker.verdict()), { duplicated: 1, ok: false });
});

Deno.test("Checker sees a message that was stored twice, though it was not acked in between", () => {
  const scene = new Scene();
  const name = scene.publish(0, 0);
  scene.deliver(name, 0);
  scene.deliver(name, 1);
  scene.checker.ack(name);
  assertEquals(wrong(scene.checker.verdict()), { duplicated: 1, ok: false });
});

Deno.test("Checker sees that a consumer gets a producer's messages out of order", () => {
  const scene = new Scene();
  const first = scene.publish(0, 0);
  const second = scene.publish(0, 1);
  scene.deliverAndAck(second, 1);
  scene.deliverAndAck(first, 0);
  assertEquals(wrong(scene.checker.verdict()), { reordered: 1, ok: false });
});

Deno.test("Checker sees that a producer's messages are stored out of order, whoever gets them", () => {
  const scene = new Scene();
  const first = scene.publish(0, 8);
  const second = scene.publish(0, 7);
  scene.checker.deliver(new Map(), second, { partition: 0, offset: 7 }, 1);
  scene.checker.deliver(new Map(), first, { partition: 0, offset: 8 }, 1);
  scene.checker.ack(first);
  scene.checker.ack(second);
  assertEquals(wrong(scene.checker.verdict()), { reordered: 1, ok: false });
});

Deno.test("Checker counts a message once that is stored and delivered out of order", () => {
  const scene = new Scene();
  const first = scene.publish(0, 1);
  const second = scene.publish(0, 0);
  scene.deliverAndAck(second, 0);
  scene.deliverAndAck(first, 1);
  assertEquals(scene.checker.verdict().reordered, 1);
});

Deno.test("Checker lets redeliveries, other producers and other partitions overtake", () => {
  const scene = new Scene(2);
  const [a, b] = [scene.publish(0, 0), scene.publish(0, 1)];
  const other = scene.publish(1, 2);
  const elsewhere = scene.publish(0, 0, 1);
  scene.deliverAndAck(elsewhere, 0, 1);
  scene.deliverAndAck(other, 2);
  scene.deliverAndAck(b, 1);
  scene.deliver(a, 0, 2); // the first delivery was to a consumer that died
  scene.checker.ack(a);
  assertEquals(wrong(scene.checker.verdict()), { ok: true });
});

Deno.test("Checker sees a damaged body and a message that nobody published", () => {
  const scene = new Scene();
  scene.deliverAndAck(scene.publish(0, 0), 0);
  scene.deliver(undefined, 1);
  scene.deliver({ producer: 0, number: 1 }, 2);
  scene.deliver({ producer: 7, number: 0 }, 3);
  assertEquals(wrong(scene.checker.verdict()), { corrupted: 3, ok: false });
});

Deno.test("Checker keeps the books of more messages than it began with", () => {
  const scene = new Scene(3);
  for (let i = 0; i < 9_000; i++) scene.deliverAndAck(scene.publish(i % 3, i), i);
  assertEquals(wrong(scene.checker.verdict()), { ok: true });
  assertEquals(scene.checker.verdict().acked, 9_000);
});
