/**
 * Who is due first: a min-heap of (deadline, id) in which an id occurs once and can be moved or taken
 * out. Equal deadlines come out in the order of their ids, so every replica sees the same order.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

/** Ids (safe integers) with a deadline each; the earliest is first. */
export class DeadlineHeap {
  readonly #ids: number[] = [];
  readonly #deadlines: number[] = [];
  readonly #places = new Map<number, number>();

  /** How many ids it holds. */
  get size(): number {
    return this.#ids.length;
  }

  /** The id that is due first, or `undefined` when the heap is empty. */
  get firstId(): number | undefined {
    return this.#ids[0];
  }

  /** When that is, in milliseconds, or `undefined` when the heap is empty. */
  get firstDeadlineMs(): number | undefined {
    return this.#deadlines[0];
  }

  /**
   * Tells whether an id has a deadline.
   *
   * @param id The id.
   * @returns Whether it is in the heap.
   */
  has(id: number): boolean {
    return this.#places.has(id);
  }

  /**
   * Gives an id a deadline, in place of the one it may have.
   *
   * @param id The id.
   * @param deadlineMs When it is due.
   */
  set(id: number, deadlineMs: number): void {
    const place = this.#places.get(id);
    if (place === undefined) {
      this.#ids.push(id);
      this.#deadlines.push(deadlineMs);
      this.#up(this.#ids.length - 1, id, deadlineMs);
    } else if (deadlineMs < this.#deadlines[place]!) {
      this.#up(place, id, deadlineMs);
    } else {
      this.#down(place, id, deadlineMs);
    }
  }

  /**
   * Takes an id out; one that is not there is left alone.
   *
   * @param id The id.
   */
  delete(id: number): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    const lastId = this.#ids.pop()!;
    const lastDeadline = this.#deadlines.pop()!;
    if (place === this.#ids.length) return;
    // The last one fills the gap; it may belong above or below it.
    if (place > 0 && this.#isBefore(lastId, lastDeadline, (place - 1) >>> 1)) {
      this.#up(place, lastId, lastDeadline);
    } else {
      this.#down(place, lastId, lastDeadline);
    }
  }

  /** Checks the order of the heap and that every id knows its place. */
  checkInvariants(): void {
    invariant(this.#places.size === this.#ids.length, "Every id in the heap has one place");
    for (let at = 0; at < this.#ids.length; at++) {
      invariant(this.#places.get(this.#ids[at]!) === at, "An id knows its place in the heap");
      invariant(
        at === 0 || !this.#isBefore(this.#ids[at]!, this.#deadlines[at]!, (at - 1) >>> 1),
        "A parent in the heap is due before its children",
      );
    }
  }

  #isBefore(id: number, deadlineMs: number, place: number): boolean {
    const other = this.#deadlines[place]!;
    return deadlineMs < other || (deadlineMs === other && id < this.#ids[place]!);
  }

  #put(place: number, id: number, deadlineMs: number): void {
    this.#ids[place] = id;
    this.#deadlines[place] = deadlineMs;
    this.#places.set(id, place);
  }

  #up(place: number, id: number, deadlineMs: number): void {
    while (place > 0) {
      const parent = (place - 1) >>> 1;
      if (!this.#isBefore(id, deadlineMs, parent)) break;
      this.#put(place, this.#ids[parent]!, this.#deadlines[parent]!);
      place = parent;
    }
    this.#put(place, id, deadlineMs);
  }

  #down(place: number, id: number, deadlineMs: number): void {
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#ids.length) break;
      if (
        child + 1 < this.#ids.length &&
        this.#isBefore(this.#ids[child + 1]!, this.#deadlines[child + 1]!, child)
      ) child++;
      if (this.#isBefore(id, deadlineMs, child)) break;
      this.#put(place, this.#ids[child]!, this.#deadlines[child]!);
      place = child;
    }
    this.#put(place, id, deadlineMs);
  }
}
