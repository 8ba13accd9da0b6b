import { assertEquals } from "@std/assert";
import { ExpiryIndex } from "./expiry_index.ts";

Deno.test("ExpiryIndex.due() gives ranges by their time, each once", () => {
  const index = new ExpiryIndex();
  index.append(0, 0);
  assertEquals([index.size, index.at(0), index.firstDueMs()], [0, Infinity, undefined], "no limit");
  index.append(3, 300);
  index.append(4, 300);
  index.append(6, 100);
  index.append(7, 0);
  index.append(9, 200);
  index.checkInvariants();
  assertEquals([2, 3, 5, 6, 7, 8, 9, 99].map((offset) => index.at(offset)), [
    Infinity,
    300,
    300,
    100,
    Infinity,
    Infinity,
    200,
    200,
  ]);
  assertEquals(index.due(99, 12), undefined);
  assertEquals(index.due(200, 12), { start: 6, end: 7 });
  assertEquals(index.due(200, 12), { start: 9, end: 12 });
  assertEquals([index.due(200, 12), index.firstDueMs()], [undefined, 300]);
  assertEquals(index.at(6), 100, "a message that comes back late still finds its time");
  index.dropBelow(7, 12);
  assertEquals(index.firstDueMs(), undefined, "nothing is left there");
  index.checkInvariants();
});

Deno.test("ExpiryIndex goes on from a snapshot where it was", () => {
  const index = new ExpiryIndex();
  for (let batch = 0; batch < 5_000; batch++) index.append(batch * 3, 1_000 + batch % 7);
  index.dropBelow(300, 15_000);
  for (let turn = 0; turn < 1_000; turn++) index.due(1_003, 15_000);
  const restored = new ExpiryIndex();
  const { expiresAtMs, offset } = index.passed;
  restored.restorePassed(expiresAtMs, offset);
  const capture = index.capture();
  index.append(15_000, 5_000);
  for (const part of capture.parts()) restored.restore(part);
  restored.append(15_000, 5_000);
  restored.checkInvariants();
  const rest = (one: ExpiryIndex) => {
    const ranges = [];
    for (let due = one.due(9_000, 15_001); due; due = one.due(9_000, 15_001)) ranges.push(due);
    return ranges;
  };
  const expected = rest(index);
  assertEquals(expected.length, 5_001 - 100 - 1_000);
  assertEquals(rest(restored), expected);
});

Deno.test("ExpiryIndex does not let a range get too long", () => {
  const index = new ExpiryIndex();
  for (let offset = 0; offset < 10_000; offset++) index.append(offset, 50);
  assertEquals([index.size, index.due(50, 10_000)], [3, { start: 0, end: 4_096 }]);
});
