/**
 * Where the messages of a partition are: one small record for each publish command, none for each
 * message.
 *
 * The record of a batch says "from this offset on, messages are in the entry at this log index".
 * Its count needs no room: a batch ends where the next one begins. Records sit in chunks; one that is
 * full is packed (`rising_numbers.ts`) and takes 4 bytes a record as a rule, and next to nothing where
 * messages were published one by one and nothing else was written between them. So ten million messages
 * published one by one take 40 MB at most as long as batches are small.
 *
 * Chunks start small, so that ten thousand quiet partitions stay cheap, and grow to `CHUNK_RECORDS_MAX`.
 *
 * Records are written once: what is appended later goes behind them, and what is dropped is only passed
 * over. So a capture shares the chunks with the index and costs one reference a chunk.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { BatchRun } from "./machine_snapshot.ts";
import { RisingNumbers } from "./rising_numbers.ts";
import { StepReader, StepWriter } from "./step_codec.ts";

const CHUNK_RECORDS_MIN = 16;
const CHUNK_RECORDS_MAX = 1_024;

/** Records `start <= i < length` are alive. In all chunks but the first, `start` is 0. */
interface Chunk {
  readonly offsets: RisingNumbers;
  readonly indexes: RisingNumbers;
  readonly capacity: number;
  start: number;
  length: number;
}

/** The batch records of one partition, oldest first; both numbers rise strictly. */
export class BatchIndex {
  /** Filled by `locate`: the log index of the entry that holds the message. */
  entryIndex = 0;
  /** Filled by `locate`: which message of the entry it is. */
  position = 0;

  readonly #chunks: Chunk[] = [];
  #size = 0;
  /** The record found last: the next search most often ends there or one further. */
  #hintChunk = 0;
  #hintRecord = 0;

  /** How many batches are recorded. */
  get size(): number {
    return this.#size;
  }

  /** The first offset of the oldest batch, or `undefined` when there is none. */
  get firstOffset(): number | undefined {
    const chunk = this.#chunks[0];
    return this.#size === 0 ? undefined : chunk!.offsets.at(chunk!.start);
  }

  /** The log index of the entry that holds the oldest batch, or `undefined` when there is none. */
  get firstEntryIndex(): number | undefined {
    const chunk = this.#chunks[0];
    return this.#size === 0 ? undefined : chunk!.indexes.at(chunk!.start);
  }

  /**
   * Records a batch behind all others.
   *
   * @param firstOffset The offset of its first message.
   * @param entryIndex The log index of the entry that holds it.
   */
  append(firstOffset: number, entryIndex: number): void {
    const newest = this.#chunks.at(-1);
    if (newest !== undefined) {
      const last = newest.length - 1;
      invariant(
        firstOffset > newest.offsets.at(last),
        "Batches are recorded in the order of their offsets",
      );
      invariant(
        entryIndex > newest.indexes.at(last),
        "Batches are recorded in the order of the log",
      );
    }
    const chunk = newest !== undefined && hasRoom(newest, firstOffset, entryIndex)
      ? newest
      : this.#addChunk(newest, firstOffset, entryIndex);
    chunk.offsets.set(chunk.length, firstOffset);
    chunk.indexes.set(chunk.length, entryIndex);
    chunk.length++;
    this.#size++;
  }

  /**
   * Finds the message with an offset and leaves the answer in `entryIndex` and `position`.
   *
   * @param offset An offset not below the oldest batch, and below the end of the newest.
   */
  locate(offset: number): void {
    invariant(this.#size > 0, "A live message has a batch record");
    let at = this.#hintChunk;
    let chunk = this.#chunks[at];
    let record = this.#hintRecord;
    if (chunk === undefined || !this.#chunkHolds(at, offset)) {
      at = this.#findChunk(offset);
      chunk = this.#chunks[at]!;
      record = findRecord(chunk, offset);
    } else if (
      record < chunk.start || record >= chunk.length || offset < chunk.offsets.at(record)
    ) {
      record = findRecord(chunk, offset);
    } else if (record + 1 < chunk.length && offset >= chunk.offsets.at(record + 1)) {
      record++;
      if (record + 1 < chunk.length && offset >= chunk.offsets.at(record + 1)) {
        record = findRecord(chunk, offset);
      }
    }
    this.#hintChunk = at;
    this.#hintRecord = record;
    this.entryIndex = chunk.indexes.at(record);
    this.position = offset - chunk.offsets.at(record);
  }

  /**
   * Forgets the batches all of whose messages lie below an offset.
   *
   * @param low The lowest offset that is still alive.
   * @param end The offset behind the newest batch.
   */
  dropBelow(low: number, end: number): void {
    while (this.#size > 0) {
      const chunk = this.#chunks[0]!;
      const next = chunk.start + 1;
      const batchEnd = next < chunk.length
        ? chunk.offsets.at(next)
        : this.#chunks[1]?.offsets.first ?? end;
      if (batchEnd > low) return;
      chunk.start = next;
      this.#size--;
      // The last chunk stays until it is full: a partition that is kept up with allocates little.
      if (chunk.start === chunk.length && this.#chunks.length > 1) {
        this.#chunks.shift();
        if (this.#hintChunk > 0) this.#hintChunk--;
        else this.#hintRecord = 0;
      }
    }
  }

  /**
   * Takes hold of the records as they are now, at the cost of a reference for each chunk.
   *
   * @returns The records, however the index goes on.
   */
  capture(): BatchCapture {
    if (this.#size === 0) return NO_BATCHES;
    const { start } = this.#chunks[0]!;
    return new BatchCapture(this.#chunks.slice(), start, this.#chunks.at(-1)!.length);
  }

  /**
   * Records the batches of a run behind all others.
   *
   * @param run What a capture gave.
   */
  restore({ firstOffset, entryIndex, steps }: BatchRun): void {
    this.append(firstOffset, entryIndex);
    const reader = new StepReader(steps);
    while (reader.next()) {
      for (let left = reader.count; left > 0; left--) {
        firstOffset += reader.offsetStep;
        entryIndex += reader.indexStep;
        this.append(firstOffset, entryIndex);
      }
    }
  }

  /**
   * Checks that both numbers rise from record to record and that the size is right. What is packed was
   * checked when it was appended, and never changes: there only the ends are looked at.
   */
  checkInvariants(): void {
    let size = 0;
    let lastOffset = -1;
    let lastIndex = -1;
    for (const [at, chunk] of this.#chunks.entries()) {
      invariant(
        chunk.start < chunk.length || this.#chunks.length === 1,
        "Only a lone chunk may be empty",
      );
      invariant(at === 0 || chunk.start === 0, "Only from the first chunk records are dropped");
      const isPacked = at < this.#chunks.length - 1;
      const step = isPacked ? Math.max(1, chunk.length - 1 - chunk.start) : 1;
      for (let record = chunk.start; record < chunk.length; record += step) {
        const offset = chunk.offsets.at(record);
        const index = chunk.indexes.at(record);
        invariant(offset > lastOffset, "Offsets rise from batch to batch");
        invariant(index > lastIndex, "Log indexes rise from batch to batch");
        lastOffset = offset;
        lastIndex = index;
      }
      size += chunk.length - chunk.start;
    }
    invariant(size === this.#size, "The size counts the records");
  }

  /** Begins a chunk with a record. */
  #addChunk(newest: Chunk | undefined, firstOffset: number, entryIndex: number): Chunk {
    let capacity = CHUNK_RECORDS_MIN;
    if (newest !== undefined) {
      this.#chunks.pop();
      if (this.#size === 0) {
        capacity = newest.capacity;
      } else {
        capacity = Math.min(CHUNK_RECORDS_MAX, newest.capacity * 4);
        this.#chunks.push(packed(newest));
      }
    }
    const chunk = {
      offsets: RisingNumbers.startingWith(firstOffset, capacity),
      indexes: RisingNumbers.startingWith(entryIndex, capacity),
      capacity,
      start: 0,
      length: 0,
    };
    this.#chunks.push(chunk);
    return chunk;
  }

  #chunkHolds(at: number, offset: number): boolean {
    const next = this.#chunks[at + 1];
    return offset >= this.#chunks[at]!.offsets.first &&
      (next === undefined || offset < next.offsets.first);
  }

  /** The last chunk that begins at or below the offset. */
  #findChunk(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunks[middle]!.offsets.first <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The records of a `BatchIndex` as they were at one moment. */
export class BatchCapture {
  readonly #chunks: readonly Chunk[];
  /** Where the first chunk begins, which the index goes on to drop from. */
  readonly #start: number;
  /** How many records the last chunk has, to which the index goes on to add. */
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
   * @param recordsMax How many records a run may have.
   * @returns Runs, oldest first, each made when it is asked for.
   */
  *runs(recordsMax: number): Generator<BatchRun> {
    const writer = new StepWriter();
    let first: { firstOffset: number; entryIndex: number } | undefined;
    let count = 0;
    let lastOffset = 0;
    let lastIndex = 0;
    for (const [at, { offsets, indexes, length }] of this.#chunks.entries()) {
      const end = at === this.#chunks.length - 1 ? this.#length : length;
      for (let record = at === 0 ? this.#start : 0; record < end; record++) {
        const offset = offsets.at(record);
        const index = indexes.at(record);
        if (first === undefined) first = { firstOffset: offset, entryIndex: index };
        else writer.add(offset - lastOffset, index - lastIndex);
        lastOffset = offset;
        lastIndex = index;
        if (++count < recordsMax) continue;
        yield { ...first, steps: writer.finish() };
        first = undefined;
        count = 0;
      }
    }
    if (first !== undefined) yield { ...first, steps: writer.finish() };
  }
}

const NO_BATCHES = new BatchCapture([], 0, 0);

function hasRoom(chunk: Chunk, offset: number, index: number): boolean {
  return chunk.length < chunk.capacity && chunk.offsets.reaches(offset) &&
    chunk.indexes.reaches(index);
}

/** A chunk that is full, in less memory. Captures may still have the one that it is made of. */
function packed({ offsets, indexes, start, length }: Chunk): Chunk {
  return {
    offsets: offsets.packed(length),
    indexes: indexes.packed(length),
    capacity: length,
    start,
    length,
  };
}

/** The last live record of the chunk that begins at or below the offset. */
function findRecord({ offsets, start, length }: Chunk, offset: number): number {
  let low = start;
  let high = length - 1;
  invariant(
    low <= high && offset >= offsets.at(low),
    "The batch of a live message is recorded",
  );
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (offsets.at(middle) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
