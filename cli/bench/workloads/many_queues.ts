/**
 * `many-queues`: publish, deliver and ack, spread over many queues, each of them with little to do.
 * Shows what a queue costs.
 *
 * @module
 */

import { commonLoad } from "../load.ts";
import type { Workload } from "../workload.ts";
import { measurePublishConsume, publishConsume } from "./publish_consume.ts";

/** The workload. */
export const manyQueues: Workload = {
  name: "many-queues",
  summary: "publish, deliver and ack, spread over many queues",
  defaults: {
    ...commonLoad,
    workload: "many-queues",
    clients: 4,
    consumers: 4,
    queues: 1_000,
    prefetch: 100,
    messages: 50_000,
  },
  takes: [...publishConsume.takes, "queues"],
  warmUp: true,
  run: measurePublishConsume,
};
