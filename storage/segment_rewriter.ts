/**
 * Copies what is alive of some segments into one sparse segment.
 *
 * It is work for a quiet hour: it goes on in small pieces, with pauses that whoever asks for it decides
 * on, and reads only the parts of a segment that have something alive.
 *
 * @module
 */

import { CorruptRecordError, DiskFullError } from "./errors.ts";
import { attempt } from "./failures.ts";
import type { FileHandle, FileSystem } from "./file_system.ts";
import type { IndexSet } from "./index_set.ts";
import { readU32, readU64, recordBytes } from "./record.ts";
import type { Stretch } from "./record_places.ts";
import { readSegment } from "./segment_reader.ts";
import { type ArchivedSegment, SparseSegmentWriter } from "./sparse_segment.ts";

/** How much is read at once. */
const chunkBytes = 256 * 1024;

/**
 * Lets others have their turn.
 *
 * @param bytes How much was read and written since the last time.
 */
export type Pace = (bytes: number) => Promise<void>;

/** What may end a rewriting. */
export interface RewriteFate {
  /** Whether to give it up, and leave nothing of it behind. */
  isStopped(): boolean;
  /** Whether the log does not count any more: nothing is done to any file then. */
  isRetired(): boolean;
}

/** Segments, and the one that is to take their place. */
export interface Rewriting {
  readonly sources: readonly ArchivedSegment[];
  readonly result: ArchivedSegment;
  readonly writer: SparseSegmentWriter;
}

/**
 * Copies what is alive.
 *
 * @param files Where the segments are.
 * @param directory Their directory.
 * @param shard The shard.
 * @param sources Segments side by side, the oldest first.
 * @param live The entries that are needed.
 * @param bytesMax How long the new segment should be: beyond half of it, the rest is left for later.
 * @param pace Called between pieces of work.
 * @param fate What may end it; a log that is retired is stopped, too.
 * @returns The new segment, which has no name yet, or `undefined` where it was stopped or the disk full.
 * @throws {CorruptRecordError} when a record that is needed is damaged or missing.
 * @throws {StorageFailedError} when the file system fails.
 */
export async function rewriteSegments(
  files: FileSystem,
  directory: string,
  shard: number,
  sources: readonly ArchivedSegment[],
  live: IndexSet,
  bytesMax: number,
  pace: Pace,
  fate: RewriteFate,
): Promise<Rewriting | undefined> {
  const done: ArchivedSegment[] = [];
  let writer: SparseSegmentWriter | undefined;
  let result: ArchivedSegment | undefined;
  try {
    writer = new SparseSegmentWriter(files, directory, shard, sources[0]!.firstIndex);
    for (const source of sources) {
      if (done.length > 0 && writer.bytes > bytesMax / 2) break;
      if (!await copy(files, source, live, writer, pace, fate)) return undefined;
      done.push(source);
    }
    const { lastIndex, lastTerm } = done.at(-1)!;
    result = await writer.finish(lastIndex, lastTerm, async () => {
      await pace(chunkBytes);
      if (fate.isStopped()) writer?.abandon();
    });
    return result && { sources: done, result, writer };
  } catch (error) {
    // Whoever appends has to say so; this can wait for room.
    if (error instanceof DiskFullError) return undefined;
    throw error;
  } finally {
    if (fate.isRetired()) writer?.abandon();
    else if (result === undefined) writer?.discard();
  }
}

/** @returns Whether all of it was copied. */
async function copy(
  files: FileSystem,
  source: ArchivedSegment,
  live: IndexSet,
  writer: SparseSegmentWriter,
  pace: Pace,
  { isStopped }: RewriteFate,
): Promise<boolean> {
  const { path, lastIndex, bytes } = source;
  const file = attempt("open", path, () => files.open(path, { read: true }));
  try {
    for (const stretch of source.places.stretches(lastIndex, bytes)) {
      const due = live.countIn(stretch.nextIndex, stretch.endIndex);
      if (due === 0) continue;
      let found = 0;
      for (const chunk of readStretch(file, source, stretch)) {
        const before = writer.records;
        writer.write(compact(chunk.bytes, chunk.offsets, live));
        found += writer.records - before;
        await writer.syncSome();
        if (isStopped()) return false;
        await pace(chunk.bytes.length);
        if (isStopped()) return false;
      }
      if (found === due) continue;
      const reason = `${due - found} of ${due} records from here on that are needed are missing`;
      throw new CorruptRecordError(path, stretch.position, stretch.nextIndex, reason);
    }
    return true;
  } finally {
    file.close();
  }
}

function* readStretch(file: FileHandle, source: ArchivedSegment, stretch: Stretch) {
  const { path, salt, sparse } = source;
  const { nextIndex, position } = stretch;
  const chunks = readSegment(file, {
    position,
    nextIndex,
    previousTerm: 0,
    salt,
    size: stretch.endPosition,
    chunkBytes,
    reuse: true,
    sparse,
  });
  let next = attempt("read", path, () => chunks.next());
  for (; !next.done; next = attempt("read", path, () => chunks.next())) yield next.value;
  const { fault } = next.value;
  if (fault === undefined) return;
  throw new CorruptRecordError(path, next.value.position, next.value.nextIndex, fault.reason);
}

/** Moves the records that are needed to the front of the bytes. */
function compact(bytes: Uint8Array, offsets: readonly number[], live: IndexSet): Uint8Array {
  let end = 0;
  for (const offset of offsets) {
    if (!live.has(readU64(bytes, offset + 16))) continue;
    const size = recordBytes(readU32(bytes, offset + 4));
    if (offset !== end) bytes.copyWithin(end, offset, offset + size);
    end += size;
  }
  return bytes.subarray(0, end);
}
