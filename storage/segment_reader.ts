/**
 * Reads a segment's file from one record to the next, in large pieces.
 *
 * @module
 */

import { type FileHandle, readFull } from "./file_system.ts";
import type { RecordFault } from "./record.ts";
import { scanRecords } from "./segment.ts";

/** Records that were read at once. */
export interface SegmentChunk {
  /** The bytes that were read; they may end in a part of a further record. */
  readonly bytes: Uint8Array;
  /** Where in the file they begin. */
  readonly position: number;
  /** The index of the first record, in a sparse segment the least that it may have. */
  readonly firstIndex: number;
  /** Where in the bytes each record begins. */
  readonly offsets: number[];
}

/** Where reading came to an end. */
export interface SegmentEnd {
  /** How far the file holds good records. */
  readonly position: number;
  /** The index of the next one. */
  readonly nextIndex: number;
  /** What is wrong with it, or `undefined` at the end of the file. */
  readonly fault: RecordFault | undefined;
}

/** Where to begin, and how to read. */
export interface ReadSegmentOptions {
  /** Where in the file a record or mark begins. */
  readonly position: number;
  /** The index of that record, or of the one after the mark. */
  readonly nextIndex: number;
  /** The term of the record before it. */
  readonly previousTerm: number;
  /** The salt of the segment. */
  readonly salt: number;
  /** The length of the file, or where to stop. */
  readonly size: number;
  /** How much to read at once, at least. */
  readonly chunkBytes: number;
  /** Whether the next chunk may be read over the one before. */
  readonly reuse: boolean;
  /** Whether indexes may be left out: then `nextIndex` is the least that may come. */
  readonly sparse?: boolean;
}

/**
 * Reads the records of a segment, and checks them.
 *
 * @param file The file.
 * @param options Where to begin, and how to read.
 * @returns The records, chunk by chunk, and where they end.
 */
export function* readSegment(
  file: FileHandle,
  options: ReadSegmentOptions,
): Generator<SegmentChunk, SegmentEnd> {
  const { salt, size, chunkBytes, reuse, sparse } = options;
  let { position, nextIndex, previousTerm } = options;
  let buffer = new Uint8Array();
  let wanted = chunkBytes;
  while (position < size) {
    const length = Math.min(wanted, size - position);
    if (!reuse || buffer.length < length) buffer = new Uint8Array(length);
    const bytes = buffer.subarray(0, readFull(file, buffer.subarray(0, length), position));
    const scan = scanRecords(bytes, nextIndex, previousTerm, salt, sparse);
    if (scan.offsets.length > 0) {
      yield { bytes, position, firstIndex: nextIndex, offsets: scan.offsets };
    }
    position += scan.end;
    nextIndex = scan.nextIndex;
    previousTerm = scan.lastTerm;
    // A record that begins in this chunk and ends in the next, or is longer than a chunk, is no fault.
    const bytesNeeded = scan.fault?.bytesNeeded ?? 0;
    const goesOn = bytesNeeded > 0 && position + bytesNeeded <= size && bytes.length === length;
    if (scan.fault !== undefined && !goesOn) return { position, nextIndex, fault: scan.fault };
    if (bytes.length === 0) {
      const fault = { reason: "the file is shorter than it was", bytesNeeded: 0 };
      return { position, nextIndex, fault };
    }
    wanted = Math.max(bytesNeeded, chunkBytes);
  }
  return { position, nextIndex, fault: undefined };
}
