/**
 * The consumers of the bench: they ack what comes, measure how long it took, and check what it is.
 *
 * @module
 */

import type { Consumer, Delivery } from "../../mod.ts";
import { LeaseExpiredError } from "../../client/errors.ts";
import { CommandError } from "../failures.ts";
import { formatMs } from "../format.ts";
import { sleep } from "../waiting.ts";
import type { Arena, ArenaQueue } from "./arena.ts";
import type { ConsumerOrder } from "./checker.ts";
import { Histogram } from "./histogram.ts";
import type { BenchLoad } from "./load.ts";
import { nameOf, publishedAtOf } from "./messages.ts";
import { shareOf } from "./publishing.ts";

/** Longer than any lease or session lives that holds a message back. */
const stallMs = 45_000;
/** Whatever would come twice has some time to come. */
const lingerMs = 200;

/** The consumers of a measurement. */
export class Consuming implements AsyncDisposable {
  /** From the call that publishes to the delivery. */
  readonly delivery = new Histogram();
  /** Acks that were confirmed. */
  acked = 0;
  readonly #arena: Arena;
  readonly #load: BenchLoad;
  readonly #consumers: Consumer[] = [];
  readonly #failure = Promise.withResolvers<never>();
  #goal = Infinity;
  #reached = Promise.withResolvers<void>();
  #closing = false;

  private constructor(arena: Arena, load: BenchLoad) {
    this.#arena = arena;
    this.#load = load;
    this.#failure.promise.catch(() => {}); // whoever waits hears of it
  }

  /**
   * Connects consumers and lets them take messages.
   *
   * @param arena Where.
   * @param load How many, and how much each holds.
   * @param queues From where: each connection has its share of them, or all share the only one.
   * @returns The consumers, at work.
   */
  static async start(
    arena: Arena,
    load: BenchLoad,
    queues: readonly ArenaQueue[],
  ): Promise<Consuming> {
    const consuming = new Consuming(arena, load);
    const count = Math.max(1, load.consumers);
    const clients = await arena.connectAll(count, "consumer");
    for (const [i, client] of clients.entries()) {
      for (const queue of shareOf(queues, i, count)) {
        consuming.#take(client.queue(queue.name).consume({ prefetch: load.prefetch }), queue);
      }
    }
    return consuming;
  }

  /**
   * Waits until messages are acked.
   *
   * @param messages How many, since the start.
   * @throws {CommandError} If nothing is acked any more; with a check it returns instead, as the
   * verdict says more.
   */
  async until(messages: number): Promise<void> {
    this.#goal = messages;
    if (this.#count >= messages) this.#reached.resolve();
    const stalled = new AbortController();
    try {
      const work = Promise.race([this.#reached.promise, this.#failure.promise]);
      await Promise.race([work, this.#stall(stalled.signal)]);
    } finally {
      stalled.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing more is checked or waited for: a cluster that is gone would only hold this up.
    this.#closing = true;
    if (this.#arena.signal.aborted) return;
    await Promise.all(this.#consumers.map((consumer) => consumer.close()));
  }

  /** Different messages, where somebody keeps the books; otherwise a repeated ack counts again. */
  get #count(): number {
    return this.#arena.checker?.acked ?? this.acked;
  }

  #take(consumer: Consumer, queue: ArenaQueue): void {
    this.#consumers.push(consumer);
    const { batch } = this.#load;
    const order: ConsumerOrder = new Map();
    let measured: number | undefined;
    const measure = ({ body }: Delivery): void => {
      const publishedAt = publishedAtOf(body);
      // What comes to one consumer of a batch counts once, which saves asking for the time.
      if (publishedAt === undefined || publishedAt === measured) return;
      measured = publishedAt;
      this.delivery.record(performance.now() - publishedAt);
    };
    const loop = async (): Promise<void> => {
      if (batch === 1 || this.#arena.checker !== undefined) {
        for await (const delivery of consumer) {
          measure(delivery);
          this.#deliver(delivery, queue, order);
        }
        return;
      }
      for await (const taken of consumer.batches(batch)) {
        for (const delivery of taken) measure(delivery);
        taken.ack().then(() => this.#onAcked(taken.length), this.#onNotAcked);
      }
    };
    loop().catch((error) => this.#fail(error));
  }

  #deliver(delivery: Delivery, queue: ArenaQueue, order: ConsumerOrder): void {
    const { checker } = this.#arena;
    if (checker === undefined) {
      delivery.ack().then(this.#onOneAcked, this.#onNotAcked);
      return;
    }
    const { body } = delivery;
    const name = nameOf(body, this.#load.size);
    const { partition, offset, deliveryCount } = delivery;
    const place = { partition: queue.firstPartition + partition, offset };
    checker.deliver(order, name, place, deliveryCount);
    delivery.ack().then(() => {
      checker.ack(name);
      this.#onAcked(1);
    }, this.#onNotAcked);
  }

  /** One for all messages: the nodes need the processor as well. */
  readonly #onOneAcked = (): void => this.#onAcked(1);

  #onAcked(count: number): void {
    this.acked += count;
    this.#arena.done += count;
    if (this.#count >= this.#goal) this.#reached.resolve();
  }

  readonly #onNotAcked = (error: unknown): void => {
    // The message comes again, to whoever is next.
    if (!(error instanceof LeaseExpiredError)) this.#fail(error);
  };

  #fail(error: unknown): void {
    if (!this.#closing) this.#failure.reject(error);
  }

  /** Ends the wait when nothing has moved for long, or the measurement is given up. */
  async #stall(over: AbortSignal): Promise<void> {
    const { signal, checker } = this.#arena;
    const either = AbortSignal.any([over, signal]);
    for (let acked = -1; acked !== this.acked;) {
      acked = this.acked;
      await sleep(stallMs, either);
      signal.throwIfAborted();
      if (over.aborted) return;
    }
    if (checker !== undefined) return;
    throw new CommandError(
      `no message was acked for ${formatMs(stallMs)}: ${this.acked} of ${this.#goal} were`,
    );
  }
}

/**
 * With a check, reads back what a workload has only published.
 *
 * @param arena With the books.
 * @param load What was sent.
 * @param queues Where to.
 * @param messages How many.
 */
export async function readBack(
  arena: Arena,
  load: BenchLoad,
  queues: readonly ArenaQueue[],
  messages: number,
): Promise<void> {
  if (arena.checker === undefined) return;
  await using consuming = await Consuming.start(arena, load, queues);
  await consuming.until(messages);
  await linger(arena);
}

/**
 * With a check, gives what would come twice some time to come.
 *
 * @param arena With the books.
 */
export async function linger(arena: Arena): Promise<void> {
  if (arena.checker !== undefined) await sleep(lingerMs, arena.signal);
}
