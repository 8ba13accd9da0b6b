import { assertEquals } from "@std/assert";
import { hashKey, NO_KEY } from "./key_hash.ts";

Deno.test("hashKey() gives each of many keys that look alike a whole number of its own", () => {
  const hashes = new Set([NO_KEY]);
  const keys = Array.from({ length: 100_000 }, (_, at) => `tenant-${at}`);
  keys.push("", "\0", "\0\0", "a", "b", "ab", "ba", "\u{1f511}", "\ud83d", "\udd11");
  for (const key of keys) {
    const hash = hashKey(key);
    assertEquals(Number.isSafeInteger(hash) && hash > 0, true, key);
    hashes.add(hash);
  }
  assertEquals(hashes.size, keys.length + 1);
});

Deno.test("hashKey() gives what it always gave, as it is in snapshots", () => {
  assertEquals([hashKey(""), hashKey("tenant-1"), hashKey("ключ")], [
    7700696121685745,
    5646417717389555,
    3230304870896699,
  ]);
});

Deno.test("hashKey() spreads keys over the lowest and the highest bits", () => {
  const low = new Array(64).fill(0);
  const high = new Array(64).fill(0);
  for (let at = 0; at < 64_000; at++) {
    const hash = hashKey(String(at));
    low[hash % 64]++;
    high[Math.floor(hash / 2 ** 47)]++;
  }
  for (const count of [...low, ...high]) {
    assertEquals(count > 800 && count < 1_200, true, `${count}`);
  }
});
