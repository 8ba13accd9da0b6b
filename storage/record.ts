/**
 * A record: one log entry as it is on disk, and in the frames between peers.
 *
 * ```text
 *  0  u32  CRC-32C of bytes 4 to 31 and the data
 *  4  u32  length of the data
 *  8  u64  term
 * 16  u64  index
 * 24  u8   kind: that of the entry, or 255 for a mark
 * 25  u8   flags, 0
 * 26  u8×6 reserved, 0
 * 32  the data, then zeros up to a multiple of 8
 * ```
 *
 * Numbers are little-endian. Records are made once, by the leader, and never made again: followers
 * check the bytes they receive and write those very bytes. So an entry that was decoded from a record
 * remembers it ({@linkcode RecordEntry}).
 *
 * A mark is no entry and no other node ever sees it. It stands in a file between two group commits
 * and says, in the place of the term, which index was durable when it was written. Recovery needs it
 * to tell a torn tail (never synced, may be cut) from damage (was synced, must not be): if a bad
 * record is followed by a mark that calls its index durable, it is damage. The data of a mark say which
 * records follow it (`record_group.ts`). The checksum of a mark is seeded with a secret of the file, so
 * that nobody can forge one by putting its bytes into a message.
 *
 * @module
 */

import type { Entry, EntryKind } from "../raft/types.ts";
import { crc32c, crc32cRange } from "./crc32c.ts";
import { MalformedRecordError } from "./errors.ts";

/** Bytes of a record before its data. */
export const recordHeaderBytes = 32;

/** Records begin at multiples of this, counted from the start of the file. */
export const recordAlignment = 8;

/** The most data a record may hold. Four times the largest frame: what is longer is damage. */
export const recordDataBytesMax = 64 * 1024 * 1024;

/** The kind of a mark, beside those of entries (`EntryKind`). */
export const markKind = 255;

/** Bytes of the data of a mark. */
export const markDataBytes = 8;

/** Bytes of a mark. */
export const markBytes = recordHeaderBytes + markDataBytes;

/** From here on the upper half of a 64-bit number makes it more than a safe integer. */
const unsafeHigh = 0x20_0000;

/** The largest kind of an entry. */
const entryKindMax = 1;

/** An entry that was decoded from a record, and knows it. */
export class RecordEntry implements Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
  /** The bytes that the record is in. */
  readonly bytes: Uint8Array;
  /** Where in them the record begins. */
  readonly start: number;
  /** Where in them the next record would begin. */
  readonly end: number;

  /**
   * @param bytes The bytes that the record is in; they must not change any more.
   * @param start Where in them a record begins that is known to be good.
   */
  constructor(bytes: Uint8Array, start: number) {
    const length = readU32(bytes, start + 4);
    this.index = readU64(bytes, start + 16);
    this.term = readU64(bytes, start + 8);
    this.kind = bytes[start + 24] as EntryKind;
    this.data = bytes.subarray(start + recordHeaderBytes, start + recordHeaderBytes + length);
    this.bytes = bytes;
    this.start = start;
    this.end = start + recordBytes(length);
  }
}

/**
 * How long the record of some data is.
 *
 * @param dataBytes The length of the data.
 * @returns The length of the record.
 */
export function recordBytes(dataBytes: number): number {
  return (recordHeaderBytes + dataBytes + recordAlignment - 1) & -recordAlignment;
}

/**
 * Writes the record of an entry into a buffer of zeros.
 *
 * @param entry The entry.
 * @param buffer Where it goes.
 * @param start Where in the buffer; the caller knows that there is room.
 * @returns Where the next record goes.
 */
export function encodeRecord(entry: Entry, buffer: Uint8Array, start: number): number {
  writeHeader(buffer, start, entry.data.length, entry.term, entry.index, entry.kind);
  buffer.set(entry.data, start + recordHeaderBytes);
  const crc = crc32c(entry.data, crc32cRange(buffer, start + 4, start + recordHeaderBytes));
  writeU32(buffer, start, crc);
  return start + recordBytes(entry.data.length);
}

/** Records that are written together, between two syncs. */
export interface RecordGroup {
  /** How long they are together. */
  readonly bytes: number;
  /** The sum of their checksums, modulo 2³². */
  readonly checksum: number;
}

/** What a mark says. */
export interface Mark {
  /** The index of the record that follows. */
  readonly nextIndex: number;
  /** The last index that is durable when it is written. */
  readonly durableIndex: number;
  /** The records that follow. */
  readonly group: RecordGroup;
}

/**
 * Writes a mark into a buffer of zeros.
 *
 * @param mark What it says.
 * @param buffer Where it goes.
 * @param start Where in the buffer.
 * @param salt The secret of the file.
 */
export function encodeMark(mark: Mark, buffer: Uint8Array, start: number, salt: number): void {
  const { nextIndex, durableIndex, group } = mark;
  writeHeader(buffer, start, markDataBytes, durableIndex, nextIndex, markKind);
  encodeGroup(group, buffer, start + recordHeaderBytes);
  writeU32(buffer, start, crc32cRange(buffer, start + 4, start + markBytes, salt));
}

/**
 * Writes what is said of a group, 8 bytes.
 *
 * @param group The group.
 * @param buffer Where it goes.
 * @param start Where in the buffer.
 */
export function encodeGroup(group: RecordGroup, buffer: Uint8Array, start: number): void {
  writeU32(buffer, start, group.bytes / recordAlignment);
  writeU32(buffer, start + 4, group.checksum);
}

/**
 * Reads what {@linkcode encodeGroup} wrote.
 *
 * @param bytes Where it is.
 * @param start Where in the bytes.
 * @returns The group.
 */
export function decodeGroup(bytes: Uint8Array, start: number): RecordGroup {
  const length = readU32(bytes, start) * recordAlignment;
  return { bytes: length, checksum: readU32(bytes, start + 4) };
}

/**
 * What there is to say of some records.
 *
 * @param bytes Whole records, one after the other, as this node has them.
 * @param from Where in the bytes the first begins.
 * @param to Where the last ends.
 * @returns The group that they are.
 */
export function groupOf(bytes: Uint8Array, from: number, to: number): RecordGroup {
  let checksum = 0;
  for (let at = from; at < to; at += recordBytes(readU32(bytes, at + 4))) {
    checksum = (checksum + readU32(bytes, at)) >>> 0;
  }
  return { bytes: to - from, checksum };
}

/**
 * Counts records.
 *
 * @param bytes Whole records, one after the other, as this node has them.
 * @returns How many there are.
 */
export function countRecords(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; count++) at += recordBytes(readU32(bytes, at + 4));
  return count;
}

/**
 * The records of some entries, one after the other.
 *
 * @param entries The entries.
 * @returns The bytes: without a copy where the entries were decoded from consecutive records.
 *
 * @example There and back
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const entry = { index: 7, term: 2, kind: 0, data: new TextEncoder().encode("hello") } as const;
 * const [decoded] = decodeRecords(encodeRecords([entry]));
 * assertEquals(decoded?.index, 7);
 * assertEquals(decoded?.data, entry.data);
 * ```
 */
export function encodeRecords(entries: readonly Entry[]): Uint8Array {
  const run = verbatimRun(entries, 0);
  if (run > 0 && run === entries.length) {
    const first = entries[0] as RecordEntry;
    return first.bytes.subarray(first.start, (entries[run - 1] as RecordEntry).end);
  }
  let length = 0;
  for (const entry of entries) length += recordBytes(entry.data.length);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const entry of entries) at = encodeRecord(entry, bytes, at);
  return bytes;
}

/**
 * The records of some entries, in as few spans as they lie in.
 *
 * @param entries Entries that were decoded from records.
 * @returns Views of their bytes.
 */
export function recordSpans(entries: readonly RecordEntry[]): Uint8Array[] {
  const spans: Uint8Array[] = [];
  for (let i = 0; i < entries.length;) {
    const run = verbatimRun(entries, i);
    const { bytes, start } = entries[i]!;
    spans.push(bytes.subarray(start, entries[i + run - 1]!.end));
    i += run;
  }
  return spans;
}

/**
 * How many entries from `first` on lie one after the other in the same bytes.
 *
 * @param entries The entries.
 * @param first Where to begin.
 * @returns The number; 0 where the first entry was not decoded from a record.
 */
export function verbatimRun(entries: readonly Entry[], first: number): number {
  const begin = entries[first];
  if (!(begin instanceof RecordEntry)) return 0;
  let previous: RecordEntry = begin;
  let next = first + 1;
  for (; next < entries.length; next++) {
    const entry = entries[next];
    if (!(entry instanceof RecordEntry)) break;
    if (entry.bytes !== previous.bytes || entry.start !== previous.end) break;
    previous = entry;
  }
  return next - first;
}

/**
 * Takes apart what came from a peer: nothing but whole, good records of consecutive indexes.
 *
 * @param bytes The records. They belong to the entries from now on and must not change any more.
 * @param sparse Whether indexes may be left out.
 * @returns The entries. Their data are views of the bytes.
 * @throws {MalformedRecordError} when the bytes are anything else.
 */
export function decodeRecords(bytes: Uint8Array, sparse = false): RecordEntry[] {
  const entries: RecordEntry[] = [];
  let previous: RecordEntry | undefined;
  for (let at = 0; at < bytes.length;) {
    const fault = recordFault(bytes, at, bytes.length);
    if (fault !== undefined) throw new MalformedRecordError(at, fault.reason);
    if (bytes[at + 24] === markKind) throw new MalformedRecordError(at, "a mark is no entry");
    const entry = new RecordEntry(bytes, at);
    const isNext = previous === undefined || entry.index === previous.index + 1 ||
      (sparse && entry.index > previous.index);
    if (!isNext) {
      throw new MalformedRecordError(at, `index ${entry.index} after ${previous!.index}`);
    }
    if (previous !== undefined && entry.term < previous.term) {
      throw new MalformedRecordError(at, `term ${entry.term} after ${previous.term}`);
    }
    entries.push(entry);
    previous = entry;
    at = entry.end;
  }
  return entries;
}

/** Why some bytes are no record. */
export interface RecordFault {
  /** For people. */
  readonly reason: string;
  /**
   * How long the record would be, where nothing is wrong but that the bytes end before it does;
   * else 0.
   */
  readonly bytesNeeded: number;
}

/**
 * Checks a record, or a mark.
 *
 * @param bytes The bytes that it is in.
 * @param start Where it begins.
 * @param end Where the bytes end.
 * @param salt The secret of the file, for marks.
 * @returns What is wrong with it, or `undefined`.
 */
export function recordFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  salt = 0,
): RecordFault | undefined {
  if (end - start < recordHeaderBytes) {
    return { reason: "the header is cut off", bytesNeeded: recordHeaderBytes };
  }
  const length = readU32(bytes, start + 4);
  if (length > recordDataBytesMax) return damaged(`impossible length ${length}`);
  const size = recordBytes(length);
  if (end - start < size) return { reason: "the data are cut off", bytesNeeded: size };
  const kind = bytes[start + 24] as number;
  const dataEnd = start + recordHeaderBytes + length;
  const crc = crc32cRange(bytes, start + 4, dataEnd, kind === markKind ? salt : 0);
  if (crc !== readU32(bytes, start)) return damaged("wrong checksum");
  if (kind > entryKindMax && kind !== markKind) return damaged(`unknown kind ${kind}`);
  for (let i = start + 25; i < start + recordHeaderBytes; i++) {
    if (bytes[i] !== 0) return damaged("reserved bytes are in use");
  }
  for (let i = dataEnd; i < start + size; i++) {
    if (bytes[i] !== 0) return damaged("padding is not zero");
  }
  if (readU32(bytes, start + 12) >= unsafeHigh) return damaged("impossible term");
  if (readU32(bytes, start + 20) >= unsafeHigh) return damaged("impossible index");
  return undefined;
}

/** A 32-bit number in little-endian order. */
export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
}

/** A 64-bit number in little-endian order; the caller knows that it is a safe integer. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * 0x1_0000_0000;
}

/** Writes a 32-bit number in little-endian order. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Writes a 64-bit number in little-endian order. */
export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 0x1_0000_0000);
  writeU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000));
}

function writeHeader(
  buffer: Uint8Array,
  start: number,
  length: number,
  term: number,
  index: number,
  kind: number,
): void {
  writeU32(buffer, start + 4, length);
  writeU64(buffer, start + 8, term);
  writeU64(buffer, start + 16, index);
  buffer[start + 24] = kind;
}

function damaged(reason: string): RecordFault {
  return { reason, bytesNeeded: 0 };
}
