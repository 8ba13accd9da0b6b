/**
 * `latency-at-rate`: messages at an even rate, whatever becomes of them, with latency from the time at
 * which each was due. Shows what a user waits for under a load that is below the most that goes.
 *
 * @module
 */

import { sleep } from "../../waiting.ts";
import type { Arena } from "../arena.ts";
import { Consuming, linger } from "../consuming.ts";
import { Histogram } from "../histogram.ts";
import { type BenchLoad, commonLoad } from "../load.ts";
import { Publishing } from "../publishing.ts";
import { sendOnSchedule } from "../schedule.ts";
import type { Measurement, Workload } from "../workload.ts";

/**
 * How many messages a schedule has.
 *
 * @param load The rate, and the messages or the time.
 * @returns What comes first.
 */
export function scheduledMessages({ rate, messages, durationMs }: BenchLoad): number {
  const inTime = durationMs === 0 ? Infinity : Math.ceil(rate * durationMs / 1_000);
  return Math.min(messages === 0 ? Infinity : messages, inTime);
}

async function measure(arena: Arena, load: BenchLoad): Promise<Measurement> {
  const [queue] = await arena.createQueues(load);
  await using consuming = await Consuming.start(arena, load, [queue!]);
  const publishing = await Publishing.connect(arena, load, {
    stamped: true,
    countsConfirmed: false,
  });
  const calls = Array.from(
    { length: load.clients },
    (_, producer) => publishing.call(queue!, producer),
  );
  const plan = { ratePerSecond: load.rate, messages: scheduledMessages(load) };
  const clock = {
    now: () => performance.now(),
    sleep: (ms: number) => sleep(ms, arena.signal),
  };
  const lateness = new Histogram();

  const { value: messages, seconds } = await arena.time(async () => {
    const confirmed = Promise.withResolvers<void>();
    let underWay = 1; // the schedule itself
    const done = (): void => {
      if (--underWay === 0) confirmed.resolve();
    };
    const send = (number: number, dueAt: number): void => {
      lateness.record(performance.now() - dueAt);
      underWay++;
      calls[number % calls.length]!(dueAt, done, confirmed.reject);
    };
    const sending = sendOnSchedule(plan, clock, send, () => arena.signal.aborted);
    sending.then(done, confirmed.reject);
    await confirmed.promise;
    arena.signal.throwIfAborted();
    const sent = await sending;
    await consuming.until(sent);
    return sent;
  });
  await linger(arena);
  return {
    messages,
    seconds,
    confirm: publishing.confirm,
    delivery: consuming.delivery,
    lateness,
  };
}

/** The workload. */
export const latencyAtRate: Workload = {
  name: "latency-at-rate",
  summary: "messages at an even rate, timed from the moment at which each was due",
  defaults: {
    ...commonLoad,
    workload: "latency-at-rate",
    consumers: 1,
    rate: 1_000,
    durationMs: 5_000,
  },
  takes: ["clients", "consumers", "rate", "messages", "durationMs", "partitions", "prefetch"],
  warmUp: true,
  run: measure,
};
