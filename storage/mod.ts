/**
 * What a node keeps on disk.
 *
 * A {@linkcode DataDirectory} belongs to one node and one process. In it, each shard has a
 * {@linkcode ShardStore}: a segmented log of entries, a snapshot that stands for what is gone of it,
 * term and vote. All of it runs on a {@linkcode FileSystem}, which is the machine's
 * ({@linkcode denoFileSystem}) or a simulator's.
 *
 * The bytes are specified in `docs/FORMAT.md`.
 *
 * @module
 */

export { crc32c } from "./crc32c.ts";
export {
  DataDirectory,
  type DataDirectoryMeta,
  type DataDirectoryOptions,
  type Founders,
  readMeta,
} from "./data_dir.ts";
export { denoFileSystem } from "./deno_file_system.ts";
export {
  CorruptFileError,
  CorruptRecordError,
  DataDirectoryLockedError,
  DataDirectoryMismatchError,
  DiskFullError,
  ForgottenEntriesError,
  ForgottenTermError,
  MalformedRecordError,
  StorageFailedError,
  UnsupportedFormatError,
} from "./errors.ts";
export type { DirectoryEntry, FileHandle, FileSystem, OpenOptions } from "./file_system.ts";
export type { Finding } from "./findings.ts";
export {
  inspectShard,
  type LocatedEntry,
  readShardRecords,
  readShardSnapshot,
  type SegmentSummary,
  type ShardSummary,
} from "./inspect.ts";
export { IndexSet } from "./index_set.ts";
export type { RewriteWork, Rewritten } from "./log_front.ts";
export type { SegmentedLogOptions, WhenFull } from "./log_options.ts";
export type { TornTail } from "./log_recovery.ts";
export { ReadOnlyView } from "./read_only_view.ts";
export { countRecords, decodeRecords, encodeRecords, RecordEntry, recordSpans } from "./record.ts";
export { estimateLiveBytes } from "./rewrite_choice.ts";
export { SegmentedLog } from "./segmented_log.ts";
export {
  type PinnedSnapshot,
  ShardStore,
  type ShardStoreOptions,
  type SnapshotInProgress,
} from "./shard_store.ts";
export type { Pause, ShardSnapshotMetadata, StoredSnapshot } from "./snapshot_file.ts";
export type { ArchivedSegment } from "./sparse_segment.ts";
export { StagedShard } from "./staged_shard.ts";
export { type ReadState, shardsIn, type Verification, verifyDataDirectory } from "./verify.ts";
