/**
 * What a workload is: a name, a load, and a function that measures.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import type { BenchLoad, LoadKey } from "./load.ts";
import type { Histogram } from "./histogram.ts";
import type { FaultKind } from "./faults.ts";

/** What came of a load. */
export interface Measurement {
  /** How many messages the rate counts. */
  readonly messages: number;
  /** How long they took. */
  readonly seconds: number;
  /** From the call, or from the time a message was due, to its confirmation. */
  readonly confirm?: Histogram;
  /** From the same moment to the delivery to a consumer. */
  readonly delivery?: Histogram;
  /** How far behind its schedule the bench itself was when it sent. */
  readonly lateness?: Histogram;
  /** What was published before the measurement. */
  readonly fill?: { readonly messages: number; readonly seconds: number };
  /** The longest time without a confirmation around each fault, in milliseconds. */
  readonly gaps?: ReadonlyMap<FaultKind, readonly number[]>;
}

/** Something that can be measured. */
export interface Workload {
  readonly name: string;
  /** What it does, for the help: a clause that follows the name and a colon. */
  readonly summary: string;
  /** What is sent where nothing else is asked for. */
  readonly defaults: BenchLoad;
  /** Parts of the load that flags may change, beside its size. */
  readonly takes: readonly LoadKey[];
  /** Whether a smaller run comes first, so that nothing is measured that happens only once. */
  readonly warmUp: boolean;
  /** Why there is no bare pipeline to compare with; `undefined` where there is one. */
  readonly noLimit?: string;
  /** The faults are part of the workload, so that it needs a cluster that can be harmed. */
  readonly injectsFaults?: boolean;
  /** Measures once. */
  run(arena: Arena, load: BenchLoad): Promise<Measurement>;
}
