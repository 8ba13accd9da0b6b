import { assertEquals, assertThrows } from "@std/assert";
import { assert, maxSafeNat, nat, property, string, uint8Array } from "fast-check";
import {
  concatBytes,
  decodeUtf8,
  encodeUtf8,
  encodeUtf8Into,
  isUtf8,
  readU16,
  readU32,
  readU64,
  utf8Length,
  writeU16,
  writeU32,
  writeU64,
} from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";

Deno.test("readU64() gives back what writeU64() wrote, where DataView finds it too", () => {
  assert(property(maxSafeNat(), nat({ max: 7 }), (value: number, offset: number) => {
    const bytes = new Uint8Array(16);
    writeU64(bytes, offset, value);
    assertEquals(readU64(bytes, offset), value);
    assertEquals(new DataView(bytes.buffer).getBigUint64(offset, true), BigInt(value));
  }));
});

Deno.test("readU32() and readU16() give back what was written", () => {
  assert(property(nat({ max: 0xffff_ffff }), (value: number) => {
    const bytes = new Uint8Array(8);
    writeU32(bytes, 1, value);
    writeU16(bytes, 6, value & 0xffff);
    assertEquals(readU32(bytes, 1), value);
    assertEquals(readU16(bytes, 6), value & 0xffff);
    assertEquals(bytes[0], 0);
    assertEquals(bytes[5], 0);
  }));
});

Deno.test("readU64() refuses numbers that JavaScript cannot count with", () => {
  const bytes = new Uint8Array(8).fill(0xff);
  assertThrows(() => readU64(bytes, 0), MalformedFrameError);
  writeU64(bytes, 0, Number.MAX_SAFE_INTEGER);
  assertEquals(readU64(bytes, 0), Number.MAX_SAFE_INTEGER);
  writeU32(bytes, 4, 0x20_0000);
  assertThrows(() => readU64(bytes, 0), MalformedFrameError);
});

Deno.test("isUtf8() agrees with TextDecoder on any bytes", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const isDecodable = (bytes: Uint8Array) => {
    try {
      decoder.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };
  // Few random bytes are UTF-8: the leads and continuations that decide are made frequent.
  const interesting = [
    0x41,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc1,
    0xc2,
    0xe0,
    0xed,
    0xf0,
    0xf4,
    0xf5,
  ];
  assert(
    property(uint8Array({ maxLength: 6, max: interesting.length - 1 }), (choice: Uint8Array) => {
      const bytes = choice.map((i) => interesting[i]!);
      assertEquals(isUtf8(bytes, 0, bytes.length), isDecodable(bytes));
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("utf8Length() counts what TextEncoder writes, lone surrogates included", () => {
  const check = (text: string) => {
    assertEquals(utf8Length(text), encodeUtf8(text).length);
    const target = new Uint8Array(text.length * 3 + 2);
    assertEquals(encodeUtf8Into(text, target, 2), utf8Length(text));
  };
  assert(property(string({ unit: "binary" }), check));
  for (const text of ["\ud800", "\udc00", "a\ud800b", "\udc00\ud800", "\ud83d\ude00"]) check(text);
});

Deno.test("decodeUtf8() refuses what is not UTF-8", () => {
  assertEquals(decodeUtf8(encodeUtf8("\ufeffgrün")), "\ufeffgrün");
  assertThrows(() => decodeUtf8(new Uint8Array([0xff])), MalformedFrameError);
});

Deno.test("concatBytes() joins", () => {
  const whole = concatBytes([new Uint8Array([1]), new Uint8Array(0), new Uint8Array([2, 3])]);
  assertEquals([...whole], [1, 2, 3]);
});
