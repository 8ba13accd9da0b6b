/**
 * The end of the log that is kept in memory: every entry that is not yet durable on this node or not
 * yet handed out for applying. What lies before it is read from storage.
 *
 * Three positions run through it, each a last index: what was handed to the shell for writing
 * (`writingIndex`), what the shell reported durable (`durableIndex`), and the end (`lastIndex`).
 *
 * Writes are handed out in batches and reported in the same order. When a conflicting entry
 * overwrites some of what is being written, the batches on their way are cut to what remains: their
 * report then no longer covers an index that will hold, or again hold, something else.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { Entry } from "./types.ts";

/** Entries `firstIndex..lastIndex`, consecutive, in memory. */
export class LogTail {
  #entries: Entry[] = [];
  /** Index of `#entries[0]`. */
  #firstIndex: number;
  #writingIndex: number;
  #durableIndex: number;
  /** For each batch on its way to disk, the last index that its report covers. */
  readonly #batches: number[] = [];

  /** @param lastIndex The end of the log in storage, which is durable. */
  constructor(lastIndex: number) {
    this.#firstIndex = lastIndex + 1;
    this.#writingIndex = lastIndex;
    this.#durableIndex = lastIndex;
  }

  /** Index of the first entry here, or of the next to come. */
  get firstIndex(): number {
    return this.#firstIndex;
  }

  /** Index of the last entry here, or `firstIndex - 1`. */
  get lastIndex(): number {
    return this.#firstIndex + this.#entries.length - 1;
  }

  /** The log up to here is on this node's disk. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** Whether there are entries to write. */
  get hasUnwritten(): boolean {
    return this.#writingIndex < this.lastIndex;
  }

  /**
   * @param index An index that is here.
   * @returns Its entry.
   */
  at(index: number): Entry {
    const entry = this.#entries[index - this.#firstIndex];
    invariant(entry !== undefined, () => `index ${index} is in the tail`);
    return entry;
  }

  /**
   * Puts entries behind the tail, or in place of its end from their first index on.
   *
   * @param entries Consecutive, at least one, starting at most one behind the last index.
   */
  append(entries: readonly Entry[]): void {
    const first = entries[0]!.index;
    if (first <= this.lastIndex || first < this.#firstIndex) this.#truncate(first);
    invariant(
      first === this.lastIndex + 1,
      () => `entries follow the log: first index ${first}, last index ${this.lastIndex}`,
    );
    for (let i = 0; i < entries.length; i++) this.#entries.push(entries[i]!);
  }

  /** Drops `index` and what follows. */
  #truncate(index: number): void {
    if (index <= this.#firstIndex) {
      this.#entries = [];
      this.#firstIndex = index;
    } else {
      this.#entries.length = index - this.#firstIndex;
    }
    const last = index - 1;
    this.#writingIndex = Math.min(this.#writingIndex, last);
    this.#durableIndex = Math.min(this.#durableIndex, last);
    for (let i = 0; i < this.#batches.length; i++) {
      if (this.#batches[i]! > last) this.#batches[i] = last;
    }
  }

  /**
   * Starts over behind a snapshot.
   *
   * @param index The snapshot's index.
   */
  restart(index: number): void {
    this.#entries = [];
    this.#firstIndex = index + 1;
    this.#writingIndex = index;
    this.#durableIndex = Math.min(this.#durableIndex, index);
    // Batches on their way wrote the log that the snapshot replaces.
    this.#batches.fill(0);
  }

  /**
   * Hands out what is to be written: one batch, be it empty.
   *
   * @param snapshotIndex The index of a snapshot that is written with this batch, or 0.
   * @returns The entries that were not handed out before.
   */
  takeBatch(snapshotIndex: number): Entry[] {
    const from = this.#writingIndex + 1 - this.#firstIndex;
    const batch = from === 0 ? this.#entries.slice() : this.#entries.slice(from);
    if (batch.length > 0) {
      this.#writingIndex = this.lastIndex;
      this.#batches.push(this.#writingIndex);
    } else {
      this.#batches.push(snapshotIndex);
    }
    return batch;
  }

  /** Takes the report that the oldest batch on its way is durable. */
  batchDurable(): void {
    const covered = this.#batches.shift();
    invariant(covered !== undefined, "a durable batch was handed out before");
    if (covered > this.#durableIndex) this.#durableIndex = covered;
  }

  /**
   * Drops entries that nobody asks the tail for any more.
   *
   * @param handedOutIndex Everything up to here was handed out for applying.
   */
  release(handedOutIndex: number): void {
    const count = Math.min(this.#durableIndex, handedOutIndex) + 1 - this.#firstIndex;
    if (count <= 0) return;
    if (count === this.#entries.length) this.#entries = [];
    else this.#entries.splice(0, count);
    this.#firstIndex += count;
  }

  /**
   * Entries from `low` on.
   *
   * @param low The first index, which is here.
   * @param high The index behind the last one.
   * @param bytesMax Limit for the data of all but the first entry.
   * @returns At least one entry, and as many as the limit allows.
   */
  slice(low: number, high: number, bytesMax: number): Entry[] {
    const from = low - this.#firstIndex;
    const end = high - this.#firstIndex;
    invariant(from >= 0 && end <= this.#entries.length, () => `${low}..${high} is in the tail`);
    let to = from;
    let bytes = 0;
    while (to < end) {
      bytes += this.#entries[to]!.data.byteLength;
      if (bytes > bytesMax && to > from) break;
      to++;
    }
    return this.#entries.slice(from, to);
  }
}
