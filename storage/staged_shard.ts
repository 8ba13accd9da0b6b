/**
 * A log and a snapshot from another node, while they arrive.
 *
 * Of the log, those entries come that the snapshot needs, and nobody else will ever ask for others: so
 * they go into sparse segments, and the log begins behind the snapshot.
 *
 * All is written to a directory of its own, as it will be used, and nothing refers to it. When
 * all is there and durable, `ShardStore.installSnapshot()` makes it the log of the shard. If the process
 * ends before, the directory is left over, and the next start removes it.
 *
 * @module
 */

import { MalformedRecordError } from "./errors.ts";
import { makeDirectoryDurable } from "./failures.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import { IndexSet } from "./index_set.ts";
import { completeOptions, type SegmentedLogOptions } from "./log_options.ts";
import { encodeRecords, type RecordEntry } from "./record.ts";
import { SegmentedLog } from "./segmented_log.ts";
import { removeLog } from "./shard_file.ts";
import {
  type Pause,
  type ShardSnapshotMetadata,
  SnapshotFileReader,
  SnapshotFileWriter,
  snapshotName,
  type StoredSnapshot,
} from "./snapshot_file.ts";
import { type ArchivedSegment, SparseSegmentWriter } from "./sparse_segment.ts";

/** What has arrived so far. */
export class StagedShard {
  readonly metadata: ShardSnapshotMetadata;
  /** The log, which begins behind the snapshot and is still empty. */
  readonly log: SegmentedLog;
  /** The entries that have arrived. */
  readonly held: IndexSet = new IndexSet();
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #options: SegmentedLogOptions;
  readonly #writer: SnapshotFileWriter;
  /** The segments that are finished. */
  readonly #archived: ArchivedSegment[] = [];
  #segment: SparseSegmentWriter | undefined;
  #lastEntry = { index: 0, term: 0 };
  #isAbandoned = false;
  #stored: StoredSnapshot | undefined;

  private constructor(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
    metadata: ShardSnapshotMetadata,
  ) {
    this.metadata = metadata;
    this.#files = files;
    this.#directory = directory;
    this.#options = options;
    const { index, term, neededIndex } = metadata;
    this.log = SegmentedLog.create(files, directory, options, index + 1, term);
    this.#writer = new SnapshotFileWriter(files, directory, options.shard, metadata);
    if (neededIndex <= index) this.#beginSegment(neededIndex);
  }

  /**
   * Makes the directory.
   *
   * @param files Where.
   * @param directory Its path; there is nothing.
   * @param options The settings of the log.
   * @param metadata What the snapshot stands for.
   * @returns Takes state and entries.
   * @throws {StorageFailedError} when the file system fails.
   */
  static async begin(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
    metadata: ShardSnapshotMetadata,
  ): Promise<StagedShard> {
    await makeDirectoryDurable(files, directory);
    const staged = new StagedShard(files, directory, options, metadata);
    await staged.log.perform(staged.log.takePlan());
    return staged;
  }

  /** What lies in front of the log, once all is there. */
  get archived(): readonly ArchivedSegment[] {
    return this.#archived;
  }

  /** The name of the directory. */
  get name(): string {
    return this.#directory.slice(this.#directory.lastIndexOf("/") + 1);
  }

  /** How much of the state has arrived. */
  get stateBytes(): number {
    return this.#writer.bytes;
  }

  /** The snapshot, once all is there and durable. */
  get stored(): StoredSnapshot | undefined {
    return this.#stored;
  }

  /**
   * Takes the next piece of the state.
   *
   * @param bytes The piece.
   */
  writeState(bytes: Uint8Array): void {
    this.#writer.write(bytes);
  }

  /**
   * Takes the next entries.
   *
   * @param entries Entries of rising indexes, decoded from records.
   * @throws {MalformedRecordError} when they cannot come here.
   */
  append(entries: readonly RecordEntry[]): void {
    const { index: lastIndex, term: lastTerm, neededIndex } = this.metadata;
    let { index, term } = this.#lastEntry;
    for (const entry of entries) {
      const isInRange = entry.index >= neededIndex && entry.index <= lastIndex;
      if (!isInRange || entry.index <= index || entry.term < term || entry.term > lastTerm) {
        throw new MalformedRecordError(
          entry.start,
          `entry ${entry.index} of term ${entry.term} cannot come after ${index} of term ${term}`,
        );
      }
      ({ index, term } = entry);
    }
    if (this.#isAbandoned) return;
    for (const entry of entries) this.held.add(entry.index);
    this.#segment?.write(encodeRecords(entries));
    this.#lastEntry = { index, term };
  }

  /**
   * Makes the entries durable that were taken.
   *
   * @param pause Called between pieces of work.
   * @returns When they are durable.
   * @throws {StorageFailedError} when the file system fails.
   */
  async flush(pause: Pause): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined || segment.records === 0) return;
    const { index, term } = this.#lastEntry;
    const isFull = segment.bytes >= completeOptions(this.#options).segmentBytesMax;
    if (!isFull || index === this.metadata.index) return await segment.sync();
    await this.#endSegment(index, term, pause);
    if (!this.#isAbandoned) this.#beginSegment(index + 1);
  }

  #beginSegment(firstIndex: number): void {
    const { shard } = this.#options;
    this.#segment = new SparseSegmentWriter(this.#files, this.#directory, shard, firstIndex);
  }

  async #endSegment(lastIndex: number, lastTerm: number, pause: Pause): Promise<void> {
    const segment = this.#segment;
    const archived = await segment?.finish(lastIndex, lastTerm, pause);
    if (archived === undefined || this.#isAbandoned) return;
    segment!.publish();
    this.#segment = undefined;
    this.#archived.push(archived);
  }

  /**
   * Makes all of it durable, and checks that it is what was sent.
   *
   * @param crc The CRC-32C of the state.
   * @param pause Called between pieces of work.
   * @returns Whether it is, and was not abandoned meanwhile.
   * @throws {StorageFailedError} when the file system fails.
   */
  async finish(crc: number, pause: Pause): Promise<boolean> {
    const { index, term } = this.metadata;
    await this.#endSegment(index, term, pause);
    if (this.#isAbandoned) return false;
    const stored = await this.#writer.finish(pause);
    if (stored?.crc !== crc) return false;
    this.#stored = stored;
    return true;
  }

  /**
   * Reads the state back, once it is finished and so has been checked.
   *
   * @returns The state, piece by piece.
   */
  readState(): Generator<Uint8Array> {
    const path = joinPath(this.#directory, snapshotName(this.metadata.index));
    return new SnapshotFileReader(this.#files, path, this.#stored!).pieces();
  }

  /** Closes the files. What has arrived is left over. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#segment?.abandon();
    this.#writer.abandon();
    this.log.abandon();
  }

  /**
   * Removes what has arrived. Nothing of it may be under way.
   *
   * @returns When it is gone for good.
   * @throws {StorageFailedError} when the file system fails.
   */
  async discard(): Promise<void> {
    this.abandon();
    await removeLog(this.#files, this.#directory, true);
  }
}
