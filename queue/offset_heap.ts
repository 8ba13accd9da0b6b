/**
 * A binary min-heap of message offsets in one typed array: the returned messages of a partition, of
 * which the lowest goes out next.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

const CAPACITY_MIN = 16;

/** Offsets, each at most once; the lowest is first. */
export class OffsetHeap {
  #items = new Float64Array(0);
  #size = 0;

  /** How many offsets it holds. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds an offset.
   *
   * @param offset One that is not in the heap.
   */
  push(offset: number): void {
    if (this.#size === this.#items.length) {
      const grown = new Float64Array(Math.max(CAPACITY_MIN, this.#size * 2));
      grown.set(this.#items);
      this.#items = grown;
    }
    const items = this.#items;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (items[parent]! < offset) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = offset;
  }

  /**
   * Takes the lowest offset out of a heap that is not empty.
   *
   * @returns The offset.
   */
  pop(): number {
    invariant(this.#size > 0, "Only a heap with something in it is popped");
    const items = this.#items;
    const lowest = items[0]!;
    const last = items[--this.#size]!;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && items[child + 1]! < items[child]!) child++;
      if (items[child]! > last) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    if (this.#size === 0 && items.length > CAPACITY_MIN) this.#items = new Float64Array(0);
    return lowest;
  }

  /**
   * Copies the offsets.
   *
   * @returns All of them, lowest first.
   */
  sorted(): Float64Array {
    return this.#items.slice(0, this.#size).sort();
  }

  /** Checks that no offset is lower than its parent. */
  checkInvariants(): void {
    for (let at = 1; at < this.#size; at++) {
      invariant(
        this.#items[(at - 1) >>> 1]! < this.#items[at]!,
        "A parent in the heap is lower than its children",
      );
    }
  }
}
