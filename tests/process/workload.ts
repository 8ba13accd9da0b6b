/**
 * Publishers that never stop and consumers that ack what comes, each with a client of its own, all
 * writing down in a history what they see.
 *
 * @module
 */

import type { Client, Delivery, Receipt } from "../../mod.ts";
import { type ConsumerLog, History } from "./history.ts";
import { pause, until, waitSeconds } from "./waiting.ts";

/** What runs. */
export interface WorkloadOptions {
  readonly queue?: string;
  /** @default {2} */
  readonly publishers?: number;
  /** @default {2} */
  readonly consumers?: number;
  /** Messages of one publisher that are not confirmed yet. @default {200} */
  readonly inFlight?: number;
  /** Messages a second of one publisher; as fast as it goes where left out. */
  readonly ratePerSecond?: number;
  /** @default {100} */
  readonly prefetch?: number;
}

/** How often publishers with a rate look at the clock. */
const paceMs = 5;

/** Publishes at a pace until it is stopped. */
class Publisher {
  readonly #publish: () => Promise<void>;
  readonly #inFlightMax: number;
  readonly #ratePerSecond: number | undefined;
  readonly #startedAt = performance.now();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #published = 0;
  #inFlight = 0;
  #isStopped = false;

  constructor(publish: () => Promise<void>, inFlightMax: number, ratePerSecond?: number) {
    this.#publish = publish;
    this.#inFlightMax = inFlightMax;
    this.#ratePerSecond = ratePerSecond;
    if (ratePerSecond !== undefined) this.#timer = setInterval(() => this.#pump(), paceMs);
    this.#pump();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  get #due(): number {
    if (this.#ratePerSecond === undefined) return Infinity;
    return (performance.now() - this.#startedAt) * this.#ratePerSecond / 1_000;
  }

  #pump(): void {
    while (!this.#isStopped && this.#inFlight < this.#inFlightMax && this.#published < this.#due) {
      this.#published++;
      this.#inFlight++;
      void this.#publish().then(() => {
        this.#inFlight--;
        this.#pump();
      });
    }
  }
}

/** The workload of a run. */
export class Workload implements AsyncDisposable {
  readonly history: History;
  readonly #publishers: Publisher[] = [];
  readonly #stopConsuming = new AbortController();
  readonly #consuming: Promise<void>[] = [];

  private constructor(history: History) {
    this.history = history;
  }

  /**
   * Starts publishing and consuming.
   *
   * @param connect Makes a client; whoever gives it closes the clients.
   * @param options How many of each, and how fast.
   * @param history Where it is written down; a new one where left out.
   * @returns The workload, when the first message was acked.
   */
  static async start(
    connect: (name: string) => Promise<Client>,
    options: WorkloadOptions = {},
    history: History = new History(),
  ): Promise<Workload> {
    const { queue: name = "work", publishers = 2, consumers = 2, prefetch = 100 } = options;
    const workload = new Workload(history);
    try {
      const admin = await connect("admin");
      await admin.createQueue(name);
      for (let i = 0; i < consumers; i++) {
        workload.#consume(await connect(`consumer ${i + 1}`), name, prefetch);
      }
      for (let i = 0; i < publishers; i++) {
        workload.#publish(await connect(`publisher ${i + 1}`), name, options);
      }
      await until(
        "the first message was confirmed and acked",
        () => history.totals.confirmed > 0 && (consumers === 0 || history.totals.acked > 0),
      );
      return workload;
    } catch (error) {
      await workload[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits until publishing has gone on from here, by so many messages. */
  async progressed(messages = 100): Promise<void> {
    const goal = this.history.totals.confirmed + messages;
    await until(
      `${messages} more messages were confirmed`,
      () => this.history.totals.confirmed >= goal,
    );
  }

  /** Publishes nothing more, and waits until each publish has been answered. */
  async stopPublishing(): Promise<void> {
    for (const publisher of this.#publishers) publisher.stop();
    await until("every publish was confirmed or had failed", () => {
      const { published, confirmed, unconfirmed } = this.history.totals;
      return published === confirmed + unconfirmed;
    });
  }

  /** Publishes nothing more, and waits until everything confirmed has come and is acked. */
  async finish(): Promise<void> {
    await this.stopPublishing();
    let acked = -1;
    let movedAt = performance.now();
    while (!this.history.isComplete) {
      if (this.history.totals.acked !== acked) {
        acked = this.history.totals.acked;
        movedAt = performance.now();
      } else if (performance.now() - movedAt > waitSeconds * 1_000) {
        return; // what is missing is told by the check
      }
      await pause(10);
    }
    await pause(300); // whatever would come again has some time to come
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const publisher of this.#publishers) publisher.stop();
    this.#stopConsuming.abort();
    await Promise.all(this.#consuming);
  }

  #publish(client: Client, queueName: string, options: WorkloadOptions): void {
    const queue = client.queue(queueName);
    const log = this.history.publisher();
    const publish = async (): Promise<void> => {
      const { number, body } = log.publish();
      let receipt: Receipt;
      try {
        receipt = await queue.publish(body);
      } catch (error) {
        log.fail(number, error);
        return;
      }
      log.confirm(number, receipt);
    };
    this.#publishers.push(
      new Publisher(publish, options.inFlight ?? 200, options.ratePerSecond),
    );
  }

  #consume(client: Client, queueName: string, prefetch: number): void {
    const log = this.history.consumer();
    const { signal } = this.#stopConsuming;
    const consuming = (async () => {
      try {
        for await (const delivery of client.queue(queueName).consume({ prefetch, signal })) {
          acknowledge(delivery, log);
        }
      } catch (error) {
        if (!signal.aborted) this.history.violation(`a consumer ended: ${error}`);
      }
    })();
    this.#consuming.push(consuming);
  }
}

/** Writes a delivery down, acks it, and writes that down too. */
function acknowledge(delivery: Delivery, log: ConsumerLog): void {
  const { partition, offset, deliveryCount } = delivery;
  const message = log.deliver({ partition, offset, deliveryCount, body: delivery.text() });
  delivery.ack().then(() => log.ack(message), (error) => log.ackFailed(error));
}
