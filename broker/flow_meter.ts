/**
 * How fast messages go through the partitions of a shard that is led here.
 *
 * Nothing is counted for it: every few seconds the meter notes how far the counts of each partition have
 * come, and the rate is what has come since the note before the last. So an average covers between one
 * interval and two.
 *
 * @module
 */

import type { PartitionFlow, ShardMachine } from "../queue/mod.ts";
import type { FlowRates } from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";

const INTERVAL_MS = 5_000;

/** The counts of all partitions at one moment. */
interface Note {
  readonly atMs: number;
  readonly flows: ReadonlyMap<number, PartitionFlow>;
}

const NOTHING: PartitionFlow = { published: 0, delivered: 0, acked: 0 };

/** Measures rates for as long as a node leads. */
export class FlowMeter {
  readonly #clock: Clock;
  /** The last two, oldest first. */
  #notes: readonly Note[] = [];

  /** @param clock Its monotonic time is what counts. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins anew with the counts of now: this node has begun to lead. */
  begin(machine: ShardMachine): void {
    this.#notes = [this.#note(machine)];
  }

  /** Notes the counts, if it is time; call it often. */
  check(machine: ShardMachine): void {
    const last = this.#notes.at(-1);
    if (last === undefined || this.#clock.monotonic() - last.atMs < INTERVAL_MS) return;
    this.#notes = [last, this.#note(machine, last.flows)];
  }

  /** Measures a partition: an average since the oldest note. */
  rates(machine: ShardMachine, partitionId: number): FlowRates {
    const [since] = this.#notes;
    const now = machine.flow(partitionId);
    if (since === undefined || now === undefined) {
      return { published: 0, delivered: 0, acked: 0, windowMs: 0 };
    }
    const windowMs = Math.max(1, this.#clock.monotonic() - since.atMs);
    // One that was made since began with nothing.
    const then = since.flows.get(partitionId) ?? NOTHING;
    const rate = (count: keyof PartitionFlow) => (now[count] - then[count]) * 1_000 / windowMs;
    return {
      published: rate("published"),
      delivered: rate("delivered"),
      acked: rate("acked"),
      windowMs,
    };
  }

  #note(machine: ShardMachine, before?: Note["flows"]): Note {
    const flows = new Map<number, PartitionFlow>();
    for (const id of machine.partitions()) {
      const flow = machine.flow(id)!;
      const known = before?.get(id);
      flows.set(id, known !== undefined && isSame(known, flow) ? known : flow);
    }
    return { atMs: this.#clock.monotonic(), flows };
  }
}

function isSame(a: PartitionFlow, b: PartitionFlow): boolean {
  return a.published === b.published && a.delivered === b.delivered && a.acked === b.acked;
}
