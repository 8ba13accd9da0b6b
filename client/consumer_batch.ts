/**
 * Several messages in the hands of a consumer, settled together.
 *
 * @module
 */

import { SettleOperation } from "../wire/mod.ts";
import { Delivery, type NackOptions } from "./delivery.ts";
import { BatchSettleError, type FlowMQError } from "./errors.ts";
import { checkSettleOptions, plainSettle, type SettleOptions } from "./settle_batch.ts";

/**
 * Messages that came from `Consumer.batches()`: one or more, in the order in which they came.
 *
 * What is said of the batch is not said of messages that were acked, nacked or rejected one by one: so
 * the one that is no good can be rejected, and the others acked together.
 *
 * @example Usage
 * ```ts ignore
 * for await (const batch of client.queue("orders").consume({ prefetch: 1_000 }).batches(100)) {
 *   await store(batch.deliveries.map((delivery) => delivery.json()));
 *   await batch.ack();
 * }
 * ```
 */
export class ConsumerBatch implements Iterable<Delivery> {
  /** The messages. */
  readonly deliveries: readonly Delivery[];

  /**
   * Batches are made by consumers.
   *
   * @ignore
   */
  constructor(deliveries: readonly Delivery[]) {
    this.deliveries = deliveries;
  }

  /** How many messages it has. */
  get length(): number {
    return this.deliveries.length;
  }

  /** The messages, one after the other. */
  [Symbol.iterator](): Iterator<Delivery> {
    return this.deliveries[Symbol.iterator]();
  }

  /**
   * Says that the messages are done with: nobody gets them again once this has resolved.
   *
   * @returns When the cluster has all of it on record.
   * @throws {BatchSettleError} when that did not work for some of them; it says which and why. The
   *   others are acked.
   */
  ack(): Promise<void> {
    return this.#settle(SettleOperation.ack, plainSettle);
  }

  /**
   * Gives the messages back; see `Delivery.nack()`.
   *
   * @param options How long they wait, and why.
   * @returns When the cluster has all of it on record.
   * @throws {BatchSettleError} when that did not work for some of them; the others are given back.
   * @throws {RangeError} when the delay is out of its range.
   */
  async nack(options: NackOptions = {}): Promise<void> {
    await this.#settle(SettleOperation.nack, checkSettleOptions(options));
  }

  /**
   * Gives the messages up; see `Delivery.reject()`.
   *
   * @param reason Why, for people.
   * @returns When the cluster has all of it on record.
   * @throws {BatchSettleError} when that did not work for some of them; the others are rejected.
   */
  async reject(reason?: string): Promise<void> {
    const options = checkSettleOptions(reason === undefined ? {} : { reason });
    await this.#settle(SettleOperation.reject, options);
  }

  async #settle(operation: SettleOperation, options: SettleOptions): Promise<void> {
    const failures = new Map<Delivery, FlowMQError>();
    for (const part of Delivery.settleAll(this.deliveries, operation, options)) {
      const { isComplete, errorOf } = await part.outcome;
      if (isComplete) continue;
      for (const [i, delivery] of part.deliveries.entries()) {
        const error = errorOf(part.position + i);
        if (error !== undefined) failures.set(delivery, error);
      }
    }
    if (failures.size > 0) throw new BatchSettleError(failures, this.length);
  }
}
