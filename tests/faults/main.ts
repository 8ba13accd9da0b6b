/**
 * What the disk may do to nodes, tried on real processes.
 *
 * ```sh
 * deno task test:faults                        # everything: about half an hour
 * deno task test:faults --stride 20            # every 20th call only
 * deno task test:faults kill power --first 100 # two of the studies, from the 100th call on
 * ```
 *
 * Needs Linux, gcc and, for whatever mounts something, root.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { LoopDisk } from "./disks.ts";
import { fillDisks } from "./full_disk.ts";
import { cutPower, type PowerCutOptions } from "./power_cuts.ts";
import { program } from "../process/program.ts";
import { runSweep, sweeps } from "./sweep.ts";
import { compareWithStrace } from "./traced.ts";
import { runTrial } from "./trial.ts";

/** How the studies are run. */
interface Settings {
  readonly stride: number;
  readonly first: number;
  readonly cuts: number;
  /** Where the images of disks are that lose their power at random. */
  readonly root: string;
}

/** What a study says in the end. */
interface Outcome {
  readonly summary: string;
  readonly violations: readonly string[];
}

/** Something to find out. */
interface Study {
  readonly name: string;
  readonly title: string;
  run(settings: Settings): Promise<Outcome>;
}

const count = (number: number): string => number.toLocaleString("en");

const sweepStudies: Study[] = sweeps.map((sweep) => ({
  name: sweep.name,
  title: sweep.title,
  async run({ stride, first }) {
    const { hits, laterHits, trials, confirmedBefore, violations } = await runSweep(sweep, {
      program,
      stride,
      first,
      onTrial: (at, report) => {
        for (const violation of report.violations) console.log(`  at ${at}: ${violation}`);
      },
    });
    return {
      summary: `${count(trials)} trials, ${count(hits)} harmed` +
        (laterHits > 0 ? ` and ${count(laterHits)} harmed again` : "") +
        `; ${count(confirmedBefore)} messages were confirmed before`,
      violations,
    };
  },
}));

function cutStudy(
  name: string,
  title: string,
  options: Pick<PowerCutOptions, "nodes" | "all">,
): Study {
  return {
    name,
    title,
    async run({ cuts, root }) {
      const report = await cutPower({ program, cuts, root, ...options });
      const missing = cuts - report.cuts;
      return {
        summary: `${report.cuts} cuts; ${count(report.confirmed)} messages were confirmed`,
        violations: [
          ...report.violations,
          ...(missing > 0 ? [`${missing} cuts were not made`] : []),
        ],
      };
    },
  };
}

/** A control loses something, or the studies before it prove nothing. */
function controlOutcome(what: string, violations: readonly string[]): Outcome {
  return {
    summary: violations.length === 0 ? "nothing was lost" : `lost, as it must: ${violations[0]}`,
    violations: violations.length > 0 ? [] : [`${what} lost nothing with syncs switched off`],
  };
}

const fullStudies: Study[] = [
  { name: "full-1", title: "a disk that is full for a while", nodes: 1, all: true },
  { name: "full-one", title: "the same for the leader of three nodes", nodes: 3, all: false },
  { name: "full-all", title: "the same for all three nodes", nodes: 3, all: true },
].map(({ name, title, ...options }) => ({
  name,
  title,
  async run() {
    const { confirmedBefore, confirmed, ackedMeanwhile, violations } = await fillDisks({
      program,
      ...options,
    });
    return {
      summary: `${count(confirmedBefore)} messages were confirmed before all stood still, ` +
        `${count(ackedMeanwhile)} acked while none could be published, ${count(confirmed)} ` +
        "confirmed in all",
      violations,
    };
  },
}));

const studies: readonly Study[] = [
  {
    name: "calls",
    title: "every storage call is seen, says strace",
    async run() {
      const { calls, differences } = await compareWithStrace(program);
      return { summary: `${calls} calls`, violations: differences };
    },
  },
  ...sweepStudies,
  ...fullStudies,
  cutStudy("cut-1", "power cuts of one node at any moment", { nodes: 1, all: true }),
  cutStudy("cut-one", "power cuts of one node of three", { nodes: 3, all: false }),
  cutStudy("cut-all", "power cuts of all three nodes at once", { nodes: 3, all: true }),
  {
    name: "control-1",
    title: "control: a power cut of one node, syncs switched off",
    async run() {
      await using disk = await LoopDisk.make();
      const harms = [{ kind: "power", at: 150 }] as const;
      const options = { program, disk, harms, noSyncs: true, stuckMs: 2_000 };
      return controlOutcome("a node", (await runTrial(options)).violations);
    },
  },
  {
    name: "control-all",
    title: "control: power cuts of three nodes, syncs switched off",
    async run({ root }) {
      const options = { program, cuts: 1, root, nodes: 3, all: true, noSyncs: true };
      return controlOutcome("three nodes", (await cutPower(options)).violations);
    },
  },
];

if (import.meta.main) {
  const given = parseArgs(Deno.args, {
    string: ["stride", "first", "cuts", "root", "_"],
  }) as unknown as Record<string, string | undefined> & { _: string[] };
  const settings: Settings = {
    stride: Number(given.stride ?? 1),
    first: Number(given.first ?? 1),
    cuts: Number(given.cuts ?? 30),
    root: given.root ?? "/tmp",
  };
  const unknown = given._.filter((name) => !studies.some((study) => study.name === name));
  if (unknown.length > 0) {
    console.error(`There is no study ${unknown[0]}: ${studies.map(({ name }) => name).join(", ")}`);
    Deno.exit(2);
  }
  let violationCount = 0;
  for (const { name, title, run } of studies) {
    if (given._.length > 0 && !given._.includes(name)) continue;
    const startedAt = performance.now();
    const { summary, violations } = await run(settings);
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    const verdict = violations.length === 0 ? "ok" : `${violations.length} VIOLATIONS`;
    console.log(`${name} (${title}): ${summary}; ${verdict} (${seconds} s)`);
    for (const violation of violations) console.log(`  ${violation}`);
    violationCount += violations.length;
  }
  Deno.exit(violationCount === 0 ? 0 : 1);
}
