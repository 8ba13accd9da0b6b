import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type BatchCapture, BatchIndex } from "./batch_index.ts";
import { InvariantError } from "./invariant.ts";
import type { BatchRun } from "./machine_snapshot.ts";

interface Batch {
  firstOffset: number;
  entryIndex: number;
}

function locate(index: BatchIndex, offset: number): { entryIndex: number; position: number } {
  index.locate(offset);
  return { entryIndex: index.entryIndex, position: index.position };
}

function restored(runs: Iterable<BatchRun>): BatchIndex {
  const index = new BatchIndex();
  for (const run of runs) index.restore(run);
  return index;
}

/** Every record, as plain data. */
function recordsOf(capture: BatchCapture): Batch[] {
  return [...capture.runs(1)].map(({ firstOffset, entryIndex }) => ({ firstOffset, entryIndex }));
}

/** Every message, found by looking at all batches. */
function assertLocates(index: BatchIndex, batches: Batch[], offsets: number[]): void {
  for (const offset of offsets) {
    const batch = batches.findLast(({ firstOffset }) => firstOffset <= offset)!;
    assertEquals(locate(index, offset), {
      entryIndex: batch.entryIndex,
      position: offset - batch.firstOffset,
    });
  }
}

Deno.test("BatchIndex.locate() finds messages in any order, like a search of a plain list", () => {
  const action = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ append: fc.integer({ min: 1, max: 40 }), gap: fc.nat(3) }),
    },
    { weight: 2, arbitrary: fc.record({ drop: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    {
      weight: 4,
      arbitrary: fc.record({ look: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true })) }),
    },
    { weight: 1, arbitrary: fc.record({ copy: fc.integer({ min: 1, max: 50 }) }) },
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200, size: "max" }), (actions) => {
      let index = new BatchIndex();
      let batches: Batch[] = [];
      let low = 0;
      let end = 0;
      let entryIndex = 0;
      for (const action of actions) {
        if ("append" in action) {
          entryIndex += 1 + action.gap;
          index.append(end, entryIndex);
          batches.push({ firstOffset: end, entryIndex });
          end += action.append;
        } else if ("drop" in action) {
          low += Math.round((end - low) * action.drop);
          index.dropBelow(low, end);
          batches = batches.filter((_, at) => (batches[at + 1]?.firstOffset ?? end) > low);
        } else if ("look" in action) {
          const live = end - low;
          const offsets = action.look.map((part) => low + Math.floor(live * part));
          if (live > 0) assertLocates(index, batches, offsets);
        } else {
          index = restored(index.capture().runs(action.copy));
        }
        index.checkInvariants();
        assertEquals(index.size, batches.length);
        assertEquals(index.firstOffset, batches[0]?.firstOffset);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("BatchIndex.locate() is not misled by what it found before its chunk was used again", () => {
  const index = new BatchIndex();
  for (let at = 0; at < 10; at++) index.append(at, 100 + at);
  assertEquals(locate(index, 9), { entryIndex: 109, position: 0 });
  index.dropBelow(10, 10);
  index.append(10, 200);
  index.append(20, 201);
  assertEquals(locate(index, 25), { entryIndex: 201, position: 5 });
  assertEquals(locate(index, 12), { entryIndex: 200, position: 2 });
});

Deno.test("BatchIndex keeps one record a batch, over many chunks", () => {
  const index = new BatchIndex();
  const batches = Array.from({ length: 5_000 }, (_, at) => ({
    firstOffset: at * 7,
    entryIndex: 1 + at * 2,
  }));
  for (const { firstOffset, entryIndex } of batches) index.append(firstOffset, entryIndex);
  assertEquals(index.size, 5_000);
  assertLocates(index, batches, [0, 34_999, 6, 7, 20_000, 19_999, 20_001, 3]);
  index.dropBelow(21_000, 35_000);
  assertEquals(index.size, 2_000);
  assertEquals(index.firstOffset, 21_000);
  assertLocates(index, batches, [34_999, 21_000, 28_000]);
});

Deno.test("BatchIndex keeps steps that do not fit into 32 bits", () => {
  const index = new BatchIndex();
  index.append(0, 1);
  index.append(5, 2);
  index.append(9, 2 ** 33);
  index.append(10, 2 ** 33 + 1);
  for (const one of [index, restored(index.capture().runs(3))]) {
    assertEquals(locate(one, 8), { entryIndex: 2, position: 3 });
    assertEquals(locate(one, 9), { entryIndex: 2 ** 33, position: 0 });
    assertEquals(locate(one, 10), { entryIndex: 2 ** 33 + 1, position: 0 });
  }
});

Deno.test("BatchCapture.runs() are the same however the records got there", () => {
  const long = new BatchIndex();
  for (let at = 0; at < 100; at++) long.append(at * 3, 1 + at);
  long.dropBelow(90 * 3, 300);
  const short = new BatchIndex();
  for (let at = 90; at < 100; at++) short.append(at * 3, 1 + at);
  assertEquals([...long.capture().runs(4)], [...short.capture().runs(4)]);
});

Deno.test("BatchIndex.capture() holds the records of its moment, however the index goes on", () => {
  const step = fc.record({
    count: fc.integer({ min: 1, max: 3_000 }),
    even: fc.boolean(),
    drop: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const index = new BatchIndex();
      let batches: Batch[] = [];
      let end = 0;
      let entryIndex = 0;
      const captures: { capture: BatchCapture; expected: Batch[] }[] = [];
      for (const { count, even, drop } of steps) {
        for (let at = 0; at < count; at++) {
          batches.push({ firstOffset: end, entryIndex: ++entryIndex });
          index.append(end, entryIndex);
          end += even ? 1 : 1 + at % 5;
        }
        captures.push({ capture: index.capture(), expected: batches });
        const first = batches[0]!.firstOffset;
        const low = first + Math.round((end - first) * drop);
        index.dropBelow(low, end);
        batches = batches.filter((_, at) => (batches[at + 1]?.firstOffset ?? end) > low);
        captures.push({ capture: index.capture(), expected: batches });
        batches = [...batches];
      }
      for (const { capture, expected } of captures) {
        assertEquals(recordsOf(capture).length, expected.length);
        assert(
          recordsOf(capture).every((record, at) =>
            record.firstOffset === expected[at]!.firstOffset &&
            record.entryIndex === expected[at]!.entryIndex
          ),
        );
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("BatchIndex stops the process on records out of order, also where all others are gone", () => {
  const index = new BatchIndex();
  index.append(0, 1);
  index.append(4, 2);
  assertThrows(() => index.append(4, 3), InvariantError);
  assertThrows(() => index.append(5, 2), InvariantError);
  index.dropBelow(8, 8);
  assertThrows(() => index.append(3, 3), InvariantError);
});

Deno.test("BatchIndex.locate() stops the process when the batch of a message is gone", () => {
  const index = new BatchIndex();
  assertThrows(() => index.locate(0), InvariantError);
  index.append(0, 1);
  index.append(4, 2);
  index.dropBelow(4, 8);
  assertThrows(() => index.locate(3), InvariantError);
});
