import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Random } from "./random.ts";

function draw(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.next());
}

Deno.test("Random gives the same numbers for the same seed, and others for another", () => {
  assertEquals(draw(new Random(7), 20), draw(new Random(7), 20));
  assertNotEquals(draw(new Random(7), 20), draw(new Random(8), 20));
  assertNotEquals(draw(new Random(7), 20), draw(new Random(7 + 2 ** 32), 20));
});

Deno.test("Random.next() spreads evenly over [0, 1)", () => {
  const random = new Random(1);
  const buckets = new Array(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const value = random.next();
    assert(value >= 0 && value < 1);
    buckets[Math.floor(value * 10)]++;
  }
  for (const count of buckets) assert(count > 850 && count < 1_150, `${buckets}`);
});

Deno.test("Random.fork() is not disturbed by what is drawn from its parent later", () => {
  const one = new Random(3);
  const other = new Random(3);
  const forkOfOne = one.fork();
  const forkOfOther = other.fork();
  draw(one, 5);
  assertEquals(draw(forkOfOne, 10), draw(forkOfOther, 10));
});

Deno.test("Random.integer(), pick() and shuffle() stay within what they are given", () => {
  const random = new Random(9);
  const seen = new Set<number>();
  for (let i = 0; i < 200; i++) seen.add(random.integer(3, 6));
  assertEquals([...seen].sort(), [3, 4, 5, 6]);
  assertEquals(random.shuffle([1, 2, 3, 4]).sort(), [1, 2, 3, 4]);
  assert([1, 2].includes(random.pick([1, 2])));
  for (let i = 0; i < 200; i++) {
    const value = random.magnitude(10, 1_000);
    assert(value >= 10 && value <= 1_000);
  }
});
