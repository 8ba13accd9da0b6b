/**
 * `drain`: a queue is filled, and then consumers take everything out of it. Shows how fast a backlog
 * goes away, once whoever was down is up again.
 *
 * @module
 */

import type { Arena } from "../arena.ts";
import { Consuming, linger } from "../consuming.ts";
import { type BenchLoad, commonLoad } from "../load.ts";
import { Publishing } from "../publishing.ts";
import type { Measurement, Workload } from "../workload.ts";

async function measure(arena: Arena, load: BenchLoad): Promise<Measurement> {
  const queues = await arena.createQueues(load);
  const publishing = await Publishing.connect(arena, load, {
    stamped: false,
    countsConfirmed: true,
  });
  const startedAt = performance.now();
  const messages = await publishing.publishAll(queues);
  const fill = { messages, seconds: (performance.now() - startedAt) / 1_000 };
  await using stack = new AsyncDisposableStack();
  const { seconds } = await arena.time(async () => {
    const consuming = stack.use(await Consuming.start(arena, load, queues));
    await consuming.until(messages);
  });
  await linger(arena);
  return { messages, seconds, fill };
}

/** The workload. */
export const drain: Workload = {
  name: "drain",
  summary: "a backlog is filled, then drained; the rate is the drain's",
  defaults: {
    ...commonLoad,
    workload: "drain",
    clients: 4,
    consumers: 4,
    batch: 32,
    window: 1_024,
    messages: 200_000,
  },
  takes: ["clients", "consumers", "batch", "window", "messages", "partitions", "prefetch"],
  warmUp: true,
  noLimit: "it has no backlog",
  run: measure,
};
