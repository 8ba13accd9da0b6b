/**
 * `latency`: one message at a time, the next when the one before is confirmed. Shows what a single
 * publish costs on an idle cluster, and nothing about a busy one: see `latency_at_rate.ts`.
 *
 * @module
 */

import { commonLoad } from "../load.ts";
import type { Workload } from "../workload.ts";
import { measurePublish } from "./publish.ts";

/** The workload. */
export const latency: Workload = {
  name: "latency",
  summary: "one message at a time",
  defaults: { ...commonLoad, workload: "latency", window: 1, messages: 2_000 },
  takes: ["messages", "durationMs", "partitions"],
  warmUp: true,
  run: measurePublish,
};
