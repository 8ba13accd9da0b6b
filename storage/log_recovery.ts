/**
 * What a log does when it is opened: reads every segment, and finds out what a crash has left.
 *
 * Only the newest segment can have been torn, in what was written to it since its last sync; such a
 * tail was never answered for, and is cut. Anything else that is not as it was written is damage:
 * somebody may count on what is there and behind it, so it is reported and never cut. In the newest
 * segment the two are told apart by marks (`record.ts`). What no mark speaks of is taken for torn:
 * that can be wrong for the very last group commit before an unclean end only.
 *
 * @module
 */

import { EntryKind } from "../raft/types.ts";
import { CorruptFileError, CorruptRecordError, DataDirectoryMismatchError } from "./errors.ts";
import { type FileHandle, type FileSystem, joinPath, readFull, writeAll } from "./file_system.ts";
import { readU32, readU64, recordBytes, type RecordFault } from "./record.ts";
import {
  decodeSegmentHeader,
  Segment,
  segmentFirstIndex,
  segmentHeaderBytes,
  wasDurable,
} from "./segment.ts";
import { storageError } from "./failures.ts";
import { readSegment } from "./segment_reader.ts";
import { TermRuns } from "./term_runs.ts";

/** How much of a file is read at once. */
const chunkBytes = 1024 * 1024;

/** A torn tail that was cut when a log was opened. */
export interface TornTail {
  /** The file. */
  readonly path: string;
  /** Its length now; 0 where the whole file went. */
  readonly offset: number;
  /** How many bytes went. */
  readonly bytes: number;
  /** The index of the first record that went. */
  readonly index: number;
  /** What was wrong with that record. */
  readonly reason: string;
}

/** What is in the files of a log. */
export interface RecoveredLog {
  readonly segments: Segment[];
  readonly terms: TermRuns;
  /** Where membership changes are: few, and wanted before anything else. */
  readonly changeIndexes: number[];
  readonly tornTails: TornTail[];
  /** Whether the newest segment ends in records, with no mark behind them. */
  readonly endsUnmarked: boolean;
  /** How much of the newest segment is called durable by a mark: all before the last one. */
  readonly provenBytes: number;
}

/** A tail that a crash has torn off. */
interface Tear {
  readonly offset: number;
  readonly index: number;
  readonly reason: string;
}

/** What is found where there are no files. */
export function emptyLog(): RecoveredLog {
  return {
    segments: [],
    terms: new TermRuns(),
    changeIndexes: [],
    tornTails: [],
    endsUnmarked: false,
    provenBytes: 0,
  };
}

/**
 * Reads the segments of a log. Changes nothing.
 *
 * @param files Where they are.
 * @param directory Their directory.
 * @param shard The shard that they must belong to, if that is known.
 * @param salt The salt of a segment whose own is unreadable.
 * @returns What is in them, and the torn tails that a log which is to be written must lose.
 * @throws {CorruptRecordError} when a record is damaged.
 * @throws {CorruptFileError} when a segment is missing, or its header is damaged.
 */
export function readLog(
  files: FileSystem,
  directory: string,
  shard: number | undefined,
  salt: number,
): RecoveredLog {
  const segments: Segment[] = [];
  const terms = new TermRuns();
  const changeIndexes: number[] = [];
  const tornTails: TornTail[] = [];
  let endsUnmarked = false;
  let provenBytes = 0;
  const names = files.list(directory)
    .filter((entry) => !entry.isDirectory && segmentFirstIndex(entry.name) !== undefined)
    .map((entry) => entry.name);
  for (const [i, name] of names.entries()) {
    const path = joinPath(directory, name);
    const file = files.open(path, { read: true });
    try {
      const newest = i === names.length - 1;
      const firstIndex = segmentFirstIndex(name)!;
      const header = readHeader(file, path);
      if (header === undefined) {
        const proof = newest ? readFrom(file, segmentHeaderBytes) : undefined;
        if (proof === undefined || wasDurable(proof, firstIndex, salt)) {
          throw new CorruptFileError(path, "the header is not what was written");
        }
        const reason = "the header was not written";
        tornTails.push({ path, offset: 0, bytes: file.size(), index: firstIndex, reason });
        continue;
      }
      if (header.firstIndex !== firstIndex) {
        throw new CorruptFileError(path, `its header says that it begins at ${header.firstIndex}`);
      }
      if (shard !== undefined && header.shard !== shard) {
        throw new DataDirectoryMismatchError(path, "shard", `${header.shard}`, `${shard}`);
      }
      const segment = new Segment(path, header);
      checkSuccession(segments.at(-1), segment, terms.lastTerm);
      const { tear, ...scanned } = scanSegment(file, segment, terms, changeIndexes, newest);
      ({ endsUnmarked, provenBytes } = scanned);
      if (tear !== undefined) {
        tornTails.push({ path, ...tear, bytes: file.size() - tear.offset });
      }
      segments.push(segment);
    } finally {
      file.close();
    }
  }
  return { segments, terms, changeIndexes, tornTails, endsUnmarked, provenBytes };
}

/**
 * Cuts off what a crash has torn, and makes what is left durable: a record that is there may so far
 * be in the page cache only. If the sync of an earlier process failed, the page cache even takes it
 * for written, and another sync would do nothing; so it is cut and written once more.
 *
 * @param files Where the log is.
 * @param directory Its directory.
 * @param log What was found there.
 * @throws {StorageFailedError} when a call of the file system fails.
 */
export async function settleLog(
  files: FileSystem,
  directory: string,
  log: RecoveredLog,
): Promise<void> {
  let path = directory;
  try {
    for (const tail of log.tornTails) {
      path = tail.path;
      if (tail.offset === 0) files.remove(path);
    }
    const newest = log.segments.at(-1);
    if (newest !== undefined) {
      path = newest.path;
      const file = files.open(path, { read: true, write: true });
      try {
        file.truncateSync(newest.bytes);
        rewrite(file, log.provenBytes, newest.bytes);
        await file.syncData();
      } finally {
        file.close();
      }
    }
    path = directory;
    await files.syncDirectory(directory);
  } catch (error) {
    throw storageError("recover", path, error);
  }
}

/** Writes what is in a file to the same place. */
function rewrite(file: FileHandle, from: number, to: number): void {
  const buffer = new Uint8Array(Math.min(chunkBytes, to - from));
  for (let at = from; at < to; at += buffer.length) {
    const bytes = buffer.subarray(0, to - at);
    if (readFull(file, bytes, at) < bytes.length) throw new Error("The file got shorter");
    writeAll(file, bytes, at);
  }
}

function readHeader(file: FileHandle, path: string) {
  const bytes = new Uint8Array(segmentHeaderBytes);
  return decodeSegmentHeader(bytes.subarray(0, readFull(file, bytes, 0)), path);
}

/** All of a file from a position on. */
function readFrom(file: FileHandle, position: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, file.size() - position));
  return bytes.subarray(0, readFull(file, bytes, position));
}

/** A segment must go on exactly where the one before it ends. */
function checkSuccession(previous: Segment | undefined, next: Segment, lastTerm: number): void {
  if (previous === undefined) return;
  const expected = previous.lastIndex + 1;
  if (next.firstIndex !== expected) {
    throw new CorruptFileError(
      next.path,
      `it begins at index ${next.firstIndex} where ${expected} is due: a segment is missing`,
    );
  }
  if (next.header.previousTerm !== lastTerm) {
    throw new CorruptFileError(
      next.path,
      `it follows on term ${next.header.previousTerm}, but the segment before it ends in ${lastTerm}`,
    );
  }
}

/** Reads all records of a segment into the memory of where they are. */
function scanSegment(
  file: FileHandle,
  segment: Segment,
  terms: TermRuns,
  changeIndexes: number[],
  newest: boolean,
): Pick<RecoveredLog, "endsUnmarked" | "provenBytes"> & { readonly tear: Tear | undefined } {
  const { salt, previousTerm } = segment.header;
  const chunks = readSegment(file, {
    position: segmentHeaderBytes,
    nextIndex: segment.firstIndex,
    previousTerm,
    salt,
    size: file.size(),
    chunkBytes,
    reuse: true,
  });
  let provenBytes = 0;
  let next = chunks.next();
  for (; !next.done; next = chunks.next()) {
    const { bytes, position, offsets } = next.value;
    for (const offset of offsets) {
      // Between records there are only marks.
      if (position + offset > segment.bytes) provenBytes = segment.bytes;
      segment.bytes = position + offset;
      const index = segment.lastIndex + 1;
      terms.append(index, readU64(bytes, offset + 8));
      if (bytes[offset + 24] === EntryKind.configChange) changeIndexes.push(index);
      segment.append(recordBytes(readU32(bytes, offset + 4)));
    }
  }
  const { position, fault } = next.value;
  const recordsEnd = segment.bytes;
  if (position > recordsEnd) provenBytes = recordsEnd;
  segment.bytes = position;
  const tear = fault === undefined ? undefined : judge(file, segment, fault, newest);
  const endsUnmarked = position === recordsEnd && recordsEnd > segmentHeaderBytes;
  return { tear, endsUnmarked, provenBytes };
}

/** Is it a torn tail, or damage? */
function judge(file: FileHandle, segment: Segment, fault: RecordFault, newest: boolean): Tear {
  const { path, bytes: offset, lastIndex } = segment;
  const index = lastIndex + 1;
  if (!newest || wasDurable(readFrom(file, offset), index, segment.header.salt)) {
    throw new CorruptRecordError(path, offset, index, fault.reason);
  }
  return { offset, index, reason: fault.reason };
}
