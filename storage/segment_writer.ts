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
 * Where there is a spare segment (`spare_segments.ts`), the next one is made of it: it gets its new header,
 * and then its new name. All of it is room that is reserved then, with old records in place of zeros. Such
 * a file tells where its records end by how they were written, and must not be cut in between
 * (`record_group.ts`): to lose a suffix, it is replaced by a copy of what stays.
 *
 * Where a write finds the disk full it waits for room and is tried again: it goes to the same place, and
 * nothing counts on it yet. After any other failure, that of a sync above all, the writer must not be
 * used any more.
 *
 * @module
 */

import { DiskFullError } from "./errors.ts";
import { attempt, attemptAsync, storageError } from "./failures.ts";
import { type FileHandle, type FileSystem, readFull, writeAll } from "./file_system.ts";
import type { SegmentedLogOptions, WhenFull } from "./log_options.ts";
import { encodeMark, groupOf, markBytes, type RecordGroup } from "./record.ts";
import { encodeSegmentHeader, type Segment } from "./segment.ts";
import type { SpareSegments } from "./spare_segments.ts";
import type { Trash } from "./trash.ts";

/** How much of a segment is copied at once. */
const copyBytes = 1024 * 1024;

/** Plans that write more reserve nothing: zeros would only double what the disk has to write. */
const reservingBytesMax = 16 * 1024;

/** A segment is made. */
export interface CreateStep {
  readonly kind: "create";
  readonly segment: Segment;
}

/** Records are written, one after the other. */
export interface WriteStep {
  readonly kind: "write";
  readonly segment: Segment;
  readonly position: number;
  readonly buffer: Uint8Array;
  readonly start: number;
  end: number;
  /** Where room was left for a mark in front of the records: the index of the first of them. */
  readonly markedIndex?: number;
}

/** Something to do to the files. */
export type Step =
  | CreateStep
  | WriteStep
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

/** What to do to the files, in order, before one sync. */
export interface Plan {
  readonly steps: Step[];
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
  readonly #spares: SpareSegments;
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
   * @param options The settings of the log.
   * @param trash Takes segments that are dropped.
   * @param spares Gives files for new ones.
   */
  constructor(
    files: FileSystem,
    directory: string,
    options: Required<SegmentedLogOptions>,
    trash: Trash,
    spares: SpareSegments,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#zeros = new Uint8Array(options.reserveBytes);
    this.#whenFull = options.whenFull;
    this.#trash = trash;
    this.#spares = spares;
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
    const firstGroups = completeMarks(plan.steps, durableIndex);
    let unsynced = false;
    let written = 0;
    for (const step of plan.steps) {
      switch (step.kind) {
        case "create":
          if (this.#trim()) unsynced = true;
          if (unsynced) await this.#sync();
          await this.#create(step.segment, firstGroups.get(step)!);
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
          for (const { path } of step.removed) await this.#trash.discard([path], this.#spares);
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

  async #create(segment: Segment, firstGroup: RecordGroup): Promise<void> {
    this.close();
    const spare = this.#spares.take();
    if (spare === undefined) await this.#createFile(segment);
    else await this.#reuse(spare, segment, firstGroup);
    await this.#syncDirectory();
  }

  async #createFile(segment: Segment): Promise<void> {
    const path = segment.path;
    await this.#withRoom(() => {
      this.#file = attempt("create", path, () => {
        return this.#files.open(path, { write: true, createNew: true });
      });
    });
    this.#segment = segment;
    this.#end = this.#reservedEnd = 0;
    await this.#write(segment, encodeSegmentHeader(segment.header), 0);
  }

  /** Under the new name there is never another header than the new one. */
  async #reuse(spare: string, segment: Segment, firstGroup: RecordGroup): Promise<void> {
    const file = attempt("open", spare, () => this.#files.open(spare, { write: true }));
    this.#file = file;
    this.#segment = segment;
    const header = encodeSegmentHeader({ ...segment.header, firstGroup });
    await this.#withRoom(() => attempt("write", spare, () => writeAll(file, header, 0)));
    await attemptAsync("sync", spare, () => file.syncData());
    await this.#withRoom(() => {
      attempt("rename", spare, () => this.#files.rename(spare, segment.path));
    });
    segment.isReused = true;
    this.#end = header.length;
    this.#reservedEnd = file.size();
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
      this.#spares.giveBack();
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
    if (segment.isReused) await this.#replaceByCopy(segment, size);
    const file = this.#open(segment, size);
    this.#end = this.#reservedEnd = size;
    attempt("truncate", segment.path, () => file.truncateSync(size));
    await this.#sync();
  }

  /** Puts a file in the place of a segment's that holds its beginning and nothing else, unless it ends there. */
  async #replaceByCopy(segment: Segment, size: number): Promise<void> {
    this.close();
    const { path, header: { firstGroup: _none, ...header } } = segment;
    const fresh = `${path}.new`;
    const from = attempt("open", path, () => this.#files.open(path, { read: true }));
    if (from.size() === size) return from.close();
    const to = attempt("create", fresh, () => {
      return this.#files.open(fresh, { write: true, create: true });
    });
    try {
      attempt("truncate", fresh, () => to.truncateSync(0));
      const copy = new Uint8Array(copyBytes);
      for (let at = 0; at < size; at += copyBytes) {
        const bytes = copy.subarray(0, Math.min(copyBytes, size - at));
        attempt("read", path, () => {
          if (readFull(from, bytes, at) < bytes.length) throw new Error("The file got shorter");
        });
        if (at === 0) bytes.set(encodeSegmentHeader(header));
        await this.#withRoom(() => attempt("write", fresh, () => writeAll(to, bytes, at)));
        await attemptAsync("sync", fresh, () => to.syncData());
      }
    } finally {
      from.close();
      to.close();
    }
    await this.#withRoom(() => attempt("rename", fresh, () => this.#files.rename(fresh, path)));
    await this.#syncDirectory();
    segment.isReused = false;
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

/**
 * Writes the marks of a plan into the places that were left for them: each with the records behind it.
 *
 * @returns The first records of each segment that the plan makes.
 */
function completeMarks(
  steps: readonly Step[],
  durableIndex: number,
): Map<CreateStep, RecordGroup> {
  const firstGroups = new Map<CreateStep, RecordGroup>();
  let group: RecordGroup = { bytes: 0, checksum: 0 };
  for (const step of steps.toReversed()) {
    if (step.kind === "create") {
      firstGroups.set(step, group);
      group = { bytes: 0, checksum: 0 };
    } else if (step.kind === "write") {
      const { buffer, start, end, markedIndex: nextIndex, segment } = step;
      const isMarked = nextIndex !== undefined;
      const { bytes, checksum } = groupOf(buffer, isMarked ? start + markBytes : start, end);
      group = { bytes: group.bytes + bytes, checksum: (group.checksum + checksum) >>> 0 };
      if (isMarked) {
        encodeMark({ nextIndex, durableIndex, group }, buffer, start, segment.header.salt);
        group = { bytes: 0, checksum: 0 };
      }
    }
  }
  return firstGroups;
}
