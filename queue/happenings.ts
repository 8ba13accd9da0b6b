/**
 * What happened to the messages of a partition, in the order of the log: the memory of its history.
 *
 * A happening is a place in each of a few typed arrays, in chunks that start small and are written once:
 * what is new goes behind, what is old is passed over and goes a chunk at a time. So a capture shares
 * the chunks, as that of a `BatchIndex` does.
 *
 * @module
 */

import { type HappeningsSnapshot, PART_LEASES_MAX } from "./machine_snapshot.ts";

/** What may happen to a message. Stored as one byte: numbers keep their meaning. */
export const HappeningKind = {
  /** Of `count` messages at once. */
  published: 1,
  /** Given to a consumer. */
  leased: 2,
  acked: 3,
  /** A consumer wants it to be delivered again; the detail is its reason. */
  nacked: 4,
  /** A consumer wants nobody to have it; the detail is its reason. */
  rejected: 5,
  /** The consumer ended in good order. */
  returned: 6,
  leaseExpired: 7,
  sessionTimedOut: 8,
  /** Went to the dead-letter queue; the detail is the reason. */
  dead: 9,
  expired: 10,
  dropped: 11,
  /** Taken out by its id. */
  removed: 12,
  /** Everything in `count` messages that waited was taken out. */
  purged: 13,
  /** Its copy is on the way back into the queue. */
  replayed: 14,
} as const;
export type HappeningKind = (typeof HappeningKind)[keyof typeof HappeningKind];

/** What a kind is called. */
export type HappeningName = keyof typeof HappeningKind;

/** Something that happened. What is absent is not known, or does not apply. */
export interface Happening {
  readonly kind: HappeningKind;
  /** The message, or the first of several. */
  readonly offset: number;
  /** How many messages it happened to. */
  readonly count: number;
  /** The log index of the command by which it happened. */
  readonly index: number;
  /** The time of the log. */
  readonly atMs: number;
  /** Whose client did it, 0 for nobody's. */
  readonly sessionId: number;
  /** Which of its consumers, 0 for none. */
  readonly consumerId: number;
  /** The delivery that it is about, 0 for none. */
  readonly deliveryCount: number;
  /** For people. */
  readonly detail?: string;
}

/** About what a happening takes of memory and snapshots, beside its detail. */
export const HAPPENING_BYTES = 50;

const CHUNK_MIN = 16;
const CHUNK_MAX = 1_024;

/** Happenings `start <= i < length`. In all chunks but the first, `start` is 0. */
interface Chunk {
  readonly what: Uint8Array;
  readonly offset: Float64Array;
  readonly count: Float64Array;
  readonly index: Float64Array;
  readonly atMs: Float64Array;
  readonly sessionId: Float64Array;
  readonly consumerId: Uint32Array;
  readonly deliveryCount: Uint32Array;
  /** By place; made when there is one. */
  details: Map<number, string> | undefined;
  length: number;
}

/** The happenings of one partition, oldest first. */
export class Happenings {
  #chunks: Chunk[] = [];
  /** Where the first chunk begins. */
  #start = 0;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** When the oldest happened, or `undefined` when there is none. */
  get firstMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#chunks[0]!.atMs[this.#start];
  }

  /**
   * Adds what happened last.
   *
   * @param happening Not before those that are there.
   */
  add(happening: Happening): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.length === chunk.what.length) {
      chunk = newChunk(Math.min(CHUNK_MAX, (chunk?.what.length ?? CHUNK_MIN / 4) * 4));
      this.#chunks.push(chunk);
    }
    const at = chunk.length++;
    chunk.what[at] = happening.kind;
    chunk.offset[at] = happening.offset;
    chunk.count[at] = happening.count;
    chunk.index[at] = happening.index;
    chunk.atMs[at] = happening.atMs;
    chunk.sessionId[at] = happening.sessionId;
    chunk.consumerId[at] = happening.consumerId;
    chunk.deliveryCount[at] = happening.deliveryCount;
    if (happening.detail !== undefined) {
      (chunk.details ??= new Map()).set(at, happening.detail);
    }
    this.#size++;
  }

  /**
   * Takes the oldest one out.
   *
   * @returns What it was; there must be one.
   */
  shift(): Happening {
    const chunk = this.#chunks[0]!;
    const oldest = happeningAt(chunk, this.#start++);
    this.#size--;
    if (this.#start === chunk.length) {
      this.#chunks.shift();
      this.#start = 0;
    }
    return oldest;
  }

  /** Forgets all. */
  clear(): void {
    this.#chunks = [];
    this.#start = 0;
    this.#size = 0;
  }

  /**
   * Goes over what happened to a message.
   *
   * @param offset The message.
   * @returns All of it, oldest first.
   */
  *of(offset: number): Generator<Happening, void> {
    for (const [chunk, start] of this.#filled()) {
      for (let at = start; at < chunk.length; at++) {
        const isAbout = offset >= chunk.offset[at]! &&
          offset < chunk.offset[at]! + chunk.count[at]!;
        if (isAbout) yield happeningAt(chunk, at);
      }
    }
  }

  /**
   * Finds messages that were acked.
   *
   * @param sinceMs At this time or later.
   * @param untilIndex By the entry with this index, or one before it.
   * @returns Their offsets, in the order of the acks.
   */
  *acked(sinceMs: number, untilIndex: number): Generator<number, void> {
    for (const [chunk, start] of this.#filled()) {
      if (chunk.atMs[chunk.length - 1]! < sinceMs) continue;
      for (let at = start; at < chunk.length; at++) {
        if (chunk.index[at]! > untilIndex) return;
        if (chunk.what[at] === HappeningKind.acked && chunk.atMs[at]! >= sinceMs) {
          yield chunk.offset[at]!;
        }
      }
    }
  }

  /** Goes over all of them, oldest first. */
  *[Symbol.iterator](): Generator<Happening, void> {
    for (const [chunk, start] of this.#filled()) {
      for (let at = start; at < chunk.length; at++) yield happeningAt(chunk, at);
    }
  }

  /**
   * Takes hold of them as they are now, at the cost of a reference for each chunk.
   *
   * @returns Makes parts of a snapshot, however this goes on.
   */
  capture(): HappeningsCapture {
    return new HappeningsCapture(this.#chunks.slice(), this.#start, this.#size);
  }

  /**
   * Adds what was in a snapshot.
   *
   * @param part What a capture gave.
   */
  restore({ details = [], kind: _, ...columns }: HappeningsSnapshot): void {
    const texts = new Map(details);
    for (let at = 0; at < columns.what.length; at++) {
      this.add(happeningAt({ ...columns, details: texts }, at));
    }
  }

  *#filled(): Generator<readonly [chunk: Chunk, start: number], void> {
    for (const [at, chunk] of this.#chunks.entries()) yield [chunk, at === 0 ? this.#start : 0];
  }
}

/** Happenings as they were at one moment. */
export class HappeningsCapture {
  readonly #chunks: readonly Chunk[];
  readonly #start: number;
  readonly #size: number;

  /**
   * @param chunks All chunks; the last one may be added to meanwhile.
   * @param start Where the first one begins.
   * @param size How many happenings there are.
   */
  constructor(chunks: readonly Chunk[], start: number, size: number) {
    this.#chunks = chunks;
    this.#start = start;
    this.#size = size;
  }

  /**
   * Makes plain data, the same for the same happenings however they got there.
   *
   * @returns Some thousand at a time, oldest first.
   */
  *parts(): Generator<HappeningsSnapshot> {
    let chunkAt = 0;
    let at = this.#start;
    for (let left = this.#size; left > 0;) {
      const size = Math.min(left, PART_LEASES_MAX);
      left -= size;
      const part = newChunk(size);
      const details: [number, string][] = [];
      for (let i = 0; i < size; i++) {
        if (at === this.#chunks[chunkAt]!.what.length) {
          chunkAt++;
          at = 0;
        }
        copyHappening(this.#chunks[chunkAt]!, at, part, i);
        const detail = this.#chunks[chunkAt]!.details?.get(at);
        if (detail !== undefined) details.push([i, detail]);
        at++;
      }
      const { details: _, length: _length, ...columns } = part;
      yield { kind: "happenings", ...columns, ...(details.length === 0 ? {} : { details }) };
    }
  }
}

function newChunk(capacity: number): Chunk {
  return {
    what: new Uint8Array(capacity),
    offset: new Float64Array(capacity),
    count: new Float64Array(capacity),
    index: new Float64Array(capacity),
    atMs: new Float64Array(capacity),
    sessionId: new Float64Array(capacity),
    consumerId: new Uint32Array(capacity),
    deliveryCount: new Uint32Array(capacity),
    details: undefined,
    length: 0,
  };
}

function copyHappening(from: Chunk, at: number, to: Chunk, place: number): void {
  to.what[place] = from.what[at]!;
  to.offset[place] = from.offset[at]!;
  to.count[place] = from.count[at]!;
  to.index[place] = from.index[at]!;
  to.atMs[place] = from.atMs[at]!;
  to.sessionId[place] = from.sessionId[at]!;
  to.consumerId[place] = from.consumerId[at]!;
  to.deliveryCount[place] = from.deliveryCount[at]!;
}

function happeningAt(chunk: Omit<Chunk, "length">, at: number): Happening {
  const detail = chunk.details?.get(at);
  return {
    kind: chunk.what[at]! as HappeningKind,
    offset: chunk.offset[at]!,
    count: chunk.count[at]!,
    index: chunk.index[at]!,
    atMs: chunk.atMs[at]!,
    sessionId: chunk.sessionId[at]!,
    consumerId: chunk.consumerId[at]!,
    deliveryCount: chunk.deliveryCount[at]!,
    ...(detail === undefined ? {} : { detail }),
  };
}
