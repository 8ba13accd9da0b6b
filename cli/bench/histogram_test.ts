import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Histogram } from "./histogram.ts";

Deno.test("Histogram.percentileMs() is at most one part in 64 and a microsecond too large", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 1 }),
    fc.constantFrom(0.01, 0.5, 0.9, 0.99, 0.999, 1),
    (values, share) => {
      const histogram = new Histogram();
      for (const value of values) histogram.record(value);
      const sorted = values.toSorted((a, b) => a - b);
      const exact = sorted[Math.max(1, Math.ceil(share * values.length)) - 1]!;
      const told = histogram.percentileMs(share);
      assert(told >= exact, `${told} is below ${exact}`);
      assert(told <= exact * (1 + 1 / 64) + 0.001, `${told} is far above ${exact}`);
    },
  ));
});

Deno.test("Histogram.add() gives the percentiles of all values", () => {
  const all = new Histogram();
  const parts = [new Histogram(), new Histogram()];
  for (let i = 0; i < 1_000; i++) {
    all.record(i * 1.7);
    parts[i % 2]!.record(i * 1.7);
  }
  parts[0]!.add(parts[1]!);
  for (const share of [0.1, 0.5, 0.999]) {
    assertEquals(parts[0]!.percentileMs(share), all.percentileMs(share));
  }
  assertEquals(parts[0]!.count, 1_000);
  assertEquals(parts[0]!.maxMs, all.maxMs);
});

Deno.test("Histogram holds nothing at first", () => {
  const empty = new Histogram();
  assertEquals([empty.count, empty.meanMs, empty.maxMs, empty.percentileMs(0.5)], [0, 0, 0, 0]);
});

Deno.test("Histogram.percentileMs() finds the one slow value in a thousand, and not one more", () => {
  const histogram = new Histogram();
  for (let i = 0; i < 9_990; i++) histogram.record(1);
  for (let i = 0; i < 10; i++) histogram.record(500);
  assert(histogram.percentileMs(0.999) < 1.02);
  histogram.record(500);
  assert(histogram.percentileMs(0.999) >= 500);
  assert(histogram.percentileMs(0.99) < 1.02);
});
