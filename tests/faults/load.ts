/**
 * A client that publishes and consumes through every end and new start of the nodes, and writes down what
 * it sees.
 *
 * Unlike the workload of the process tests it gives up soon where nothing goes on any more: where a disk
 * has lost what it must not, that is what there is to see.
 *
 * @module
 */

import type { Client } from "../../mod.ts";
import { History } from "../process/history.ts";
import { pause } from "../process/waiting.ts";

/** How much is done. */
export interface LoadOptions {
  readonly queue: string;
  /** How many messages are published. @default {Infinity} */
  readonly messages?: number;
  /** Unconfirmed messages, and unacked ones. @default {40} */
  readonly inFlight?: number;
  /** Whether messages are consumed and acked. @default {true} */
  readonly consume?: boolean;
  /** Nothing has happened for so long: it never will. @default {10_000} */
  readonly stuckMs?: number;
}

const bodyBytes = 200;

/** A cluster that refuses everything is not asked again at once. */
const failurePauseMs = 20;

/** What runs. */
export class Load {
  readonly history = new History(bodyBytes);
  readonly #client: Client;
  readonly #options: Required<LoadOptions>;
  readonly #stop = new AbortController();
  readonly #publishing: Promise<unknown>;
  #consuming: Promise<void> | undefined;
  #left: number;

  /**
   * Starts.
   *
   * @param client Does it all.
   * @param options How much.
   */
  constructor(client: Client, options: LoadOptions) {
    this.#client = client;
    this.#options = {
      messages: Infinity,
      inFlight: 40,
      consume: true,
      stuckMs: 10_000,
      ...options,
    };
    this.#left = this.#options.messages;
    this.#publishing = Promise.all(
      Array.from({ length: this.#options.inFlight }, () => this.#publish()),
    );
    if (this.#options.consume) this.startConsuming();
  }

  /** Whether everything that is to be published was, and all of it was acked. */
  get isComplete(): boolean {
    return this.#left <= 0 && this.history.isComplete;
  }

  /** Publishes nothing more. */
  stopPublishing(): void {
    this.#left = 0;
  }

  /** Consumes from now on. */
  startConsuming(): void {
    this.#consuming ??= this.#consume().catch((error) => {
      if (!this.#stop.signal.aborted) this.history.violation(`the consumer ended: ${error}`);
    });
  }

  /** Waits until so many more messages were confirmed. @returns Whether they were. */
  async progressed(messages: number): Promise<boolean> {
    const goal = this.history.totals.confirmed + messages;
    return await this.#until(() => this.history.totals.confirmed >= goal);
  }

  /** Waits until all is done, or nothing goes on any more, and ends. */
  async finish(): Promise<void> {
    if (!await this.#until(() => this.isComplete)) {
      this.history.violation(`nothing happened any more: ${this.history.summary()}`);
    }
    this.#left = 0;
    this.#stop.abort();
    await this.#consuming;
    // Where something is stuck, what is under way never comes to its end.
    if (this.history.isComplete) await this.#publishing;
  }

  /** @returns Whether it came true, before nothing happened for too long. */
  async #until(isTrue: () => boolean): Promise<boolean> {
    let last = "";
    let movedAt = performance.now();
    while (!isTrue()) {
      const { confirmed, delivered, acked } = this.history.totals;
      const now = `${confirmed} ${delivered} ${acked}`;
      if (now !== last) {
        last = now;
        movedAt = performance.now();
      } else if (performance.now() - movedAt > this.#options.stuckMs) {
        return false;
      }
      await pause(2);
    }
    return true;
  }

  async #publish(): Promise<void> {
    const queue = this.#client.queue(this.#options.queue);
    const log = this.history.publisher();
    while (this.#left-- > 0) {
      const { number, body } = log.publish();
      await queue.publish(body).then(
        (receipt) => log.confirm(number, receipt),
        (error) => {
          log.fail(number, error);
          return pause(failurePauseMs);
        },
      );
    }
  }

  async #consume(): Promise<void> {
    const { signal } = this.#stop;
    const { queue, inFlight: prefetch } = this.#options;
    const log = this.history.consumer();
    // The queue has to be there; it comes with the first message.
    while (this.history.totals.confirmed === 0 && !signal.aborted) await pause(2);
    for await (const delivery of this.#client.queue(queue).consume({ prefetch, signal })) {
      const { partition, offset, deliveryCount } = delivery;
      const message = log.deliver({ partition, offset, deliveryCount, body: delivery.text() });
      delivery.ack().then(() => log.ack(message), (error) => log.ackFailed(error));
    }
  }
}
