import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { KeyChains } from "./key_chains.ts";
import { KeyTable } from "./key_table.ts";
import { NO_SLOT } from "./offset_index.ts";

Deno.test("KeyChains.first() is the first by rank, then by offset, whatever came and went", () => {
  const step = fc.record({
    hash: fc.integer({ min: 1, max: 3 }),
    offset: fc.integer({ min: 0, max: 60 }),
    rank: fc.constantFrom(0, 1, 10, 10, 10),
    removes: fc.integer({ min: 0, max: 2 }),
    pick: fc.nat(100),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const keys = new KeyTable();
    const chains = new KeyChains(keys);
    let all: { key: number; offset: number; rank: number; link: number }[] = [];
    for (const { hash, offset, rank, removes, pick } of steps) {
      const key = keys.at(hash);
      if (!all.some((one) => one.offset === offset)) {
        keys.ready[key]!++;
        all.push({ key, offset, rank, link: chains.add(key, offset, rank) });
      }
      for (let left = Math.min(removes, all.length); left > 0; left--) {
        const gone = all[pick % all.length]!;
        chains.remove(gone.link);
        keys.ready[gone.key]!--;
        all = all.filter((one) => one !== gone);
      }
      assertEquals(chains.size, all.length);
      for (const key of keys.slots()) {
        const own = all.filter((one) => one.key === key)
          .sort((a, b) => a.rank - b.rank || a.offset - b.offset);
        assertEquals(
          chains.check(key).sort((a, b) => a - b),
          own.map((one) => one.offset).sort((a, b) => a - b),
        );
        if (own.length > 0) assertEquals(chains.first(key), own[0]!.offset);
      }
    }
  }));
});

Deno.test("KeyTable.tidy() keeps what is in use, and what has used up some of its rate", () => {
  const keys = new KeyTable();
  const [used, queued, rated, idle] = [1, 2, 3, 4].map((hash) => keys.at(hash)) as [
    number,
    number,
    number,
    number,
  ];
  keys.leased[used] = 1;
  keys.places[queued] = 1;
  keys.restedAtMs[rated] = 500;
  keys.nowMs = 499;
  for (const key of [used, queued, rated, idle]) keys.tidy(key);
  assertEquals([1, 2, 3, 4].map((hash) => keys.find(hash) !== NO_SLOT), [true, true, true, false]);
  keys.nowMs = 500;
  keys.tidy(rated);
  assertEquals([keys.find(3), keys.size], [NO_SLOT, 2]);
  keys.checkInvariants();
});

Deno.test("KeyTable.at() makes room by what is only remembered: a table of rates does not grow", () => {
  const keys = new KeyTable();
  for (let hash = 1; hash <= 100_000; hash++) {
    keys.nowMs = hash;
    const key = keys.at(hash);
    // In a table of a rate, a key is remembered for a second.
    keys.restedAtMs[key] = hash + 1_000;
  }
  assertEquals(keys.size < 4_000, true, `${keys.size} keys are remembered`);
  keys.checkInvariants();
});
