/**
 * `fan-in`: many connections publish into one queue, each with little under way. Shows what a
 * connection costs, and how well a leader gathers what comes from all sides.
 *
 * @module
 */

import { commonLoad } from "../load.ts";
import type { Workload } from "../workload.ts";
import { measurePublish, publish } from "./publish.ts";

/** The workload. */
export const fanIn: Workload = {
  name: "fan-in",
  summary: "many connections publish into one queue",
  defaults: { ...commonLoad, workload: "fan-in", clients: 64, window: 16, messages: 100_000 },
  takes: publish.takes,
  warmUp: true,
  run: measurePublish,
};
