/**
 * When the messages of a partition expire: a small record for each range of neighbours that expire at
 * the same time, none for each message.
 *
 * A record says "from this offset on, messages expire at that time". It stays until all of its range lies
 * below the lowest live message, so that a message which comes back from a consumer late still finds
 * its time. When the time of a range comes, is the business of a heap; ranges that have had their turn
 * are told from those that have not by time and offset alone, in which the heap goes forward only.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { type ExpirySnapshot, PART_BATCHES_MAX } from "./machine_snapshot.ts";
import { MessageHeap } from "./message_heap.ts";

const CHUNK_MIN = 16;
const CHUNK_MAX = 1_024;
/** The longest a range gets, so that its turn is short. */
const RANGE_MAX = 4_096;

/** Records `start <= i < length` are alive. In all chunks but the first, `start` is 0. */
interface Chunk {
  readonly offsets: Float64Array;
  /** 0 for messages that do not expire. */
  readonly expiresAtMs: Float64Array;
  start: number;
  length: number;
}

/** A range of messages whose time has come. */
export interface ExpiredRange {
  readonly start: number;
  /** The offset behind the last. */
  readonly end: number;
}

/** The ranges of one partition, in the order of their offsets. */
export class ExpiryIndex {
  readonly #chunks: Chunk[] = [];
  readonly #heap = new MessageHeap();
  #size = 0;
  /** The range that had its turn last: its time, and where it begins. */
  #passedMs = 0;
  #passedOffset = 0;

  /** How many ranges there are. */
  get size(): number {
    return this.#size;
  }

  /** The range that had its turn last. */
  get passed(): { readonly expiresAtMs: number; readonly offset: number } {
    return { expiresAtMs: this.#passedMs, offset: this.#passedOffset };
  }

  /**
   * Records when messages expire, behind all others.
   *
   * @param firstOffset The first of them.
   * @param expiresAtMs When, or 0 for never.
   */
  append(firstOffset: number, expiresAtMs: number): void {
    const newest = this.#chunks.at(-1);
    if (this.#size === 0 ? expiresAtMs === 0 : isContinued(newest!, firstOffset, expiresAtMs)) {
      return;
    }
    const chunk = newest !== undefined && newest.length < newest.offsets.length
      ? newest
      : this.#addChunk(newest);
    chunk.offsets[chunk.length] = firstOffset;
    chunk.expiresAtMs[chunk.length] = expiresAtMs;
    chunk.length++;
    this.#size++;
    if (expiresAtMs > 0) this.#heap.push(expiresAtMs, firstOffset, 0);
  }

  /**
   * Tells when a message expires.
   *
   * @param offset A live message.
   * @returns When, or `Infinity` for never.
   */
  at(offset: number): number {
    if (this.#size === 0) return Infinity;
    const [chunk, record] = this.#find(offset);
    return chunk?.expiresAtMs[record] || Infinity;
  }

  /**
   * Tells when the first range has its turn.
   *
   * @returns Milliseconds, or `undefined` when none will.
   */
  firstDueMs(): number | undefined {
    const heap = this.#heap;
    // What lies below the lowest live message has no record any more.
    while (heap.size > 0 && heap.firstOffset < this.#firstOffset) heap.pop();
    return heap.size === 0 ? undefined : heap.firstRank;
  }

  /**
   * Finds the next range whose time has come. It has had its turn then.
   *
   * @param nowMs The time of the log.
   * @param end The offset behind the newest message.
   * @returns The range, or `undefined` when there is none.
   */
  due(nowMs: number, end: number): ExpiredRange | undefined {
    const dueMs = this.firstDueMs();
    if (dueMs === undefined || dueMs > nowMs) return undefined;
    const start = this.#heap.firstOffset;
    this.#heap.pop();
    this.#passedMs = dueMs;
    this.#passedOffset = start;
    const [chunk, record, at] = this.#find(start);
    invariant(chunk?.offsets[record] === start, "A range in the heap has a record");
    const next = record + 1 < chunk.length
      ? chunk.offsets[record + 1]
      : this.#chunks[at + 1]?.offsets[0];
    return { start, end: next ?? end };
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
      const next = chunk.start + 1;
      const rangeEnd = next < chunk.length
        ? chunk.offsets[next]!
        : this.#chunks[1]?.offsets[0] ?? end;
      if (rangeEnd > low) return;
      chunk.start = next;
      this.#size--;
      if (chunk.start === chunk.length) this.#chunks.shift();
    }
    this.#heap.clear();
  }

  /**
   * Takes hold of the records as they are now, at the cost of a reference for each chunk.
   *
   * @returns The records, however the index goes on.
   */
  capture(): ExpiryCapture {
    if (this.#size === 0) return NO_EXPIRIES;
    return new ExpiryCapture(
      this.#chunks.slice(),
      this.#chunks[0]!.start,
      this.#chunks.at(-1)!.length,
    );
  }

  /**
   * Takes up from where the index of a snapshot was, before its records come.
   *
   * @param expiresAtMs The time of the range that had its turn last.
   * @param offset Where that begins.
   */
  restorePassed(expiresAtMs: number, offset: number): void {
    this.#passedMs = expiresAtMs;
    this.#passedOffset = offset;
  }

  /**
   * Adds records as they were in a snapshot, behind those that are there.
   *
   * @param snapshot What a capture gave.
   */
  restore({ firstOffset, expiresAtMs }: ExpirySnapshot): void {
    for (let at = 0; at < firstOffset.length; at++) {
      const [offset, dueMs] = [firstOffset[at]!, expiresAtMs[at]!];
      let chunk = this.#chunks.at(-1);
      if (chunk === undefined || chunk.length === chunk.offsets.length) {
        chunk = this.#addChunk(chunk);
      }
      chunk.offsets[chunk.length] = offset;
      chunk.expiresAtMs[chunk.length] = dueMs;
      chunk.length++;
      this.#size++;
      if (this.#isToCome(offset, dueMs)) this.#heap.push(dueMs, offset, 0);
    }
  }

  /** Checks the order of the records, and that the heap knows those that have not had their turn. */
  checkInvariants(): void {
    this.#heap.checkInvariants();
    let size = 0;
    let lastOffset = -1;
    let waiting = 0;
    for (const chunk of this.#chunks) {
      for (let at = chunk.start; at < chunk.length; at++) {
        const [offset, dueMs] = [chunk.offsets[at]!, chunk.expiresAtMs[at]!];
        invariant(offset > lastOffset, "Offsets rise from range to range");
        lastOffset = offset;
        if (this.#isToCome(offset, dueMs)) waiting++;
        size++;
      }
    }
    invariant(size === this.#size, "The size counts the ranges");
    for (const { offset } of this.#heap) if (offset >= this.#firstOffset) waiting--;
    invariant(waiting === 0, "The ranges that wait for their turn are in the heap");
  }

  /** Whether the range that begins there has yet to have its turn. */
  #isToCome(offset: number, expiresAtMs: number): boolean {
    return expiresAtMs > this.#passedMs ||
      (expiresAtMs > 0 && expiresAtMs === this.#passedMs && offset > this.#passedOffset);
  }

  get #firstOffset(): number {
    const chunk = this.#chunks[0];
    return this.#size === 0 ? Infinity : chunk!.offsets[chunk!.start]!;
  }

  #addChunk(newest: Chunk | undefined): Chunk {
    const capacity = newest === undefined
      ? CHUNK_MIN
      : Math.min(CHUNK_MAX, newest.offsets.length * 4);
    const chunk = {
      offsets: new Float64Array(capacity),
      expiresAtMs: new Float64Array(capacity),
      start: 0,
      length: 0,
    };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** The record that covers an offset, if one does, and the place of its chunk. */
  #find(offset: number): readonly [chunk: Chunk | undefined, record: number, at: number] {
    if (offset < this.#firstOffset) return [undefined, 0, 0];
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunks[middle]!.offsets[0]! <= offset) low = middle;
      else high = middle - 1;
    }
    const chunk = this.#chunks[low]!;
    let first = chunk.start;
    let last = chunk.length - 1;
    while (first < last) {
      const middle = (first + last + 1) >>> 1;
      if (chunk.offsets[middle]! <= offset) first = middle;
      else last = middle - 1;
    }
    return [chunk, first, low];
  }
}

/** The records of an `ExpiryIndex` as they were at one moment. */
export class ExpiryCapture {
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
  *parts(): Generator<ExpirySnapshot> {
    let firstOffset: number[] = [];
    let expiresAtMs: number[] = [];
    for (const [at, { offsets, expiresAtMs: times, length }] of this.#chunks.entries()) {
      const end = at === this.#chunks.length - 1 ? this.#length : length;
      for (let record = at === 0 ? this.#start : 0; record < end; record++) {
        firstOffset.push(offsets[record]!);
        expiresAtMs.push(times[record]!);
        if (firstOffset.length < PART_BATCHES_MAX) continue;
        yield snapshotOf(firstOffset, expiresAtMs);
        [firstOffset, expiresAtMs] = [[], []];
      }
    }
    if (firstOffset.length > 0) yield snapshotOf(firstOffset, expiresAtMs);
  }
}

const NO_EXPIRIES = new ExpiryCapture([], 0, 0);

function snapshotOf(firstOffset: number[], expiresAtMs: number[]): ExpirySnapshot {
  return {
    firstOffset: Float64Array.from(firstOffset),
    expiresAtMs: Float64Array.from(expiresAtMs),
  };
}

/** Whether messages from this offset on belong to the newest range. */
function isContinued(newest: Chunk, firstOffset: number, expiresAtMs: number): boolean {
  const last = newest.length - 1;
  return newest.expiresAtMs[last] === expiresAtMs &&
    (expiresAtMs === 0 || firstOffset - newest.offsets[last]! < RANGE_MAX);
}
