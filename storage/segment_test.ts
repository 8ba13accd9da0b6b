import { assert, assertEquals, assertThrows } from "@std/assert";
import { entriesFrom } from "./_testing.ts";
import { crc32cRange } from "./crc32c.ts";
import { UnsupportedFormatError } from "./errors.ts";
import { encodeMark, encodeRecords, markBytes, recordBytes, writeU32 } from "./record.ts";
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  scanRecords,
  Segment,
  segmentHeaderBytes,
  wasDurable,
} from "./segment.ts";

const header = { shard: 5, firstIndex: 1_000, previousTerm: 7, salt: 0xfedcba98 };

Deno.test("decodeSegmentHeader() gives back what encodeSegmentHeader() was given", () => {
  assertEquals(decodeSegmentHeader(encodeSegmentHeader(header), "x"), header);
});

Deno.test("decodeSegmentHeader() finds no header where any bit is flipped", () => {
  const bytes = encodeSegmentHeader(header);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assertEquals(decodeSegmentHeader(bytes, "x"), undefined);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  assertEquals(decodeSegmentHeader(bytes.subarray(0, 63), "x"), undefined);
});

Deno.test("decodeSegmentHeader() names a format that is newer", () => {
  const bytes = encodeSegmentHeader(header);
  writeU32(bytes, 8, 3);
  writeU32(bytes, 60, crc32cRange(bytes, 0, 60));
  const error = assertThrows(
    () => decodeSegmentHeader(bytes, "data/1.seg"),
    UnsupportedFormatError,
    "Cannot read data/1.seg as its format is newer than this program: version 3",
  );
  assertEquals((error as UnsupportedFormatError).version, 3);
});

Deno.test("RecordPlaces.before() names a record near the one that is asked for", () => {
  const segment = new Segment("x", header);
  const positions: number[] = [];
  for (let i = 0; i < 500; i++) {
    positions.push(segment.bytes);
    segment.append(i % 50 === 0 ? 200_000 : 1_000);
  }
  segment.truncateSuffix(1_449, positions[450]!);
  assertEquals(segment.bytes, positions[450]);
  for (let index = 1_000; index < 1_450; index++) {
    const { nextIndex, position } = segment.places.before(index);
    assert(nextIndex <= index);
    assertEquals(position, positions[nextIndex - 1_000]);
    assert(positions[index - 1_000]! - position <= 265_536);
  }
});

Deno.test("scanRecords() stops at a record that is good but out of place", () => {
  const bytes = encodeRecords(entriesFrom(10, 13, 4));
  assertEquals(scanRecords(bytes, 10, 4, 0).offsets.length, 3);
  assertEquals(scanRecords(bytes, 11, 4, 0).fault?.reason, "it has index 10");
  assertEquals(scanRecords(bytes, 10, 5, 0).fault?.reason, "it has term 4 after term 5");
});

Deno.test("wasDurable() believes marks with the right salt, behind the fault, about its index", () => {
  const bytes = new Uint8Array(4 * recordBytes(20) + markBytes);
  bytes.set(encodeRecords(entriesFrom(1, 5)));
  const at = 4 * recordBytes(20);
  encodeMark({ nextIndex: 5, durableIndex: 4, group: { bytes: 0, checksum: 0 } }, bytes, at, 99);
  assert(wasDurable(bytes, 4, 99));
  assert(wasDurable(bytes, 1, 99));
  assert(!wasDurable(bytes, 5, 99));
  assert(!wasDurable(bytes, 4, 98));
  assert(!wasDurable(bytes.subarray(0, at + markBytes - 1), 4, 99));
  bytes[at + 9]! ^= 1;
  assert(!wasDurable(bytes, 4, 99));
  assertEquals(segmentHeaderBytes % 8, 0);
});
