/**
 * Encoded records in memory, exactly as they lie in a segment's file: a stretch of a file, or what
 * will be one. Entries and spans are views of it.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { readU32, recordBytes, RecordEntry } from "./record.ts";
import type { Segment } from "./segment.ts";

/** Consecutive records of one segment in one buffer. There may be marks between them. */
export class RecordBlock {
  readonly segment: Segment;
  readonly buffer: Uint8Array;
  readonly firstIndex: number;
  /** How much memory the block is taken to use. */
  cost: number;
  /** Position in the file less position in the buffer. */
  readonly #shift: number;
  /** Where in the buffer each record begins. */
  readonly #offsets: number[];

  /**
   * @param segment The segment that the records are in.
   * @param buffer The bytes.
   * @param shift Position in the file less position in the buffer.
   * @param firstIndex The index of the first record.
   * @param offsets Where in the buffer each record begins. The block owns the array.
   * @param cost How much memory the block is taken to use.
   */
  constructor(
    segment: Segment,
    buffer: Uint8Array,
    shift: number,
    firstIndex: number,
    offsets: number[],
    cost: number,
  ) {
    this.segment = segment;
    this.buffer = buffer;
    this.firstIndex = firstIndex;
    this.cost = cost;
    this.#shift = shift;
    this.#offsets = offsets;
  }

  /** The index of the last record. */
  get lastIndex(): number {
    return this.firstIndex + this.#offsets.length - 1;
  }

  /** Where in the file the block ends. */
  get endPosition(): number {
    return this.#end(this.#offsets.length - 1) + this.#shift;
  }

  /**
   * Whether a record at this place would go on where the block ends.
   *
   * @param segment The segment that the record is in.
   * @param buffer The bytes that it is in.
   * @param shift Position in the file less position in the buffer.
   */
  continuesWith(segment: Segment, buffer: Uint8Array, shift: number): boolean {
    return this.buffer === buffer && this.#shift === shift && this.segment === segment;
  }

  /** Adds the next record, which lies in the buffer from `start` to `end`. */
  push(start: number, end: number): void {
    this.#offsets.push(start);
    this.cost += end - start;
  }

  /** The entry at an index that the block holds. */
  entry(index: number): RecordEntry {
    const entry = new RecordEntry(this.buffer, this.#offset(index));
    invariant(entry.index === index, "a record is where its index says");
    return entry;
  }

  /** Where in the file the record of an index is that the block holds. */
  position(index: number): number {
    return this.#offset(index) + this.#shift;
  }

  /**
   * The bytes of records, in as few spans as the marks between them allow.
   *
   * @param low The first index, which the block holds.
   * @param high Where to stop, before this index.
   * @param bytesMax Where to stop, after so many bytes.
   * @param spans Where the spans go. The first record is taken whatever its size if this is empty.
   * @returns The index after the last record that was taken.
   */
  spans(low: number, high: number, bytesMax: number, spans: Uint8Array[]): number {
    const last = Math.min(high, this.lastIndex + 1);
    let left = bytesMax;
    let start = -1;
    let end = -1;
    let index = low;
    for (; index < last; index++) {
      const offset = this.#offsets[index - this.firstIndex]!;
      const next = this.#end(index - this.firstIndex);
      left -= next - offset;
      if (left < 0 && (spans.length > 0 || start >= 0)) break;
      if (offset !== end) {
        if (start >= 0) spans.push(this.buffer.subarray(start, end));
        start = offset;
      }
      end = next;
    }
    if (start >= 0) spans.push(this.buffer.subarray(start, end));
    return index;
  }

  /** Forgets the records behind an index. */
  truncateSuffix(lastIndex: number): void {
    if (lastIndex >= this.lastIndex) return;
    this.#offsets.length = Math.max(0, lastIndex - this.firstIndex + 1);
  }

  #offset(index: number): number {
    const offset = this.#offsets[index - this.firstIndex];
    invariant(offset !== undefined, "the block holds the index");
    return offset;
  }

  #end(i: number): number {
    const offset = this.#offsets[i]!;
    return offset + recordBytes(readU32(this.buffer, offset + 4));
  }
}

/**
 * Blocks of rising, consecutive indexes up to the end of the log: what was appended last. The oldest
 * go first, but never one whose records are not yet durable, because the file may not hold them.
 */
export class RecentBlocks {
  readonly #blocks: RecordBlock[] = [];
  readonly #costMax: number;
  #cost = 0;

  /**
   * @param costMax How much memory the blocks may use, apart from what is not yet durable.
   */
  constructor(costMax: number) {
    this.#costMax = costMax;
  }

  /** How much memory the blocks use. */
  get cost(): number {
    return this.#cost;
  }

  /** The first index held, or `undefined`. */
  get firstIndex(): number | undefined {
    return this.#blocks[0]?.firstIndex;
  }

  /**
   * Adds a record behind all others.
   *
   * @param segment The segment that the record is in.
   * @param buffer The bytes that it is in.
   * @param shift Position in the file less position in the buffer.
   * @param index Its index.
   * @param start Where in the buffer it begins.
   * @param end Where in the buffer it ends.
   */
  push(
    segment: Segment,
    buffer: Uint8Array,
    shift: number,
    index: number,
    start: number,
    end: number,
  ): void {
    const newest = this.#blocks.at(-1);
    if (newest?.continuesWith(segment, buffer, shift)) newest.push(start, end);
    else this.#blocks.push(new RecordBlock(segment, buffer, shift, index, [start], end - start));
    this.#cost += end - start;
  }

  /** The block that holds an index. */
  find(index: number): RecordBlock | undefined {
    const blocks = this.#blocks;
    let high = blocks.length - 1;
    if (high < 0 || index < blocks[0]!.firstIndex || index > blocks[high]!.lastIndex) return;
    let low = 0;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (blocks[middle]!.firstIndex <= index) low = middle;
      else high = middle - 1;
    }
    return blocks[low];
  }

  /** Forgets the records behind an index. */
  truncateSuffix(lastIndex: number): void {
    for (let newest = this.#blocks.at(-1); newest !== undefined; newest = this.#blocks.at(-1)) {
      if (newest.lastIndex <= lastIndex) return;
      newest.truncateSuffix(lastIndex);
      if (newest.lastIndex >= newest.firstIndex) return;
      this.#blocks.pop();
      this.#cost -= newest.cost;
    }
  }

  /** Forgets the blocks that end before an index. */
  truncatePrefix(firstIndex: number): void {
    let count = 0;
    while (count < this.#blocks.length && this.#blocks[count]!.lastIndex < firstIndex) {
      this.#cost -= this.#blocks[count]!.cost;
      count++;
    }
    this.#blocks.splice(0, count);
  }

  /** Drops the oldest blocks until the rest is within bounds. */
  evict(durableIndex: number): void {
    let count = 0;
    while (this.#cost > this.#costMax && count < this.#blocks.length - 1) {
      const oldest = this.#blocks[count]!;
      if (oldest.lastIndex > durableIndex) break;
      this.#cost -= oldest.cost;
      count++;
    }
    if (count > 0) this.#blocks.splice(0, count);
  }
}

/** Blocks that were read from files, in no order of indexes; the longest unused go first. */
export class LoadedBlocks {
  readonly #blocks: RecordBlock[] = [];
  readonly #costMax: number;
  #cost = 0;

  /**
   * @param costMax How much memory the blocks may use; one is kept whatever its size.
   */
  constructor(costMax: number) {
    this.#costMax = costMax;
  }

  /** How much memory the blocks use. */
  get cost(): number {
    return this.#cost;
  }

  /** Adds a block that was just read. */
  push(block: RecordBlock): void {
    this.#blocks.push(block);
    this.#cost += block.cost;
    while (this.#cost > this.#costMax && this.#blocks.length > 1) {
      this.#cost -= this.#blocks.shift()!.cost;
    }
  }

  /** The block that holds an index. */
  find(index: number): RecordBlock | undefined {
    const blocks = this.#blocks;
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block = blocks[i]!;
      if (block.firstIndex > index || index > block.lastIndex) continue;
      if (i < blocks.length - 1) {
        blocks.splice(i, 1);
        blocks.push(block);
      }
      return block;
    }
    return undefined;
  }

  /** The block that ends right before an index. */
  endingBefore(index: number): RecordBlock | undefined {
    return this.#blocks.find((block) => block.lastIndex === index - 1);
  }

  /** Forgets the blocks that end before an index. */
  truncatePrefix(firstIndex: number): void {
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      if (this.#blocks[i]!.lastIndex >= firstIndex) continue;
      this.#cost -= this.#blocks[i]!.cost;
      this.#blocks.splice(i, 1);
    }
  }

  /** Forgets the records behind an index. */
  truncateSuffix(lastIndex: number): void {
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      const block = this.#blocks[i]!;
      block.truncateSuffix(lastIndex);
      if (block.lastIndex < block.firstIndex) {
        this.#blocks.splice(i, 1);
        this.#cost -= block.cost;
      }
    }
  }
}
