/**
 * The hand that writes segments: carries out what the log has planned, in order, and then makes it
 * durable.
 *
 * A plan is made in memory at once (`segmented_log.ts`) and carried out here while the next one
 * grows. The order of steps and syncs is what recovery counts on:
 *
 * - A segment is synced in full before the next one is made, so a torn tail is in the newest only.
 * - To cut a suffix, later segments go first, the newest before the others, each surely gone before
 *   the next; then the file is cut and synced; only then is anything written in their place. So a
 *   crash leaves a longer or a shorter log, but never old records behind new ones.
 * - To drop a prefix, what is before that step is made durable, then its segments go, the oldest before
 *   the others, each surely gone before the next: a crash leaves a longer log, and never a gap. Their
 *   space is given back behind that (`trash.ts`).
 *
 * From the second in a row on, small writes go into room that was reserved for them, with zeros: a sync
 * of what does not make its file longer takes the file system no journal, and a third less time. What is
 * reserved and not used is cut off before the next segment is made, and at an orderly end.
 *
 * Where a write finds the disk full it waits for room and is tried again: it goes to the same place, and
 * nothing counts on it yet. After any other failure, that of a sync above all, the writer must not be
 * used any more.
 *
 * @module
 */

import { DiskFullError } from "./errors.ts";
import { attempt, attemptAsync, storageError } from "./failures.ts";
import { type FileHandle, type FileSystem, writeAll } from "./file_system.ts";
import type { WhenFull } from "./log_options.ts";
import { encodeMark } from "./record.ts";
import { encodeSegmentHeader, type Segment } from "./segment.ts";
import type { Trash } from "./trash.ts";

/** Plans that write more reserve nothing: zeros would only double what the disk has to write. */
const reservingBytesMax = 16 * 1024;

/** Something to do to the files. */
export type Step =
  | { readonly kind: "create"; readonly segment: Segment }
  | {
    readonly kind: "write";
    readonly segment: Segment;
    readonly position: number;
    readonly buffer: Uint8Array;
    readonly start: number;
    end: number;
  }
  | {
    readonly kind: "truncate";
    /** The segments that go, the newest first. */
    readonly removed: readonly Segment[];
    /** The segment that loses its end. */
    readonly segment: Segment | undefined;
    readonly size: number;
  }
  | {
    readonly kind: "drop";
    /** The segments that go, the oldest first. */
    readonly removed: readonly { readonly path: string }[];
  };

/** A place that was left for a mark. It is made when the plan is carried out. */
export interface PlannedMark {
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly nextIndex: number;
  readonly salt: number;
}

/** What to do to the files, in order, before one sync. */
export interface Plan {
  readonly steps: Step[];
  mark?: PlannedMark;
  /** The last index of the log once the plan is carried out. */
  lastIndex: number;
}

/** Writes to the newest segment of a log. */
export class SegmentWriter {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #whenFull: WhenFull;
  readonly #zeros: Uint8Array;
  readonly #trash: Trash;
  #segment: Segment | undefined;
  #file: FileHandle | undefined;
  /** Where the file ends without what is reserved, and with it. */
  #end = 0;
  #reservedEnd = 0;
  /** Whether the last plan wrote little. */
  #wasSmall = false;

  /**
   * @param files Where the segments are.
   * @param directory Their directory.
   * @param reserveBytes How much room to reserve for small writes.
   * @param whenFull Waits for room on the disk.
   * @param trash Takes segments that are dropped.
   */
  constructor(
    files: FileSystem,
    directory: string,
    reserveBytes: number,
    whenFull: WhenFull,
    trash: Trash,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#zeros = new Uint8Array(reserveBytes);
    this.#whenFull = whenFull;
    this.#trash = trash;
  }

  /**
   * Carries out a plan.
   *
   * @param plan The plan.
   * @param durableIndex The last index that is durable before it.
   * @returns When all of it is durable.
   * @throws {StorageFailedError} when a call of the file system fails.
   */
  async perform(plan: Plan, durableIndex: number): Promise<void> {
    const { steps, mark } = plan;
    if (mark !== undefined) {
      encodeMark(mark.buffer, mark.start, mark.nextIndex, durableIndex, mark.salt);
    }
    let unsynced = false;
    let written = 0;
    for (const step of steps) {
      switch (step.kind) {
        case "create":
          if (this.#trim()) unsynced = true;
          if (unsynced) await this.#sync();
          await this.#create(step.segment);
          unsynced = true;
          break;
        case "write": {
          const bytes = step.buffer.subarray(step.start, step.end);
          const room = this.#write(step.segment, bytes, step.position);
          if (room !== undefined) await room;
          written += bytes.length;
          unsynced = true;
          break;
        }
        case "truncate":
          await this.#truncate(step.removed, step.segment, step.size);
          unsynced = false;
          break;
        case "drop":
          // The segment that the log then begins with must be there to stay.
          if (unsynced) await this.#sync();
          unsynced = false;
          for (const { path } of step.removed) await this.#trash.discard([path]);
          break;
      }
    }
    if (!unsynced) return;
    this.#reserveFor(written);
    await this.#sync();
  }

  /**
   * Gives back what is reserved, and closes the file.
   *
   * @throws {StorageFailedError} when a call of the file system fails.
   */
  async finish(): Promise<void> {
    if (this.#trim()) await this.#sync();
    this.close();
  }

  /** Closes the file as it is. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#segment = undefined;
  }

  async #create(segment: Segment): Promise<void> {
    this.close();
    const path = segment.path;
    await this.#withRoom(() => {
      this.#file = attempt("create", path, () => {
        return this.#files.open(path, { write: true, createNew: true });
      });
    });
    this.#segment = segment;
    this.#end = this.#reservedEnd = 0;
    await this.#write(segment, encodeSegmentHeader(segment.header), 0);
    await this.#syncDirectory();
  }

  /** @returns A promise where it has to wait for room on the disk. */
  #write(segment: Segment, bytes: Uint8Array, position: number): Promise<void> | undefined {
    return this.#withRoom(() => {
      const file = this.#open(segment, position);
      attempt("write", segment.path, () => writeAll(file, bytes, position));
      this.#end = position + bytes.length;
      this.#reservedEnd = Math.max(this.#reservedEnd, this.#end);
    });
  }

  /** Reserves room where there is none left, and writes are small. */
  #reserveFor(written: number): void {
    const wasSmall = this.#wasSmall;
    this.#wasSmall = written <= reservingBytesMax;
    if (!wasSmall || !this.#wasSmall || this.#reservedEnd > this.#end) return;
    this.#reservedEnd += this.#zeros.length;
    try {
      writeAll(this.#file!, this.#zeros, this.#end);
    } catch (error) {
      // A full disk is met by those who have something to write; they find what room there was.
      const failure = storageError("write", this.#segment!.path, error);
      if (!(failure instanceof DiskFullError)) throw failure;
    }
  }

  /** Cuts off what is reserved and not used. @returns Whether that is yet to be synced. */
  #trim(): boolean {
    if (this.#file === undefined || this.#reservedEnd === this.#end) return false;
    attempt("truncate", this.#segment!.path, () => this.#file!.truncateSync(this.#end));
    this.#reservedEnd = this.#end;
    return true;
  }

  /**
   * Does what takes room on the disk, as often as it needs until there is some.
   *
   * @returns A promise where it has to wait.
   */
  #withRoom(work: () => void): Promise<void> | undefined {
    try {
      work();
      return undefined;
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      return this.#whenFull(error).then(() => this.#withRoom(work));
    }
  }

  async #truncate(
    removed: readonly Segment[],
    segment: Segment | undefined,
    size: number,
  ): Promise<void> {
    if (removed.length > 0) this.close();
    await this.#remove(removed);
    if (segment === undefined) return;
    const file = this.#open(segment, size);
    this.#end = this.#reservedEnd = size;
    attempt("truncate", segment.path, () => file.truncateSync(size));
    await this.#sync();
  }

  /** Removes segments in this order. */
  async #remove(removed: readonly { readonly path: string }[]): Promise<void> {
    for (const { path } of removed) {
      attempt("remove", path, () => this.#files.remove(path));
      await this.#syncDirectory();
    }
  }

  /** The file of a segment, which ends at `end` if it is not open yet. */
  #open(segment: Segment, end: number): FileHandle {
    if (this.#file === undefined || this.#segment !== segment) {
      this.close();
      this.#file = attempt("open", segment.path, () => {
        return this.#files.open(segment.path, { write: true });
      });
      this.#segment = segment;
      this.#end = this.#reservedEnd = end;
    }
    return this.#file;
  }

  #sync(): Promise<void> {
    const { path } = this.#segment!;
    return attemptAsync("sync", path, () => this.#file!.syncData());
  }

  #syncDirectory(): Promise<void> {
    const directory = this.#directory;
    return attemptAsync("sync", directory, () => this.#files.syncDirectory(directory));
  }
}
