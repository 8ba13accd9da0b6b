/**
 * `publish-consume`: publish, deliver and ack at the same time, as fast as all three go together.
 *
 * @module
 */

import type { Arena } from "../arena.ts";
import { Consuming, linger } from "../consuming.ts";
import { type BenchLoad, commonLoad } from "../load.ts";
import { Publishing } from "../publishing.ts";
import type { Measurement, Workload } from "../workload.ts";

/**
 * Publishes everything while consumers ack it.
 *
 * @param arena Where.
 * @param load What is sent.
 * @returns The rate of acks, and how long each message took to its confirmation and its delivery.
 */
export async function measurePublishConsume(arena: Arena, load: BenchLoad): Promise<Measurement> {
  const queues = await arena.createQueues(load);
  await using consuming = await Consuming.start(arena, load, queues);
  const publishing = await Publishing.connect(arena, load, {
    stamped: true,
    countsConfirmed: false,
  });
  const { value: messages, seconds } = await arena.time(async () => {
    const published = await publishing.publishAll(queues);
    await consuming.until(published);
    return published;
  });
  await linger(arena);
  return { messages, seconds, confirm: publishing.confirm, delivery: consuming.delivery };
}

/** The workload. */
export const publishConsume: Workload = {
  name: "publish-consume",
  summary: "publish, deliver and ack at the same time",
  defaults: {
    ...commonLoad,
    workload: "publish-consume",
    clients: 4,
    consumers: 4,
    batch: 32,
    window: 1_024,
    messages: 200_000,
  },
  takes: [
    "clients",
    "consumers",
    "batch",
    "window",
    "messages",
    "durationMs",
    "partitions",
    "prefetch",
  ],
  warmUp: true,
  run: measurePublishConsume,
};
