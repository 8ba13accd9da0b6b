/**
 * Everything a shard keeps on disk: its log, its term and vote, and the configuration it began with.
 *
 * ```text
 * shard-0/
 *   configuration              who took part when the shard was made (`checked_file.ts`)
 *   hard-state-a hard-state-b  term and vote, twice (`hard_state.ts`)
 *   00000000000000000001.seg   the log (`segment.ts`)
 * ```
 *
 * `configuration` is written last when a shard is made: where it is missing, nothing was ever
 * answered for, and the shard is made anew.
 *
 * All `persist()` calls that wait while the disk is busy share the next write and the next sync
 * (group commit). Within a group, term and vote are durable before the first entry is written, so
 * the log never holds a term that the node does not know of.
 *
 * @module
 */

import type { Configuration, Entry, HardState, LogStorage, Snapshot } from "../raft/types.ts";
import { readCheckedFile, writeCheckedFile } from "./checked_file.ts";
import { CorruptFileError, StorageFailedError } from "./errors.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import { HardStateFiles, readHardState } from "./hard_state.ts";
import { invariant } from "./invariant.ts";
import type { TornTail } from "./log_recovery.ts";
import type { RecordEntry } from "./record.ts";
import { segmentFirstIndex } from "./segment.ts";
import { asFailure, makeDirectoryDurable, storageError } from "./failures.ts";
import type { SegmentedLogOptions } from "./log_options.ts";
import { SegmentedLog } from "./segmented_log.ts";

/** The newest format of the configuration file that we read, and the one that we write. */
const configurationVersion = 1;

/** Settings of a {@linkcode ShardStore}. */
export interface ShardStoreOptions extends SegmentedLogOptions {
  /** Who takes part, for a shard that is made now; one that exists knows it. */
  readonly configuration: Configuration;
}

/** Calls that wait for the same sync. */
interface Group {
  hardState: HardState | undefined;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What a shard has on disk. */
export class ShardStore implements LogStorage {
  readonly #log: SegmentedLog;
  readonly #hardStateFiles: HardStateFiles;
  readonly #configuration: Configuration;
  /** Term and vote as of the last call of `persist()`. */
  #hardState: HardState;
  /** The group that calls join. */
  #waiting: Group | undefined;
  /** The group that is being written. */
  #inFlight: Group | undefined;
  /** The loop that writes one group after the other, while there are any. */
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;

  private constructor(
    log: SegmentedLog,
    hardStateFiles: HardStateFiles,
    configuration: Configuration,
  ) {
    this.#log = log;
    this.#hardStateFiles = hardStateFiles;
    this.#hardState = hardStateFiles.current;
    this.#configuration = configuration;
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
   * const store = await ShardStore.open(denoFileSystem(), directory, { shard: 0, configuration });
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
    const { configuration: initial, ...logOptions } = options;
    const path = joinPath(directory, "configuration");
    const known = readConfiguration(files, path);
    if (known === undefined) await prepare(files, directory);
    const hardStateFiles = await HardStateFiles.open(
      files,
      directory,
      options.shard,
      known === undefined,
    );
    let log: SegmentedLog | undefined;
    try {
      log = await SegmentedLog.open(files, directory, logOptions);
      checkLog(log, hardStateFiles.current, directory);
      if (known === undefined) {
        await writeCheckedFile(files, path, "configuration", configurationVersion, initial);
      }
      return new ShardStore(log, hardStateFiles, known ?? initial);
    } catch (error) {
      hardStateFiles.close();
      log?.abandon();
      throw error;
    }
  }

  /** What was cut off the log when the store was opened. */
  get tornTails(): readonly TornTail[] {
    return this.#log.tornTails;
  }

  /** Entries up to here would survive a power cut. */
  get durableIndex(): number {
    return this.#log.durableIndex;
  }

  /** How many bytes the log has. */
  get logBytes(): number {
    return this.#log.bytes;
  }

  /** How many files the log has. */
  get segmentCount(): number {
    return this.#log.segmentCount;
  }

  /** How much memory is used for entries. */
  get memoryBytes(): number {
    return this.#log.memoryBytes;
  }

  /** Term and vote, and the configuration before all entries. */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    return { hardState: this.#hardState, configuration: this.#configuration };
  }

  /** The index of the first entry, or where it would be. */
  firstIndex(): number {
    return this.#log.firstIndex;
  }

  /** The index of the last entry, durable or not. */
  lastIndex(): number {
    return this.#log.lastIndex;
  }

  /** The term of an entry, or of the one right before the first. */
  term(index: number): number | undefined {
    return this.#log.term(index);
  }

  /** The entry at an index; see {@linkcode SegmentedLog.entry}. */
  entry(index: number): RecordEntry {
    return this.#log.entry(index);
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

  /** The newest snapshot: none, the log reaches back to its beginning. */
  snapshot(): Snapshot | undefined {
    return undefined;
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
    const { term, vote } = this.#hardState;
    const next = hardState ?? this.#hardState;
    const changed = next.term !== term || next.vote !== vote;
    invariant(next.term >= term, "terms never fall");
    invariant((entries.at(-1)?.term ?? 0) <= next.term, "no entry is of a later term");
    this.#log.append(entries);
    this.#hardState = next;
    if (!changed && entries.length === 0) {
      // Nothing to write: done as soon as everything before it is.
      return this.#waiting?.promise ?? this.#inFlight?.promise ?? Promise.resolve();
    }
    this.#waiting ??= newGroup();
    if (changed) this.#waiting.hardState = next;
    this.#writing ??= this.#write();
    return this.#waiting.promise;
  }

  /**
   * Waits for everything that was given to `persist()`, and closes the files.
   *
   * @throws {StorageFailedError} when the file system fails.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#writing;
      if (this.#failure === undefined) {
        if (this.#hardState.commit !== this.#hardStateFiles.current.commit) {
          await this.#writeHardState(this.#hardState);
        }
        await this.#log.close();
      }
    } finally {
      this.#log.abandon();
      this.#hardStateFiles.close();
    }
  }

  /** Writes one group after the other until none is left. Never rejects. */
  async #write(): Promise<void> {
    // Lets the calls of this turn become one group.
    await undefined;
    while (this.#waiting !== undefined) {
      const group = this.#inFlight = this.#waiting;
      this.#waiting = undefined;
      const plan = this.#log.takePlan();
      try {
        if (group.hardState !== undefined) await this.#writeHardState(group.hardState);
        await this.#log.perform(plan);
        group.resolve();
      } catch (error) {
        this.#fail(group, error);
      }
    }
    this.#inFlight = undefined;
    this.#writing = undefined;
  }

  /** Writes term and vote, and of the commit index as much as the log is sure to hold. */
  async #writeHardState({ term, vote, commit }: HardState): Promise<void> {
    const sure = Math.min(commit, this.#log.durableIndex);
    await this.#hardStateFiles.write({ term, vote, commit: sure });
  }

  #fail(group: Group, error: unknown): void {
    this.#failure = error instanceof StorageFailedError
      ? error
      : storageError("write", "the log", error);
    group.reject(this.#failure);
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { hardState: undefined, promise, resolve, reject };
}

/** Makes the directory of a new shard. */
async function prepare(files: FileSystem, directory: string): Promise<void> {
  await makeDirectoryDurable(files, directory);
  const hasLog = files.list(directory).some(({ name }) => segmentFirstIndex(name) !== undefined);
  if (hasLog || (readHardState(files, directory)?.term ?? 0) > 0) {
    throw new CorruptFileError(joinPath(directory, "configuration"), "it is missing");
  }
}

function checkLog(log: SegmentedLog, hardState: HardState, directory: string): void {
  if (log.firstIndex !== 1) {
    throw new CorruptFileError(
      directory,
      `the log begins at ${log.firstIndex}: a segment is missing`,
    );
  }
  if (log.lastIndex < hardState.commit) {
    throw new CorruptFileError(
      directory,
      `the log ends at ${log.lastIndex}, but ${hardState.commit} was committed: its end is missing`,
    );
  }
  const lastTerm = log.term(log.lastIndex) ?? 0;
  if (lastTerm > hardState.term) {
    throw new CorruptFileError(
      joinPath(directory, "hard-state-a"),
      `it says term ${hardState.term}, but the log has entries of term ${lastTerm}`,
    );
  }
}

function readConfiguration(files: FileSystem, path: string): Configuration | undefined {
  const value = readCheckedFile(files, path, "configuration", configurationVersion);
  if (value === undefined) return undefined;
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = value as Configuration;
  for (const list of [voters, votersOutgoing, learners, learnersNext]) {
    if (!Array.isArray(list) || !list.every((id) => Number.isSafeInteger(id) && id > 0)) {
      throw new CorruptFileError(path, "it holds no configuration");
    }
  }
  return { voters, votersOutgoing, learners, learnersNext, autoLeave: autoLeave === true };
}
