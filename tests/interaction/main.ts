/**
 * Runs scenario files against the core:
 *
 * ```text
 * deno run -A tests/interaction/main.ts [--all-fields] [--rewrite] FILE…
 * ```
 *
 * A recording (`.ndjson`) is compared with its records; without records, our own are printed. A
 * story (`.txt`) is compared with what it expects, or rewritten to what happened. A quorum table is a
 * `.txt` of `committed` and `vote` lines. Exits with 1 if anything differs.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { parseRecording } from "./command.ts";
import { runQuorumTable } from "./quorum_table.ts";
import { compareRecording, record, runStory } from "./scenario.ts";

const USAGE = "usage: main.ts [--all-fields] [--rewrite] FILE…";

/** Runs one file and prints how it went; says whether all is well. */
function runFile(path: string, options: { allFields: boolean; rewrite: boolean }): boolean {
  const text = Deno.readTextFileSync(path);
  if (path.endsWith(".ndjson")) {
    if (parseRecording(text).every((step) => step.nodes === undefined)) {
      console.log(record(text).trimEnd());
      return true;
    }
    return report(path, compareRecording(text), options.allFields);
  }
  if (/^(committed|vote)\b/m.test(text)) {
    const { cases, differences } = runQuorumTable(text);
    console.log(`${path}: ${cases - differences.length} of ${cases} cases agree`);
    for (const line of differences) console.log(`  ${line}`);
    return differences.length === 0;
  }
  const { difference, rewritten } = runStory(text);
  if (options.rewrite) {
    if (rewritten !== text) Deno.writeTextFileSync(path, rewritten);
    console.log(`${path}: ${rewritten === text ? "unchanged" : "rewritten"}`);
    return true;
  }
  console.log(difference === undefined ? `${path}: as told` : `${path}: differs\n${difference}`);
  return difference === undefined;
}

/** As `runFile`; a file that cannot be read is no reason to leave the others out. */
function tryFile(path: string, options: { allFields: boolean; rewrite: boolean }): boolean {
  try {
    return runFile(path, options);
  } catch (error) {
    console.log(`${path}: ${error instanceof Error ? error.message : error}`);
    return false;
  }
}

function report(
  path: string,
  comparison: ReturnType<typeof compareRecording>,
  allFields: boolean,
): boolean {
  const { steps, difference, otherDifferences } = comparison;
  console.log(
    difference === undefined
      ? `${path}: agrees (${steps} steps, ${otherDifferences.length} free differences)`
      : `${path}: differs\n  ${difference}`,
  );
  if (allFields) { for (const line of otherDifferences) console.log(`  free: ${line}`); }
  return difference === undefined;
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { boolean: ["all-fields", "rewrite"] });
  if (args._.length === 0) {
    console.error(USAGE);
    Deno.exit(2);
  }
  const options = { allFields: args["all-fields"], rewrite: args.rewrite };
  const results = args._.map((path: string | number) => tryFile(String(path), options));
  Deno.exit(results.every(Boolean) ? 0 : 1);
}
