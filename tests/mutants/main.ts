/**
 * Plants known mistakes, one after the other, into a copy of the sources, and lets a simulator look for
 * each: a simulator that finds nothing is worth something only if it finds what is there.
 *
 * ```text
 * deno run -A tests/mutants/main.ts                        all of them
 * deno run -A tests/mutants/main.ts --only votes-twice     one
 * deno run -A tests/mutants/main.ts --by core --seeds 500  by this simulator, on so many seeds
 * deno run -A tests/mutants/main.ts --types                check the types of each mutant, too
 * deno run -A tests/mutants/main.ts --json                 a line of JSON each
 * ```
 *
 * In the end the same seeds are run on an unchanged copy, which must be clean. Exit code 0 means that
 * every mutant was found, and nothing else.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { toolFlags } from "../tool_flags.ts";
import type { Mutant, SimulatorName } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { SIMULATORS, type Verdict } from "./simulators.ts";
import { Workspace } from "./workspace.ts";

interface Flags {
  readonly mutants: readonly Mutant[];
  readonly by: SimulatorName | undefined;
  readonly seeds: number | undefined;
  readonly types: boolean;
  readonly json: boolean;
}

/** What came of one hunt. */
interface Row {
  readonly name: string;
  readonly breaks: string;
  readonly by: SimulatorName;
  readonly verdict: Verdict;
  readonly seconds: number;
}

function readFlags(args: readonly string[]): Flags {
  const flags = parseArgs(args, {
    boolean: ["types", "json"],
    string: ["only", "by", "seeds"],
    collect: ["only"],
    unknown(name: string) {
      throw new TypeError(`Cannot hunt mutants as there is no flag ${name}`);
    },
  });
  const only = flags.only as string[];
  for (const name of only) {
    if (MUTANTS.some((mutant) => mutant.name === name)) continue;
    throw new RangeError(`Cannot hunt mutants as --only must name one: current value is "${name}"`);
  }
  const seeds = flags.seeds === undefined ? undefined : Number(flags.seeds);
  if (seeds !== undefined && !(Number.isSafeInteger(seeds) && seeds > 0)) {
    throw new RangeError(
      `Cannot hunt mutants as --seeds must be a positive whole number: ` +
        `current value is "${flags.seeds}"`,
    );
  }
  if (flags.by !== undefined && !Object.hasOwn(SIMULATORS, flags.by)) {
    throw new RangeError(
      `Cannot hunt mutants as --by must be one of ${Object.keys(SIMULATORS).join(", ")}: ` +
        `current value is "${flags.by}"`,
    );
  }
  return {
    mutants: MUTANTS.filter(({ name }) => only.length === 0 || only.includes(name)),
    by: flags.by,
    seeds,
    types: flags.types,
    json: flags.json,
  };
}

async function hunt(workspace: Workspace, mutant: Mutant, flags: Flags): Promise<Row> {
  const { name, breaks } = mutant;
  const by = flags.by ?? mutant.foundBy;
  const files = workspace.plant(mutant);
  const startedMs = performance.now();
  const verdict = (flags.types ? await checkTypes(workspace, files) : undefined) ??
    await SIMULATORS[by].run(workspace.root, flags.seeds ?? SIMULATORS[by].seeds);
  const seconds = (performance.now() - startedMs) / 1000;
  return { name, breaks, by, verdict, seconds };
}

/** Runs the seeds that mutants were found on, and those that found none, on the code as it is. */
async function control(workspace: Workspace, rows: readonly Row[]): Promise<Row[]> {
  workspace.restore();
  const seeds = new Map<SimulatorName, number>();
  for (const { by, verdict } of rows) {
    if (verdict.kind === "broken") continue;
    seeds.set(by, Math.max(seeds.get(by) ?? 0, verdict.seeds));
  }
  const controls: Row[] = [];
  for (const [by, count] of seeds) {
    const startedMs = performance.now();
    const verdict = await SIMULATORS[by].run(workspace.root, count);
    const seconds = (performance.now() - startedMs) / 1000;
    controls.push({ name: "(no mutant)", breaks: "nothing", by, verdict, seconds });
  }
  return controls;
}

async function checkTypes(
  workspace: Workspace,
  files: readonly string[],
): Promise<Verdict | undefined> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", ...files.map((file) => workspace.root + file)],
    cwd: workspace.root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return undefined;
  return { kind: "broken", message: new TextDecoder().decode(stderr) };
}

const COLUMNS = [50, 8, 10, 7] as const;

function line(name: string, by: string, seeds: string, seconds: string, message: string): string {
  const cells = [name, by, seeds, seconds].map((cell, i) => cell.padEnd(COLUMNS[i]!));
  return `${cells.join(" ")} ${message}`.trimEnd();
}

function report({ name, by, verdict, seconds }: Row): string {
  const { unit } = SIMULATORS[by];
  const seeds = verdict.kind === "broken" ? "" : `${verdict.seeds} ${unit}`;
  const message = verdict.kind === "found"
    ? shorten(verdict.message)
    : verdict.kind === "clean"
    ? "clean"
    : `BROKEN: ${verdict.message}`;
  return line(name, by, seeds, seconds.toFixed(1), message);
}

/** The invariant, and how it was broken in a few words. */
function shorten(message: string): string {
  const text = message.replaceAll(/\s+/g, " ");
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

async function main(): Promise<number> {
  const flags = toolFlags(readFlags);
  using workspace = new Workspace();
  const print = (row: Row) => console.log(flags.json ? JSON.stringify(row) : report(row));
  if (!flags.json) console.log(line("mutant", "by", "took", "seconds", "what was broken"));
  const rows: Row[] = [];
  for (const mutant of flags.mutants) {
    const row = await hunt(workspace, mutant, flags);
    rows.push(row);
    print(row);
  }
  const controls = await control(workspace, rows);
  for (const row of controls) print(row);
  const survivors = rows.filter(({ verdict }) => verdict.kind !== "found");
  const alarms = controls.filter(({ verdict }) => verdict.kind !== "clean");
  if (!flags.json) {
    console.log(`${rows.length - survivors.length} of ${rows.length} mutants were found`);
    if (survivors.length > 0) {
      console.log(`SURVIVED: ${survivors.map(({ name }) => name).join(" ")}`);
    }
    if (alarms.length > 0) console.log("The code as it is was NOT clean");
  }
  return survivors.length + alarms.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
