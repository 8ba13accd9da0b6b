/**
 * What one session published to one partition: the sequence number that comes next, and the answers to
 * its last batches, so that a repeat is recognised and gets the first answer.
 *
 * A batch that was refused has used up its numbers like any other, and its refusal is remembered: the
 * batches behind it are on their way already, and must neither wait for it nor slip into its place.
 *
 * @module
 */

import type { RefusalReason, Repeat } from "./commands.ts";
import { invariant } from "./invariant.ts";
import type { ProducerWindowSnapshot } from "./machine_snapshot.ts";

const CAPACITY_MIN = 4;
/** Numbers of a remembered batch: base sequence, outcome, entry index, term, time of publishing. */
const FIELDS = 5;
/** Numbers of a message that was not stored, in a snapshot. */
const REPEAT_FIELDS = 5;
/** Messages that were not stored, and that a window remembers: beyond, the oldest batches are forgotten. */
const REPEATS_MAX = 131_072;

/**
 * Refusals a window remembers. The outcome of a batch is its first offset, or, when it was refused,
 * -1 less the place of the reason in this list: append only, the numbers are in snapshots.
 */
const REMEMBERED_REFUSALS = ["partitionNotFound"] as const satisfies readonly RefusalReason[];

/** A reason for refusing a batch that counts as its answer. */
export type RememberedRefusal = (typeof REMEMBERED_REFUSALS)[number];

/** The first answer to a batch. */
export type RememberedBatch =
  | {
    readonly kind: "published";
    readonly firstOffset: number;
    readonly index: number;
    readonly term: number;
    readonly publishedAtMs: number;
    readonly repeats?: readonly Repeat[];
  }
  | { readonly kind: "refused"; readonly reason: RememberedRefusal };

/** What a batch is to the window. */
export type BatchVerdict =
  /** The next one: it is to be carried out, and then recorded. */
  | { readonly kind: "next" }
  /** Seen before. */
  | { readonly kind: "repeat"; readonly answer: RememberedBatch }
  /** Something before it is missing. */
  | { readonly kind: "gap" }
  /** From before the oldest batch remembered: nobody knows what became of it. */
  | { readonly kind: "tooOld" }
  /** Its numbers overlap batches seen before without being one of them. */
  | { readonly kind: "mismatch" };

const NEXT: BatchVerdict = { kind: "next" };

/** The dedupe window of one producer: a ring of the last batches, in the order of their sequence. */
export class ProducerWindow {
  readonly #capacityMax: number;
  #nextSequence: number;
  #ring = new Float64Array(0);
  /** The place of the oldest batch in the ring. */
  #start = 0;
  #size = 0;
  /** A capture has the ring, too. */
  #isShared = false;
  /** What was not stored of remembered batches, by base sequence, oldest first; most have nothing here. */
  #repeats: Map<number, readonly Repeat[]> | undefined;
  #repeatCount = 0;

  /**
   * Makes a window that remembers nothing.
   *
   * @param capacityMax How many batches it remembers.
   * @param nextSequence The base of the first batch it accepts.
   */
  constructor(capacityMax: number, nextSequence = 0) {
    this.#capacityMax = capacityMax;
    this.#nextSequence = nextSequence;
  }

  /** The base sequence of the batch that comes next. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** How many batches it remembers. */
  get size(): number {
    return this.#size;
  }

  /** How many messages it remembers that were not stored. */
  get repeatCount(): number {
    return this.#repeatCount;
  }

  /**
   * Tells what a batch is to this window.
   *
   * @param baseSequence Its first sequence number.
   * @param count How many messages it has.
   * @returns Whether it comes next, is a repeat, or neither.
   */
  judge(baseSequence: number, count: number): BatchVerdict {
    if (baseSequence === this.#nextSequence) return NEXT;
    if (baseSequence > this.#nextSequence) return { kind: "gap" };
    if (this.#size === 0 || baseSequence < this.#baseAt(0)) return { kind: "tooOld" };
    let low = 0;
    let high = this.#size - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#baseAt(middle) <= baseSequence) low = middle;
      else high = middle - 1;
    }
    const end = low + 1 < this.#size ? this.#baseAt(low + 1) : this.#nextSequence;
    if (this.#baseAt(low) !== baseSequence || end !== baseSequence + count) {
      return { kind: "mismatch" };
    }
    return { kind: "repeat", answer: this.#answerAt(low) };
  }

  /**
   * Remembers that the next batch was published.
   *
   * @param count How many messages it has.
   * @param firstOffset The offset the first one got.
   * @param index The log index of the command.
   * @param term Its term.
   * @param publishedAtMs Its timestamp.
   * @param repeats Which of them were not stored.
   */
  recordPublished(
    count: number,
    firstOffset: number,
    index: number,
    term: number,
    publishedAtMs: number,
    repeats?: readonly Repeat[],
  ): void {
    if (repeats !== undefined) this.#rememberRepeats(this.#nextSequence, repeats);
    this.#push(this.#nextSequence, firstOffset, index, term, publishedAtMs);
    this.#nextSequence += count;
  }

  /**
   * Remembers that the next batch was refused.
   *
   * @param count How many messages it has.
   * @param reason Why.
   */
  recordRefused(count: number, reason: RememberedRefusal): void {
    this.#push(this.#nextSequence, -1 - REMEMBERED_REFUSALS.indexOf(reason), 0, 0, 0);
    this.#nextSequence += count;
  }

  /**
   * Takes hold of the window as it is now.
   *
   * @returns A window that stays so. It shares the ring with this one until this one is about to
   *   overwrite what is in it.
   */
  capture(): ProducerWindow {
    const capture = new ProducerWindow(this.#capacityMax, this.#nextSequence);
    capture.#ring = this.#ring;
    capture.#start = this.#start;
    capture.#size = this.#size;
    if (this.#repeats !== undefined) capture.#repeats = new Map(this.#repeats);
    capture.#repeatCount = this.#repeatCount;
    this.#isShared = true;
    return capture;
  }

  /**
   * Copies the window into plain data.
   *
   * @returns Its whole state.
   */
  snapshot(): ProducerWindowSnapshot {
    const batches = new Float64Array(this.#size * FIELDS);
    const tail = this.#ring.subarray(this.#start, this.#start + batches.length);
    batches.set(tail);
    batches.set(this.#ring.subarray(0, batches.length - tail.length), tail.length);
    const repeats = [...this.#repeats ?? []].flatMap(([base, ofBatch]) =>
      ofBatch.flatMap(({ position, offset, index, term }) => [base, position, offset, index, term])
    );
    return {
      nextSequence: this.#nextSequence,
      batches,
      ...(repeats.length === 0 ? {} : { repeats: Float64Array.from(repeats) }),
    };
  }

  /**
   * Makes the window that a snapshot was taken of.
   *
   * @param capacityMax How many batches it remembers.
   * @param snapshot What `snapshot` gave.
   * @returns A window with the same answers.
   */
  static restore(capacityMax: number, snapshot: ProducerWindowSnapshot): ProducerWindow {
    const window = new ProducerWindow(capacityMax, snapshot.nextSequence);
    const { batches, repeats = new Float64Array(0) } = snapshot;
    for (let at = 0; at < batches.length; at += FIELDS) {
      window.#push(
        batches[at]!,
        batches[at + 1]!,
        batches[at + 2]!,
        batches[at + 3]!,
        batches[at + 4]!,
      );
    }
    const byBase = new Map<number, Repeat[]>();
    for (let at = 0; at < repeats.length; at += REPEAT_FIELDS) {
      const [base, position, offset, index, term] = repeats.subarray(at, at + REPEAT_FIELDS);
      const repeat = { position: position!, offset: offset!, index: index!, term: term! };
      const ofBatch = byBase.get(base!);
      if (ofBatch === undefined) byBase.set(base!, [repeat]);
      else ofBatch.push(repeat);
    }
    for (const [base, ofBatch] of byBase) window.#rememberRepeats(base, ofBatch);
    return window;
  }

  /** Checks that the remembered batches follow each other. */
  checkInvariants(): void {
    invariant(this.#size <= this.#capacityMax, "A window remembers no more than it may");
    for (let at = 0; at < this.#size; at++) {
      const end = at + 1 < this.#size ? this.#baseAt(at + 1) : this.#nextSequence;
      invariant(this.#baseAt(at) < end, "Batches in a window are in the order of their sequence");
    }
    for (const base of this.#repeats?.keys() ?? []) {
      invariant(
        base >= this.#baseAt(0),
        "Only of remembered batches it is known what was repeated",
      );
    }
  }

  #placeOf(at: number): number {
    const place = this.#start + at * FIELDS;
    return place < this.#ring.length ? place : place - this.#ring.length;
  }

  #baseAt(at: number): number {
    return this.#ring[this.#placeOf(at)]!;
  }

  #answerAt(at: number): RememberedBatch {
    const place = this.#placeOf(at);
    const outcome = this.#ring[place + 1]!;
    if (outcome < 0) {
      const reason = REMEMBERED_REFUSALS[-1 - outcome];
      invariant(reason !== undefined, "A remembered refusal has a known reason");
      return { kind: "refused", reason };
    }
    const repeats = this.#repeats?.get(this.#ring[place]!);
    return {
      kind: "published",
      firstOffset: outcome,
      index: this.#ring[place + 2]!,
      term: this.#ring[place + 3]!,
      publishedAtMs: this.#ring[place + 4]!,
      ...(repeats === undefined ? {} : { repeats }),
    };
  }

  #push(base: number, outcome: number, index: number, term: number, publishedAtMs: number): void {
    if (this.#size * FIELDS === this.#ring.length) {
      if (this.#size < this.#capacityMax) {
        this.#grow();
      } else {
        this.#forgetOldest();
      }
    }
    const place = this.#placeOf(this.#size);
    const ring = this.#ring;
    ring[place] = base;
    ring[place + 1] = outcome;
    ring[place + 2] = index;
    ring[place + 3] = term;
    ring[place + 4] = publishedAtMs;
    this.#size++;
  }

  #forgetOldest(): void {
    // Its place is used again.
    if (this.#isShared) {
      this.#ring = this.#ring.slice();
      this.#isShared = false;
    }
    if (this.#repeats !== undefined) {
      const base = this.#baseAt(0);
      this.#repeatCount -= this.#repeats.get(base)?.length ?? 0;
      this.#repeats.delete(base);
      if (this.#repeats.size === 0) this.#repeats = undefined;
    }
    this.#start = this.#placeOf(1);
    this.#size--;
  }

  #rememberRepeats(base: number, repeats: readonly Repeat[]): void {
    while (this.#repeatCount > 0 && this.#repeatCount + repeats.length > REPEATS_MAX) {
      this.#forgetOldest();
    }
    this.#repeats ??= new Map();
    this.#repeats.set(base, repeats);
    this.#repeatCount += repeats.length;
  }

  #grow(): void {
    const capacity = Math.min(this.#capacityMax, Math.max(CAPACITY_MIN, this.#size * 2));
    const grown = new Float64Array(capacity * FIELDS);
    const tail = this.#ring.subarray(this.#start);
    grown.set(tail);
    grown.set(this.#ring.subarray(0, this.#start), tail.length);
    this.#ring = grown;
    this.#start = 0;
    this.#isShared = false;
  }
}
