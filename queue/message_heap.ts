/**
 * Messages in the order of a rank, and of their offsets where that is equal: those that wait for a
 * time, by when it comes; those that are ready, by nothing but their offsets.
 *
 * New ones go into a small binary heap. When it is full it is sorted and becomes a run, which is only
 * read from then on; the first message of all is the first of the heap or of some run, and a second heap
 * knows which run. What is left of a run that is nearly used up goes through the small heap once more,
 * so that a few long-waiting messages do not keep runs in memory. So a message takes 20 bytes, however
 * many there are, nothing ever has to be moved in bulk, and a capture shares the runs.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

const OPEN_MIN = 16;
const RUN_LENGTH = 4_096;
/** A run with no more than this left is dissolved. */
const RUN_REST = RUN_LENGTH / 8;

// Most heaps are empty, and there may be very many.
const NO_NUMBERS = new Float64Array(0);
const NO_WORDS = new Uint32Array(0);

/** Sorted messages; those before `start` are gone. */
interface Run {
  readonly ranks: Float64Array;
  readonly offsets: Float64Array;
  readonly words: Uint32Array;
  start: number;
}

/** A message as it is in the heap. */
export interface RankedMessage {
  readonly rank: number;
  readonly offset: number;
  readonly word: number;
}

/** Messages, the one with the lowest rank first. */
export class MessageHeap {
  #ranks = NO_NUMBERS;
  #offsets = NO_NUMBERS;
  #words = NO_WORDS;
  /** How many are in the open heap. */
  #open = 0;
  /** A heap of runs by their first messages. */
  #runs: Run[] = [];
  #size = 0;

  /** How many messages it holds. */
  get size(): number {
    return this.#size;
  }

  /** The rank of the first message of a heap that is not empty. */
  get firstRank(): number {
    const run = this.#firstRun;
    return run === undefined ? this.#ranks[0]! : run.ranks[run.start]!;
  }

  /** The offset of the first message of a heap that is not empty. */
  get firstOffset(): number {
    const run = this.#firstRun;
    return run === undefined ? this.#offsets[0]! : run.offsets[run.start]!;
  }

  /** What is noted about the first message of a heap that is not empty. */
  get firstWord(): number {
    const run = this.#firstRun;
    return run === undefined ? this.#words[0]! : run.words[run.start]!;
  }

  /**
   * Adds a message.
   *
   * @param rank Its rank.
   * @param offset Its offset.
   * @param word A u32 that is noted about it.
   */
  push(rank: number, offset: number, word: number): void {
    if (this.#open === this.#offsets.length) this.#makeRoom();
    this.#size++;
    this.#up(this.#open++, rank, offset, word);
  }

  /** Takes the first message out of a heap that is not empty. */
  pop(): void {
    invariant(this.#size > 0, "Only a heap with something in it is popped");
    this.#size--;
    const run = this.#firstRun;
    if (run === undefined) this.#popOpen();
    else this.#popRun(run);
  }

  /** Takes all messages out. */
  clear(): void {
    this.#forgetOpen();
    this.#open = 0;
    this.#runs = [];
    this.#size = 0;
  }

  /**
   * Takes hold of the messages as they are now.
   *
   * @returns A heap of its own, at the cost of a reference a run and of copying the small heap.
   */
  capture(): MessageHeap {
    const copy = new MessageHeap();
    if (this.#open > 0) {
      copy.#ranks = this.#ranks.slice(0, this.#open);
      copy.#offsets = this.#offsets.slice(0, this.#open);
      copy.#words = this.#words.slice(0, this.#open);
      copy.#open = this.#open;
    }
    copy.#runs = this.#runs.map((run) => ({ ...run }));
    copy.#size = this.#size;
    return copy;
  }

  /**
   * Goes over the messages.
   *
   * @returns All of them, in no order; the heap must not change meanwhile.
   */
  *[Symbol.iterator](): Generator<RankedMessage> {
    for (let at = 0; at < this.#open; at++) {
      yield { rank: this.#ranks[at]!, offset: this.#offsets[at]!, word: this.#words[at]! };
    }
    for (const { ranks, offsets, words, start } of this.#runs) {
      for (let at = start; at < offsets.length; at++) {
        yield { rank: ranks[at]!, offset: offsets[at]!, word: words[at]! };
      }
    }
  }

  /** Checks both heaps, the order in the runs, and the count. */
  checkInvariants(): void {
    let size = this.#open;
    for (let at = 1; at < this.#open; at++) {
      const parent = (at - 1) >>> 1;
      invariant(
        !isBefore(
          this.#ranks[at]!,
          this.#offsets[at]!,
          this.#ranks[parent]!,
          this.#offsets[parent]!,
        ),
        "A parent in the heap comes before its children",
      );
    }
    for (const [place, run] of this.#runs.entries()) {
      invariant(run.start < run.offsets.length, "A run has something in it");
      invariant(
        place === 0 || !startsBefore(run, this.#runs[(place - 1) >>> 1]!),
        "A run begins no earlier than its parent",
      );
      for (let at = run.start + 1; at < run.offsets.length; at++) {
        invariant(
          !isBefore(run.ranks[at]!, run.offsets[at]!, run.ranks[at - 1]!, run.offsets[at - 1]!),
          "The messages of a run are sorted",
        );
      }
      size += run.offsets.length - run.start;
    }
    invariant(size === this.#size, "A heap counts its messages");
  }

  /** The run that has the first message, if a run has it. */
  get #firstRun(): Run | undefined {
    const run = this.#runs[0];
    if (run === undefined || this.#open === 0) return run;
    const { ranks, offsets, start } = run;
    return isBefore(this.#ranks[0]!, this.#offsets[0]!, ranks[start]!, offsets[start]!)
      ? undefined
      : run;
  }

  #popOpen(): void {
    const last = --this.#open;
    if (last > 0) {
      this.#down(this.#ranks[last]!, this.#offsets[last]!, this.#words[last]!);
    } else if (this.#offsets.length > OPEN_MIN) {
      this.#forgetOpen();
    }
  }

  #popRun(run: Run): void {
    run.start++;
    const left = run.offsets.length - run.start;
    if (left > RUN_REST) return this.#runDown(run);
    const last = this.#runs.pop()!;
    if (last !== run) this.#runDown(last);
    for (let at = run.start; at < run.offsets.length; at++) {
      this.#size--;
      this.push(run.ranks[at]!, run.offsets[at]!, run.words[at]!);
    }
  }

  #makeRoom(): void {
    if (this.#open < RUN_LENGTH) {
      this.#resize(Math.min(RUN_LENGTH, Math.max(OPEN_MIN, this.#open * 2)));
      return;
    }
    const order = Uint16Array.from({ length: RUN_LENGTH }, (_, at) => at);
    const [ranks, offsets, words] = [this.#ranks, this.#offsets, this.#words];
    order.sort((a, b) => ranks[a]! - ranks[b]! || offsets[a]! - offsets[b]!);
    const run: Run = {
      ranks: new Float64Array(RUN_LENGTH),
      offsets: new Float64Array(RUN_LENGTH),
      words: new Uint32Array(RUN_LENGTH),
      start: 0,
    };
    for (let at = 0; at < RUN_LENGTH; at++) {
      run.ranks[at] = ranks[order[at]!]!;
      run.offsets[at] = offsets[order[at]!]!;
      run.words[at] = words[order[at]!]!;
    }
    this.#open = 0;
    this.#runUp(run);
  }

  #resize(capacity: number): void {
    const [ranks, offsets, words] = [this.#ranks, this.#offsets, this.#words];
    this.#ranks = new Float64Array(capacity);
    this.#offsets = new Float64Array(capacity);
    this.#words = new Uint32Array(capacity);
    this.#ranks.set(ranks);
    this.#offsets.set(offsets);
    this.#words.set(words);
  }

  #forgetOpen(): void {
    this.#ranks = NO_NUMBERS;
    this.#offsets = NO_NUMBERS;
    this.#words = NO_WORDS;
  }

  #put(at: number, rank: number, offset: number, word: number): void {
    this.#ranks[at] = rank;
    this.#offsets[at] = offset;
    this.#words[at] = word;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#ranks[from]!, this.#offsets[from]!, this.#words[from]!);
  }

  #up(at: number, rank: number, offset: number, word: number): void {
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(rank, offset, this.#ranks[parent]!, this.#offsets[parent]!)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, rank, offset, word);
  }

  #down(rank: number, offset: number, word: number): void {
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#open) break;
      const [ranks, offsets] = [this.#ranks, this.#offsets];
      if (
        child + 1 < this.#open &&
        isBefore(ranks[child + 1]!, offsets[child + 1]!, ranks[child]!, offsets[child]!)
      ) child++;
      if (isBefore(rank, offset, ranks[child]!, offsets[child]!)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, rank, offset, word);
  }

  #runUp(run: Run): void {
    const runs = this.#runs;
    let at = runs.length;
    runs.push(run);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!startsBefore(run, runs[parent]!)) break;
      runs[at] = runs[parent]!;
      at = parent;
    }
    runs[at] = run;
  }

  /** Puts a run into the place of the first one. */
  #runDown(run: Run): void {
    const runs = this.#runs;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= runs.length) break;
      if (child + 1 < runs.length && startsBefore(runs[child + 1]!, runs[child]!)) child++;
      if (startsBefore(run, runs[child]!)) break;
      runs[at] = runs[child]!;
      at = child;
    }
    runs[at] = run;
  }
}

function isBefore(rank: number, offset: number, otherRank: number, otherOffset: number): boolean {
  return rank < otherRank || (rank === otherRank && offset < otherOffset);
}

function startsBefore(run: Run, other: Run): boolean {
  const [at, otherAt] = [run.start, other.start];
  return isBefore(run.ranks[at]!, run.offsets[at]!, other.ranks[otherAt]!, other.offsets[otherAt]!);
}
