import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { DeadlineHeap } from "./deadline_heap.ts";

Deno.test("DeadlineHeap has the earliest first, ids in order among equals", () => {
  const action = fc.record({
    id: fc.nat(30),
    deadlineMs: fc.option(fc.nat(20), { nil: undefined, freq: 3 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200, size: "max" }), (actions) => {
      const heap = new DeadlineHeap();
      const plain = new Map<number, number>();
      for (const { id, deadlineMs } of actions) {
        if (deadlineMs === undefined) {
          heap.delete(id);
          plain.delete(id);
        } else {
          heap.set(id, deadlineMs);
          plain.set(id, deadlineMs);
        }
        heap.checkInvariants();
        const [first] = [...plain].sort(([a, aMs], [b, bMs]) => aMs - bMs || a - b);
        assertEquals([heap.size, heap.firstId, heap.firstDeadlineMs], [
          plain.size,
          ...first ?? [
            undefined,
            undefined,
          ],
        ]);
        assertEquals(heap.has(id), plain.has(id));
      }
    }),
    { numRuns: 300 },
  );
});
