/**
 * Faults in the middle of a measurement, one after the other, with calm between them.
 *
 * @module
 */

import { sleep } from "../waiting.ts";
import type { FaultKind } from "./faults.ts";

/** Before the first fault: work has begun. */
const firstCalmMs = 250;
/** Between two faults, and how long each one lasts. */
const calmMs = 750;
const harmMs = 750;

/** Does harm once; `meanwhile` says how long it lasts. */
export type Harm = (kind: FaultKind, meanwhile: () => Promise<void>) => Promise<void>;

/** The faults of one measurement. */
export class Chaos {
  /** How often each kind was done. */
  readonly counts: Partial<Record<FaultKind, number>> = {};
  readonly #kinds: readonly FaultKind[];
  readonly #harm: Harm;
  readonly #over = new AbortController();
  readonly #done: Promise<void>;

  /**
   * Begins.
   *
   * @param kinds What is done, in turn.
   * @param harm Does it.
   */
  constructor(kinds: readonly FaultKind[], harm: Harm) {
    this.#kinds = kinds;
    this.#harm = harm;
    this.#done = this.#run();
    this.#done.catch(() => {}); // `stop()` throws it
  }

  /**
   * Ends: a fault that is under way is healed.
   *
   * @throws What went wrong with a fault.
   */
  async stop(): Promise<void> {
    this.#over.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    await sleep(firstCalmMs, signal);
    for (let turn = 0; !signal.aborted; turn++) {
      const kind = this.#kinds[turn % this.#kinds.length]!;
      await this.#harm(kind, () => sleep(harmMs, signal));
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      await sleep(calmMs, signal);
    }
  }
}
