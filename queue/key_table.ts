/**
 * The keys of a partition: those that a message has which is not gone, and those that have used up
 * some of their rate.
 *
 * A key has a slot: the same place in each of a few typed arrays. Its fields belong to
 * `KeyedMessages`, `KeyChains` and `KeyLine`; here is how slots are found, made and freed. The index is many small
 * ones, so that none of them ever grows for long.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { NO_SLOT, OffsetIndex } from "./offset_index.ts";

const INDEXES = 64;
const CAPACITY_MIN = 16;
/** An empty table keeps its memory up to here. */
const CAPACITY_KEPT = 4_096;

/** Where a key waits until it is looked at. */
export const Place = { none: 0, turns: 1, rest: 2 } as const;

/** Slots of keys. */
export class KeyTable {
  /** A time of the log that has been. */
  nowMs = 0;
  hashes = new Float64Array(0);
  /** Messages that could be delivered, if it were for them alone. */
  ready = new Uint32Array(0);
  /** Messages that consumers hold. */
  leased = new Uint32Array(0);
  /** Messages that wait for a time. */
  delayed = new Uint32Array(0);
  /** How many of those were delivered before. */
  returned = new Uint32Array(0);
  places = new Uint8Array(0);
  /** When its rate is unused again; 0 where it is. */
  restedAtMs = new Float64Array(0);
  /** The ends of its line of ready messages, and the root of its heap: see `KeyChains`. */
  heads = new Uint32Array(0);
  tails = new Uint32Array(0);
  roots = new Uint32Array(0);

  readonly #indexes = Array.from({ length: INDEXES }, () => new OffsetIndex());
  /** In a free slot, the head is the next free one. */
  #free = NO_SLOT;
  #size = 0;
  /** Where the search for keys that are only remembered goes on. */
  #hand = 0;

  /** How many keys there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Finds a key.
   *
   * @param hash Its hash.
   * @returns Its slot, or `NO_SLOT`.
   */
  find(hash: number): number {
    return this.#indexes[hash % INDEXES]!.find(hash);
  }

  /**
   * Finds a key, or makes it.
   *
   * @param hash Its hash.
   * @returns Its slot.
   */
  at(hash: number): number {
    const found = this.find(hash);
    if (found !== NO_SLOT) return found;
    // Two for one: those that are only remembered do not add up.
    this.#sweep();
    this.#sweep();
    if (this.#free === NO_SLOT) this.#grow();
    const key = this.#free;
    this.#free = this.heads[key]!;
    this.#size++;
    this.#indexes[hash % INDEXES]!.add(hash, key);
    this.hashes[key] = hash;
    this.heads[key] = this.tails[key] = this.roots[key] = NO_SLOT;
    return key;
  }

  /**
   * Frees a key that there is no reason to keep.
   *
   * @param key Its slot.
   */
  tidy(key: number): void {
    const isUsed = this.ready[key]! + this.leased[key]! + this.delayed[key]! > 0;
    if (isUsed || this.places[key] !== Place.none || this.restedAtMs[key]! > this.nowMs) return;
    const hash = this.hashes[key]!;
    this.#indexes[hash % INDEXES]!.remove(hash);
    this.hashes[key] = 0;
    this.restedAtMs[key] = 0;
    this.#size--;
    if (this.#size === 0 && this.hashes.length > CAPACITY_KEPT) return this.clear();
    this.heads[key] = this.#free;
    this.#free = key;
  }

  /** Takes all keys out. */
  clear(): void {
    for (const index of this.#indexes) index.clear();
    this.#resize(0);
    this.#free = NO_SLOT;
    this.#size = 0;
    this.#hand = 0;
  }

  /**
   * Goes over the keys.
   *
   * @returns Their slots, in no order.
   */
  *slots(): Generator<number> {
    for (let key = 0; key < this.hashes.length; key++) if (this.hashes[key] !== 0) yield key;
  }

  /** Checks index, free list and count. */
  checkInvariants(): void {
    let used = 0;
    for (const key of this.slots()) {
      used++;
      invariant(this.find(this.hashes[key]!) === key, "A key is found by its hash");
    }
    invariant(used === this.#size, "A table counts its keys");
    let free = 0;
    for (let key = this.#free; key !== NO_SLOT; key = this.heads[key]!) free++;
    invariant(free + used === this.hashes.length, "Every slot is used or free");
  }

  #sweep(): void {
    if (this.hashes.length === 0) return;
    this.#hand = (this.#hand + 1) % this.hashes.length;
    if (this.hashes[this.#hand] !== 0) this.tidy(this.#hand);
  }

  #grow(): void {
    const from = this.hashes.length;
    this.#resize(Math.max(CAPACITY_MIN, from * 2));
    for (let key = this.hashes.length - 1; key >= from; key--) {
      this.heads[key] = this.#free;
      this.#free = key;
    }
  }

  #resize(capacity: number): void {
    this.hashes = resized(this.hashes, new Float64Array(capacity));
    this.ready = resized(this.ready, new Uint32Array(capacity));
    this.leased = resized(this.leased, new Uint32Array(capacity));
    this.delayed = resized(this.delayed, new Uint32Array(capacity));
    this.returned = resized(this.returned, new Uint32Array(capacity));
    this.places = resized(this.places, new Uint8Array(capacity));
    this.restedAtMs = resized(this.restedAtMs, new Float64Array(capacity));
    this.heads = resized(this.heads, new Uint32Array(capacity));
    this.tails = resized(this.tails, new Uint32Array(capacity));
    this.roots = resized(this.roots, new Uint32Array(capacity));
  }
}

/**
 * Copies an array into a longer one, as much as there is room for.
 *
 * @param from The one.
 * @param to The other.
 * @returns The other.
 */
export function resized<T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from.subarray(0, to.length));
  return to;
}
