import { assertEquals } from "@std/assert";
import { randomFrom } from "./_testing.ts";
import { IndexSet } from "./index_set.ts";

Deno.test("IndexSet does what a sorted list of numbers does", () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = randomFrom(seed);
    const range = [50, 3_000, 200_000, 2 ** 45][seed % 4]!;
    const naive = new Set<number>();
    const set = new IndexSet();
    for (let i = 0; i < 300; i++) {
      let index = Math.floor(random() * range);
      for (let run = Math.floor(random() * 5); run >= 0; run--) {
        naive.add(index);
        set.add(index++);
      }
    }
    const sorted = [...naive].sort((a, b) => a - b);
    assertEquals([...set.from(0)], sorted);
    assertEquals(set.size, sorted.length);
    assertEquals(set.nth(sorted.length), undefined);
    for (let i = 0; i < 50; i++) {
      const low = Math.floor(random() * range);
      const high = Math.floor(random() * range);
      assertEquals(set.has(low), naive.has(low));
      assertEquals(set.countIn(low, high), sorted.filter((one) => one >= low && one < high).length);
      assertEquals([...set.from(low)], sorted.filter((one) => one >= low));
      const place = Math.floor(random() * sorted.length);
      assertEquals(set.nth(place), sorted[place]);
    }
    assertEquals(set.equals(IndexSet.of(sorted)), true);
    assertEquals(set.equals(IndexSet.of(sorted.slice(1))), false);
  }
});

Deno.test("IndexSet.range() has all of them, and an empty set has none", () => {
  const set = IndexSet.range(1_000, 4_100);
  assertEquals([set.size, set.nth(0), set.nth(3_099)], [3_100, 1_000, 4_099]);
  assertEquals(set.countIn(1_023, 1_025), 2);
  const empty = new IndexSet();
  assertEquals([empty.size, empty.nth(0), empty.countIn(0, 9e9)], [0, undefined, 0]);
  assertEquals([...empty.from(1)], []);
});
