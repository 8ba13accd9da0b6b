/**
 * A binary min-heap of message offsets in typed arrays: the returned messages of a partition, of
 * which the lowest goes out next. How often each was delivered is beside it.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

const CAPACITY_MIN = 16;
const NO_ITEMS = new Float64Array(0);
const NO_COUNTS = new Uint32Array(0);

/** Offsets, each at most once; the lowest is first. */
export class OffsetHeap {
  #items = NO_ITEMS;
  #deliveryCounts = NO_COUNTS;
  #size = 0;

  /** How many offsets it holds. */
  get size(): number {
    return this.#size;
  }

  /** How often the lowest offset of a heap that is not empty was delivered. */
  get firstDeliveryCount(): number {
    return this.#deliveryCounts[0]!;
  }

  /**
   * Adds an offset.
   *
   * @param offset One that is not in the heap.
   * @param deliveryCount How often it was delivered.
   */
  push(offset: number, deliveryCount: number): void {
    if (this.#size === this.#items.length) this.#grow();
    const items = this.#items;
    const counts = this.#deliveryCounts;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (items[parent]! < offset) break;
      items[at] = items[parent]!;
      counts[at] = counts[parent]!;
      at = parent;
    }
    items[at] = offset;
    counts[at] = deliveryCount;
  }

  /**
   * Takes the lowest offset out of a heap that is not empty.
   *
   * @returns The offset.
   */
  pop(): number {
    invariant(this.#size > 0, "Only a heap with something in it is popped");
    const items = this.#items;
    const counts = this.#deliveryCounts;
    const lowest = items[0]!;
    const last = items[--this.#size]!;
    const lastCount = counts[this.#size]!;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && items[child + 1]! < items[child]!) child++;
      if (items[child]! > last) break;
      items[at] = items[child]!;
      counts[at] = counts[child]!;
      at = child;
    }
    items[at] = last;
    counts[at] = lastCount;
    if (this.#size === 0 && items.length > CAPACITY_MIN) {
      this.#items = NO_ITEMS;
      this.#deliveryCounts = NO_COUNTS;
    }
    return lowest;
  }

  /**
   * Copies the heap.
   *
   * @returns A heap of its own.
   */
  copy(): OffsetHeap {
    const copy = new OffsetHeap();
    copy.#items = this.#items.slice(0, this.#size);
    copy.#deliveryCounts = this.#deliveryCounts.slice(0, this.#size);
    copy.#size = this.#size;
    return copy;
  }

  /**
   * Goes over the offsets with their counts, in no order.
   *
   * @returns An iterator; the heap must not change meanwhile.
   */
  *entries(): Generator<readonly [offset: number, deliveryCount: number]> {
    for (let at = 0; at < this.#size; at++) yield [this.#items[at]!, this.#deliveryCounts[at]!];
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

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#size * 2);
    const items = new Float64Array(capacity);
    const counts = new Uint32Array(capacity);
    items.set(this.#items);
    counts.set(this.#deliveryCounts);
    this.#items = items;
    this.#deliveryCounts = counts;
  }
}
