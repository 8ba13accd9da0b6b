/**
 * The log of a shard: consecutive entries in segment files, and the newest of them in memory.
 *
 * What is appended can be read at once. It gets its place in a file, and in memory its final form,
 * right away; the file follows when the log is flushed ({@linkcode SegmentedLog.takePlan} and
 * {@linkcode SegmentedLog.perform}), many appends to one write and one sync. Encoded records go from
 * here to the file and to other nodes without another copy.
 *
 * Memory is bounded by the options, plus what is not yet durable. Entries that are no longer in
 * memory are read from their file in large pieces, so that whoever reads on finds the next ones
 * there.
 *
 * Invariants: segments follow on each other without a gap; `durableIndex <= lastIndex`; what is not
 * durable is in memory.
 *
 * @module
 */

import type { Entry } from "../raft/types.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import type { IndexSet } from "./index_set.ts";
import { invariant } from "./invariant.ts";
import { LogContents } from "./log_contents.ts";
import { completeOptions, type SegmentedLogOptions } from "./log_options.ts";
import { emptyLog, readLog, type RecoveredLog, settleLog, type TornTail } from "./log_recovery.ts";
import {
  encodeRecord,
  markBytes,
  recordBytes,
  recordDataBytesMax,
  type RecordEntry,
  verbatimRun,
} from "./record.ts";
import { Segment, segmentName } from "./segment.ts";
import { type Plan, SegmentWriter } from "./segment_writer.ts";
import type { ArchivedSegment } from "./sparse_segment.ts";
import { SpareSegments } from "./spare_segments.ts";
import { Trash } from "./trash.ts";

/** A run of received records this long is written from where it is, a shorter one is copied. */
const verbatimBytesMin = 32 * 1024;

/** A log in segment files. */
export class SegmentedLog {
  readonly #directory: string;
  readonly #options: Required<SegmentedLogOptions>;
  readonly #contents: LogContents;
  readonly #writer: SegmentWriter;
  /** What was cut off when the log was opened. */
  readonly tornTails: readonly TornTail[];
  /** Where membership changes were when the log was opened. */
  readonly changeIndexes: readonly number[];
  /** What was found in front of the log when it was opened. */
  readonly archive: readonly ArchivedSegment[];
  /** The entries that were found there, until somebody takes them. */
  archived: IndexSet | undefined;
  /** Where files of the log go that are not needed any more. */
  readonly trash: Trash;
  /** Which of them become its next segments. */
  readonly spares: SpareSegments;
  #plan: Plan;
  /** The least index that the plan cuts back to. */
  #planKeeps = Infinity;
  #durableIndex: number;
  #buffer = new Uint8Array();
  #bufferUsed = 0;
  /** The file ends in records that no mark speaks of. */
  #unmarked: boolean;

  private constructor(
    files: FileSystem,
    directory: string,
    options: Required<SegmentedLogOptions>,
    recovered: RecoveredLog,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#contents = new LogContents(files, recovered.segments, recovered.terms, options);
    this.tornTails = recovered.tornTails;
    this.changeIndexes = recovered.changeIndexes;
    this.archive = recovered.archive;
    this.archived = recovered.archived;
    this.trash = new Trash(files, directory, options.segmentBytesMax);
    this.spares = new SpareSegments(files, directory, options);
    this.#writer = new SegmentWriter(files, directory, options, this.trash, this.spares);
    this.#unmarked = recovered.endsUnmarked;
    this.#durableIndex = this.lastIndex;
    this.#plan = { steps: [], lastIndex: this.lastIndex };
  }

  /**
   * Opens the log in a directory: an empty one where there are no segments. A torn tail is cut off.
   *
   * @param files Where the directory is.
   * @param directory The directory.
   * @param options The settings.
   * @returns The log, with everything in it durable.
   * @throws {CorruptRecordError} when a record is damaged.
   * @throws {CorruptFileError} when a segment is missing or its header is damaged.
   * @throws {StorageFailedError} when the file system fails.
   */
  static async open(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
  ): Promise<SegmentedLog> {
    const complete = completeOptions(options);
    const recovered = readLog(files, directory, options.shard, complete.salt);
    await settleLog(files, directory, recovered);
    const log = new SegmentedLog(files, directory, complete, recovered);
    try {
      await log.#writeMark();
    } catch (error) {
      log.abandon();
      throw error;
    }
    return log;
  }

  /**
   * Makes a log that begins somewhere else than at 1, in a directory that has none.
   *
   * @param files Where the directory is.
   * @param directory The directory.
   * @param options The settings.
   * @param firstIndex Where it begins.
   * @param previousTerm The term of the entry before that.
   * @returns The log, still without entries. It is there once its first plan is carried out.
   */
  static create(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
    firstIndex: number,
    previousTerm: number,
  ): SegmentedLog {
    const log = new SegmentedLog(files, directory, completeOptions(options), emptyLog());
    log.#addSegment(firstIndex, previousTerm);
    log.#durableIndex = firstIndex - 1;
    return log;
  }

  /** The index of the first entry, or where it would be. */
  get firstIndex(): number {
    return this.#contents.firstIndex;
  }

  /** The index of the last entry, `firstIndex - 1` where there is none. */
  get lastIndex(): number {
    return this.#contents.lastIndex;
  }

  /** Entries up to here would survive a power cut. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** How many bytes the segments have, once all that was appended is written. */
  get bytes(): number {
    return this.#contents.bytes;
  }

  /** How many segments there are. */
  get segmentCount(): number {
    return this.#contents.segmentCount;
  }

  /** How much memory entries take. */
  get memoryBytes(): number {
    return this.#contents.memoryBytes;
  }

  /**
   * The term of an entry.
   *
   * @param index Its index.
   * @returns The term, also of the entry right before the first; `undefined` for any other index
   *   that is not in the log.
   */
  term(index: number): number | undefined {
    return this.#contents.term(index);
  }

  /**
   * Appends entries, in place of those which have their indexes and all behind.
   *
   * @param entries Consecutive entries that go on from one in the log, or from its beginning. The
   *   data of those that were decoded from records belong to the log from now on; others are copied.
   */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(
      first.index >= this.firstIndex && first.index <= this.lastIndex + 1,
      `entry ${first.index} goes on from the log ${this.firstIndex} to ${this.lastIndex}`,
    );
    if (first.index <= this.lastIndex) this.#truncateSuffix(first.index - 1);
    for (let i = 0; i < entries.length;) {
      const run = verbatimRun(entries, i);
      if (run === 0) {
        this.#encode(entries[i]!);
        i++;
      } else {
        this.#appendRun(entries as readonly RecordEntry[], i, i + run);
        i += run;
      }
    }
    this.#contents.evict(this.#durableIndex);
  }

  /**
   * Drops segments from the beginning of the log.
   *
   * @param lastIndex The last index that may go. Whole segments go, of what is durable; never the newest.
   * @param before Segments in front of the log that go before those, the oldest first.
   * @returns How many segments go, once the plan is carried out.
   */
  truncatePrefix(lastIndex: number, before: readonly { readonly path: string }[] = []): number {
    const own = this.#contents.truncatePrefix(Math.min(lastIndex, this.#durableIndex));
    const removed = [...before, ...own];
    if (removed.length > 0) this.#plan.steps.push({ kind: "drop", removed });
    return removed.length;
  }

  /** All segments as they are now, the oldest first. */
  get segments(): ArchivedSegment[] {
    return this.#contents.segments;
  }

  /**
   * Lists segments that are durable, and surely followed by another one on disk.
   *
   * @param lastIndex The last index that one may have.
   * @returns The segments, the oldest first.
   */
  closedSegments(lastIndex: number): ArchivedSegment[] {
    const last = Math.min(lastIndex, this.#durableIndex - 1);
    return this.segments.slice(0, -1).filter((segment) => segment.lastIndex <= last);
  }

  /**
   * Gives up segments at the beginning of the log, whose files stay.
   *
   * @param lastIndex The last index of one of the {@linkcode closedSegments}.
   */
  releasePrefix(lastIndex: number): void {
    this.#contents.truncatePrefix(lastIndex);
    invariant(this.firstIndex === lastIndex + 1, "segments are released as a whole");
  }

  /** How many bytes of segments there are from an index on. */
  bytesFrom(index: number): number {
    return this.#contents.bytesFrom(index);
  }

  /** Whether there is something to write. */
  get isDirty(): boolean {
    return this.#plan.steps.length > 0;
  }

  /**
   * Takes what has been appended since the last call, to write it.
   *
   * @returns The plan. It must be carried out before the next one is taken.
   */
  takePlan(): Plan {
    const plan = this.#plan;
    plan.lastIndex = this.lastIndex;
    this.#plan = { steps: [], lastIndex: this.lastIndex };
    this.#planKeeps = Infinity;
    return plan;
  }

  /**
   * Carries out a plan.
   *
   * @param plan The plan.
   * @returns When what it appends is durable.
   * @throws {StorageFailedError} when the file system fails. The log must not be written any more.
   */
  async perform(plan: Plan): Promise<void> {
    await this.#writer.perform(plan, this.#durableIndex);
    this.#durableIndex = Math.min(plan.lastIndex, this.#planKeeps);
    this.#contents.evict(this.#durableIndex);
  }

  /**
   * An entry.
   *
   * @param index The index of an entry in the log.
   * @returns The entry. Its data are a view of bytes that never change.
   * @throws {CorruptRecordError} when it had to be read from its file and is damaged.
   */
  entry(index: number): RecordEntry {
    return this.#contents.entry(index);
  }

  /**
   * Some entries.
   *
   * @param low The index of the first, which is in the log.
   * @param high Where to stop, before this index, at most one behind the log.
   * @param bytesMax Where to stop, after so many bytes of data and at least one entry.
   * @returns The entries. Their data are views of bytes that never change.
   * @throws {CorruptRecordError} when one had to be read from its file and is damaged.
   */
  entries(low: number, high: number, bytesMax: number): RecordEntry[] {
    return this.#contents.entries(low, high, bytesMax);
  }

  /**
   * The records of some entries.
   *
   * @param low The index of the first, which is in the log.
   * @param high Where to stop, before this index, at most one behind the log.
   * @param bytesMax Where to stop, after so many bytes and at least one record.
   * @returns The records in a few spans. They are views of bytes that never change.
   * @throws {CorruptRecordError} when one had to be read from its file and is damaged.
   */
  records(low: number, high: number, bytesMax: number): Uint8Array[] {
    return this.#contents.records(low, high, bytesMax);
  }

  /**
   * Ends the file with a mark, so that even its last records cannot be taken for a torn tail, and
   * closes it. Everything that was planned must have been carried out.
   *
   * @throws {StorageFailedError} when the file system fails.
   */
  async close(): Promise<void> {
    invariant(!this.isDirty, "a log is flushed before it is closed");
    try {
      await this.#writeMark();
      await this.#writer.finish();
    } finally {
      this.#writer.close();
    }
  }

  /** Closes the file after a failure. */
  abandon(): void {
    this.#writer.close();
  }

  /** Makes sure that what the file ends in is called durable by a mark. */
  async #writeMark(): Promise<void> {
    const segment = this.#contents.newestSegment;
    if (!this.#unmarked || segment === undefined) return;
    this.#planMark(segment);
    await this.perform(this.takePlan());
  }

  #truncateSuffix(lastIndex: number): void {
    const { removed, segment, size } = this.#contents.truncateSuffix(lastIndex);
    this.#plan.steps.push({ kind: "truncate", removed, segment, size });
    this.#durableIndex = Math.min(this.#durableIndex, lastIndex);
    this.#planKeeps = Math.min(this.#planKeeps, lastIndex);
  }

  /** Appends an entry that has no record yet. */
  #encode(entry: Entry): void {
    if (entry.data.length > recordDataBytesMax) {
      throw new RangeError(
        `Cannot append an entry as its data are longer than ${recordDataBytesMax} bytes: ` +
          `current value is ${entry.data.length}`,
      );
    }
    const size = recordBytes(entry.data.length);
    const segment = this.#makeRoom(size, entry.term);
    const start = this.#take(size);
    encodeRecord(entry, this.#buffer, start);
    this.#place(segment, this.#buffer, start, start + size, entry);
  }

  /** Appends entries whose records lie one after the other, without making them anew. */
  #appendRun(entries: readonly RecordEntry[], from: number, to: number): void {
    const long = entries[to - 1]!.end - entries[from]!.start >= verbatimBytesMin;
    for (let i = from; i < to; i++) {
      const entry = entries[i]!;
      const size = entry.end - entry.start;
      const segment = this.#makeRoom(size, entry.term);
      if (long) {
        this.#place(segment, entry.bytes, entry.start, entry.end, entry);
      } else {
        const start = this.#take(size);
        this.#buffer.set(entry.bytes.subarray(entry.start, entry.end), start);
        this.#place(segment, this.#buffer, start, start + size, entry);
      }
    }
  }

  /** The segment for the next record. */
  #makeRoom(size: number, term: number): Segment {
    let segment = this.#contents.newestSegment;
    if (segment === undefined || this.#isFull(segment, size)) {
      const firstIndex = this.lastIndex + 1;
      const previousTerm = this.#contents.lastTerm;
      invariant(term >= previousTerm, "terms in a log never fall");
      segment = this.#addSegment(firstIndex, previousTerm);
    } else if (!this.#planWrites()) {
      this.#planMark(segment);
    }
    return segment;
  }

  /** Begins a segment. */
  #addSegment(firstIndex: number, previousTerm: number): Segment {
    const { shard, salt } = this.#options;
    const path = joinPath(this.#directory, segmentName(firstIndex));
    const segment = new Segment(path, { shard, firstIndex, previousTerm, salt });
    this.#contents.addSegment(segment);
    this.#plan.steps.push({ kind: "create", segment });
    return segment;
  }

  #isFull(segment: Segment, size: number): boolean {
    const isEmpty = segment.lastIndex < segment.firstIndex;
    return !isEmpty && segment.bytes + size > this.#options.segmentBytesMax;
  }

  /** Whether the plan is writing already: what is written without a break has one mark before it. */
  #planWrites(): boolean {
    const last = this.#plan.steps.at(-1);
    return last?.kind === "create" || last?.kind === "write";
  }

  /** Leaves room for a mark, with which a write begins. */
  #planMark(segment: Segment): void {
    const start = this.#take(markBytes);
    this.#plan.steps.push({
      kind: "write",
      segment,
      position: segment.bytes,
      buffer: this.#buffer,
      start,
      end: start + markBytes,
      markedIndex: segment.lastIndex + 1,
    });
    segment.bytes += markBytes;
    this.#unmarked = false;
  }

  /** Takes room for encoding; it is zero. */
  #take(size: number): number {
    if (this.#bufferUsed + size > this.#buffer.length) {
      this.#buffer = new Uint8Array(Math.max(size, this.#options.bufferBytes));
      this.#bufferUsed = 0;
    }
    const start = this.#bufferUsed;
    this.#bufferUsed += size;
    return start;
  }

  /** Gives a record that is ready its place in file and memory. */
  #place(segment: Segment, buffer: Uint8Array, start: number, end: number, entry: Entry): void {
    this.#planWrite(segment, buffer, start, end);
    this.#contents.addRecord(buffer, start, end, entry.index, entry.term);
    this.#unmarked = true;
  }

  #planWrite(segment: Segment, buffer: Uint8Array, start: number, end: number): void {
    const last = this.#plan.steps.at(-1);
    if (
      last?.kind === "write" && last.buffer === buffer && last.end === start &&
      last.segment === segment
    ) {
      last.end = end;
    } else {
      const position = segment.bytes;
      this.#plan.steps.push({ kind: "write", segment, position, buffer, start, end });
    }
  }
}
