import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { hashPlainData } from "./state_hash.ts";

Deno.test("hashPlainData() tells values, types, orders and names apart", () => {
  const values: unknown[] = [
    undefined,
    null,
    true,
    false,
    0,
    1,
    -1,
    0.5,
    2 ** 32,
    2 ** 53 - 1,
    "",
    "0",
    "ab",
    "ba",
    [],
    [0],
    [0, 0],
    [[], []],
    [[[]]],
    {},
    { a: 1 },
    { b: 1 },
    { a: 1, b: 2 },
    { a: 2, b: 1 },
    { a: { b: 1 } },
    new Float64Array([1, 2]),
    new Uint32Array([2, 1]),
  ];
  const hashes = values.map(hashPlainData);
  assertEquals(new Set(hashes).size, values.length);
  for (const hash of hashes) assertMatch(hash, /^[0-9a-f]{16}$/);
});

Deno.test("hashPlainData() gives every of many similar values a hash of its own", () => {
  const hashes = new Set<string>();
  for (let at = 0; at < 20_000; at++) {
    hashes.add(hashPlainData({ offset: at, list: [at % 7, at >> 3] }));
  }
  assertEquals(hashes.size, 20_000);
});

Deno.test("hashPlainData() throws on what is not plain data", () => {
  assertThrows(() => hashPlainData({ f: () => {} }), TypeError, "Cannot hash a function");
  assertThrows(() => hashPlainData([1n]), TypeError);
});
