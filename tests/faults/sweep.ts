/**
 * The same trial again and again, with the harm at one storage call after the other, until it comes after
 * the end of the node's life.
 *
 * @module
 */

import type { SelfCommand } from "../../cli/self_command.ts";
import { LoopDisk, PlainDisk, type TestDisk } from "./disks.ts";
import type { Harm, HarmKind } from "./harm.ts";
import { type LifeEnd, runTrial, type TrialReport } from "./trial.ts";

/** What is swept. */
export interface Sweep {
  /** One word for the command line. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly kind: HarmKind;
  /** @default {"all"} */
  readonly calls?: Harm["calls"];
  /** The life after the one that was harmed is harmed as well, at another call. @default {false} */
  readonly again?: boolean;
  /** @default {false} */
  readonly shortWrites?: boolean;
  /** Of a call that fails. @default {"EIO"} */
  readonly error?: Harm["error"];
}

/** All sweeps. */
export const sweeps: readonly Sweep[] = [
  { name: "kill", title: "killed at a call, and once more after that", kind: "kill", again: true },
  { name: "tear", title: "killed in the middle of a write", kind: "tear" },
  {
    name: "short",
    title: "killed at a call, half of all writes being short",
    kind: "kill",
    shortWrites: true,
  },
  { name: "error", title: "EIO at a call", kind: "error" },
  { name: "no-space", title: "ENOSPC at a call, once", kind: "error", error: "ENOSPC" },
  {
    name: "sync-error",
    title: "EIO at a sync, whatever is not on the disk being lost",
    kind: "power-error",
    calls: "syncs",
  },
  { name: "power", title: "power cut at a call, and again", kind: "power", again: true },
];

/** How a sweep is run. */
export interface SweepOptions {
  readonly program: SelfCommand;
  /** Every so many calls. */
  readonly stride: number;
  /** The first call. */
  readonly first: number;
  /** Hears of each trial. */
  readonly onTrial: (at: number, report: TrialReport) => void;
}

/** What came of a sweep. */
export interface SweepResult {
  /** Trials in which it came to the harm, and all. */
  readonly hits: number;
  readonly trials: number;
  /** Harm done to lives after the first. */
  readonly laterHits: number;
  /** Messages that had been confirmed before the harm, in all trials. */
  readonly confirmedBefore: number;
  /** What must not have happened, with the call. */
  readonly violations: readonly string[];
}

/** The number of calls differs a little from run to run: a sweep ends after so many in vain. */
const missesMax = 2;

/** How soon a process has to end whose disk failed. */
const endMsMax = 2_000;

/** Where the second life is harmed: all over its start, and into its work. */
function againAt(at: number): number {
  return 1 + at * 7 % 45;
}

function needsPower({ kind }: Sweep): boolean {
  return kind === "power" || kind === "power-error";
}

/** Makes the disk that a sweep wants. @throws {Error} If that cannot be done here. */
export function diskFor(sweep: Sweep): Promise<TestDisk> {
  return needsPower(sweep) ? LoopDisk.make() : PlainDisk.make();
}

/** Runs a sweep. */
export async function runSweep(sweep: Sweep, options: SweepOptions): Promise<SweepResult> {
  const { kind, calls = "all", again = false, shortWrites = false, error = "EIO" } = sweep;
  const { program, stride, first, onTrial } = options;
  const violations: string[] = [];
  let [hits, trials, laterHits, confirmedBefore, misses] = [0, 0, 0, 0, 0];
  for (let at = first; misses < missesMax; at += stride) {
    const harms: Harm[] = [{ kind, at, calls, error }];
    if (again) harms.push({ kind, at: againAt(at), calls, error });
    await using disk = await diskFor(sweep);
    const report = await runTrial({ program, disk, harms, shortWrites });
    onTrial(at, report);
    trials++;
    const [hit, ...later] = report.hits;
    if (hit === undefined) misses++;
    else hits++;
    laterHits += later.filter((one) => one !== undefined).length;
    confirmedBefore += report.confirmedBefore;
    const wrong = [...report.violations, ...report.ends.flatMap((end) => wrongEnd(sweep, end))];
    const place = hit === undefined ? "no harm" : `${hit.name} ${hit.path}`;
    violations.push(...wrong.map((text) => `${sweep.name} at ${at} (${place}): ${text}`));
  }
  return { hits, trials, laterHits, confirmedBefore, violations };
}

/** What a process has to say whose disk failed. */
const words = { EIO: /^flowmq: .*cannot .*Input\/output error/, ENOSPC: /No space left/ };

/** How a process must not end that was harmed. */
function wrongEnd({ kind, error = "EIO" }: Sweep, { how, lastWords, ms }: LifeEnd): string[] {
  if (kind !== "error" && kind !== "power-error") {
    // A thread with a call under way may see that the power is gone before it is killed.
    const hasNoticed = kind === "power" && words.EIO.test(lastWords);
    return how === "SIGKILL" || hasNoticed ? [] : [`the process ended with ${how}`];
  }
  // One that has no room may live on, and end in good order when all is done.
  if (error === "ENOSPC" && how === "exit code 0") return [];
  const wrong: string[] = [];
  if (!/^exit code [1-9]/.test(how)) wrong.push(`the process ended with ${how}`);
  if (!words[error].test(lastWords)) wrong.push(`it ended with ${JSON.stringify(lastWords)}`);
  if (ms > endMsMax) wrong.push(`it ended after ${ms} ms only`);
  return wrong;
}
