/**
 * A set of message offsets, one bit each, in chunks that are there only where something is in them.
 *
 * A capture shares the chunks: one that changes afterwards is copied first. So taking hold of a million
 * neighbouring offsets costs a few hundred references.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { OffsetRuns } from "./machine_snapshot.ts";
import { StepReader, StepWriter } from "./step_codec.ts";

const CHUNK_BITS = 4_096;
const CHUNK_WORDS = CHUNK_BITS / 32;

interface Chunk {
  readonly words: Uint32Array;
  /** How many bits are set. */
  size: number;
  /** The generation of the set in which it was made; one of an earlier belongs to a capture too. */
  readonly generation: number;
}

// Most sets are empty, and there may be very many. Nothing is ever put into this one.
const NO_CHUNKS = new Map<number, Chunk>();

/** Offsets: safe integers from 0. */
export class OffsetSet {
  #chunks = NO_CHUNKS;
  #size = 0;
  #generation = 0;

  /** How many offsets it holds. */
  get size(): number {
    return this.#size;
  }

  /**
   * Looks an offset up.
   *
   * @param offset An offset.
   * @returns Whether it is in the set.
   */
  has(offset: number): boolean {
    if (this.#size === 0) return false;
    const bit = offset % CHUNK_BITS;
    const chunk = this.#chunks.get((offset - bit) / CHUNK_BITS);
    return chunk !== undefined && (chunk.words[bit >>> 5]! >>> (bit & 31) & 1) === 1;
  }

  /**
   * Adds an offset that is not there.
   *
   * @param offset The offset.
   */
  add(offset: number): void {
    const bit = offset % CHUNK_BITS;
    const chunk = this.#own((offset - bit) / CHUNK_BITS);
    const mask = 1 << (bit & 31);
    invariant((chunk.words[bit >>> 5]! & mask) === 0, "An offset is added once");
    chunk.words[bit >>> 5]! |= mask;
    chunk.size++;
    this.#size++;
  }

  /**
   * Takes an offset out that is there.
   *
   * @param offset The offset.
   */
  delete(offset: number): void {
    invariant(this.has(offset), "Only an offset that is there is taken out");
    const bit = offset % CHUNK_BITS;
    const number = (offset - bit) / CHUNK_BITS;
    const chunk = this.#own(number);
    chunk.words[bit >>> 5]! &= ~(1 << (bit & 31));
    chunk.size--;
    this.#size--;
    if (this.#size === 0) this.#chunks = NO_CHUNKS;
    else if (chunk.size === 0) this.#chunks.delete(number);
  }

  /** Empties the set. */
  clear(): void {
    this.#chunks = NO_CHUNKS;
    this.#size = 0;
  }

  /**
   * Takes hold of the set as it is now, at the cost of a reference for each chunk.
   *
   * @returns A set of its own, however this one goes on.
   */
  capture(): OffsetSet {
    const copy = new OffsetSet();
    copy.#chunks = new Map(this.#chunks);
    copy.#size = this.#size;
    // Neither of the two owns the chunks any more.
    copy.#generation = ++this.#generation;
    return copy;
  }

  /**
   * Goes over the offsets.
   *
   * @returns All of them, ascending; the set must not change meanwhile.
   */
  *[Symbol.iterator](): Generator<number> {
    for (const number of Float64Array.from(this.#chunks.keys()).sort()) {
      const { words } = this.#chunks.get(number)!;
      for (let at = 0; at < CHUNK_WORDS; at++) {
        for (let word = words[at]!; word !== 0; word &= word - 1) {
          yield number * CHUNK_BITS + at * 32 + 31 - Math.clz32(word & -word);
        }
      }
    }
  }

  /**
   * Lists the lowest offsets.
   *
   * @param countMax How many.
   * @returns That many, or all, ascending.
   */
  first(countMax: number): number[] {
    return this[Symbol.iterator]().take(countMax).toArray();
  }

  /**
   * Makes plain data of the set, the same for the same offsets.
   *
   * @param runsMax How many runs of neighbours may be together.
   * @returns Runs, ascending, each made when it is asked for.
   */
  *runs(runsMax: number): Generator<OffsetRuns> {
    const writer = new StepWriter();
    let firstOffset = -1;
    let base = 0;
    let start = -1;
    let end = -1;
    let count = 0;
    for (const offset of this) {
      if (offset === end) {
        end++;
        continue;
      }
      if (start >= 0) {
        writer.add(start - base, end - start);
        base = end;
        if (++count === runsMax) {
          yield { firstOffset, steps: writer.finish() };
          count = 0;
          firstOffset = -1;
        }
      }
      start = offset;
      end = offset + 1;
      if (firstOffset < 0) base = firstOffset = offset;
    }
    if (start < 0) return;
    writer.add(start - base, end - start);
    yield { firstOffset, steps: writer.finish() };
  }

  /**
   * Adds what was in a snapshot.
   *
   * @param runs What `runs` gave.
   */
  restore(runs: OffsetRuns): void {
    for (const [start, end] of offsetRanges(runs)) {
      for (let offset = start; offset < end; offset++) this.add(offset);
    }
  }

  /** Checks the counts. */
  checkInvariants(): void {
    let size = 0;
    for (const { words, size: chunkSize } of this.#chunks.values()) {
      let bits = 0;
      for (let word of words) for (; word !== 0; word &= word - 1) bits++;
      invariant(bits > 0 && bits === chunkSize, "A chunk counts its offsets, and has some");
      size += bits;
    }
    invariant(size === this.#size, "A set counts its offsets");
  }

  /** A chunk that may be changed. */
  #own(number: number): Chunk {
    const chunk = this.#chunks.get(number);
    if (chunk !== undefined && chunk.generation === this.#generation) return chunk;
    const own = {
      words: chunk === undefined ? new Uint32Array(CHUNK_WORDS) : chunk.words.slice(),
      size: chunk?.size ?? 0,
      generation: this.#generation,
    };
    if (this.#chunks === NO_CHUNKS) this.#chunks = new Map();
    this.#chunks.set(number, own);
    return own;
  }
}

/**
 * Reads what a set was made plain data of.
 *
 * @param runs The data.
 * @returns Ranges of neighbours, ascending: the first of them, and the offset behind the last.
 */
export function* offsetRanges(
  { firstOffset, steps }: OffsetRuns,
): Generator<readonly [start: number, end: number]> {
  let at = firstOffset;
  const reader = new StepReader(steps);
  while (reader.next()) {
    for (let left = reader.count; left > 0; left--) {
      const start = at + reader.offsetStep;
      at = start + reader.indexStep;
      yield [start, at];
    }
  }
}
