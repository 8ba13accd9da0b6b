/**
 * A number for each message of a partition, where neighbours mostly share it: one small record for each
 * range of neighbours, none for each message.
 *
 * A record says "from this offset on, it is that number". It stays until all of its range lies below the
 * lowest live message. Records are written once: what is appended later goes behind them, and what is
 * dropped is only passed over. So a capture shares the chunks with the index and costs one reference a
 * chunk.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { PART_BATCHES_MAX } from "./machine_snapshot.ts";

const CHUNK_MIN = 16;
const CHUNK_MAX = 1_024;

/** Records `start <= i < length` are alive. In all chunks but the first, `start` is 0. */
interface Chunk {
  readonly offsets: Float64Array;
  readonly values: Float64Array;
  start: number;
  length: number;
}

/** Messages that have the same number. */
export interface NumberRange {
  readonly start: number;
  /** The offset behind the last. */
  readonly end: number;
}

/** Records as plain data. */
export interface NumberRanges {
  readonly firstOffset: Float64Array;
  readonly value: Float64Array;
}

/** The ranges of one partition, in the order of their offsets. */
export class RangeIndex {
  readonly #chunks: Chunk[] = [];
  #size = 0;

  /** How many ranges there are. */
  get size(): number {
    return this.#size;
  }

  /** Where the first range begins, `Infinity` where there is none. */
  get firstOffset(): number {
    const chunk = this.#chunks[0];
    return this.#size === 0 ? Infinity : chunk!.offsets[chunk!.start]!;
  }

  /** Where the newest range begins, -1 where there is none. */
  get newestOffset(): number {
    const chunk = this.#chunks.at(-1);
    return this.#size === 0 ? -1 : chunk!.offsets[chunk!.length - 1]!;
  }

  /** The number of the newest range, `undefined` where there is none. */
  get newest(): number | undefined {
    const chunk = this.#chunks.at(-1);
    return this.#size === 0 ? undefined : chunk!.values[chunk!.length - 1]!;
  }

  /**
   * Begins a range behind all others, also where the newest one has the same number.
   *
   * @param firstOffset Its first message.
   * @param value The number of its messages.
   */
  append(firstOffset: number, value: number): void {
    invariant(firstOffset > this.newestOffset, "Offsets rise from range to range");
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.length === chunk.offsets.length) {
      chunk = this.#addChunk(chunk);
    }
    chunk.offsets[chunk.length] = firstOffset;
    chunk.values[chunk.length] = value;
    chunk.length++;
    this.#size++;
  }

  /**
   * Tells the number of a message.
   *
   * @param offset A live message.
   * @returns The number, or `undefined` where it is in no range.
   */
  at(offset: number): number | undefined {
    if (offset < this.firstOffset) return undefined;
    const chunk = this.#chunks[this.#findChunk(offset)]!;
    return chunk.values[findRecord(chunk, offset)]!;
  }

  /**
   * Finds the range of a message.
   *
   * @param offset A message that is in a range.
   * @param end The offset behind the newest message.
   * @returns The range.
   */
  rangeOf(offset: number, end: number): NumberRange {
    invariant(offset >= this.firstOffset, "A message whose range is asked for has one");
    const at = this.#findChunk(offset);
    const chunk = this.#chunks[at]!;
    const record = findRecord(chunk, offset);
    return { start: chunk.offsets[record]!, end: this.#endOf(at, record) ?? end };
  }

  /**
   * Forgets the ranges all of whose messages lie below an offset.
   *
   * @param low The lowest offset that is still alive.
   * @param end The offset behind the newest message.
   */
  dropBelow(low: number, end: number): void {
    while (this.#size > 0) {
      const chunk = this.#chunks[0]!;
      if ((this.#endOf(0, chunk.start) ?? end) > low) return;
      chunk.start++;
      this.#size--;
      if (chunk.start === chunk.length) this.#chunks.shift();
    }
  }

  /** Forgets all ranges. */
  clear(): void {
    this.#chunks.length = 0;
    this.#size = 0;
  }

  /**
   * Takes hold of the records as they are now, at the cost of a reference for each chunk.
   *
   * @returns The records, however the index goes on.
   */
  capture(): RangeCapture {
    if (this.#size === 0) return NO_RANGES;
    const { start } = this.#chunks[0]!;
    return new RangeCapture(this.#chunks.slice(), start, this.#chunks.at(-1)!.length);
  }

  /**
   * Adds records as they were in a snapshot, behind those that are there.
   *
   * @param ranges What a capture gave.
   */
  restore({ firstOffset, value }: NumberRanges): void {
    for (const [at, offset] of firstOffset.entries()) this.append(offset, value[at]!);
  }

  /** Checks the order of the records, and their number. */
  checkInvariants(): void {
    let size = 0;
    let lastOffset = -1;
    for (const { offsets, start, length } of this.#chunks) {
      for (const offset of offsets.subarray(start, length)) {
        invariant(offset > lastOffset, "Offsets rise from range to range");
        lastOffset = offset;
        size++;
      }
    }
    invariant(size === this.#size, "The size counts the ranges");
  }

  /** Every range: where it begins, and its number. */
  *[Symbol.iterator](): Generator<readonly [firstOffset: number, value: number]> {
    for (const { offsets, values, start, length } of this.#chunks) {
      for (let at = start; at < length; at++) yield [offsets[at]!, values[at]!];
    }
  }

  /** Where the next range begins, if there is one. */
  #endOf(at: number, record: number): number | undefined {
    const chunk = this.#chunks[at]!;
    const next = record + 1;
    return next < chunk.length ? chunk.offsets[next]! : this.#chunks[at + 1]?.offsets[0];
  }

  #addChunk(newest: Chunk | undefined): Chunk {
    const capacity = newest === undefined
      ? CHUNK_MIN
      : Math.min(CHUNK_MAX, newest.offsets.length * 4);
    const chunk = {
      offsets: new Float64Array(capacity),
      values: new Float64Array(capacity),
      start: 0,
      length: 0,
    };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** The last chunk that begins at or below the offset. */
  #findChunk(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunks[middle]!.offsets[0]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The records of a `RangeIndex` as they were at one moment. */
export class RangeCapture {
  readonly #chunks: readonly Chunk[];
  readonly #start: number;
  readonly #length: number;

  /**
   * @param chunks All chunks.
   * @param start Where the first one begins.
   * @param length Where the last one ends.
   */
  constructor(chunks: readonly Chunk[], start: number, length: number) {
    this.#chunks = chunks;
    this.#start = start;
    this.#length = length;
  }

  /**
   * Makes plain data of the records, the same for the same records however they got there.
   *
   * @returns Parts of bounded size, each made when it is asked for.
   */
  *parts(): Generator<NumberRanges> {
    let firstOffset: number[] = [];
    let value: number[] = [];
    for (const [at, { offsets, values, length }] of this.#chunks.entries()) {
      const end = at === this.#chunks.length - 1 ? this.#length : length;
      for (let record = at === 0 ? this.#start : 0; record < end; record++) {
        firstOffset.push(offsets[record]!);
        value.push(values[record]!);
        if (firstOffset.length < PART_BATCHES_MAX) continue;
        yield rangesOf(firstOffset, value);
        [firstOffset, value] = [[], []];
      }
    }
    if (firstOffset.length > 0) yield rangesOf(firstOffset, value);
  }
}

const NO_RANGES = new RangeCapture([], 0, 0);

function rangesOf(firstOffset: number[], value: number[]): NumberRanges {
  return { firstOffset: Float64Array.from(firstOffset), value: Float64Array.from(value) };
}

/** The last live record of the chunk that begins at or below the offset. */
function findRecord({ offsets, start, length }: Chunk, offset: number): number {
  let low = start;
  let high = length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (offsets[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
