/**
 * The publishers of the bench: what one call publishes, what is measured of it and what is checked.
 *
 * @module
 */

import type { Client, Queue } from "../../mod.ts";
import type { Arena, ArenaQueue } from "./arena.ts";
import { keepUnderWay, type LoopEnd } from "./closed_loop.ts";
import { Histogram } from "./histogram.ts";
import type { BenchLoad } from "./load.ts";
import { makeBody } from "./messages.ts";

/** What is done with messages beside publishing them. */
export interface PublishingOptions {
  /** Whether bodies say when they were published. */
  readonly stamped: boolean;
  /** Whether a confirmed message is done; where it is consumed it is not. */
  readonly countsConfirmed: boolean;
  /** Ends the loops before their time. */
  readonly stopped?: () => boolean;
  /** Hears of every confirmation. */
  readonly onConfirmed?: () => void;
}

/** Publishes a message or a batch; latency counts from `from`. Then it says how that ended. */
export type PublishCall = (
  from: number,
  done: () => void,
  failed: (error: unknown) => void,
) => void;

/** The publishers of a measurement. */
export class Publishing {
  /** From the call to the confirmation. */
  readonly confirm = new Histogram();
  /** Messages that were confirmed. */
  confirmed = 0;
  readonly #arena: Arena;
  readonly #load: BenchLoad;
  readonly #options: PublishingOptions;
  readonly #clients: readonly Client[];

  private constructor(
    arena: Arena,
    load: BenchLoad,
    options: PublishingOptions,
    clients: readonly Client[],
  ) {
    this.#arena = arena;
    this.#load = load;
    this.#options = options;
    this.#clients = clients;
  }

  /**
   * Connects publishers that do nothing yet.
   *
   * @param arena Where.
   * @param load What is sent.
   * @param options What is done beside it.
   * @returns The publishers.
   */
  static async connect(
    arena: Arena,
    load: BenchLoad,
    options: PublishingOptions,
  ): Promise<Publishing> {
    const clients = await arena.connectAll(load.clients, "publisher");
    return new Publishing(arena, load, options, clients);
  }

  /**
   * Publishes everything in closed loops, one for each connection.
   *
   * @param queues Where to: each connection has its share of them, or all share the only one.
   * @returns How many messages were published and confirmed.
   */
  async publishAll(queues: readonly ArenaQueue[]): Promise<number> {
    const { batch, window } = this.#load;
    const end = this.#loopEnd();
    const loops = this.#clients.map((_, producer) => {
      const calls = shareOf(queues, producer, this.#clients.length)
        .map((queue) => this.call(queue, producer));
      let next = 0;
      return keepUnderWay(
        (done, failed) => calls[next++ % calls.length]!(performance.now(), done, failed),
        Math.max(1, Math.floor(window / batch)),
        end,
        this.#arena.signal,
      );
    });
    const made = await Promise.all(loops);
    return made.reduce((sum, calls) => sum + calls, 0) * batch;
  }

  /**
   * Makes what one connection calls to publish to one queue.
   *
   * @param at The queue.
   * @param producer The number of the connection.
   * @returns Publishes a batch, or a single message.
   */
  call(at: ArenaQueue, producer: number): PublishCall {
    const { batch } = this.#load;
    const queue = this.#clients[producer]!.queue(at.name);
    if (this.#arena.checker !== undefined) return this.#checkedCall(queue, at, producer);
    const bodyAt = this.#uncheckedBodies();
    if (batch === 1) {
      return (from, done, failed) => {
        queue.publish(bodyAt(from)).then(() => {
          this.#confirmed(from, 1);
          done();
        }, failed);
      };
    }
    return (from, done, failed) => {
      queue.publishBatch(new Array(batch).fill({ body: bodyAt(from) })).then(() => {
        this.#confirmed(from, batch);
        done();
      }, failed);
    };
  }

  /** Bodies that say no more than when they were published, or nothing. */
  #uncheckedBodies(): (from: number) => Uint8Array {
    const { size } = this.#load;
    if (this.#options.stamped) return (from) => makeBody(size, from);
    const same = makeBody(size, 0);
    return () => same;
  }

  /** Every message has a name, and every receipt is written down. */
  #checkedCall(queue: Queue, at: ArenaQueue, producer: number): PublishCall {
    const { batch, size } = this.#load;
    const checker = this.#arena.checker!;
    return (from, done, failed) => {
      const names = Array.from({ length: batch }, () => checker.publish(producer));
      const messages = names.map((name) => ({ body: makeBody(size, from, name) }));
      queue.publishBatch(messages).then((receipts) => {
        for (const [i, { partition, offset }] of receipts.entries()) {
          checker.confirm(names[i]!, { partition: at.firstPartition + partition, offset });
        }
        this.#confirmed(from, batch);
        done();
      }, failed);
    };
  }

  #confirmed(from: number, messages: number): void {
    this.confirm.record(performance.now() - from);
    this.confirmed += messages;
    if (this.#options.countsConfirmed) this.#arena.done += messages;
    this.#options.onConfirmed?.();
  }

  /** Each connection publishes its share of the messages, or all publish until the time is over. */
  #loopEnd(): LoopEnd {
    const { clients, batch, messages, durationMs } = this.#load;
    const calls = messages === 0 ? Infinity : Math.max(1, Math.round(messages / clients / batch));
    const deadline = durationMs === 0 ? Infinity : performance.now() + durationMs;
    const { stopped } = this.#options;
    return { calls, over: () => performance.now() >= deadline || stopped?.() === true };
  }
}

/**
 * The part of all queues that one of several connections works with.
 *
 * @param queues All of them.
 * @param index Which connection.
 * @param count How many connections there are.
 * @returns Every `count`th queue; where there are fewer queues than connections, one of them.
 */
export function shareOf<T>(queues: readonly T[], index: number, count: number): readonly T[] {
  if (queues.length <= count) return [queues[index % queues.length]!];
  return queues.filter((_, i) => i % count === index);
}
