/**
 * Where the messages of a partition are: one small record for each publish command, none for each
 * message.
 *
 * The record of a batch says "from this offset on, messages are in the entry at this log index".
 * Its count needs no room: a batch ends where the next one begins. Records sit in chunks of typed
 * arrays and are relative to the first of their chunk, so one takes 8 bytes. Ten million messages
 * published one by one take 80 MB, published in batches of 32 they take 2.5 MB.
 *
 * Chunks start small, so that ten thousand quiet partitions stay cheap, and grow to `CHUNK_RECORDS_MAX`.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { BatchRun } from "./machine_snapshot.ts";

const CHUNK_RECORDS_MIN = 16;
const CHUNK_RECORDS_MAX = 1_024;
const STEP_MAX = 0xffff_ffff;

/** Records `start <= i < length` are alive. */
interface Chunk {
  /** What the chunk's numbers are relative to: its first record. */
  baseOffset: number;
  baseIndex: number;
  start: number;
  length: number;
  readonly offsets: Uint32Array;
  readonly indexes: Uint32Array;
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
    return this.#size === 0 ? undefined : offsetOf(chunk!, chunk!.start);
  }

  /** The log index of the entry that holds the oldest batch, or `undefined` when there is none. */
  get firstEntryIndex(): number | undefined {
    const chunk = this.#chunks[0];
    return this.#size === 0 ? undefined : chunk!.baseIndex + chunk!.indexes[chunk!.start]!;
  }

  /**
   * Records a batch behind all others.
   *
   * @param firstOffset The offset of its first message.
   * @param entryIndex The log index of the entry that holds it.
   */
  append(firstOffset: number, entryIndex: number): void {
    let chunk = this.#chunks.at(-1);
    if (chunk !== undefined && this.#size === 0) {
      rebase(chunk, firstOffset, entryIndex);
    } else if (
      chunk === undefined || chunk.length === chunk.offsets.length ||
      firstOffset - chunk.baseOffset > STEP_MAX || entryIndex - chunk.baseIndex > STEP_MAX
    ) {
      const records = chunk === undefined
        ? CHUNK_RECORDS_MIN
        : Math.min(CHUNK_RECORDS_MAX, chunk.offsets.length * 4);
      chunk = {
        baseOffset: firstOffset,
        baseIndex: entryIndex,
        start: 0,
        length: 0,
        offsets: new Uint32Array(records),
        indexes: new Uint32Array(records),
      };
      this.#chunks.push(chunk);
    }
    invariant(
      firstOffset >= chunk.baseOffset,
      "Batches are recorded in the order of their offsets",
    );
    invariant(entryIndex >= chunk.baseIndex, "Batches are recorded in the order of the log");
    chunk.offsets[chunk.length] = firstOffset - chunk.baseOffset;
    chunk.indexes[chunk.length] = entryIndex - chunk.baseIndex;
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
      record < chunk.start || record >= chunk.length || offset < offsetOf(chunk, record)
    ) {
      record = findRecord(chunk, offset);
    } else if (record + 1 < chunk.length && offset >= offsetOf(chunk, record + 1)) {
      record++;
      if (record + 1 < chunk.length && offset >= offsetOf(chunk, record + 1)) {
        record = findRecord(chunk, offset);
      }
    }
    this.#hintChunk = at;
    this.#hintRecord = record;
    this.entryIndex = chunk.baseIndex + chunk.indexes[record]!;
    this.position = offset - offsetOf(chunk, record);
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
      const following = next < chunk.length ? chunk : this.#chunks[1];
      const batchEnd = following === undefined
        ? end
        : offsetOf(following, following === chunk ? next : following.start);
      if (batchEnd > low) return;
      chunk.start = next;
      this.#size--;
      // The last chunk is kept and used again: a partition that is kept up with allocates nothing.
      if (chunk.start === chunk.length && this.#chunks.length > 1) {
        this.#chunks.shift();
        if (this.#hintChunk > 0) this.#hintChunk--;
        else this.#hintRecord = 0;
      }
    }
  }

  /**
   * Copies the records into plain data, the same for the same records however they got there.
   *
   * @returns Runs, oldest first.
   */
  snapshot(): BatchRun[] {
    const runs: BatchRun[] = [];
    let steps = new Uint32Array(0);
    let stepCount = 0;
    let left = this.#size;
    let lastOffset = 0;
    let lastIndex = 0;
    let run: { firstOffset: number; entryIndex: number } | undefined;
    for (const chunk of this.#chunks) {
      for (let record = chunk.start; record < chunk.length; record++) {
        const offset = offsetOf(chunk, record);
        const index = chunk.baseIndex + chunk.indexes[record]!;
        if (run === undefined || offset - lastOffset > STEP_MAX || index - lastIndex > STEP_MAX) {
          if (run !== undefined) runs.push({ ...run, steps: steps.slice(0, stepCount) });
          run = { firstOffset: offset, entryIndex: index };
          steps = new Uint32Array((left - 1) * 2);
          stepCount = 0;
        } else {
          steps[stepCount++] = offset - lastOffset;
          steps[stepCount++] = index - lastIndex;
        }
        lastOffset = offset;
        lastIndex = index;
        left--;
      }
    }
    if (run !== undefined) {
      runs.push({ ...run, steps: stepCount === steps.length ? steps : steps.slice(0, stepCount) });
    }
    return runs;
  }

  /**
   * Makes the index that a snapshot was taken of.
   *
   * @param runs What `snapshot` gave.
   * @returns An index with the same records.
   */
  static restore(runs: readonly BatchRun[]): BatchIndex {
    const index = new BatchIndex();
    for (const run of runs) {
      let offset = run.firstOffset;
      let entryIndex = run.entryIndex;
      index.append(offset, entryIndex);
      for (let at = 0; at < run.steps.length; at += 2) {
        offset += run.steps[at]!;
        entryIndex += run.steps[at + 1]!;
        index.append(offset, entryIndex);
      }
    }
    return index;
  }

  /** Checks that both numbers rise from record to record and that the size is right. */
  checkInvariants(): void {
    let size = 0;
    let lastOffset = -1;
    let lastIndex = -1;
    for (const chunk of this.#chunks) {
      invariant(
        chunk.start < chunk.length || this.#chunks.length === 1,
        "Only a lone chunk may be empty",
      );
      for (let record = chunk.start; record < chunk.length; record++) {
        const offset = offsetOf(chunk, record);
        const index = chunk.baseIndex + chunk.indexes[record]!;
        invariant(offset > lastOffset, "Offsets rise from batch to batch");
        invariant(index > lastIndex, "Log indexes rise from batch to batch");
        lastOffset = offset;
        lastIndex = index;
        size++;
      }
    }
    invariant(size === this.#size, "The size counts the records");
  }

  #chunkHolds(at: number, offset: number): boolean {
    const chunk = this.#chunks[at]!;
    const next = this.#chunks[at + 1];
    return offset >= chunk.baseOffset && (next === undefined || offset < next.baseOffset);
  }

  /** The last chunk that begins at or below the offset. */
  #findChunk(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunks[middle]!.baseOffset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function offsetOf(chunk: Chunk, record: number): number {
  return chunk.baseOffset + chunk.offsets[record]!;
}

/** The last live record of the chunk that begins at or below the offset. */
function findRecord(chunk: Chunk, offset: number): number {
  let low = chunk.start;
  let high = chunk.length - 1;
  invariant(
    low <= high && offset >= offsetOf(chunk, low),
    "The batch of a live message is recorded",
  );
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (offsetOf(chunk, middle) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function rebase(chunk: Chunk, firstOffset: number, entryIndex: number): void {
  chunk.baseOffset = firstOffset;
  chunk.baseIndex = entryIndex;
  chunk.start = 0;
  chunk.length = 0;
}
