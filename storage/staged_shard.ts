/**
 * A log and a snapshot from another node, while they arrive.
 *
 * They are written to a directory of their own, as they will be used, and nothing refers to it. When
 * all is there and durable, `ShardStore.installSnapshot()` makes it the log of the shard. If the process
 * ends before, the directory is left over, and the next start removes it.
 *
 * @module
 */

import type { Entry } from "../raft/types.ts";
import { MalformedRecordError } from "./errors.ts";
import { makeDirectoryDurable } from "./failures.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import type { SegmentedLogOptions } from "./log_options.ts";
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

/** What has arrived so far. */
export class StagedShard {
  readonly metadata: ShardSnapshotMetadata;
  /** The log, which begins with the first entry that the snapshot needs. */
  readonly log: SegmentedLog;
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #writer: SnapshotFileWriter;
  #stored: StoredSnapshot | undefined;

  private constructor(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
    metadata: ShardSnapshotMetadata,
    previousTerm: number,
  ) {
    this.metadata = metadata;
    this.#files = files;
    this.#directory = directory;
    const { neededIndex } = metadata;
    this.log = SegmentedLog.create(files, directory, options, neededIndex, previousTerm);
    this.#writer = new SnapshotFileWriter(files, directory, options.shard, metadata);
  }

  /**
   * Makes the directory.
   *
   * @param files Where.
   * @param directory Its path; there is nothing.
   * @param options The settings of the log.
   * @param metadata What the snapshot stands for.
   * @param previousTerm The term of the entry before the first one that it needs.
   * @returns Takes state and entries.
   * @throws {StorageFailedError} when the file system fails.
   */
  static async begin(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
    metadata: ShardSnapshotMetadata,
    previousTerm: number,
  ): Promise<StagedShard> {
    await makeDirectoryDurable(files, directory);
    const staged = new StagedShard(files, directory, options, metadata, previousTerm);
    await staged.flush();
    return staged;
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
   * @param entries Consecutive entries, decoded from records.
   * @throws {MalformedRecordError} when they do not go on where the log ends.
   */
  append(entries: readonly Entry[]): void {
    const { log } = this;
    let term = log.term(log.lastIndex) ?? 0;
    for (const [i, entry] of entries.entries()) {
      const due = log.lastIndex + 1 + i;
      if (entry.index !== due || entry.index > this.metadata.index || entry.term < term) {
        throw new MalformedRecordError(
          0,
          `entry ${entry.index} of term ${entry.term} is not what is due at ${due}`,
        );
      }
      term = entry.term;
    }
    log.append(entries);
  }

  /**
   * Writes the entries that were taken.
   *
   * @returns When they are durable.
   * @throws {StorageFailedError} when the file system fails.
   */
  async flush(): Promise<void> {
    if (this.log.isDirty) await this.log.perform(this.log.takePlan());
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
    await this.flush();
    const { index, term } = this.metadata;
    if (this.log.lastIndex !== index || this.log.term(index) !== term) return false;
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
