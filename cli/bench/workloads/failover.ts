/**
 * `failover`: the leader is harmed again and again while publishers have as much under way as they
 * may, and the longest time without a confirmation around each fault is what counts.
 *
 * @module
 */

import { CommandError } from "../../failures.ts";
import { GapMeter } from "../../gap_meter.ts";
import { sleep } from "../../waiting.ts";
import type { Arena } from "../arena.ts";
import { Consuming, linger } from "../consuming.ts";
import type { FaultKind } from "../faults.ts";
import { type BenchLoad, commonLoad } from "../load.ts";
import { Publishing } from "../publishing.ts";
import type { Measurement, Workload } from "../workload.ts";

/** Confirmations before the first fault: everything is warm. */
const runUpMessages = 5_000;
/** Confirmations after a fault that say that work goes on. */
const progressMessages = 200;
/** What is still counted as the gap of a fault once work goes on. */
const aftermathMs = 500;
/** Publishing that takes longer to go on has failed. */
const outageMsMax = 60_000;

async function measure(arena: Arena, load: BenchLoad): Promise<Measurement> {
  const kinds = arena.faultKinds;
  const queues = await arena.createQueues(load);
  const saboteur = await arena.saboteur();
  const gap = new GapMeter();
  let over = false;
  const publishing = await Publishing.connect(arena, load, {
    stamped: true,
    countsConfirmed: false,
    stopped: () => over,
    onConfirmed: () => gap.event(performance.now()),
  });
  const gaps = new Map<FaultKind, number[]>(kinds.map((kind) => [kind, []]));
  await using consuming = await Consuming.start(arena, load, queues);

  /** Waits until work has gone on for some messages. */
  async function progress(messages: number): Promise<void> {
    const goal = publishing.confirmed + messages;
    const deadline = performance.now() + outageMsMax;
    while (publishing.confirmed < goal && !over) {
      arena.signal.throwIfAborted();
      if (performance.now() > deadline) {
        throw new CommandError(`nothing was confirmed for ${outageMsMax / 1_000} s after a fault`);
      }
      await sleep(5, arena.signal);
    }
  }

  async function harmInTurn(): Promise<void> {
    await progress(runUpMessages);
    for (let fault = 0; fault < load.faults && !over; fault++) {
      const kind = kinds[fault % kinds.length]!;
      gap.restart();
      await saboteur.harm(kind, async () => {
        await progress(progressMessages);
        await sleep(aftermathMs, arena.signal);
        gaps.get(kind)!.push(gap.longestMs());
      });
    }
  }

  const { value: messages, seconds } = await arena.time(async () => {
    const publishingAll = publishing.publishAll(queues);
    // Where one of the two fails, the other has nothing to go on for.
    const end = () => over = true;
    publishingAll.catch(end);
    const harming = harmInTurn().finally(end);
    const [published] = await Promise.all([publishingAll, harming]);
    await consuming.until(published);
    return published;
  }, { calm: true });
  await linger(arena);
  return { messages, seconds, confirm: publishing.confirm, gaps };
}

/** The workload. */
export const failover: Workload = {
  name: "failover",
  summary: "the leader of the temporary cluster is harmed again and again under load",
  defaults: {
    ...commonLoad,
    workload: "failover",
    clients: 2,
    consumers: 2,
    window: 500,
    faults: 5,
  },
  takes: ["clients", "consumers", "batch", "window", "partitions", "prefetch", "faults"],
  warmUp: false,
  noLimit: "it has no leader to lose",
  injectsFaults: true,
  run: measure,
};
