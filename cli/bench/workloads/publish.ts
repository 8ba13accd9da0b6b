/**
 * `publish`: how many messages a cluster confirms, with a number of them under way all the time.
 *
 * @module
 */

import type { Arena } from "../arena.ts";
import { readBack } from "../consuming.ts";
import { type BenchLoad, commonLoad } from "../load.ts";
import { Publishing } from "../publishing.ts";
import type { Measurement, Workload } from "../workload.ts";

/**
 * Publishes everything; with a check, reads it back when the time is over.
 *
 * @param arena Where.
 * @param load What is sent.
 * @returns The rate of confirmations, and how long each took.
 */
export async function measurePublish(arena: Arena, load: BenchLoad): Promise<Measurement> {
  const queues = await arena.createQueues(load);
  const publishing = await Publishing.connect(arena, load, {
    stamped: false,
    countsConfirmed: true,
  });
  const { value: messages, seconds } = await arena.time(() => publishing.publishAll(queues));
  await readBack(arena, load, queues, messages);
  return { messages, seconds, confirm: publishing.confirm };
}

/** The workload. */
export const publish: Workload = {
  name: "publish",
  summary: "confirmations a second",
  defaults: { ...commonLoad, workload: "publish", messages: 100_000 },
  takes: ["clients", "batch", "window", "messages", "durationMs", "partitions"],
  warmUp: true,
  run: measurePublish,
};
