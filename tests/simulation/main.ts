/**
 * Runs the simulator.
 *
 * ```text
 * deno run -A tests/simulation/main.ts --seed 1 --seeds 100    seeds 1 to 100
 * deno run -A tests/simulation/main.ts --seconds 60            as many seeds as fit
 * deno run -A tests/simulation/main.ts --seeds 100 --threads 1 one at a time, not one for each core
 * deno run -A tests/simulation/main.ts --seed 17 --trace       one seed, with all that happens
 * deno run -A tests/simulation/main.ts --raft-trace FILE       every step of Raft, appended to a file
 * ```
 *
 * Ends with exit code 1 at the first seed that breaks something, and says how to see it again.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { TraceFile } from "../../cli/trace_file.ts";
import { toolFlags } from "../tool_flags.ts";
import { Counters } from "./counters.ts";
import { runSeeds, type SeedReport } from "./seed_pool.ts";
import { type RunOptions, runSeed } from "./simulation.ts";

interface Flags {
  readonly seed: number;
  readonly seeds: number;
  readonly seconds: number;
  readonly trace: boolean;
  /** Where to write every step of Raft to. */
  readonly raftTracePath: string | undefined;
  readonly keepGoing: boolean;
  readonly threads: number;
}

function readFlags(args: readonly string[]): Flags {
  const flags = parseArgs(args, {
    boolean: ["trace", "keep-going"],
    string: ["seed", "seeds", "seconds", "raft-trace", "threads"],
    unknown(name: string) {
      throw new TypeError(`Cannot run the simulator as there is no flag ${name}`);
    },
  });
  const number = (name: string, otherwise: number) => {
    const text = flags[name] as string | undefined;
    if (text === undefined) return otherwise;
    const value = Number(text);
    if (text !== "" && Number.isSafeInteger(value) && value >= 0) return value;
    throw new RangeError(
      `Cannot run the simulator as --${name} must be a whole number: current value is "${text}"`,
    );
  };
  const seconds = number("seconds", Infinity);
  return {
    seed: number("seed", 1),
    seeds: number("seeds", seconds === Infinity ? 1 : Infinity),
    seconds,
    trace: flags.trace,
    raftTracePath: flags["raft-trace"],
    keepGoing: flags["keep-going"],
    threads: Math.max(1, number("threads", navigator.hardwareConcurrency)),
  };
}

function report({ seed, hash, virtualMs, events, violation }: SeedReport): void {
  if (violation === undefined) return;
  console.log(
    `seed ${seed}: FAILED at ${virtualMs.toFixed(3)} ms, after ${events} events (${hash})`,
  );
  console.log(`  ${violation.message}`);
  if (violation.name !== "Violation") console.log(violation.stack);
  console.log(`  deno task test:sim --seed ${seed} --trace`);
}

/** Runs seeds in this thread, where they can be looked at. */
async function* runHere(seeds: Iterable<number>, options: RunOptions): AsyncGenerator<SeedReport> {
  for (const seed of seeds) {
    const { counters, violation, ...result } = await runSeed(seed, options);
    const { name = "", message = "", stack = "" } = violation ?? {};
    yield {
      ...result,
      counts: counters.entries(),
      ...(violation && { violation: { name, message, stack } }),
    };
  }
}

async function main(): Promise<number> {
  const { seed: first, seeds, seconds, trace, raftTracePath, keepGoing, threads } = toolFlags(
    readFlags,
  );
  const counters = new Counters();
  const startedMs = performance.now();
  const seconds_ = () => (performance.now() - startedMs) / 1000;
  let virtualMs = 0;
  let done = 0;
  const failed: number[] = [];
  using raftTrace = raftTracePath === undefined ? undefined : new TraceFile(raftTracePath);
  const options = {
    ...(trace ? { trace: (line: string) => console.log(line) } : {}),
    ...(raftTrace ? { raftTrace: (line: string) => raftTrace.write(line) } : {}),
  };
  function* numbers(): Generator<number> {
    for (let seed = first; seed < first + seeds && seconds_() < seconds; seed++) yield seed;
  }
  const isWatched = trace || raftTrace !== undefined;
  const reports = isWatched || seeds === 1 || threads === 1
    ? runHere(numbers(), options)
    : runSeeds(numbers(), threads);
  for await (const result of reports) {
    report(result);
    counters.addAll(result.counts);
    virtualMs += result.virtualMs;
    done++;
    if (result.violation === undefined) {
      if (seeds === 1) console.log(`seed ${result.seed}: ok (${result.hash})`);
      continue;
    }
    failed.push(result.seed);
    if (!keepGoing) break;
  }
  const took = seconds_();
  console.log(counters.table());
  console.log(
    `${done} seeds in ${took.toFixed(1)} s (${(done / took).toFixed(2)} a second), ` +
      `${(virtualMs / 3_600_000).toFixed(2)} hours of virtual time ` +
      `(${(virtualMs / took / 60_000).toFixed(2)} hours a minute, ` +
      `${(virtualMs / took / 1000).toFixed(0)} times faster than real time)`,
  );
  if (failed.length > 0) console.log(`FAILED: ${failed.join(" ")}`);
  return failed.length > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
