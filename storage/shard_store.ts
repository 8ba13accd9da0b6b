/**
 * Everything a shard keeps on disk: its log, its term and vote, and the configuration it began with.
 *
 * ```text
 * shard-0/
 *   configuration              who took part when the shard was made (`checked_file.ts`)
 *   hard-state-a hard-state-b  term and vote, twice (`hard_state.ts`)
 *   00000000000000000001.seg   the log (`segment.ts`)
 *   00000000000000000042.snap  the state that stands for what is gone of it (`snapshot_file.ts`)
 *   log-1/                     log and snapshot that came from another node (`staged_shard.ts`)
 * ```
 *
 * `configuration` is written last when a shard is made: where it is missing, nothing was ever
 * answered for, and the shard is made anew. It also says which directory has the log, so that a log
 * that came from another node takes the place of this node's own with one rename.
 *
 * All `persist()` calls that wait while the disk is busy share the next write and the next sync
 * (group commit). Within a group, term and vote are durable before the first entry is written, so
 * the log never holds a term that the node does not know of.
 *
 * @module
 */

import type {
  Configuration,
  Entry,
  HardState,
  LogStorage,
  NodeId,
  Snapshot,
} from "../raft/types.ts";
import { checkLog, checkSnapshot, type LogExtent } from "./consistency.ts";
import { CorruptFileError } from "./errors.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import { HardStateFiles, readHardState } from "./hard_state.ts";
import { invariant } from "./invariant.ts";
import type { IndexSet } from "./index_set.ts";
import { LogFront, type RewriteWork } from "./log_front.ts";
import type { TornTail } from "./log_recovery.ts";
import type { RecordEntry } from "./record.ts";
import { segmentFirstIndex } from "./segment.ts";
import { asFailure, makeDirectoryDurable, storageError } from "./failures.ts";
import type { SegmentedLogOptions } from "./log_options.ts";
import { SegmentedLog } from "./segmented_log.ts";
import {
  logNumber,
  readShardFile,
  removeLeftovers,
  removeLog,
  type ShardFile,
  writeShardFile,
} from "./shard_file.ts";
import {
  type Pause,
  type ShardSnapshotMetadata,
  SnapshotFileReader,
  SnapshotFileWriter,
  snapshotName,
  type StoredSnapshot,
} from "./snapshot_file.ts";
import { findSnapshots, type FoundSnapshots, removeSnapshotsBut } from "./snapshot_files.ts";
import type { ArchivedSegment } from "./sparse_segment.ts";
import { StagedShard } from "./staged_shard.ts";

const noBytes = new Uint8Array(0);

/** Settings of a {@linkcode ShardStore}. */
export interface ShardStoreOptions extends SegmentedLogOptions {
  /** Who takes part, for a shard that is made now; one that exists knows it. */
  readonly configuration: Configuration;
  /** The id of this replica in Raft, or what names it, for a shard that is made now; one that exists knows it. */
  readonly replica: NodeId | (() => Promise<NodeId>);
}

/** Calls that wait for the same sync. */
interface Group {
  hardState: HardState | undefined;
  /** A log from another node takes the place of these. */
  replaced: { readonly log: SegmentedLog; readonly directory: string }[];
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A snapshot that somebody reads, and the log that it needs: both stay until it is released. */
export interface PinnedSnapshot {
  readonly stored: StoredSnapshot;
  /** The entries that the snapshot needs. */
  readonly live: IndexSet;
  /** The log was replaced meanwhile: there is nothing more to read. */
  readonly stale: boolean;
  /** Reads a piece of the state. */
  read(position: number, length: number): Uint8Array;
  /** Reads all of it. @throws {CorruptFileError} when it is not what was written. */
  check(): void;
  /** Lets go of it. */
  release(): void;
}

/** A snapshot that is being written. */
export interface SnapshotInProgress {
  /** Writes the next piece of the state. */
  write(bytes: Uint8Array): void;
  /**
   * Makes it the newest snapshot, once it and the log up to its index are durable and it has been read
   * back. The one before it goes then.
   *
   * @param live The entries of the log that it needs: those from `neededIndex` on in which it knows
   *   something alive. They belong to the store from now on.
   * @param pause Called between pieces of work.
   * @returns Whether it is; not so where the log was replaced, or the store closed, meanwhile.
   */
  finish(live: IndexSet, pause: Pause): Promise<boolean>;
  /** Removes what there is of it, after it failed. */
  discard(): void;
}

/** What a shard has on disk. */
export class ShardStore implements LogStorage {
  readonly #files: FileSystem;
  /** The directory of the shard. */
  readonly #directory: string;
  readonly #logOptions: SegmentedLogOptions;
  #log: SegmentedLog;
  /** The log, with what lies in front of it. */
  #front: LogFront;
  readonly #hardStateFiles: HardStateFiles;
  /** What the file beside the log says: who took part at first, and where the log is. */
  #shardFile: ShardFile;
  #stored: StoredSnapshot | undefined;
  /** The entries that the newest snapshot needs, once that is known. */
  #live: IndexSet | undefined;
  /** Files of snapshots that could not be read when the store was opened. */
  readonly damagedSnapshots: readonly string[];
  #snapshotWriter: SnapshotFileWriter | undefined;
  readonly #pins = new Set<PinnedSnapshot>();
  /** The number in the name of the last log that was begun: one that is given up may end later. */
  #logNumber: number;
  /** Logs that have been given to `installSnapshot()` and are not yet the one on disk. */
  #installing = 0;
  #durableBefore = 0;
  /** Term and vote as of the last call of `persist()`. */
  #hardState: HardState;
  /** The group that calls join. */
  #waiting: Group | undefined;
  /** The group that is being written. */
  #inFlight: Group | undefined;
  /** The loop that writes one group after the other, while there are any. */
  #writing: Promise<void> | undefined;
  /** Segments that are being rewritten, now or before. */
  #rewriting: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;

  private constructor(
    files: FileSystem,
    directory: string,
    logOptions: SegmentedLogOptions,
    log: SegmentedLog,
    hardStateFiles: HardStateFiles,
    shardFile: ShardFile,
    snapshots: FoundSnapshots,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#logOptions = logOptions;
    this.#log = log;
    const logDirectory = joinPath(directory, shardFile.log ?? "");
    this.#front = new LogFront(files, logDirectory, logOptions, log, log.archive);
    this.#hardStateFiles = hardStateFiles;
    this.#hardState = hardStateFiles.current;
    this.#shardFile = shardFile;
    this.#logNumber = logNumber(shardFile.log);
    this.#stored = snapshots.newest;
    this.damagedSnapshots = snapshots.damaged;
  }

  /**
   * Opens what is in a directory, or makes a new shard there.
   *
   * @param files Where the directory is.
   * @param directory The directory.
   * @param options The settings.
   * @returns The store, with all that it holds durable.
   * @throws {CorruptRecordError} when a record of the log is damaged.
   * @throws {CorruptFileError} when a file is damaged or missing.
   * @throws {StorageFailedError} when the file system fails.
   *
   * @example
   * ```ts
   * import { denoFileSystem } from "./deno_file_system.ts";
   * import { assertEquals } from "@std/assert";
   *
   * const directory = Deno.makeTempDirSync();
   * const configuration = {
   *   voters: [1],
   *   votersOutgoing: [],
   *   learners: [],
   *   learnersNext: [],
   *   autoLeave: false,
   * };
   * const store = await ShardStore.open(denoFileSystem(), directory, {
   *   shard: 0,
   *   replica: 1,
   *   configuration,
   * });
   * const entry = { index: 1, term: 1, kind: 0, data: new Uint8Array(256) } as const;
   * await store.persist({ term: 1, vote: 1, commit: 0 }, [entry]);
   * assertEquals(store.durableIndex, 1);
   * assertEquals(store.entry(1).data.length, 256);
   * await store.close();
   * Deno.removeSync(directory, { recursive: true });
   * ```
   */
  static async open(
    files: FileSystem,
    directory: string,
    options: ShardStoreOptions,
  ): Promise<ShardStore> {
    try {
      return await ShardStore.#open(files, directory, options);
    } catch (error) {
      throw asFailure("open", directory, error);
    }
  }

  static async #open(
    files: FileSystem,
    directory: string,
    options: ShardStoreOptions,
  ): Promise<ShardStore> {
    const { configuration: initial, replica, ...logOptions } = options;
    const known = readShardFile(files, directory);
    if (known === undefined) await prepare(files, directory);
    else await removeLeftovers(files, directory, known.log);
    const hardStateFiles = await HardStateFiles.open(
      files,
      directory,
      options.shard,
      known === undefined,
    );
    let log: SegmentedLog | undefined;
    try {
      const shardFile = known ?? {
        replica: typeof replica === "number" ? replica : await replica(),
        configuration: initial,
        log: undefined,
      };
      const logDirectory = joinPath(directory, shardFile.log ?? "");
      log = await SegmentedLog.open(files, logDirectory, logOptions);
      const snapshots = findSnapshots(files, logDirectory, options.shard);
      checkSnapshot(extentOf(log), snapshots, logDirectory);
      checkLog(extentOf(log), hardStateFiles.current, directory);
      if (known === undefined) await writeShardFile(files, directory, shardFile);
      return new ShardStore(
        files,
        directory,
        logOptions,
        log,
        hardStateFiles,
        shardFile,
        snapshots,
      );
    } catch (error) {
      hardStateFiles.close();
      log?.abandon();
      throw error;
    }
  }

  /** The id of this replica in Raft. */
  get replica(): NodeId {
    return this.#shardFile.replica;
  }

  /** What was cut off the log when the store was opened. */
  get tornTails(): readonly TornTail[] {
    return this.#log.tornTails;
  }

  /** Entries up to here would survive a power cut. */
  get durableIndex(): number {
    const { durableIndex, lastIndex } = this.#log;
    return this.#installing > 0 ? Math.min(this.#durableBefore, lastIndex) : durableIndex;
  }

  /** A file of term and vote that was mended from the other one when the store was opened. */
  get mendedHardState(): string | undefined {
    return this.#hardStateFiles.mended;
  }

  /** How many bytes the log has, with what lies in front of it. */
  get logBytes(): number {
    return this.#front.bytes + this.#log.bytes;
  }

  /** How many files the log has, with what lies in front of it. */
  get segmentCount(): number {
    return this.#front.segmentCount + this.#log.segmentCount;
  }

  /** The files of the log as they are now, with what lies in front of it, the oldest first. */
  get segments(): ArchivedSegment[] {
    return this.#front.segments;
  }

  /** How much memory is used for entries. */
  get memoryBytes(): number {
    return this.#front.memoryBytes + this.#log.memoryBytes;
  }

  /** Term and vote, and the configuration of the snapshot, or without one that before all entries. */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    const { configuration } = this.#stored ?? this.#shardFile;
    return { hardState: this.#hardState, configuration };
  }

  /** The index of the first entry from which on all of them are there, or where it would be. */
  firstIndex(): number {
    return this.#log.firstIndex;
  }

  /** The first index of which something may be there, if only what the newest snapshot needs. */
  get reachIndex(): number {
    return this.#front.firstIndex;
  }

  /** The index of the last entry, durable or not. */
  lastIndex(): number {
    return this.#log.lastIndex;
  }

  /** The term of an entry, or of the one right before the first. */
  term(index: number): number | undefined {
    return this.#log.term(index);
  }

  /**
   * The entry at an index of the log, or of one before it that the newest snapshot needs; see
   * {@linkcode SegmentedLog.entry}.
   */
  entry(index: number): RecordEntry {
    return this.#front.entry(index);
  }

  /** Some entries; see {@linkcode SegmentedLog.entries}. */
  entries(low: number, high: number, bytesMax: number): Entry[] {
    return this.#log.entries(low, high, bytesMax);
  }

  /** The records of some entries; see {@linkcode SegmentedLog.records}. */
  records(low: number, high: number, bytesMax: number): Uint8Array[] {
    return this.#log.records(low, high, bytesMax);
  }

  /** Where membership changes were, from an index on, when the store was opened. */
  changeIndexes(low: number): number[] {
    return this.#log.changeIndexes.filter((index) => index >= low);
  }

  /** What the newest snapshot stands for. Its data are empty here: they are read on their own. */
  snapshot(): Snapshot | undefined {
    if (this.#stored === undefined) return undefined;
    const { index, term, configuration } = this.#stored;
    return { metadata: { index, term, configuration }, data: noBytes };
  }

  /** The newest snapshot, or `undefined` where there is none. */
  get storedSnapshot(): StoredSnapshot | undefined {
    return this.#stored;
  }

  /**
   * Reads the state of the newest snapshot.
   *
   * @returns The state, piece by piece, or `undefined` where there is no snapshot.
   */
  readState(): Generator<Uint8Array> | undefined {
    const stored = this.#stored;
    if (stored === undefined) return undefined;
    return new SnapshotFileReader(this.#files, this.#snapshotPath(stored), stored).pieces();
  }

  /**
   * Begins to write a snapshot of this node's own making. There is one at a time.
   *
   * @param metadata What it stands for: an index in the log, behind that of the snapshot before.
   * @returns Takes the state.
   */
  beginSnapshot(metadata: ShardSnapshotMetadata): SnapshotInProgress {
    const { index, term, neededIndex } = metadata;
    invariant(this.#snapshotWriter === undefined, "one snapshot is written at a time");
    invariant(this.#log.term(index) === term, "a snapshot stands for an entry of the log");
    invariant(index > (this.#stored?.index ?? 0), "snapshots go on");
    invariant(
      neededIndex >= this.reachIndex && neededIndex <= index + 1,
      "the log has what a snapshot needs",
    );
    const log = this.#log;
    const { shard } = this.#logOptions;
    const writer = new SnapshotFileWriter(this.#files, this.#logDirectory, shard, metadata);
    this.#snapshotWriter = writer;
    return {
      write: (bytes) => {
        if (this.#snapshotWriter === writer) writer.write(bytes);
      },
      finish: async (live, pause) => {
        if (this.#snapshotWriter !== writer) return false;
        // It may have been made of entries that are durable elsewhere only.
        await this.persist(undefined, []);
        if (this.#snapshotWriter !== writer) return false;
        invariant(this.durableIndex >= index, "the log is durable up to a snapshot");
        const stored = await writer.finish(pause);
        if (stored === undefined || this.#closed || this.#log !== log) return false;
        this.#snapshotWriter = undefined;
        this.#stored = stored;
        // Before the one before it is gone for good, what that needs has to stay.
        this.#live = undefined;
        await removeSnapshotsBut(this.#files, this.#logDirectory, index, log.trash);
        if (this.#log === log && this.#stored === stored) this.#live = live;
        return true;
      },
      discard: () => {
        if (this.#snapshotWriter === writer) this.#snapshotWriter = undefined;
        writer.discard();
      },
    };
  }

  /**
   * Gives back the space of entries at the beginning of the log: whole segments, and nothing that the
   * newest snapshot, or one that is being read, needs.
   *
   * @param lastIndex The last index that may go.
   * @returns When their space is given back, or the store is closed or its log replaced before.
   * @throws {StorageFailedError} when the file system fails: the process must end.
   */
  async compact(lastIndex: number): Promise<void> {
    if (this.#failure !== undefined || this.#closed || this.#stored === undefined) return;
    const { trash } = this.#log;
    let last = Math.min(lastIndex, this.#stored.neededIndex - 1);
    for (const { stored } of this.#pins) last = Math.min(last, stored.neededIndex - 1);
    if (this.#front.truncatePrefix(last) > 0) await this.#joinGroup().promise;
    await trash.emptied();
  }

  /**
   * Says which entries the newest snapshot needs, where it was made by an earlier process.
   *
   * @param live The entries. They belong to the store from now on.
   * @throws {CorruptFileError} when one of them is not there.
   */
  noteLive(live: IndexSet): void {
    const { archived } = this.#log;
    this.#log.archived = undefined;
    for (const index of live.from(0)) {
      if (index >= this.firstIndex()) break;
      if (archived?.has(index)) continue;
      throw new CorruptFileError(this.#logDirectory, `entry ${index} is missing, which is needed`);
    }
    this.#live = live;
  }

  /**
   * Rewrites segments of which the newest snapshot needs little to what it needs, so that one message
   * that waits for long keeps no more than its own record. Appends never wait for it.
   *
   * @param lastIndex The last index that Raft may lose.
   * @param work How to go about it.
   * @returns When all segments have been looked at, until a newer snapshot is there, and the space of
   *   those that were replaced is given back.
   * @throws {CorruptRecordError} when a record that is needed is damaged or missing.
   * @throws {StorageFailedError} when the file system fails.
   */
  async rewriteSegments(lastIndex: number, work: RewriteWork): Promise<void> {
    const [live, stored] = [this.#live, this.#stored];
    if (live === undefined || stored === undefined) return;
    // A snapshot that is being read may need more.
    for (const pin of this.#pins) if (pin.stored !== stored) return;
    const { trash } = this.#log;
    this.#rewriting = this.#front.rewrite(Math.min(lastIndex, stored.index), live, work);
    await this.#rewriting;
    await trash.emptied();
  }

  /**
   * Gives back the space of segments that are kept to be written again: the disk is low.
   *
   * @throws {StorageFailedError} when the file system fails: the process must end.
   */
  giveBackSpares(): void {
    if (this.#failure === undefined && !this.#closed) this.#log.spares.giveBack();
  }

  /** How many bytes of segments there are from an index on. */
  bytesFrom(index: number): number {
    return this.#log.bytesFrom(index);
  }

  /**
   * Keeps the newest snapshot, and the log that it needs, until they have been read.
   *
   * @returns The snapshot, or `undefined` where there is none.
   */
  pinSnapshot(): PinnedSnapshot | undefined {
    const [log, live, stored] = [this.#log, this.#live, this.#stored];
    if (live === undefined || stored === undefined || this.#closed) return undefined;
    const path = this.#snapshotPath(stored);
    const reader = new SnapshotFileReader(this.#files, path, stored);
    const isStale = () => this.#closed || this.#log !== log;
    const pin: PinnedSnapshot = {
      stored,
      live,
      get stale() {
        return isStale();
      },
      read: (position, length) => reader.read(position, length),
      check: () => reader.check(),
      release: () => {
        if (this.#pins.delete(pin)) reader.close();
      },
    };
    this.#pins.add(pin);
    return pin;
  }

  /**
   * Prepares for a log and a snapshot from another node. This node's own stay as they are.
   *
   * @param metadata What the snapshot stands for.
   * @returns Takes state and entries.
   */
  stage(metadata: ShardSnapshotMetadata): Promise<StagedShard> {
    const name = `log-${++this.#logNumber}`;
    const directory = joinPath(this.#directory, name);
    return StagedShard.begin(this.#files, directory, this.#logOptions, metadata);
  }

  /**
   * Puts log and snapshot of another node in place of this node's own. Reads find the new log at once.
   *
   * @param hardState As for `persist()`.
   * @param staged The log and the snapshot, finished. They belong to the store from now on.
   * @returns When a power cut would leave the new log; until then it leaves the old one. Resolves in
   *   order with calls of `persist()`.
   * @throws {StorageFailedError} when the file system fails, now or before: the process must end.
   */
  installSnapshot(hardState: HardState | undefined, staged: StagedShard): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    invariant(!this.#closed, "nothing is installed in a closed store");
    const { stored } = staged;
    invariant(stored !== undefined, "what is installed has arrived as a whole");
    invariant(
      staged.log.lastIndex === stored.index,
      "a log that is installed ends at its snapshot",
    );
    if (this.#installing++ === 0) this.#durableBefore = this.#log.durableIndex;
    const group = this.#joinGroup();
    group.replaced.push({ log: this.#log, directory: this.#logDirectory });
    this.#snapshotWriter?.abandon();
    this.#snapshotWriter = undefined;
    for (const pin of this.#pins) pin.release();
    this.#front.retire();
    this.#log = staged.log;
    this.#stored = stored;
    this.#live = staged.held;
    this.#shardFile = { ...this.#shardFile, log: staged.name };
    this.#front = new LogFront(
      this.#files,
      this.#logDirectory,
      this.#logOptions,
      staged.log,
      staged.archived,
    );
    this.#takeHardState(group, hardState);
    return group.promise;
  }

  /**
   * Keeps entries, and term and vote.
   *
   * The entries can be read at once. They take the place of those in the log that have their indexes
   * and of all behind. Of `hardState` a change of term or vote is written; the commit index alone is
   * only a hint, and waits for the next such change.
   *
   * @param hardState Term, vote and commit index, or `undefined` for no change.
   * @param entries Consecutive entries, see {@linkcode SegmentedLog.append}.
   * @returns When all of it would survive a power cut. Calls resolve in order.
   * @throws {StorageFailedError} when the file system fails, now or before: the process must end.
   */
  persist(hardState: HardState | undefined, entries: readonly Entry[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    invariant(!this.#closed, "nothing is written to a closed store");
    const next = hardState ?? this.#hardState;
    const changed = this.#isNews(next);
    invariant((entries.at(-1)?.term ?? 0) <= next.term, "no entry is of a later term");
    this.#log.append(entries);
    if (!changed && entries.length === 0) {
      this.#hardState = next;
      // Nothing to write: done as soon as everything before it is.
      return this.#waiting?.promise ?? this.#inFlight?.promise ?? Promise.resolve();
    }
    const group = this.#joinGroup();
    this.#takeHardState(group, hardState);
    return group.promise;
  }

  /** Whether term or vote have changed. */
  #isNews({ term, vote }: HardState): boolean {
    invariant(term >= this.#hardState.term, "terms never fall");
    return term !== this.#hardState.term || vote !== this.#hardState.vote;
  }

  #takeHardState(group: Group, hardState: HardState | undefined): void {
    if (hardState === undefined) return;
    if (this.#isNews(hardState)) group.hardState = hardState;
    this.#hardState = hardState;
  }

  /** The group that is written next. */
  #joinGroup(): Group {
    this.#waiting ??= newGroup();
    this.#writing ??= this.#write();
    return this.#waiting;
  }

  #snapshotPath({ index }: StoredSnapshot): string {
    return joinPath(this.#logDirectory, snapshotName(index));
  }

  /** Where log and snapshots are. */
  get #logDirectory(): string {
    return joinPath(this.#directory, this.#shardFile.log ?? "");
  }

  /**
   * Waits for everything that was given to `persist()`, and closes the files.
   *
   * @throws {StorageFailedError} when the file system fails.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#front.stop();
    this.#snapshotWriter?.abandon();
    this.#snapshotWriter = undefined;
    for (const pin of this.#pins) pin.release();
    try {
      await this.#rewriting?.catch(() => {});
      await this.#writing;
      if (this.#failure === undefined) {
        if (this.#hardState.commit !== this.#hardStateFiles.current.commit) {
          await this.#writeHardState(this.#hardState);
        }
        await this.#log.close();
      }
    } finally {
      await this.#log.trash.stop();
      this.#log.abandon();
      this.#hardStateFiles.close();
    }
  }

  /** Writes one group after the other until none is left. Never rejects. */
  async #write(): Promise<void> {
    // Lets the calls of this turn become one group …
    await undefined;
    // … and what goes to followers go first: their disks are the longer way.
    await undefined;
    while (this.#waiting !== undefined) {
      const group = this.#inFlight = this.#waiting;
      this.#waiting = undefined;
      // Another log may take its place before this is done.
      const log = this.#log;
      const shardFile = this.#shardFile;
      const plan = log.takePlan();
      try {
        if (group.hardState !== undefined) await this.#writeHardState(group.hardState);
        if (group.replaced.length > 0) await this.#replace(group, shardFile, log);
        await log.perform(plan);
        group.resolve();
      } catch (error) {
        this.#fail(group, error);
      }
    }
    this.#inFlight = undefined;
    this.#writing = undefined;
  }

  /** Makes another log the one that counts, and removes those before it. */
  async #replace({ replaced }: Group, shardFile: ShardFile, next: SegmentedLog): Promise<void> {
    await writeShardFile(this.#files, this.#directory, shardFile);
    this.#installing -= replaced.length;
    this.#durableBefore = next.durableIndex;
    for (const { log, directory } of replaced) {
      log.abandon();
      await log.trash.stop();
      await removeLog(this.#files, directory, directory !== this.#directory);
    }
  }

  /** Writes term and vote, and of the commit index as much as the log is sure to hold. */
  async #writeHardState({ term, vote, commit }: HardState): Promise<void> {
    // While another log takes its place, a crash leaves the one or the other.
    const sure = Math.min(commit, this.durableIndex, this.#log.durableIndex);
    await this.#hardStateFiles.write({ term, vote, commit: sure });
  }

  #fail(group: Group, error: unknown): void {
    this.#failure = storageError("write", "the log", error);
    this.#front.retire();
    group.reject(this.#failure);
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}

function extentOf(log: SegmentedLog): LogExtent {
  const { firstIndex, lastIndex, archive } = log;
  const reachIndex = archive[0]?.firstIndex ?? firstIndex;
  return { firstIndex, lastIndex, reachIndex, term: (index) => log.term(index) };
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { hardState: undefined, replaced: [], promise, resolve, reject };
}

/** Makes the directory of a new shard. */
async function prepare(files: FileSystem, directory: string): Promise<void> {
  await makeDirectoryDurable(files, directory);
  const hasLog = files.list(directory).some(({ name }) => segmentFirstIndex(name) !== undefined);
  if (hasLog || (readHardState(files, directory)?.term ?? 0) > 0) {
    throw new CorruptFileError(joinPath(directory, "configuration"), "it is missing");
  }
}
