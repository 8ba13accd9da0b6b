import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { crc32c, crc32cRange } from "./crc32c.ts";

/** The definition, bit by bit. */
function naive(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

Deno.test("crc32c() gives the published check values", () => {
  assertEquals(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  // RFC 3720, appendix B.4.
  assertEquals(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assertEquals(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assertEquals(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assertEquals(crc32c(new Uint8Array()), 0);
});

Deno.test("crc32c() agrees with the naive model at every length and alignment", () => {
  const bytes = Uint8Array.from({ length: 400 }, (_, i) => (i * 167 + 13) & 255);
  for (let start = 0; start < 17; start++) {
    for (let end = start; end < 300; end++) {
      assertEquals(crc32cRange(bytes, start, end), naive(bytes.subarray(start, end)));
    }
  }
});

Deno.test("crc32c() agrees with the naive model across chunks of its memory", () => {
  const bytes = Uint8Array.from({ length: 200_001 }, (_, i) => (i * i + (i >> 7)) & 255);
  for (const length of [65_535, 65_536, 65_537, 131_072, 131_073, 200_001]) {
    assertEquals(crc32c(bytes.subarray(0, length), 7), naive(bytes.subarray(0, length), 7));
  }
});

Deno.test("crc32c() of two parts is the checksum of the whole", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 500 }),
    fc.uint8Array({ maxLength: 500 }),
    (a: Uint8Array, b: Uint8Array) => {
      const whole = new Uint8Array([...a, ...b]);
      assertEquals(crc32c(b, crc32c(a)), crc32c(whole));
    },
  ));
});

Deno.test("crc32c() sees every flipped bit", () => {
  const bytes = new Uint8Array(100).fill(0x5a);
  const expected = crc32c(bytes);
  for (let bit = 0; bit < 800; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert(crc32c(bytes) !== expected);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
});
