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

/** Bytes without a pattern that a wrong block could hide in. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    return state >>> 24;
  });
}

Deno.test("crc32c() agrees with the naive model at every length and alignment", () => {
  const bytes = noise(2400);
  for (let start = 0; start < 17; start++) {
    const seed = start * 0x0f0f0f0f >>> 0;
    let expected = seed;
    for (let end = start; end <= bytes.length; end++) {
      assertEquals(crc32cRange(bytes, start, end, seed), expected, `${start} to ${end}`);
      expected = naive(bytes.subarray(end, end + 1), expected);
    }
  }
});

Deno.test("crc32c() agrees with the naive model across chunks of its memory", () => {
  const bytes = noise(200_001);
  let expected = 7;
  for (let length = 0; length < bytes.length; length++) {
    const inChunk = length % 65_536;
    if (length > 65_000 && (inChunk < 40 || inChunk > 65_500 || Math.abs(inChunk - 1792) < 20)) {
      assertEquals(crc32c(bytes.subarray(0, length), 7), expected, `${length} bytes`);
    }
    expected = naive(bytes.subarray(length, length + 1), expected);
  }
  assertEquals(crc32c(bytes, 7), expected);
});

Deno.test("crc32c() agrees with the naive model on large inputs, however they are split", () => {
  const bytes = noise(200_100);
  fc.assert(
    fc.property(
      fc.nat(99),
      fc.oneof(fc.nat(5_000), fc.nat(200_000)),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat(0xffffffff),
      (start: number, length: number, ratio: number, seed: number) => {
        const end = start + length;
        const middle = start + Math.floor(length * ratio);
        const expected = naive(bytes.subarray(start, end), seed);
        assertEquals(crc32cRange(bytes, start, end, seed), expected);
        assertEquals(crc32c(bytes.subarray(start, end), seed), expected);
        const first = crc32cRange(bytes, start, middle, seed);
        assertEquals(crc32cRange(bytes, middle, end, first), expected);
      },
    ),
    { numRuns: 60 },
  );
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
  for (const length of [100, 4099]) {
    const bytes = new Uint8Array(length).fill(0x5a);
    const expected = crc32c(bytes);
    for (let bit = 0; bit < length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assert(crc32c(bytes) !== expected);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
  }
});
