/**
 * What a consumer says about several messages of one partition, in one frame.
 *
 * @module
 */

import {
  delayMsMax,
  type PublishBatch,
  reasonBytesMax,
  type SettleCommand,
  type Settled,
  SettleOperation,
  SettleStatus,
  type TransferTarget,
  utf8Length,
} from "../wire/mod.ts";
import type { AckResult, Delivery } from "./delivery.ts";
import { type FlowMQError, LeaseExpiredError } from "./errors.ts";
import type { ProducerPartition } from "./partition_producer.ts";

/** What may be said with a nack or a rejection. */
export type SettleOptions = Pick<SettleCommand, "delayMs" | "reason">;

/** Nothing besides. */
export const plainSettle: SettleOptions = {};

/**
 * Checks what is said with a nack or a rejection.
 *
 * @param options A delay and a reason, as far as there are.
 * @returns The same, a reason that is too long cut off: it is for people, and no reason to fail.
 * @throws {RangeError} when the delay is out of its range.
 * @throws {TypeError} when the reason is not text.
 */
export function checkSettleOptions({ delayMs, reason }: SettleOptions): SettleOptions {
  if (delayMs === undefined && reason === undefined) return plainSettle;
  if (
    delayMs !== undefined &&
    (!Number.isSafeInteger(delayMs) || delayMs < 0 || delayMs > delayMsMax)
  ) {
    throw new RangeError(
      `Cannot nack with a delayMs that is not a whole number from 0 to ${delayMsMax}: ` +
        `current value is ${delayMs}`,
    );
  }
  if (reason !== undefined && typeof reason !== "string") {
    throw new TypeError(
      `Cannot give a reason that is not text: current value is ${typeof reason}`,
    );
  }
  return {
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(reason === undefined ? {} : { reason: cut(reason) }),
  };
}

/** The beginning of a text, as far as it fits. */
function cut(text: string): string {
  if (utf8Length(text) <= reasonBytesMax) return text;
  let cut = text.slice(0, reasonBytesMax - 3).toWellFormed();
  while (utf8Length(cut) > reasonBytesMax - 3) cut = cut.slice(0, -1).toWellFormed();
  return cut + "…";
}

/** Messages that are published with an ack. */
export interface PublishedWithAck {
  /** The number of the ack in its session. */
  readonly sequence: number;
  /** Where each message goes. */
  readonly targets: readonly TransferTarget[];
  readonly messages: PublishBatch;
}

/** What became of the messages of a batch, by their position in it. */
export interface SettleOutcome {
  /** Whether all of them are settled. */
  readonly isComplete: boolean;
  /** Why a message is not settled; `undefined` where it is. */
  readonly errorOf: (position: number) => FlowMQError | undefined;
  /** Where the cluster has it on record that a message is settled; throws where it is not. */
  readonly resultOf: (position: number) => AckResult;
}

/**
 * What became of messages none of which is settled.
 *
 * @param errorOf Why, by position.
 */
export function unsettled(errorOf: (position: number) => FlowMQError): SettleOutcome {
  const resultOf = (position: number) => {
    throw errorOf(position);
  };
  return { isComplete: false, errorOf, resultOf };
}

/** Deliveries that are next to each other in a batch. */
export interface SettlePart {
  readonly deliveries: readonly Delivery[];
  /** The position of the first. */
  readonly position: number;
  /** What becomes of the batch. */
  readonly outcome: Promise<SettleOutcome>;
}

/** A batch of acks, of nacks, of extensions or of rejections. */
export class SettleBatch {
  /** Which of them. */
  readonly operation: SettleOperation;
  /** Said of all of them. */
  readonly options: SettleOptions;
  /** Under which number the consumer was known. */
  readonly consumerId: number;
  /** When it has waited long enough, in monotonic time. */
  readonly deadlineMs: number;
  /** The messages. */
  readonly offsets: number[] = [];
  /** Which delivery of each is meant. */
  readonly deliveryCounts: number[] = [];
  /** How often it was sent. */
  attempts = 0;
  /** What is published with it, where something is. */
  readonly publishing: PublishedWithAck | undefined;
  /** For all of them: there is one promise, and no pair of functions for each. */
  readonly #outcome = Promise.withResolvers<SettleOutcome>();

  /**
   * Makes an empty batch.
   *
   * @param operation Ack, nack, extend or reject.
   * @param options Said of all of them.
   * @param consumerId The number of the consumer in its session.
   * @param deadlineMs When it has waited long enough.
   * @param publishing What is published with it: then it is one ack.
   */
  constructor(
    operation: SettleOperation,
    options: SettleOptions,
    consumerId: number,
    deadlineMs: number,
    publishing?: PublishedWithAck,
  ) {
    this.publishing = publishing;
    this.operation = operation;
    this.options = options;
    this.consumerId = consumerId;
    this.deadlineMs = deadlineMs;
  }

  /** How many messages it is about. */
  get count(): number {
    return this.offsets.length;
  }

  /** Whether a word is the same as the ones in it, so that it may join them. */
  isFor(operation: SettleOperation, options: SettleOptions): boolean {
    return this.operation === operation && this.options.delayMs === options.delayMs &&
      this.options.reason === options.reason;
  }

  /** What became of its messages, once that is known; never rejects. */
  get outcome(): Promise<SettleOutcome> {
    return this.#outcome.promise;
  }

  /**
   * Adds a message.
   *
   * @returns Its position.
   */
  add(offset: number, deliveryCount: number): number {
    this.deliveryCounts.push(deliveryCount);
    return this.offsets.push(offset) - 1;
  }

  /** Where the cluster has it on record that the message is settled; rejects where it is not. */
  result(position: number): Promise<AckResult> {
    return this.#outcome.promise.then(({ resultOf }) => resultOf(position));
  }

  /**
   * Tells everyone what the broker said.
   *
   * @param partition Where the messages are.
   * @param settled The reply, with a status for each message.
   */
  complete({ number, queue }: ProducerPartition, { term, index, statuses }: Settled): void {
    const { offsets } = this;
    const wasDoneBefore = this.#wasDoneBefore();
    const isSettled = (status: number) => wasDoneBefore || status === SettleStatus.ok;
    const errorOf = (position: number) =>
      isSettled(statuses[position]!)
        ? undefined
        : new LeaseExpiredError(queue, number, offsets[position]!);
    const resultOf = (position: number) => {
      const error = errorOf(position);
      if (error !== undefined) throw error;
      return { partition: number, offset: offsets[position]!, term, index };
    };
    this.#outcome.resolve({ isComplete: statuses.every(isSettled), errorOf, resultOf });
  }

  /** Tells everyone that it did not work. */
  fail(errorOf: (offset: number) => FlowMQError): void {
    this.#outcome.resolve(unsettled((position) => errorOf(this.offsets[position]!)));
  }

  /**
   * A nack or a rejection that is sent again finds the lease over where its first sending did its work.
   * An ack that is sent again gets `ok`, as acked messages stay acked.
   */
  #wasDoneBefore(): boolean {
    const isReturn = this.operation === SettleOperation.nack ||
      this.operation === SettleOperation.reject;
    return isReturn && this.attempts > 1;
  }
}
