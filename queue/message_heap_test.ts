import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "./invariant.ts";
import { MessageHeap } from "./message_heap.ts";

function popAll(heap: MessageHeap): number[][] {
  const all: number[][] = [];
  for (; heap.size > 0; heap.pop()) all.push([heap.firstRank, heap.firstOffset, heap.firstWord]);
  return all;
}

/** The same every time, in no order: 0 to `count - 1`. */
function shuffled(count: number): number[] {
  return Array.from({ length: count }, (_, at) => (at * 7_919) % count);
}

Deno.test("MessageHeap gives messages by rank and offset, as sorting does", () => {
  const item = fc.oneof(
    { weight: 3, arbitrary: fc.nat(9) },
    { weight: 1, arbitrary: fc.constant("pop" as const) },
  );
  fc.assert(
    fc.property(fc.array(item, { maxLength: 120, size: "max" }), (steps) => {
      const heap = new MessageHeap();
      let plain: number[][] = [];
      steps.forEach((step, offset) => {
        if (step !== "pop") {
          heap.push(step, offset, offset * 2);
          plain.push([step, offset, offset * 2]);
          plain.sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
        } else if (plain.length > 0) {
          assertEquals([heap.firstRank, heap.firstOffset, heap.firstWord], plain[0]);
          heap.pop();
          plain = plain.slice(1);
        }
        heap.checkInvariants();
      });
      assertEquals(popAll(heap), plain);
    }),
    { numRuns: 200 },
  );
});

Deno.test("MessageHeap keeps the order over many runs, while captures stay what they were", () => {
  const heap = new MessageHeap();
  const count = 50_000;
  for (const rank of shuffled(count)) heap.push(rank, count - rank, 1);
  heap.checkInvariants();
  const before = heap.capture();
  for (let rank = 0; rank < count / 2; rank++) {
    assertEquals(heap.firstRank, rank);
    heap.pop();
  }
  heap.checkInvariants();
  const between = heap.capture();
  // Messages that come up at once, and such as come last.
  for (let extra = 0; extra < 5_000; extra++) heap.push(extra % 2 === 0 ? 0 : count, extra, 2);
  heap.checkInvariants();
  const ranks = popAll(heap).map(([rank]) => rank);
  assertEquals(ranks.slice(0, 2_500), Array(2_500).fill(0));
  assertEquals(
    ranks.slice(2_500, -2_500),
    Array.from({ length: count / 2 }, (_, i) => count / 2 + i),
  );
  assertEquals(popAll(before).map(([rank]) => rank), Array.from({ length: count }, (_, i) => i));
  assertEquals(between.size, count / 2);
  assertEquals([...between].length, count / 2);
});

Deno.test("MessageHeap can be emptied at once, and stops the process when an empty one is popped", () => {
  const heap = new MessageHeap();
  for (const rank of shuffled(10_000)) heap.push(rank, rank, 0);
  heap.clear();
  heap.checkInvariants();
  assertEquals([heap.size, [...heap]], [0, []]);
  assertThrows(() => heap.pop(), InvariantError);
});
