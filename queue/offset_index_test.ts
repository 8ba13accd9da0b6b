import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "./invariant.ts";
import { NO_SLOT, OffsetIndex } from "./offset_index.ts";

Deno.test("OffsetIndex does what a Map does", () => {
  // Few different offsets, far apart and close together, so that clusters form and break up.
  const offset = fc.oneof(fc.nat(60), fc.nat(60).map((at) => at * 2 ** 32 + at * 64));
  const action = fc.record({ offset, slot: fc.nat(1_000) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 300, size: "max" }), (actions) => {
      const index = new OffsetIndex();
      const map = new Map<number, number>();
      for (const { offset, slot } of actions) {
        if (map.has(offset)) {
          index.remove(offset);
          map.delete(offset);
        } else {
          index.add(offset, slot);
          map.set(offset, slot);
        }
        assertEquals(index.size, map.size);
      }
      for (const { offset } of actions) {
        assertEquals(index.find(offset), map.get(offset) ?? NO_SLOT);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("OffsetIndex.find() gives NO_SLOT for numbers that are no offsets", () => {
  const index = new OffsetIndex();
  assertEquals(index.find(0), NO_SLOT);
  index.add(0, 7);
  for (const value of [0.5, NaN, Infinity, 2 ** 53]) assertEquals(index.find(value), NO_SLOT);
  assertEquals(index.find(0), 7);
});

Deno.test("OffsetIndex.clear() empties it for further use", () => {
  const index = new OffsetIndex();
  for (let offset = 0; offset < 100; offset++) index.add(offset, offset);
  index.clear();
  assertEquals([index.size, index.find(5)], [0, NO_SLOT]);
  index.add(5, 1);
  assertEquals(index.find(5), 1);
});

Deno.test("OffsetIndex stops the process on a second add and on a removal of nothing", () => {
  const index = new OffsetIndex();
  index.add(1, 1);
  assertThrows(() => index.add(1, 2), InvariantError);
  assertThrows(() => index.remove(2), InvariantError);
});
