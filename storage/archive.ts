/**
 * What lies in front of a log: segments that Raft has no use for any more, since a snapshot stands
 * for them, with the entries that hold messages which are still needed. Most are sparse
 * (`sparse_segment.ts`); some have all of their records.
 *
 * An entry is asked for by its index, and is there, or is damage: nobody asks for what was left out.
 *
 * Invariants: segments follow on each other without a gap, up to where the log begins; the last one
 * is sparse, for nothing else would keep it here.
 *
 * @module
 */

import { CorruptRecordError } from "./errors.ts";
import { attempt } from "./failures.ts";
import type { FileSystem } from "./file_system.ts";
import { invariant } from "./invariant.ts";
import { readU64, RecordEntry } from "./record.ts";
import { readSegment } from "./segment_reader.ts";
import type { ArchivedSegment } from "./sparse_segment.ts";

/** Bounds for the memory of an archive, and how it is read. */
export interface ArchiveOptions {
  readonly loadedBytesMax: number;
  readonly readAheadBytes: number;
}

/** Segments in front of a log. */
export class Archive {
  readonly #files: FileSystem;
  readonly #options: ArchiveOptions;
  #segments: ArchivedSegment[];
  /** What was read, the longest unused first. */
  readonly #blocks: Block[] = [];
  #blockBytes = 0;
  /** Whoever asks for a message of an entry will ask for the next one of it. */
  #lastEntry: RecordEntry | undefined;

  /**
   * @param files Where the segments are.
   * @param options Bounds.
   * @param segments What is there, the oldest first.
   */
  constructor(
    files: FileSystem,
    options: ArchiveOptions,
    segments: readonly ArchivedSegment[] = [],
  ) {
    this.#files = files;
    this.#options = options;
    this.#segments = [...segments];
  }

  /** The segments, the oldest first. */
  get segments(): readonly ArchivedSegment[] {
    return this.#segments;
  }

  /** The first index that the archive stands for, or `undefined` where it is empty. */
  get firstIndex(): number | undefined {
    return this.#segments[0]?.firstIndex;
  }

  /** How many bytes the segments have. */
  get bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.bytes;
    return bytes;
  }

  /** How much memory entries take. */
  get memoryBytes(): number {
    return this.#blockBytes;
  }

  /**
   * An entry.
   *
   * @param index The index of an entry that is needed, before the log.
   * @returns The entry. Its data are a view of bytes that never change.
   * @throws {CorruptRecordError} when it is damaged, or missing.
   */
  entry(index: number): RecordEntry {
    if (this.#lastEntry?.index === index) return this.#lastEntry;
    const block = this.#find(index) ?? this.#load(index);
    const offset = block.offsetOf(index);
    if (offset === undefined) {
      throw new CorruptRecordError(block.segment.path, block.position, index, "it is missing");
    }
    return this.#lastEntry = new RecordEntry(block.bytes, offset);
  }

  /**
   * Puts segments in the place of those which stand for the same indexes, or behind all others.
   *
   * @param added The segments, the oldest first.
   * @returns The segments whose files are left over: others than those that have the names of the new.
   */
  replace(added: readonly ArchivedSegment[]): ArchivedSegment[] {
    const first = added[0]!.firstIndex;
    const last = added.at(-1)!.lastIndex;
    const before = this.#segments.filter(({ lastIndex }) => lastIndex < first);
    const replaced = this.#segments.filter(({ firstIndex, lastIndex }) => {
      return firstIndex >= first && lastIndex <= last;
    });
    const after = this.#segments.filter(({ firstIndex }) => firstIndex > last);
    invariant(
      before.length + replaced.length + after.length === this.#segments.length,
      "segments are replaced as a whole",
    );
    this.#segments = [...before, ...added, ...after];
    for (const [i, segment] of this.#segments.slice(1).entries()) {
      invariant(
        segment.firstIndex === this.#segments[i]!.lastIndex + 1,
        "segments leave no gap",
      );
    }
    this.#forgetBlocks();
    const names = new Set(added.map(({ path }) => path));
    return replaced.filter(({ path }) => !names.has(path));
  }

  /**
   * Forgets segments at the beginning.
   *
   * @param lastIndex The last index that may go.
   * @returns The segments that go, the oldest first.
   */
  truncatePrefix(lastIndex: number): ArchivedSegment[] {
    const removed = this.#segments.filter((segment) => segment.lastIndex <= lastIndex);
    if (removed.length === 0) return removed;
    this.#segments = this.#segments.slice(removed.length);
    this.#forgetBlocks();
    return removed;
  }

  #forgetBlocks(): void {
    const known = new Set(this.#segments);
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      if (known.has(this.#blocks[i]!.segment)) continue;
      this.#blockBytes -= this.#blocks[i]!.bytes.length;
      this.#blocks.splice(i, 1);
    }
    this.#lastEntry = undefined;
  }

  #find(index: number): Block | undefined {
    const at = this.#blocks.findLastIndex((block) => block.covers(index));
    if (at < 0) return undefined;
    const [block] = this.#blocks.splice(at, 1);
    this.#blocks.push(block!);
    return block;
  }

  /** Reads the block that an index is in, if it is there. */
  #load(index: number): Block {
    const segment = this.#segmentOf(index);
    const { path, salt, sparse, bytes: size } = segment;
    if (segment.records === 0) throw new CorruptRecordError(path, 0, index, "it is missing");
    const file = attempt("open", path, () => this.#files.open(path, { read: true }));
    try {
      const chunks = readSegment(file, {
        ...this.#placeBefore(segment, index),
        previousTerm: 0,
        salt,
        size,
        chunkBytes: this.#options.readAheadBytes,
        reuse: false,
        sparse,
      });
      let next = attempt("read", path, () => chunks.next());
      for (; !next.done; next = attempt("read", path, () => chunks.next())) {
        const { bytes, position, offsets } = next.value;
        const block = new Block(segment, bytes, position, offsets);
        if (block.lastIndex < index) continue;
        this.#keep(block);
        return block;
      }
      const { position, fault } = next.value;
      throw new CorruptRecordError(path, position, index, fault?.reason ?? "it is missing");
    } finally {
      file.close();
    }
  }

  /** Where to begin to read for an index: where a block ends, if there is one just before. */
  #placeBefore(segment: ArchivedSegment, index: number) {
    const place = segment.places.before(index);
    for (const block of this.#blocks) {
      if (block.segment !== segment || block.lastIndex >= index) continue;
      if (block.lastIndex < place.nextIndex) continue;
      return { nextIndex: block.lastIndex + 1, position: block.endPosition };
    }
    return place;
  }

  #keep(block: Block): void {
    this.#blocks.push(block);
    this.#blockBytes += block.bytes.length;
    while (this.#blockBytes > this.#options.loadedBytesMax && this.#blocks.length > 1) {
      this.#blockBytes -= this.#blocks.shift()!.bytes.length;
    }
  }

  #segmentOf(index: number): ArchivedSegment {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#segments[middle]!.firstIndex <= index) low = middle;
      else high = middle - 1;
    }
    const segment = this.#segments[low];
    invariant(
      segment !== undefined && index >= segment.firstIndex && index <= segment.lastIndex,
      `the archive stands for ${index}`,
    );
    return segment;
  }
}

/** Records of one segment, as they lie in its file. */
class Block {
  readonly segment: ArchivedSegment;
  readonly bytes: Uint8Array;
  /** Where in the file the bytes begin. */
  readonly position: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly #offsets: readonly number[];

  constructor(
    segment: ArchivedSegment,
    bytes: Uint8Array,
    position: number,
    offsets: readonly number[],
  ) {
    this.segment = segment;
    this.bytes = bytes;
    this.position = position;
    this.#offsets = offsets;
    this.firstIndex = readU64(bytes, offsets[0]! + 16);
    this.lastIndex = readU64(bytes, offsets.at(-1)! + 16);
  }

  /** Where in the file the last record ends. */
  get endPosition(): number {
    return this.position + new RecordEntry(this.bytes, this.#offsets.at(-1)!).end;
  }

  covers(index: number): boolean {
    return this.firstIndex <= index && index <= this.lastIndex;
  }

  /** Where the record of an index begins, or `undefined` where it was left out. */
  offsetOf(index: number): number | undefined {
    const offsets = this.#offsets;
    let low = 0;
    let high = offsets.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (readU64(this.bytes, offsets[middle]! + 16) < index) low = middle + 1;
      else high = middle;
    }
    const offset = offsets[low]!;
    return readU64(this.bytes, offset + 16) === index ? offset : undefined;
  }
}
