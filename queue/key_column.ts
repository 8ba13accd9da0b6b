/**
 * What is known of each message that has a key and is not gone, by its offset: the hash of its key, what
 * it does, its priority and how often it was delivered.
 *
 * It is in chunks of neighbouring offsets, which are there only where a message is. A capture shares the
 * chunks: one that changes afterwards is copied first.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { type KeyedSnapshot, PART_LEASES_MAX } from "./machine_snapshot.ts";

const CHUNK_LENGTH = 512;

/** What a message does. */
export const KeyedState = { none: 0, ready: 1, leased: 2, delayed: 3 } as const;
export type KeyedState = (typeof KeyedState)[keyof typeof KeyedState];

interface Chunk {
  /** 0 for an offset that is not here. */
  readonly hashes: Float64Array;
  readonly deliveryCounts: Uint32Array;
  /** The state, and four times the priority. */
  readonly flags: Uint8Array;
  /** Where ready ones are linked in. Not of the capture: copies share it. */
  readonly links: Uint32Array;
  /** How many messages are here. */
  size: number;
  /** The generation of the column in which it was made; one of an earlier belongs to a capture too. */
  readonly generation: number;
}

/** Messages with keys, by offset. */
export class KeyColumn {
  #chunks = new Map<number, Chunk>();
  #size = 0;
  #generation = 0;
  /** No ready message is below. */
  #oldest = 0;

  /** How many messages there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Tells what a message does.
   *
   * @param offset The message.
   * @returns Its state; `none` where it is not here.
   */
  stateAt(offset: number): KeyedState {
    const at = offset % CHUNK_LENGTH;
    const flags = this.#chunks.get((offset - at) / CHUNK_LENGTH)?.flags[at] ?? 0;
    return (flags & 3) as KeyedState;
  }

  /**
   * Reads the hash of a message's key.
   *
   * @param offset A message that is here.
   * @returns The hash.
   */
  hashAt(offset: number): number {
    const at = offset % CHUNK_LENGTH;
    return this.#chunks.get((offset - at) / CHUNK_LENGTH)!.hashes[at]!;
  }

  /**
   * Reads the priority of a message.
   *
   * @param offset A message that is here.
   * @returns From 0 to 9.
   */
  priorityAt(offset: number): number {
    const at = offset % CHUNK_LENGTH;
    return this.#chunks.get((offset - at) / CHUNK_LENGTH)!.flags[at]! >>> 2;
  }

  /**
   * Reads how often a message was delivered.
   *
   * @param offset A message that is here.
   * @returns The count, a delivery under way not included.
   */
  deliveryCountAt(offset: number): number {
    const at = offset % CHUNK_LENGTH;
    return this.#chunks.get((offset - at) / CHUNK_LENGTH)!.deliveryCounts[at]!;
  }

  /**
   * Reads where a message is linked in.
   *
   * @param offset A ready message.
   * @returns Its link.
   */
  linkAt(offset: number): number {
    const at = offset % CHUNK_LENGTH;
    return this.#chunks.get((offset - at) / CHUNK_LENGTH)!.links[at]!;
  }

  /**
   * Adds a message.
   *
   * @param offset One that is not here.
   * @param hash The hash of its key.
   * @param state What it does.
   * @param deliveryCount How often it was delivered.
   * @param priority From 0 to 9.
   * @param link Where it is linked in, if it is ready.
   */
  add(
    offset: number,
    hash: number,
    state: KeyedState,
    deliveryCount: number,
    priority: number,
    link: number,
  ): void {
    const at = offset % CHUNK_LENGTH;
    const chunk = this.#own((offset - at) / CHUNK_LENGTH);
    invariant(chunk.hashes[at] === 0, "A message with a key is added once");
    chunk.hashes[at] = hash;
    chunk.deliveryCounts[at] = deliveryCount;
    chunk.flags[at] = priority * 4 + state;
    chunk.links[at] = link;
    chunk.size++;
    this.#size++;
    if (offset < this.#oldest) this.#oldest = offset;
  }

  /**
   * Notes that a consumer has a message now.
   *
   * @param offset A ready message.
   */
  lease(offset: number): void {
    const at = offset % CHUNK_LENGTH;
    const { flags } = this.#own((offset - at) / CHUNK_LENGTH);
    flags[at] = flags[at]! & ~3 | KeyedState.leased;
  }

  /**
   * Takes a message out.
   *
   * @param offset One that is here.
   */
  remove(offset: number): void {
    const at = offset % CHUNK_LENGTH;
    const number = (offset - at) / CHUNK_LENGTH;
    const chunk = this.#own(number);
    invariant(chunk.hashes[at] !== 0, "Only a message that is there is taken out");
    chunk.hashes[at] = 0;
    chunk.deliveryCounts[at] = 0;
    chunk.flags[at] = 0;
    this.#size--;
    if (--chunk.size === 0) this.#chunks.delete(number);
  }

  /**
   * Finds the ready message with the lowest offset. Messages that come later are looked for from there.
   *
   * @param end Only below.
   * @returns Its offset, or `Infinity`.
   */
  oldest(end: number): number {
    for (; this.#oldest < end; this.#oldest++) {
      const at = this.#oldest % CHUNK_LENGTH;
      const chunk = this.#chunks.get((this.#oldest - at) / CHUNK_LENGTH);
      if (chunk === undefined) this.#oldest += CHUNK_LENGTH - at - 1;
      else if ((chunk.flags[at]! & 3) === KeyedState.ready) return this.#oldest;
    }
    this.#oldest = end;
    return Infinity;
  }

  /** Takes all messages out. */
  clear(): void {
    this.#chunks = new Map();
    this.#size = 0;
  }

  /**
   * Takes hold of the messages as they are now, at the cost of a reference for each chunk.
   *
   * @returns A column of its own, however this one goes on.
   */
  capture(): KeyColumn {
    const copy = new KeyColumn();
    copy.#chunks = new Map(this.#chunks);
    copy.#size = this.#size;
    // Neither of the two owns the chunks any more.
    copy.#generation = ++this.#generation;
    return copy;
  }

  /**
   * Goes over the messages; the column must not change meanwhile.
   *
   * @returns Their offsets, ascending.
   */
  *[Symbol.iterator](): Generator<number> {
    for (const number of Float64Array.from(this.#chunks.keys()).sort()) {
      const { flags } = this.#chunks.get(number)!;
      for (let at = 0; at < CHUNK_LENGTH; at++) {
        if (flags[at] !== 0) yield number * CHUNK_LENGTH + at;
      }
    }
  }

  /**
   * Makes plain data of the messages.
   *
   * @returns Some of them at a time, in the order of their offsets.
   */
  *parts(): Generator<KeyedSnapshot> {
    if (this.#size === 0) return;
    let part = emptyPart(Math.min(this.#size, PART_LEASES_MAX));
    let length = 0;
    for (const number of Float64Array.from(this.#chunks.keys()).sort()) {
      if (length + CHUNK_LENGTH > PART_LEASES_MAX) {
        yield cutPart(part, length);
        part = emptyPart(PART_LEASES_MAX);
        length = 0;
      }
      const { hashes, flags, deliveryCounts } = this.#chunks.get(number)!;
      for (let at = 0; at < CHUNK_LENGTH; at++) {
        if (flags[at] === 0) continue;
        part.offset[length] = number * CHUNK_LENGTH + at;
        part.hash[length] = hashes[at]!;
        part.state[length] = flags[at]! & 3;
        part.deliveryCount[length] = deliveryCounts[at]!;
        part.priority[length] = flags[at]! >>> 2;
        length++;
      }
    }
    if (length > 0) yield cutPart(part, length);
  }

  /** Checks the counts. */
  checkInvariants(): void {
    let size = 0;
    for (const chunk of this.#chunks.values()) {
      let own = 0;
      for (const [at, hash] of chunk.hashes.entries()) {
        invariant((hash === 0) === (chunk.flags[at] === 0), "A message with a key has a state");
        if (hash !== 0) own++;
      }
      invariant(own > 0 && own === chunk.size, "A chunk counts its messages, and has some");
      size += own;
    }
    invariant(size === this.#size, "A column counts its messages");
  }

  /** A chunk that may be changed. */
  #own(number: number): Chunk {
    const chunk = this.#chunks.get(number);
    if (chunk !== undefined && chunk.generation === this.#generation) return chunk;
    const own: Chunk = chunk === undefined
      ? {
        hashes: new Float64Array(CHUNK_LENGTH),
        deliveryCounts: new Uint32Array(CHUNK_LENGTH),
        flags: new Uint8Array(CHUNK_LENGTH),
        links: new Uint32Array(CHUNK_LENGTH),
        size: 0,
        generation: this.#generation,
      }
      : {
        hashes: chunk.hashes.slice(),
        deliveryCounts: chunk.deliveryCounts.slice(),
        flags: chunk.flags.slice(),
        links: chunk.links,
        size: chunk.size,
        generation: this.#generation,
      };
    this.#chunks.set(number, own);
    return own;
  }
}

function emptyPart(length: number): KeyedSnapshot {
  return {
    offset: new Float64Array(length),
    hash: new Float64Array(length),
    state: new Uint8Array(length),
    deliveryCount: new Uint32Array(length),
    priority: new Uint8Array(length),
  };
}

function cutPart(part: KeyedSnapshot, length: number): KeyedSnapshot {
  return {
    offset: part.offset.subarray(0, length),
    hash: part.hash.subarray(0, length),
    state: part.state.subarray(0, length),
    deliveryCount: part.deliveryCount.subarray(0, length),
    priority: part.priority.subarray(0, length),
  };
}
