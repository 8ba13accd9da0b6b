import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "./invariant.ts";
import { OffsetSet } from "./offset_set.ts";

const FAR = 2 ** 52;

function setOf(offsets: readonly number[]): OffsetSet {
  const set = new OffsetSet();
  for (const offset of offsets) set.add(offset);
  return set;
}

function runsOf(set: OffsetSet, runsMax = 1_000) {
  return [...set.runs(runsMax)];
}

Deno.test("OffsetSet does what a Set does, captures included, and comes back from its runs", () => {
  const offset = fc.oneof(fc.nat(70), fc.integer({ min: 4_090, max: 4_100 }), fc.constant(FAR));
  fc.assert(
    fc.property(
      fc.array(fc.oneof(offset, fc.constant("capture" as const)), { maxLength: 200, size: "max" }),
      fc.integer({ min: 1, max: 5 }),
      (steps, runsMax) => {
        const set = new OffsetSet();
        const plain = new Set<number>();
        const captures: { set: OffsetSet; offsets: number[] }[] = [];
        const sorted = () => [...plain].sort((a, b) => a - b);
        for (const step of steps) {
          if (step === "capture") {
            captures.push({ set: set.capture(), offsets: sorted() });
          } else if (plain.delete(step)) {
            set.delete(step);
          } else {
            plain.add(step);
            set.add(step);
          }
          set.checkInvariants();
          assertEquals(set.size, plain.size);
        }
        captures.push({ set, offsets: sorted() });
        for (const { set, offsets } of captures) {
          assertEquals([...set], offsets);
          assertEquals(offsets.every((offset) => set.has(offset)), true);
          const restored = new OffsetSet();
          for (const runs of set.runs(runsMax)) restored.restore(runs);
          assertEquals([...restored], offsets);
          assertEquals(runsOf(restored), runsOf(set));
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("OffsetSet.runs() makes little of a million neighbours, and of every other one", () => {
  const neighbours = setOf(Array.from({ length: 1_000_000 }, (_, at) => 5 + at));
  assertEquals(runsOf(neighbours).map(({ steps }) => steps.length), [5]);
  const others = setOf(Array.from({ length: 10_000 }, (_, at) => at * 2));
  assertEquals(runsOf(others).map(({ steps }) => steps.length < 10), Array(10).fill(true));
});

Deno.test("OffsetSet stops the process when an offset is added or taken out twice", () => {
  const set = setOf([3]);
  assertThrows(() => set.add(3), InvariantError);
  set.delete(3);
  assertThrows(() => set.delete(3), InvariantError);
  set.add(3);
  set.clear();
  assertEquals([set.size, set.has(3)], [0, false]);
});
