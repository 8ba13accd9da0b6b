/**
 * A hash table from message offsets to slots, in two typed arrays: no object and no string for a key.
 *
 * Open addressing with linear probing; at most half full. Removal moves later keys of the cluster back
 * instead of leaving markers, so the table never needs cleaning.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

const EMPTY = -1;
const CAPACITY_MIN = 16;
/** 2^32 divided by the golden ratio: neighbours in, strangers out. */
const SPREAD = 0x9e37_79b1;

/** What `find` gives for an offset that is not there. */
export const NO_SLOT = 0xffff_ffff;

/** Maps offsets (safe integers from 0) to slots (u32). */
export class OffsetIndex {
  #keys = new Float64Array(0);
  #slots = new Uint32Array(0);
  #shift = 32;
  #size = 0;

  /** How many offsets it holds. */
  get size(): number {
    return this.#size;
  }

  /**
   * Looks an offset up.
   *
   * @param offset Any number.
   * @returns Its slot, or `NO_SLOT`.
   */
  find(offset: number): number {
    if (this.#size === 0) return NO_SLOT;
    const keys = this.#keys;
    const mask = keys.length - 1;
    for (let at = this.#home(offset);; at = (at + 1) & mask) {
      const key = keys[at]!;
      if (key === offset) return this.#slots[at]!;
      if (key === EMPTY) return NO_SLOT;
    }
  }

  /**
   * Adds an offset that is not there.
   *
   * @param offset The key.
   * @param slot The value.
   */
  add(offset: number, slot: number): void {
    if ((this.#size + 1) * 2 > this.#keys.length) this.#grow();
    this.#insert(offset, slot);
    this.#size++;
  }

  /**
   * Removes an offset that is there.
   *
   * @param offset The key.
   */
  remove(offset: number): void {
    const keys = this.#keys;
    const slots = this.#slots;
    const mask = keys.length - 1;
    let hole = this.#home(offset);
    while (keys[hole] !== offset) {
      invariant(keys[hole] !== EMPTY, "Only an offset that is there is removed");
      hole = (hole + 1) & mask;
    }
    for (let at = (hole + 1) & mask; keys[at] !== EMPTY; at = (at + 1) & mask) {
      // A key may fill the hole unless its home lies behind the hole on the way to where it is.
      const home = this.#home(keys[at]!);
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        keys[hole] = keys[at]!;
        slots[hole] = slots[at]!;
        hole = at;
      }
    }
    keys[hole] = EMPTY;
    this.#size--;
  }

  /** Gives the memory of an empty index back. */
  clear(): void {
    this.#keys = new Float64Array(0);
    this.#slots = new Uint32Array(0);
    this.#shift = 32;
    this.#size = 0;
  }

  #home(offset: number): number {
    const high = Math.floor(offset / 0x1_0000_0000);
    return Math.imul((offset ^ Math.imul(high, SPREAD)) | 0, SPREAD) >>> this.#shift;
  }

  #insert(offset: number, slot: number): void {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let at = this.#home(offset);
    while (keys[at] !== EMPTY) {
      invariant(keys[at] !== offset, "Only an offset that is not there is added");
      at = (at + 1) & mask;
    }
    keys[at] = offset;
    this.#slots[at] = slot;
  }

  #grow(): void {
    const keys = this.#keys;
    const slots = this.#slots;
    const capacity = Math.max(CAPACITY_MIN, keys.length * 2);
    this.#keys = new Float64Array(capacity).fill(EMPTY);
    this.#slots = new Uint32Array(capacity);
    this.#shift = Math.clz32(capacity) + 1;
    for (let at = 0; at < keys.length; at++) {
      if (keys[at] !== EMPTY) this.#insert(keys[at]!, slots[at]!);
    }
  }
}
