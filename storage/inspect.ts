/**
 * Looks into the directory of a shard without changing anything. Beside a running node that takes a
 * view of it (`read_only_view.ts`), in which the newest segment may end in the middle of a write and
 * look torn.
 *
 * @module
 */

import type { Configuration, HardState, NodeId } from "../raft/types.ts";
import { listSegments } from "./archive_recovery.ts";
import { CorruptFileError, CorruptRecordError } from "./errors.ts";
import { type FileSystem, joinPath, readFull } from "./file_system.ts";
import { readHardState } from "./hard_state.ts";
import { readLog, type TornTail } from "./log_recovery.ts";
import { RecordEntry } from "./record.ts";
import { usedBytes } from "./record_group.ts";
import { decodeSegmentHeader, segmentFirstIndex, segmentHeaderBytes } from "./segment.ts";
import { readSegment } from "./segment_reader.ts";
import { logDirectoryOf, readShardFile } from "./shard_file.ts";
import { SnapshotFileReader, snapshotName, type StoredSnapshot } from "./snapshot_file.ts";
import { findSnapshots } from "./snapshot_files.ts";

/** How much of a file is read at once. */
const chunkBytes = 1024 * 1024;

/** What is in a segment. */
export interface SegmentSummary {
  readonly path: string;
  readonly firstIndex: number;
  /** `firstIndex - 1` where the segment is empty. */
  readonly lastIndex: number;
  /** The length of what is good of the file. */
  readonly bytes: number;
  /** Whether it stands for its range with only the records that were still needed. */
  readonly sparse: boolean;
}

/** What is in the directory of a shard. */
export interface ShardSummary {
  /** Term and vote, or `undefined` where there are none. */
  readonly hardState: HardState | undefined;
  /** Who took part when the shard was made, or `undefined` where its making did not come to its end. */
  readonly configuration: Configuration | undefined;
  /** The id of this replica, `undefined` where it is that of the node. */
  readonly replica: NodeId | undefined;
  readonly segments: readonly SegmentSummary[];
  /** What stands for the log before its first segment, if there is anything. */
  readonly snapshot: StoredSnapshot | undefined;
  /** Where each term begins, behind what is sparse. */
  readonly terms: readonly { readonly firstIndex: number; readonly term: number }[];
  /** What the next start would cut off. */
  readonly tornTails: readonly TornTail[];
}

/**
 * Reads all of a shard, and says what is there.
 *
 * @param files Where it is.
 * @param directory Its directory.
 * @returns What is there.
 * @throws {CorruptRecordError} when a record is damaged.
 * @throws {CorruptFileError} when a file is damaged or missing.
 */
export function inspectShard(files: FileSystem, directory: string): ShardSummary {
  const hardState = readHardState(files, directory);
  const shardFile = readShardFile(files, directory);
  const logDirectory = joinPath(directory, shardFile?.log ?? "");
  const { archive, segments, terms, tornTails } = readLog(files, logDirectory, undefined, 0);
  const { newest: snapshot } = findSnapshots(files, logDirectory, undefined);
  return {
    hardState: hardState && {
      term: hardState.term,
      vote: hardState.vote,
      commit: hardState.commit,
    },
    configuration: shardFile?.configuration,
    replica: shardFile?.replica,
    segments: [
      ...archive.map(({ path, firstIndex, lastIndex, bytes, sparse }) => {
        return { path, firstIndex, lastIndex, bytes, sparse };
      }),
      ...segments.map(({ path, firstIndex, lastIndex, bytes }) => {
        return { path, firstIndex, lastIndex, bytes, sparse: false };
      }),
    ],
    snapshot,
    terms: [...terms],
    tornTails,
  };
}

/** A snapshot, and the state that it holds. */
export interface FoundState {
  readonly stored: StoredSnapshot;
  /** The state, piece by piece; to be gone through once. */
  readonly state: Iterable<Uint8Array>;
}

/**
 * Finds the snapshot that stands for what is gone of a shard's log.
 *
 * @param files Where the shard is.
 * @param directory Its directory.
 * @returns The newest one that is good, with its state, if there is any.
 * @throws {CorruptFileError} when the file that names the log is damaged.
 */
export function readShardSnapshot(files: FileSystem, directory: string): FoundState | undefined {
  const logDirectory = logDirectoryOf(files, directory);
  const { newest: stored } = findSnapshots(files, logDirectory, undefined);
  if (stored === undefined) return undefined;
  const path = joinPath(logDirectory, snapshotName(stored.index));
  return { stored, state: new SnapshotFileReader(files, path, stored).pieces() };
}

/** A record, and where it is. */
export interface LocatedEntry {
  readonly path: string;
  readonly offset: number;
  readonly entry: RecordEntry;
}

/**
 * Reads the records of a shard, one after the other.
 *
 * @param files Where it is.
 * @param directory Its directory.
 * @returns The records. Their data are good until the next one is asked for.
 * @throws {CorruptRecordError} at a damaged record, but for the newest segment: there the records end.
 * @throws {CorruptFileError} at a damaged header of any other segment.
 */
export function* readShardRecords(
  files: FileSystem,
  directory: string,
): Generator<LocatedEntry, void> {
  const logDirectory = logDirectoryOf(files, directory);
  const { names, sparse } = listSegments(files, logDirectory);
  for (const name of names) {
    const newest = name === names.at(-1);
    const isSparse = sparse.has(name);
    const path = joinPath(logDirectory, name);
    const file = files.open(path, { read: true });
    try {
      const head = new Uint8Array(segmentHeaderBytes);
      const header = isSparse
        ? { firstIndex: segmentFirstIndex(name)!, previousTerm: 0, salt: 0 }
        : decodeSegmentHeader(head.subarray(0, readFull(file, head, 0)), path);
      if (header === undefined) {
        if (newest) return;
        throw new CorruptFileError(path, "the header is not what was written");
      }
      const records = readSegment(file, {
        position: segmentHeaderBytes,
        nextIndex: segmentFirstIndex(name)!,
        previousTerm: header.previousTerm,
        salt: header.salt,
        size: newest ? usedBytes(file, header) : file.size(),
        chunkBytes,
        reuse: true,
        sparse: isSparse,
      });
      let next = records.next();
      for (; !next.done; next = records.next()) {
        const { bytes, position, offsets } = next.value;
        for (const offset of offsets) {
          yield { path, offset: position + offset, entry: new RecordEntry(bytes, offset) };
        }
      }
      const { fault, position, nextIndex } = next.value;
      if (fault !== undefined && !newest) {
        throw new CorruptRecordError(path, position, nextIndex, fault.reason);
      }
    } finally {
      file.close();
    }
  }
}
