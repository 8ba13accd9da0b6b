/** Runs the simulation of the bare core over a number of seeds. */

import { assert } from "@std/assert";
import { type Counters, simulateRaftCore } from "./raft_core.ts";

const SEEDS = 1000;
const STEPS = 4000;

/** What has to have happened, or the simulation is too gentle to mean anything. */
const MUST_HAPPEN = [
  "appends refused",
  "applied before durable",
  "change taken",
  "crashes with unsynced writes",
  "elections won",
  "entries overwritten",
  "joint entered",
  "logs compacted",
  "messages cut off",
  "messages lost",
  "messages repeated",
  "reads answered",
  "refused: overloaded",
  "snapshots installed",
  "transfers begun",
];

Deno.test("The core stays safe under loss, disorder, crashes and changes, and recovers", () => {
  const counters: Counters = new Map();
  for (let seed = 1; seed <= SEEDS; seed++) simulateRaftCore(seed, STEPS, counters);
  for (const what of MUST_HAPPEN) {
    assert((counters.get(what) ?? 0) >= 100, `${what}: ${counters.get(what) ?? 0} times only`);
  }
});
