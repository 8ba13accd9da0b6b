import { assertEquals, assertNotStrictEquals } from "@std/assert";
import { newBytes } from "./new_bytes.ts";

Deno.test("small arrays are zeros, and what is written to one is in no other", () => {
  const arrays = Array.from({ length: 2_000 }, (_, i) => newBytes(i % 70));
  for (const [i, bytes] of arrays.entries()) {
    assertEquals(bytes, new Uint8Array(i % 70));
    bytes.fill(1 + i % 255);
  }
  for (const [i, bytes] of arrays.entries()) {
    assertEquals(bytes, new Uint8Array(i % 70).fill(1 + i % 255));
  }
});

Deno.test("long arrays have memory of their own", () => {
  const [one, other] = [newBytes(1_025), newBytes(1_025)];
  assertEquals(one, new Uint8Array(1_025));
  assertEquals(one.buffer.byteLength, 1_025);
  assertNotStrictEquals(one.buffer, other.buffer);
});
