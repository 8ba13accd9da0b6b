/**
 * Where a segment ends whose file was another one before.
 *
 * Behind the newest records of such a file lie old ones, whose checksums are as good as ever. What is read
 * on from the last record must not run into them. That their indexes are other ones is not enough:
 * the data of an old record are bytes that some client chose, and could themselves look like the next
 * record. So each mark says how long the records are that were written behind it, and what their
 * checksums add up to; of the first ones the header says so. No client can make a mark, as its checksum
 * is seeded with the salt. So what comes behind a whole group is a mark, or the end. (An old record could
 * pass for one that a crash has torn out of a group only with its index, its term and its checksum, in its
 * place.)
 *
 * A group that is not whole was never synced, so nobody counts on it, and none of it is taken. For the
 * same reason such a segment is never cut within a group: where a suffix of the log is replaced, what stays
 * is copied to a file of its own (`segment_writer.ts`).
 *
 * @module
 */

import { type FileHandle, readFull } from "./file_system.ts";
import {
  decodeGroup,
  markBytes,
  markKind,
  readU32,
  readU64,
  recordBytes,
  recordFault,
  type RecordGroup,
  recordHeaderBytes,
} from "./record.ts";
import { type SegmentHeader, segmentHeaderBytes, wasDurable } from "./segment.ts";

/** How much of a file is read at once. */
const chunkBytes = 1024 * 1024;

/** How often to look again at a file that somebody is writing to. */
const attemptsMax = 5;

/** What has to be known of a segment. */
export type GroupedSegment = Pick<SegmentHeader, "firstIndex" | "salt" | "firstGroup">;

/**
 * Tells how far the newest segment of a log goes.
 *
 * @param file Its file.
 * @param header What its header says.
 * @returns Where to stop reading: behind the last whole group of records, where it is followed by what
 *   the file held before; else the length of the file.
 */
export function usedBytes(file: FileHandle, header: GroupedSegment): number {
  const size = file.size();
  if (header.firstGroup === undefined) return size;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const { end, nextIndex } = new GroupReader(file, header, header.firstGroup).lastGroup();
    const rest = new Uint8Array(size - end);
    const length = readFull(file, rest, end);
    if (!wasDurable(rest.subarray(0, length), nextIndex, header.salt)) return end;
    // There is more: a node has written it just now, or what is wrong here is damage.
  }
  // Whoever reads on meets it.
  return size;
}

/** How far the records of a segment go. */
interface GroupEnd {
  readonly end: number;
  /** The index of the record that would follow. */
  readonly nextIndex: number;
}

/** Goes from group to group. Looks at no record any closer than it must. */
class GroupReader {
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #salt: number;
  /** A piece of the file. */
  #chunk = new Uint8Array();
  #chunkStart = 0;
  #nextIndex: number;
  #group: RecordGroup;

  constructor(file: FileHandle, header: GroupedSegment, firstGroup: RecordGroup) {
    this.#file = file;
    this.#size = file.size();
    this.#salt = header.salt;
    this.#nextIndex = header.firstIndex;
    this.#group = firstGroup;
  }

  lastGroup(): GroupEnd {
    let start = segmentHeaderBytes;
    for (;;) {
      // Where a torn group was, the log went on with another mark.
      for (let group = this.#groupAt(start); group !== undefined; group = this.#groupAt(start)) {
        this.#group = group;
        start += markBytes;
      }
      const before = { end: start, nextIndex: this.#nextIndex };
      const end = start + this.#group.bytes;
      if (!this.#skipGroup(start, end)) return before;
      if (this.#groupAt(end) === undefined) {
        return this.#isGood(start, end) ? { end, nextIndex: this.#nextIndex } : before;
      }
      start = end;
    }
  }

  /** @returns Whether the group looks whole by the heads of its records. */
  #skipGroup(start: number, end: number): boolean {
    let checksum = 0;
    let at = start;
    while (at < end) {
      const head = this.#read(at, recordHeaderBytes);
      if (head === undefined || readU64(head, 16) !== this.#nextIndex) return false;
      // A torn head may say anything, also what cannot be reckoned with.
      const length = readU32(head, 4);
      if (length > end - at) return false;
      this.#nextIndex++;
      checksum = (checksum + readU32(head, 0)) >>> 0;
      at += recordBytes(length);
    }
    return at === end && checksum === this.#group.checksum;
  }

  /** @returns Whether all records of a group are good that looks whole. */
  #isGood(start: number, end: number): boolean {
    const bytes = this.#read(start, end - start);
    if (bytes === undefined) return false;
    for (let at = 0; at < bytes.length; at += recordBytes(readU32(bytes, at + 4))) {
      if (recordFault(bytes, at, bytes.length) !== undefined) return false;
    }
    return true;
  }

  /** What a mark at a position says of the records behind it, if there is one. */
  #groupAt(at: number): RecordGroup | undefined {
    const bytes = this.#read(at, markBytes);
    if (bytes === undefined || bytes[24] !== markKind) return undefined;
    if (readU64(bytes, 16) !== this.#nextIndex) return undefined;
    if (recordFault(bytes, 0, markBytes, this.#salt) !== undefined) return undefined;
    return decodeGroup(bytes, recordHeaderBytes);
  }

  /** @returns So many bytes from a position on, or `undefined` where the file ends before. */
  #read(position: number, length: number): Uint8Array | undefined {
    const from = position - this.#chunkStart;
    if (from >= 0 && from + length <= this.#chunk.length) {
      return this.#chunk.subarray(from, from + length);
    }
    if (position + length > this.#size) return undefined;
    const chunk = new Uint8Array(Math.min(Math.max(chunkBytes, length), this.#size - position));
    this.#chunk = chunk.subarray(0, readFull(this.#file, chunk, position));
    this.#chunkStart = position;
    return this.#chunk.length < length ? undefined : this.#chunk.subarray(0, length);
  }
}
