/**
 * Runs a simulator on seeds 1, 2, 3 … until one of them breaks something. This is what runs inside the
 * copy of the sources: the imports below are those of the mutant.
 *
 * ```text
 * deno run -A tests/mutants/hunt.ts cluster|core SEEDS
 * ```
 *
 * Prints a line of JSON after each seed; see {@linkcode HuntLine}.
 *
 * @module
 */

import { type Counters, simulateRaftCore } from "../simulation/raft_core.ts";
import { runSeed } from "../simulation/simulation.ts";

/** How a seed ended. */
export interface HuntLine {
  readonly seed: number;
  readonly found?: {
    /** The class of the error. */
    readonly error: string;
    /** What was broken. */
    readonly message: string;
  };
}

/** The faults of a run last for so many virtual milliseconds: more short runs see more than few long. */
const FAULTS_MS = 8_000;

const CORE_STEPS = 4_000;

async function clusterSeed(seed: number): Promise<Error | undefined> {
  return (await runSeed(seed, { faultsMs: FAULTS_MS })).violation;
}

function coreSeed(seed: number): Error | undefined {
  const counters: Counters = new Map();
  try {
    simulateRaftCore(seed, CORE_STEPS, counters);
    return undefined;
  } catch (error) {
    const { cause } = error as Error;
    return cause instanceof Error ? cause : new Error(String(error));
  }
}

async function main(): Promise<void> {
  const [simulator, seeds] = Deno.args;
  const run = simulator === "core" ? coreSeed : clusterSeed;
  for (let seed = 1; seed <= Number(seeds); seed++) {
    const error = await run(seed);
    const line: HuntLine = error === undefined
      ? { seed }
      : { seed, found: { error: error.name, message: error.message } };
    console.log(JSON.stringify(line));
    if (error !== undefined) return;
  }
}

if (import.meta.main) {
  await main();
  // A cluster that broke in the middle of things leaves some of them behind.
  Deno.exit(0);
}
