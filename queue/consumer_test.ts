import { assertEquals, assertThrows } from "@std/assert";
import { Consumer, ReadyRing } from "./consumer.ts";
import { InvariantError } from "./invariant.ts";

function ringOf(count: number): { ring: ReadyRing; consumers: Consumer[] } {
  const ring = new ReadyRing();
  const consumers = Array.from({ length: count }, (_, id) => new Consumer(1, id, 1, 10));
  for (const consumer of consumers) ring.join(consumer);
  return { ring, consumers };
}

function ids(ring: ReadyRing): number[] {
  return Array.from(ring, ({ consumerId }) => consumerId);
}

Deno.test("ReadyRing.rotate() gives everyone a turn before anyone has a second one", () => {
  const { ring } = ringOf(3);
  const turns: number[] = [];
  for (let turn = 0; turn < 7; turn++) {
    turns.push(ring.head!.consumerId);
    ring.rotate();
  }
  assertEquals(turns, [0, 1, 2, 0, 1, 2, 0]);
});

Deno.test("ReadyRing.leave() takes out the first, one in the middle, the last and the only one", () => {
  const { ring, consumers } = ringOf(4);
  ring.leave(consumers[1]!);
  assertEquals(ids(ring), [0, 2, 3]);
  ring.leave(consumers[0]!);
  assertEquals(ids(ring), [2, 3]);
  ring.leave(consumers[3]!);
  assertEquals(ids(ring), [2]);
  ring.leave(consumers[2]!);
  assertEquals(ids(ring), []);
  assertEquals(ring.head, undefined);
  ring.join(consumers[3]!);
  assertEquals(ids(ring), [3]);
});

Deno.test("ReadyRing.rotate() leaves a lone member and an empty ring alone", () => {
  const { ring, consumers } = ringOf(1);
  ring.rotate();
  assertEquals(ids(ring), [0]);
  ring.leave(consumers[0]!);
  ring.rotate();
  assertEquals(ids(ring), []);
});

Deno.test("ReadyRing stops the process when a consumer joins twice or leaves without being there", () => {
  const { ring, consumers } = ringOf(1);
  assertThrows(() => ring.join(consumers[0]!), InvariantError);
  ring.leave(consumers[0]!);
  assertThrows(() => ring.leave(consumers[0]!), InvariantError);
});

Deno.test("Consumer.hasCredit needs room and somebody to deliver to", () => {
  const consumer = new Consumer(1, 1, 1, 2);
  assertEquals(consumer.hasCredit, false);
  consumer.receiving = true;
  assertEquals(consumer.hasCredit, true);
  consumer.held = 2;
  assertEquals(consumer.hasCredit, false);
  consumer.prefetch = 3;
  assertEquals(consumer.hasCredit, true);
});
