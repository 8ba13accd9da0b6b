/**
 * What a log does when it is opened: reads every segment, and finds out what a crash has left.
 *
 * Sparse segments, and what is before one, lie in front of the log (`archive.ts`). Files that one stands
 * for are left over from its making, and go.
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
import { listSegments, scanSparse } from "./archive_recovery.ts";
import { CorruptFileError, CorruptRecordError, DataDirectoryMismatchError } from "./errors.ts";
import { type FileHandle, type FileSystem, joinPath, readFull, writeAll } from "./file_system.ts";
import { readU32, readU64, recordBytes, type RecordFault } from "./record.ts";
import { usedBytes } from "./record_group.ts";
import {
  decodeSegmentHeader,
  isReserved,
  Segment,
  segmentFirstIndex,
  segmentHeaderBytes,
  wasDurable,
} from "./segment.ts";
import { storageError } from "./failures.ts";
import { IndexSet } from "./index_set.ts";
import { readSegment } from "./segment_reader.ts";
import { type ArchivedSegment, archivedSegment, type SparseHeader } from "./sparse_segment.ts";
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
  /** What lies in front of them: sparse segments, and those between. */
  readonly archive: ArchivedSegment[];
  /** The entries that are there. */
  readonly archived: IndexSet;
  /** Files that a sparse segment stands for, and that are to be removed. */
  readonly leftovers: string[];
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
    archive: [],
    archived: new IndexSet(),
    leftovers: [],
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
  const { names, sparse, leftovers } = listSegments(files, directory);
  const reader = new LogReader(shard, salt);
  for (const [i, name] of names.entries()) {
    const path = joinPath(directory, name);
    const file = files.open(path, { read: true });
    try {
      const sparseHeader = sparse.get(name);
      if (sparseHeader !== undefined) reader.readSparse(file, path, sparseHeader);
      else reader.read(file, path, segmentFirstIndex(name)!, i === names.length - 1);
    } finally {
      file.close();
    }
  }
  return reader.finish(leftovers.map((name) => joinPath(directory, name)));
}

/** Reads one segment after the other. */
class LogReader {
  readonly #shard: number | undefined;
  readonly #salt: number;
  readonly #archive: ArchivedSegment[] = [];
  readonly #archived = new IndexSet();
  readonly #tornTails: TornTail[] = [];
  /** The segments since the last sparse one. */
  #segments: Segment[] = [];
  #terms = new TermRuns();
  #changeIndexes: number[] = [];
  #endsUnmarked = false;
  #provenBytes = 0;

  constructor(shard: number | undefined, salt: number) {
    this.#shard = shard;
    this.#salt = salt;
  }

  read(file: FileHandle, path: string, firstIndex: number, newest: boolean): void {
    const header = readHeader(file, path);
    if (header === undefined) {
      const proof = newest ? readFrom(file, segmentHeaderBytes) : undefined;
      if (proof === undefined || wasDurable(proof, firstIndex, this.#salt)) {
        throw new CorruptFileError(path, "the header is not what was written");
      }
      const reason = "the header was not written";
      this.#tornTails.push({ path, offset: 0, bytes: file.size(), index: firstIndex, reason });
      return;
    }
    if (header.firstIndex !== firstIndex) {
      throw new CorruptFileError(path, `its header says that it begins at ${header.firstIndex}`);
    }
    if (this.#shard !== undefined && header.shard !== this.#shard) {
      throw new DataDirectoryMismatchError(path, "shard", `${header.shard}`, `${this.#shard}`);
    }
    const segment = new Segment(path, header);
    const lastTerm = this.#segments.length > 0
      ? this.#terms.lastTerm
      : this.#archive.at(-1)?.lastTerm ?? 0;
    checkSuccession(this.#previous, path, firstIndex);
    if (this.#previous !== undefined && header.previousTerm !== lastTerm) {
      throw new CorruptFileError(
        path,
        `it follows on term ${header.previousTerm}, but the segment before it ends in ${lastTerm}`,
      );
    }
    const { tear, ...scanned } = scanSegment(
      file,
      segment,
      this.#terms,
      this.#changeIndexes,
      newest,
    );
    this.#endsUnmarked = scanned.endsUnmarked;
    this.#provenBytes = scanned.provenBytes;
    if (tear !== undefined) {
      this.#tornTails.push({ path, ...tear, bytes: file.size() - tear.offset });
    }
    this.#segments.push(segment);
  }

  /** What comes before a sparse segment is not of the log any more, either. */
  readSparse(file: FileHandle, path: string, header: SparseHeader): void {
    checkSuccession(this.#previous, path, header.firstIndex);
    for (const segment of this.#segments) {
      const lastTerm = this.#terms.termAt(segment.lastIndex);
      this.#archive.push(archivedSegment(segment, lastTerm));
      for (let index = segment.firstIndex; index <= segment.lastIndex; index++) {
        this.#archived.add(index);
      }
    }
    this.#segments = [];
    this.#terms = new TermRuns();
    this.#changeIndexes = [];
    this.#archive.push(scanSparse(file, path, header, this.#shard, this.#archived));
  }

  finish(leftovers: string[]): RecoveredLog {
    const last = this.#archive.at(-1);
    if (last !== undefined && this.#segments.length === 0) {
      throw new CorruptFileError(last.path, "the log goes on behind it, but a segment is missing");
    }
    return {
      segments: this.#segments,
      archive: this.#archive,
      archived: this.#archived,
      leftovers,
      terms: this.#terms,
      changeIndexes: this.#changeIndexes,
      tornTails: this.#tornTails,
      endsUnmarked: this.#endsUnmarked,
      provenBytes: this.#provenBytes,
    };
  }

  get #previous(): { readonly lastIndex: number } | undefined {
    return this.#segments.at(-1) ?? this.#archive.at(-1);
  }
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
    if (log.leftovers.length > 0) {
      // What stands for them must be there to stay.
      await files.syncDirectory(directory);
      for (path of log.leftovers) files.remove(path);
    }
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
function checkSuccession(
  previous: { readonly lastIndex: number } | undefined,
  path: string,
  firstIndex: number,
): void {
  if (previous === undefined || firstIndex === previous.lastIndex + 1) return;
  throw new CorruptFileError(
    path,
    `it begins at index ${firstIndex} where ${previous.lastIndex + 1} is due: a segment is missing`,
  );
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
    size: newest ? usedBytes(file, segment.header) : file.size(),
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

/** Is it room that was reserved, a torn tail, or damage? */
function judge(
  file: FileHandle,
  segment: Segment,
  fault: RecordFault,
  newest: boolean,
): Tear | undefined {
  const { path, bytes: offset, lastIndex } = segment;
  const index = lastIndex + 1;
  const rest = newest ? readFrom(file, offset) : undefined;
  if (rest === undefined || wasDurable(rest, index, segment.header.salt)) {
    throw new CorruptRecordError(path, offset, index, fault.reason);
  }
  if (isReserved(rest)) return undefined;
  return { offset, index, reason: fault.reason };
}
