/**
 * Long work in slices, so that everybody else has a turn in between.
 *
 * @module
 */

import type { Clock } from "../client/runtime.ts";

/** A slice ends after so many steps, or so many milliseconds, whatever comes first. */
const STEPS_MAX = 32;
const SLICE_MS_MAX = 4;

/** Work that consists of many small steps. */
export class Slices {
  readonly #clock: Clock;
  #steps = 0;
  #startedAtMs: number;

  /**
   * Begins a slice.
   *
   * @param clock Gives others their turn.
   */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.monotonic();
  }

  /**
   * Ends a step.
   *
   * @returns What to wait for before the next one, or `undefined` while the slice goes on.
   */
  step(): Promise<void> | undefined {
    const isOver = ++this.#steps >= STEPS_MAX ||
      this.#clock.monotonic() - this.#startedAtMs >= SLICE_MS_MAX;
    return isOver ? this.pause() : undefined;
  }

  /**
   * Ends the slice.
   *
   * @returns When others have had their turn.
   */
  pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimeout(() => {
        this.#steps = 0;
        this.#startedAtMs = this.#clock.monotonic();
        resolve();
      }, 0);
    });
  }
}
