/**
 * What a log holds and where it is, as its readers see it: the newest entries in memory, the others
 * in files. Nothing here writes to a file.
 *
 * Invariants: segments follow on each other without a gap; what a file may not yet hold, or not yet
 * in its final form, is in memory.
 *
 * @module
 */

import { CorruptRecordError } from "./errors.ts";
import { attempt } from "./failures.ts";
import type { FileSystem } from "./file_system.ts";
import { invariant } from "./invariant.ts";
import type { RecordEntry } from "./record.ts";
import { LoadedBlocks, RecentBlocks, RecordBlock } from "./record_block.ts";
import type { Segment } from "./segment.ts";
import { readSegment } from "./segment_reader.ts";
import { type ArchivedSegment, archivedSegment } from "./sparse_segment.ts";
import type { TermRuns } from "./term_runs.ts";

/** Bounds for the memory of a log, and how it is read. */
export interface LogContentsOptions {
  readonly recentBytesMax: number;
  readonly loadedBytesMax: number;
  readonly readAheadBytes: number;
}

/** What must be done to the files for a suffix to be gone. */
export interface SuffixCut {
  /** The segments that go, the newest first. */
  readonly removed: readonly Segment[];
  /** The segment that loses its end, if one does. */
  readonly segment: Segment | undefined;
  /** The length that is left of it. */
  readonly size: number;
}

/** The entries of a log. */
export class LogContents {
  readonly #files: FileSystem;
  readonly #options: LogContentsOptions;
  readonly #segments: Segment[];
  readonly #terms: TermRuns;
  readonly #recent: RecentBlocks;
  readonly #loaded: LoadedBlocks;
  /** Whoever asks for a message of an entry will ask for the next one of it. */
  #lastEntry: RecordEntry | undefined;

  /**
   * @param files Where the segments are.
   * @param segments What was found in them. The contents own the array from now on.
   * @param terms The terms that were found.
   * @param options Bounds.
   */
  constructor(
    files: FileSystem,
    segments: Segment[],
    terms: TermRuns,
    options: LogContentsOptions,
  ) {
    this.#files = files;
    this.#options = options;
    this.#segments = segments;
    this.#terms = terms;
    this.#recent = new RecentBlocks(options.recentBytesMax);
    this.#loaded = new LoadedBlocks(options.loadedBytesMax);
  }

  /** The index of the first entry, or where it would be. */
  get firstIndex(): number {
    return this.#segments[0]?.firstIndex ?? 1;
  }

  /** The index of the last entry, `firstIndex - 1` where there is none. */
  get lastIndex(): number {
    return this.#segments.at(-1)?.lastIndex ?? 0;
  }

  /** The term of the last entry, 0 where there is none. */
  get lastTerm(): number {
    return this.term(this.lastIndex) ?? 0;
  }

  /** How many bytes the segments have, once all that was appended is written. */
  get bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.bytes;
    return bytes;
  }

  /** How many segments there are. */
  get segmentCount(): number {
    return this.#segments.length;
  }

  /**
   * How many bytes of segments there are from an index on.
   *
   * @param index Any index.
   * @returns The length of the segments that end at the index or behind it.
   */
  bytesFrom(index: number): number {
    let bytes = 0;
    for (const segment of this.#segments) if (segment.lastIndex >= index) bytes += segment.bytes;
    return bytes;
  }

  /** The segment that is appended to. */
  get newestSegment(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** How much memory entries take. */
  get memoryBytes(): number {
    return this.#recent.cost + this.#loaded.cost;
  }

  /** The term of an entry, see {@linkcode SegmentedLog.term}. */
  term(index: number): number | undefined {
    if (index < this.firstIndex - 1 || index > this.lastIndex) return undefined;
    if (index < this.firstIndex) return this.#segments[0]?.header.previousTerm ?? 0;
    return this.#terms.termAt(index);
  }

  /** An entry, see {@linkcode SegmentedLog.entry}. */
  entry(index: number): RecordEntry {
    if (this.#lastEntry?.index === index) return this.#lastEntry;
    return this.#lastEntry = this.#block(index).entry(index);
  }

  /** Some entries, see {@linkcode SegmentedLog.entries}. */
  entries(low: number, high: number, bytesMax: number): RecordEntry[] {
    const entries: RecordEntry[] = [];
    let bytes = 0;
    for (let index = low; index < high;) {
      const block = this.#block(index);
      const last = Math.min(high - 1, block.lastIndex);
      for (; index <= last; index++) {
        const entry = block.entry(index);
        bytes += entry.data.length;
        if (bytes > bytesMax && entries.length > 0) return entries;
        entries.push(entry);
      }
    }
    return entries;
  }

  /** The records of some entries, see {@linkcode SegmentedLog.records}. */
  records(low: number, high: number, bytesMax: number): Uint8Array[] {
    const spans: Uint8Array[] = [];
    let left = bytesMax;
    for (let index = low; index < high;) {
      const block = this.#block(index);
      const known = spans.length;
      index = block.spans(index, high, left, spans);
      if (index <= block.lastIndex) break;
      for (let i = known; i < spans.length; i++) left -= spans[i]!.length;
    }
    return spans;
  }

  /** Adds a segment, still empty, behind all others. */
  addSegment(segment: Segment): void {
    invariant(
      this.#segments.length === 0 || segment.firstIndex === this.lastIndex + 1,
      "segments leave no gap",
    );
    this.#segments.push(segment);
  }

  /**
   * Adds a record behind all others, at the end of the newest segment.
   *
   * @param buffer The bytes that it is in.
   * @param start Where in them it begins.
   * @param end Where in them it ends.
   * @param index Its index.
   * @param term Its term.
   */
  addRecord(buffer: Uint8Array, start: number, end: number, index: number, term: number): void {
    const segment = this.#segments.at(-1)!;
    invariant(index === segment.lastIndex + 1, "entries are consecutive");
    this.#terms.append(index, term);
    this.#recent.push(segment, buffer, segment.bytes - start, index, start, end);
    segment.append(end - start);
  }

  /**
   * Forgets the entries behind an index.
   *
   * @param lastIndex The last index that stays.
   * @returns What must be done to the files.
   */
  truncateSuffix(lastIndex: number): SuffixCut {
    const segment = this.#segments.findLast(({ firstIndex }) => firstIndex <= lastIndex) ??
      this.#base;
    const isCut = segment !== undefined && segment.lastIndex > lastIndex;
    // This may have to read, and fail; all that follows cannot.
    const size = isCut ? this.#block(lastIndex + 1).position(lastIndex + 1) : 0;
    const removed: Segment[] = [];
    while (this.#segments.at(-1) !== segment) removed.push(this.#segments.pop()!);
    if (isCut) segment.truncateSuffix(lastIndex, size);
    this.#terms.truncateSuffix(lastIndex);
    this.#recent.truncateSuffix(lastIndex);
    this.#loaded.truncateSuffix(lastIndex);
    this.#lastEntry = undefined;
    return { removed, segment: isCut ? segment : undefined, size };
  }

  /**
   * Forgets segments at the beginning. The newest one stays: it says where the log goes on.
   *
   * @param lastIndex The last index that may go.
   * @returns The segments that go, the oldest first.
   */
  truncatePrefix(lastIndex: number): Segment[] {
    let count = 0;
    while (count < this.#segments.length - 1 && this.#segments[count]!.lastIndex <= lastIndex) {
      count++;
    }
    const removed = this.#segments.splice(0, count);
    if (count === 0) return removed;
    this.#recent.truncatePrefix(this.firstIndex);
    this.#loaded.truncatePrefix(this.firstIndex);
    if (this.#lastEntry !== undefined && this.#lastEntry.index < this.firstIndex) {
      this.#lastEntry = undefined;
    }
    return removed;
  }

  /** All segments as they are now, the oldest first. */
  get segments(): ArchivedSegment[] {
    return this.#segments.map((segment) => {
      return archivedSegment(segment, this.term(segment.lastIndex)!);
    });
  }

  /** Frees memory beyond the bounds, but none of what is not durable. */
  evict(durableIndex: number): void {
    this.#recent.evict(durableIndex);
  }

  /** The block that holds an index, from memory or from its file. */
  #block(index: number): RecordBlock {
    return this.#recent.find(index) ?? this.#loaded.find(index) ?? this.#load(index);
  }

  /** Reads a block from its file. */
  #load(index: number): RecordBlock {
    invariant(index >= this.firstIndex && index <= this.lastIndex, `the log holds ${index}`);
    const segment = this.#segmentOf(index);
    const { path, header: { salt } } = segment;
    const before = this.#loaded.endingBefore(index);
    const place = before?.segment === segment
      ? { nextIndex: index, position: before.endPosition }
      : segment.places.before(index);
    const file = attempt("open", path, () => this.#files.open(path, { read: true }));
    try {
      const chunks = readSegment(file, {
        ...place,
        previousTerm: this.term(place.nextIndex - 1)!,
        salt,
        size: segment.bytes,
        chunkBytes: this.#options.readAheadBytes,
        reuse: false,
      });
      let next = attempt("read", path, () => chunks.next());
      for (; !next.done; next = attempt("read", path, () => chunks.next())) {
        const { bytes, position, firstIndex, offsets } = next.value;
        if (index >= firstIndex + offsets.length) continue;
        // What is newer in memory may not yet be so in the file.
        offsets.length = Math.min(offsets.length, this.#memoryIndex - firstIndex);
        const block = new RecordBlock(segment, bytes, position, firstIndex, offsets, bytes.length);
        this.#loaded.push(block);
        return block;
      }
      const { position, nextIndex, fault } = next.value;
      throw new CorruptRecordError(path, position, nextIndex, fault?.reason ?? "it is gone");
    } finally {
      file.close();
    }
  }

  /** The segment that says where a log begins which does not begin at 1: it stays, be it empty. */
  get #base(): Segment | undefined {
    return this.firstIndex === 1 ? undefined : this.#segments[0];
  }

  /** From here on all entries are in memory. */
  get #memoryIndex(): number {
    return this.#recent.firstIndex ?? this.lastIndex + 1;
  }

  #segmentOf(index: number): Segment {
    const segments = this.#segments;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (segments[middle]!.firstIndex <= index) low = middle;
      else high = middle - 1;
    }
    return segments[low]!;
  }
}
