/**
 * A little of everything that `deno task test:faults` tries, as much as fits into a minute.
 *
 * Skipped, with the reason, where the machine does not have what it takes.
 */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { program } from "../process/program.ts";
import { LoopDisk } from "./disks.ts";
import { fillDisks } from "./full_disk.ts";
import { cutPower } from "./power_cuts.ts";
import { noMounts, noShim } from "./requirements.ts";
import { runSweep, sweeps } from "./sweep.ts";
import { runTrial } from "./trial.ts";

/** Registers a test that needs something of the machine; `missing` says why it cannot be run. */
function faultTest(name: string, missing: string | undefined, body: () => Promise<void>): void {
  if (missing !== undefined) console.log(`skipped: "${name}": ${missing}`);
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

/** Some of the calls of a sweep, with at least so many that came to the harm. */
async function sweepSome(name: string, first: number, stride: number, hitsMin: number) {
  const sweep = sweeps.find((one) => one.name === name)!;
  const result = await runSweep(sweep, { program, first, stride, onTrial: () => {} });
  assertEquals(result.violations, []);
  assertGreater(result.hits, hitsMin - 1);
  assertGreater(result.confirmedBefore, 0);
}

faultTest(
  "a node that is killed at a storage call, and again, keeps what it confirmed",
  noShim,
  () => {
    return sweepSome("kill", 31, 73, 3);
  },
);

faultTest("a node that is killed in the middle of a write keeps what it confirmed", noShim, () => {
  return sweepSome("tear", 77, 103, 2);
});

faultTest("a node whose disk fails ends at once and says why", noShim, () => {
  return sweepSome("error", 44, 103, 2);
});

faultTest("a node that loses what a failed sync was for had not confirmed it", noMounts, () => {
  return sweepSome("sync-error", 27, 37, 2);
});

faultTest("a node whose power is cut at a storage call keeps what it confirmed", noMounts, () => {
  return sweepSome("power", 61, 103, 2);
});

faultTest(
  "a node with a full disk refuses, delivers, and goes on by itself",
  noMounts,
  async () => {
    const report = await fillDisks({ program, nodes: 1, all: true });
    assertEquals(report.violations, []);
    assertGreater(report.confirmed, report.confirmedBefore);
  },
);

faultTest("a cluster publishes on while the disk of one node is full", noMounts, async () => {
  const report = await fillDisks({ program, nodes: 3, all: false });
  assertEquals(report.violations, []);
  assertGreater(report.confirmed, report.confirmedBefore);
});

faultTest("three nodes whose power is cut at once keep what they confirmed", noMounts, async () => {
  const { cuts, violations } = await cutPower({ program, nodes: 3, all: true, cuts: 2 });
  assertEquals([cuts, violations], [2, []]);
});

faultTest("a power cut loses something where syncs are switched off", noMounts, async () => {
  await using disk = await LoopDisk.make();
  const harms = [{ kind: "power", at: 150 }] as const;
  const { violations } = await runTrial({ program, disk, harms, noSyncs: true, stuckMs: 2_000 });
  const isLoss = /was confirmed .* and never came|are both at offset/;
  assert(violations.some((text) => isLoss.test(text)), violations.join("\n"));
});
