/**
 * Tells the catalog when a partition of a queue that has got more of them is drained.
 *
 * The keeper of a shard runs where the shard is led. Now and then, as long as there are such partitions, it
 * asks the machine which of them have nothing more of what they had, and says so to shard 0, by
 * `partitionSettled` with the action `drain`. To say it twice does no harm; a new leader begins anew.
 *
 * @module
 */

import type { ShardMachine } from "../queue/mod.ts";
import type { EncodableCommand } from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";

/** How long after a look the next one follows, at least, in milliseconds. */
const LOOK_MS = 100;

/** So many times as long as a look took, where that is longer: it may have gone over all that waits. */
const REST_FACTOR = 20;

/** The keeper of one shard; idle unless this node leads it. */
export class GrowthKeeper {
  readonly #machine: () => ShardMachine;
  readonly #tell: (command: EncodableCommand) => Promise<void>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** What was said, or is being said: the revision, by partition. */
  readonly #told = new Map<number, number>();
  #leading = false;
  #timer: TimerId | undefined;

  /**
   * @param machine The machine that the shard has at the moment.
   * @param tell Proposes a command in shard 0; rejects unless it was applied.
   */
  constructor(
    machine: () => ShardMachine,
    tell: (command: EncodableCommand) => Promise<void>,
    clock: Clock,
    log: Logger,
  ) {
    this.#machine = machine;
    this.#tell = tell;
    this.#clock = clock;
    this.#log = log;
  }

  /** This node begins or ceases to lead the shard. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.#told.clear();
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.check();
  }

  /** A turn of the shard is over. Costs nothing where no queue grows. */
  check(): void {
    if (!this.#leading || this.#timer !== undefined) return;
    const machine = this.#machine();
    if (machine.drainingCount === 0) return this.#told.clear();
    const beganMs = this.#clock.monotonic();
    for (const { partitionId, revision } of machine.drained(this.#told)) {
      this.#told.set(partitionId, revision);
      void this.#say(partitionId, revision);
    }
    const restMs = REST_FACTOR * (this.#clock.monotonic() - beganMs);
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.check();
    }, Math.max(LOOK_MS, restMs));
  }

  async #say(partitionId: number, revision: number): Promise<void> {
    try {
      await this.#tell({ kind: "partitionSettled", partitionId, action: "drain", revision });
    } catch (error) {
      // The next look says it again.
      if (this.#told.get(partitionId) === revision) this.#told.delete(partitionId);
      this.#log.debug("Could not tell that a partition is drained", {
        partition: partitionId,
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
