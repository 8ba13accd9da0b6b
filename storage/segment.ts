/**
 * One segment: a file of consecutive records, named after its first index.
 *
 * ```text
 *  0  u8×8 magic "FLOWMQSG"
 *  8  u32  format version, 1
 * 12  u32  shard
 * 16  u64  index of the first record
 * 24  u64  term of the record before it, 0 for none
 * 32  u32  salt: the seed of the checksums of marks
 * 36  u32  1 where the file was another segment before, and old records may lie behind its own
 * 40  u32×2 then, what is said of its first group of records (`record.ts`)
 * 48  u8×12 reserved, 0
 * 60  u32  CRC-32C of bytes 0 to 59
 * 64  records and marks (`record.ts`)
 * ```
 *
 * Length, magic, version and checksum of the header keep their places in every version.
 *
 * Invariant: the n-th record, counted from 0 and without the marks, has index `firstIndex + n`.
 *
 * @module
 */

import { crc32cRange } from "./crc32c.ts";
import { UnsupportedFormatError } from "./errors.ts";
import {
  decodeGroup,
  encodeGroup,
  markDataBytes,
  markKind,
  readU32,
  readU64,
  recordAlignment,
  recordBytes,
  type RecordFault,
  recordFault,
  type RecordGroup,
  recordHeaderBytes,
  writeU32,
  writeU64,
} from "./record.ts";
import { RecordPlaces } from "./record_places.ts";

/** Bytes of a segment before its first record. */
export const segmentHeaderBytes = 64;

/** The format of segments with all of their records. */
export const segmentVersion = 1;

/** The format of segments that have lost some (`sparse_segment.ts`): the newest that we read. */
export const sparseVersion = 2;

/** What every segment begins with. */
export const segmentMagic: Uint8Array = new TextEncoder().encode("FLOWMQSG");

/** What the header of a segment says. */
export interface SegmentHeader {
  readonly shard: number;
  readonly firstIndex: number;
  readonly previousTerm: number;
  readonly salt: number;
  /**
   * The first records, where the file was another segment before: old records may lie behind the newest
   * ones (`record_group.ts`).
   */
  readonly firstGroup?: RecordGroup;
}

/**
 * The name of a segment's file.
 *
 * @param firstIndex The index of its first record.
 * @returns The name, such that the order of names is that of indexes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(segmentName(42), "00000000000000000042.seg");
 * assertEquals(segmentFirstIndex("00000000000000000042.seg"), 42);
 * assertEquals(segmentFirstIndex("notes.txt"), undefined);
 * ```
 */
export function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(20, "0")}.seg`;
}

/**
 * The index of the first record of a segment.
 *
 * @param name The name of a file.
 * @returns The index, or `undefined` where the name is none of a segment.
 */
export function segmentFirstIndex(name: string): number | undefined {
  return /^\d{20}\.seg$/.test(name) ? Number(name.slice(0, 20)) : undefined;
}

/**
 * Makes the header of a segment.
 *
 * @param header What it says.
 * @returns Its bytes.
 */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  bytes.set(segmentMagic);
  writeU32(bytes, 8, segmentVersion);
  writeU32(bytes, 12, header.shard);
  writeU64(bytes, 16, header.firstIndex);
  writeU64(bytes, 24, header.previousTerm);
  writeU32(bytes, 32, header.salt);
  if (header.firstGroup !== undefined) {
    writeU32(bytes, 36, 1);
    encodeGroup(header.firstGroup, bytes, 40);
  }
  writeU32(bytes, 60, crc32cRange(bytes, 0, 60));
  return bytes;
}

/**
 * Reads the header of a segment.
 *
 * @param bytes The beginning of the file.
 * @param path The file, for errors.
 * @returns What it says, or `undefined` where it is no good header.
 * @throws {UnsupportedFormatError} when it is a good header of a newer version.
 */
export function decodeSegmentHeader(bytes: Uint8Array, path: string): SegmentHeader | undefined {
  if (segmentVersionOf(bytes, path) !== segmentVersion) return undefined;
  return {
    shard: readU32(bytes, 12),
    firstIndex: readU64(bytes, 16),
    previousTerm: readU64(bytes, 24),
    salt: readU32(bytes, 32),
    ...(readU32(bytes, 36) === 1 && { firstGroup: decodeGroup(bytes, 40) }),
  };
}

/**
 * Which kind of segment a file is.
 *
 * @param bytes The beginning of the file.
 * @param path The file, for errors.
 * @returns The format version, or `undefined` where it begins with no good header.
 * @throws {UnsupportedFormatError} when it is a good header of a newer version.
 */
export function segmentVersionOf(bytes: Uint8Array, path: string): number | undefined {
  if (bytes.length < segmentHeaderBytes) return undefined;
  if (segmentMagic.some((byte, i) => bytes[i] !== byte)) return undefined;
  if (crc32cRange(bytes, 0, 60) !== readU32(bytes, 60)) return undefined;
  const version = readU32(bytes, 8);
  if (version > sparseVersion) throw new UnsupportedFormatError(path, version, sparseVersion);
  return version;
}

/** What is known of a segment in memory: how far it goes, and roughly where which record is. */
export class Segment {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly places: RecordPlaces = new RecordPlaces();
  /** Whether old records may lie behind its own. */
  isReused: boolean;
  /** Length of the file once all that was appended is written. */
  bytes = segmentHeaderBytes;
  /** The index of the last record, `firstIndex - 1` where there is none. */
  lastIndex: number;

  /**
   * @param path The file.
   * @param header What its header says, or will say.
   */
  constructor(path: string, header: SegmentHeader) {
    this.path = path;
    this.header = header;
    this.isReused = header.firstGroup !== undefined;
    this.lastIndex = header.firstIndex - 1;
  }

  /** The index of the first record. */
  get firstIndex(): number {
    return this.header.firstIndex;
  }

  /**
   * Notes a record behind all others.
   *
   * @param size The length of the record; it begins where the segment ended.
   */
  append(size: number): void {
    this.lastIndex++;
    this.places.note(this.lastIndex, this.bytes);
    this.bytes += size;
  }

  /**
   * Forgets the last records.
   *
   * @param lastIndex The last index that stays.
   * @param bytes The length of the file with what stays.
   */
  truncateSuffix(lastIndex: number, bytes: number): void {
    this.lastIndex = lastIndex;
    this.bytes = bytes;
    this.places.truncateSuffix(lastIndex);
  }
}

/** Records found one after the other in some bytes of a segment. */
export interface RecordScan {
  /** Where in the bytes each of the records begins. */
  readonly offsets: number[];
  /** Where in the bytes the first thing begins that is no good record: their end, or a fault. */
  readonly end: number;
  /** The index behind that of the last record. */
  readonly nextIndex: number;
  /** The term of the last record. */
  readonly lastTerm: number;
  /** Why the scan ended before the bytes did. */
  readonly fault?: RecordFault;
}

/**
 * Finds the records in some bytes of a segment, and checks them.
 *
 * @param bytes The bytes, which begin at the start of a record or mark.
 * @param index The index of the first record, or the least that it may have.
 * @param previousTerm The term of the record before it.
 * @param salt The salt of the segment.
 * @param sparse Whether indexes may be left out. There are no marks then.
 * @returns The records up to the end, or to the first fault.
 */
export function scanRecords(
  bytes: Uint8Array,
  index: number,
  previousTerm: number,
  salt: number,
  sparse = false,
): RecordScan {
  const offsets: number[] = [];
  let nextIndex = index;
  let lastTerm = previousTerm;
  let at = 0;
  while (at < bytes.length) {
    const fault = recordFault(bytes, at, bytes.length, salt) ??
      misplaced(bytes, at, nextIndex, lastTerm, sparse);
    if (fault !== undefined) return { offsets, end: at, nextIndex, lastTerm, fault };
    if (bytes[at + 24] !== markKind) {
      lastTerm = readU64(bytes, at + 8);
      nextIndex = readU64(bytes, at + 16) + 1;
      offsets.push(at);
    }
    at += recordBytes(readU32(bytes, at + 4));
  }
  return { offsets, end: at, nextIndex, lastTerm };
}

/**
 * Looks behind a fault for the proof that it is damage: a mark that calls the bad record durable.
 *
 * @param bytes The bytes from the fault to the end of the file.
 * @param index The index of the bad record.
 * @param salt The salt of the segment.
 * @returns Whether there is such a mark.
 */
export function wasDurable(bytes: Uint8Array, index: number, salt: number): boolean {
  const last = bytes.length - recordHeaderBytes;
  for (let at = 0; at <= last; at += recordAlignment) {
    if (bytes[at + 24] !== markKind || readU32(bytes, at + 4) !== markDataBytes) continue;
    if (readU64(bytes, at + 8) < index) continue;
    if (recordFault(bytes, at, bytes.length, salt) === undefined) return true;
  }
  return false;
}

/**
 * Tells what is reserved for records to come from anything else that is no record.
 *
 * @param bytes The bytes from behind the last record to the end of the file.
 * @returns Whether all of them are zero.
 */
export function isReserved(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A good record can still be in the wrong place: left over from a log that was overwritten. */
function misplaced(
  bytes: Uint8Array,
  at: number,
  index: number,
  previousTerm: number,
  sparse: boolean,
): RecordFault | undefined {
  const found = readU64(bytes, at + 16);
  if (sparse ? found < index : found !== index) {
    return { reason: `it has index ${found}`, bytesNeeded: 0 };
  }
  const isMark = bytes[at + 24] === markKind;
  if (isMark && sparse) return { reason: "it is a mark", bytesNeeded: 0 };
  const term = readU64(bytes, at + 8);
  if (!isMark && term < previousTerm) {
    return { reason: `it has term ${term} after term ${previousTerm}`, bytesNeeded: 0 };
  }
  return undefined;
}
