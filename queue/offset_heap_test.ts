import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "./invariant.ts";
import { OffsetHeap } from "./offset_heap.ts";

Deno.test("OffsetHeap.pop() gives the lowest offset, pushes and pops mixed", () => {
  // An offset is pushed, undefined pops.
  const action = fc.option(fc.nat(2 ** 40), { nil: undefined, freq: 3 });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200, size: "max" }), (actions) => {
      const heap = new OffsetHeap();
      const plain = new Set<number>();
      for (const offset of actions) {
        if (offset === undefined) {
          if (plain.size === 0) continue;
          const lowest = Math.min(...plain);
          assertEquals(heap.firstDeliveryCount, lowest % 1_000);
          assertEquals(heap.pop(), lowest);
          plain.delete(lowest);
        } else if (!plain.has(offset)) {
          heap.push(offset, offset % 1_000);
          plain.add(offset);
        }
        heap.checkInvariants();
        assertEquals(heap.size, plain.size);
      }
      const copy = heap.copy();
      heap.push(2 ** 41, 1);
      const entries = [...copy.entries()];
      assertEquals(new Set(entries.map(([offset]) => offset)), plain);
      assert(entries.every(([offset, count]) => count === offset % 1_000));
      const popped = Array.from(plain, () => copy.pop());
      assertEquals(popped, [...plain].sort((a, b) => a - b));
      assertEquals(heap.size, plain.size + 1);
    }),
    { numRuns: 300 },
  );
});

Deno.test("OffsetHeap.pop() stops the process when the heap is empty", () => {
  assertThrows(() => new OffsetHeap().pop(), InvariantError);
});
