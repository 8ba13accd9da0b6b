import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Entry } from "../raft/types.ts";
import { entriesFrom, entryAt, plain, received } from "./_testing.ts";
import { MalformedRecordError } from "./errors.ts";
import {
  decodeRecords,
  encodeMark,
  encodeRecord,
  encodeRecords,
  markBytes,
  readU64,
  recordBytes,
  recordDataBytesMax,
  recordFault,
  verbatimRun,
  writeU32,
  writeU64,
} from "./record.ts";

const mark = { nextIndex: 10, durableIndex: 9, group: { bytes: 0, checksum: 0 } };

Deno.test("decodeRecords() gives back what encodeRecords() was given", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 20 }),
    fc.array(
      fc.record({
        term: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        kind: fc.constantFrom(0, 1),
        data: fc.uint8Array({ maxLength: 200 }),
      }),
      { maxLength: 12 },
    ),
    (first: number, parts: { term: number; kind: 0 | 1; data: Uint8Array }[]) => {
      parts.sort((a, b) => a.term - b.term);
      const entries = parts.map((part, i): Entry => ({ index: first + i, ...part }));
      const bytes = encodeRecords(entries);
      assertEquals(bytes.length % 8, 0);
      assertEquals(decodeRecords(bytes).map(plain), entries);
    },
  ));
});

Deno.test("a record has the bytes that docs/FORMAT.md shows", () => {
  const entry: Entry = { index: 258, term: 3, kind: 1, data: new TextEncoder().encode("hello") };
  assertEquals(
    encodeRecords([entry]).toHex(),
    "7e7c6973" + "05000000" + "0300000000000000" + "0201000000000000" + "0100000000000000" +
      "68656c6c6f000000",
  );
});

Deno.test("decodeRecords() refuses a record with any one bit flipped", () => {
  const bytes = encodeRecords(entriesFrom(4, 7, 2, 21));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assertThrows(() => decodeRecords(bytes), MalformedRecordError, undefined, `bit ${bit}`);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  assertEquals(decodeRecords(bytes).length, 3);
});

Deno.test("decodeRecords() refuses bytes that end within a record", () => {
  const bytes = encodeRecords(entriesFrom(1, 3));
  const half = bytes.length / 2;
  for (let length = 0; length < bytes.length; length++) {
    if (length % half === 0) {
      assertEquals(decodeRecords(bytes.subarray(0, length)).length, length / half);
    } else assertThrows(() => decodeRecords(bytes.subarray(0, length)), MalformedRecordError);
  }
});

Deno.test("decodeRecords() refuses indexes with a gap and terms that fall", () => {
  const gap = encodeRecords([entryAt(1), entryAt(3)]);
  const error = assertThrows(() => decodeRecords(gap), MalformedRecordError, "index 3 after 1");
  assertEquals((error as MalformedRecordError).offset, recordBytes(20));
  const falling = encodeRecords([entryAt(1, 5), entryAt(2, 4)]);
  assertThrows(() => decodeRecords(falling), MalformedRecordError, "term 4 after 5");
});

Deno.test("decodeRecords() refuses marks, which are nobody else's business", () => {
  const bytes = new Uint8Array(markBytes);
  encodeMark(mark, bytes, 0, 0);
  assertEquals(recordFault(bytes, 0, markBytes, 0), undefined);
  assertThrows(() => decodeRecords(bytes), MalformedRecordError, "mark");
});

Deno.test("recordFault() refuses an impossible length before it asks for so many bytes", () => {
  const bytes = encodeRecords([entryAt(1)]);
  writeU32(bytes, 4, recordDataBytesMax + 1);
  assertEquals(recordFault(bytes, 0, bytes.length)?.bytesNeeded, 0);
  writeU32(bytes, 4, recordDataBytesMax);
  assertEquals(recordFault(bytes, 0, bytes.length)?.bytesNeeded, recordDataBytesMax + 32);
});

Deno.test("a mark is good with the salt of its file only", () => {
  const bytes = new Uint8Array(markBytes);
  encodeMark(mark, bytes, 0, 12345);
  assertEquals(recordFault(bytes, 0, markBytes, 12345), undefined);
  assertEquals(recordFault(bytes, 0, markBytes, 12346)?.reason, "wrong checksum");
});

Deno.test("verbatimRun() ends where the bytes do not go on", () => {
  const entries = received(entriesFrom(1, 6));
  assertEquals(verbatimRun(entries, 0), 5);
  assertEquals(verbatimRun(entries, 3), 2);
  assertEquals(verbatimRun([entryAt(1), ...entries.slice(1)], 0), 0);
  assertEquals(verbatimRun([...entries.slice(0, 2), ...entries.slice(3)], 0), 2);
  assertEquals(verbatimRun([...entries.slice(0, 2), ...received(entriesFrom(3, 6))], 0), 2);
  assertEquals(verbatimRun([...entries.slice(0, 2), entryAt(3)], 0), 2);
});

Deno.test("encodeRecords() copies nothing of what was decoded", () => {
  const bytes = encodeRecords(entriesFrom(1, 6));
  const entries = decodeRecords(bytes);
  const again = encodeRecords(entries.slice(1, 4));
  assertStrictEquals(again.buffer, bytes.buffer);
  assertEquals(again, bytes.subarray(recordBytes(20), 4 * recordBytes(20)));
  assert(entries[0]!.data.buffer === bytes.buffer);
});

Deno.test("encodeRecord() says where the next record goes", () => {
  const buffer = new Uint8Array(200);
  const next = encodeRecord(entryAt(1), buffer, 8);
  assertEquals(next, 8 + recordBytes(20));
  assertEquals(encodeRecord(entryAt(2), buffer, next), next + recordBytes(20));
  assertEquals(decodeRecords(buffer.subarray(8, 8 + 2 * recordBytes(20))).length, 2);
});

Deno.test("writeU64() and readU64() agree up to the largest safe integer", () => {
  const bytes = new Uint8Array(10);
  for (const value of [0, 1, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER]) {
    writeU64(bytes, 1, value);
    assertEquals(readU64(bytes, 1), value);
    assertEquals(new DataView(bytes.buffer).getBigUint64(1, true), BigInt(value));
  }
});
