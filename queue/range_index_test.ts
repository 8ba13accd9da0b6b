import { assertEquals } from "@std/assert";
import { RangeIndex } from "./range_index.ts";

Deno.test("RangeIndex finds the number and the range of a message, whatever was dropped", () => {
  const index = new RangeIndex();
  assertEquals([index.at(0), index.newest, index.newestOffset], [undefined, undefined, -1]);
  assertEquals(index.firstOffset, Infinity);
  for (let range = 0; range < 5_000; range++) index.append(3 + range * 2, range % 7);
  for (const low of [0, 3, 44, 5_001, 9_998, 10_001]) {
    index.dropBelow(low, 10_003);
    index.checkInvariants();
    assertEquals(index.at(2), undefined);
    for (const offset of [Math.max(low, 3), 10_002]) {
      const range = Math.floor((offset - 3) / 2);
      assertEquals(index.at(offset), range % 7, `message ${offset} above ${low}`);
      const start = 3 + range * 2;
      assertEquals(index.rangeOf(offset, 10_003), { start, end: Math.min(start + 2, 10_003) });
    }
  }
  index.dropBelow(10_003, 10_003);
  assertEquals([index.size, index.firstOffset], [0, Infinity]);
});

Deno.test("RangeIndex is captured as it is, and restored as it was", () => {
  const index = new RangeIndex();
  for (let range = 0; range < 3_000; range++) index.append(range * 10, range);
  index.dropBelow(105, 30_000);
  const capture = index.capture();
  const before = [...index];
  index.append(30_000, 1);
  index.dropBelow(20_000, 30_001);
  const restored = new RangeIndex();
  for (const part of capture.parts()) restored.restore(part);
  assertEquals([...restored], before);
  index.clear();
  assertEquals([index.size, [...index.capture().parts()]], [0, []]);
});
