/**
 * Which acks that publish a session has had done, so that a repeated one gets the right answer: the
 * leases it names are gone by its own doing.
 *
 * The client numbers them, and says with each below which number it has all answers: those are forgotten.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { COMMAND_BOUNDS } from "./limits.ts";
import type { SettleWindowSnapshot } from "./machine_snapshot.ts";

/** The numbers of one session. */
export class SettleWindow {
  /** All below are answered. */
  #floor = 0;
  /** Those that were done and may be repeated; nearly always in rising order. */
  readonly #done = new Set<number>();

  /**
   * Tells whether a number was done, and not answered before.
   *
   * @param sequence The number.
   * @returns Whether it was.
   */
  has(sequence: number): boolean {
    return sequence >= this.#floor && this.#done.has(sequence);
  }

  /**
   * Remembers that a number was done.
   *
   * @param sequence The number. One that is answered already will not be asked for again.
   */
  add(sequence: number): void {
    if (sequence >= this.#floor) this.#done.add(sequence);
  }

  /**
   * Forgets what is answered.
   *
   * @param floor The client has the answers to all numbers below.
   */
  answeredBelow(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    for (const sequence of this.#done) {
      if (sequence >= floor) return;
      this.#done.delete(sequence);
    }
  }

  /**
   * Copies the window into plain data.
   *
   * @returns Its whole state, or `undefined` where it was never used.
   */
  capture(): SettleWindowSnapshot | undefined {
    if (this.#floor === 0 && this.#done.size === 0) return undefined;
    return { floor: this.#floor, done: Float64Array.from(this.#done) };
  }

  /**
   * Takes the state of a snapshot into a window that was never used.
   *
   * @param saved What `capture` gave.
   */
  restore({ floor, done }: SettleWindowSnapshot): void {
    this.#floor = floor;
    for (const sequence of done) this.#done.add(sequence);
  }

  /** Checks that it remembers no more than it may. */
  checkInvariants(): void {
    invariant(
      this.#done.size <= 2 * COMMAND_BOUNDS.settlesUnansweredMax,
      "A session remembers acks that may be repeated, and no others",
    );
  }
}
