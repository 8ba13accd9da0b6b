/**
 * How long something that should happen all the time did not happen.
 *
 * @module
 */

/** Measures the longest gap between two events in a stretch of time. */
export class GapMeter {
  #last: number | undefined;
  #longest = 0;

  /**
   * An event happened.
   *
   * @param now A monotonic time in milliseconds.
   */
  event(now: number): void {
    if (this.#last !== undefined) this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }

  /**
   * Forgets gaps that are over; the one that is open still counts from its event.
   */
  restart(): void {
    this.#longest = 0;
  }

  /**
   * Tells the longest gap since the start.
   *
   * @param now Counts the open gap up to here; left out, the open gap does not count.
   * @returns Milliseconds.
   */
  longestMs(now?: number): number {
    if (now === undefined || this.#last === undefined) return this.#longest;
    return Math.max(this.#longest, now - this.#last);
  }
}
