/**
 * What a consumer says about several messages of one partition, in one frame.
 *
 * @module
 */

import {
  type PublishBatch,
  type Settled,
  SettleOperation,
  SettleStatus,
  type TransferTarget,
} from "../wire/mod.ts";
import type { AckResult } from "./delivery.ts";
import { type FlowMQError, LeaseExpiredError } from "./errors.ts";
import type { ProducerPartition } from "./partition_producer.ts";

/** Messages that are published with an ack. */
export interface PublishedWithAck {
  /** The number of the ack in its session. */
  readonly sequence: number;
  /** Where each message goes. */
  readonly targets: readonly TransferTarget[];
  readonly messages: PublishBatch;
}

/** A batch of acks, of nacks or of extensions. */
export class SettleBatch {
  /** Which of them. */
  readonly operation: SettleOperation;
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
  readonly #resolves: ((result: AckResult) => void)[] = [];
  readonly #rejects: ((error: unknown) => void)[] = [];

  /**
   * Makes an empty batch.
   *
   * @param operation Ack, nack or extend.
   * @param consumerId The number of the consumer in its session.
   * @param deadlineMs When it has waited long enough.
   * @param publishing What is published with it: then it is one ack.
   */
  constructor(
    operation: SettleOperation,
    consumerId: number,
    deadlineMs: number,
    publishing?: PublishedWithAck,
  ) {
    this.publishing = publishing;
    this.operation = operation;
    this.consumerId = consumerId;
    this.deadlineMs = deadlineMs;
  }

  /** How many messages it is about. */
  get count(): number {
    return this.offsets.length;
  }

  /** Adds a message. */
  add(offset: number, deliveryCount: number): Promise<AckResult> {
    this.offsets.push(offset);
    this.deliveryCounts.push(deliveryCount);
    return new Promise((resolve, reject) => {
      this.#resolves.push(resolve);
      this.#rejects.push(reject);
    });
  }

  /**
   * Tells everyone what the broker said.
   *
   * @param partition Where the messages are.
   * @param settled The reply, with a status for each message.
   */
  complete(partition: ProducerPartition, { term, index, statuses }: Settled): void {
    for (let i = 0; i < this.count; i++) {
      const offset = this.offsets[i]!;
      if (statuses[i] === SettleStatus.ok || this.#wasDoneBefore()) {
        this.#resolves[i]!({ partition: partition.number, offset, term, index });
      } else {
        this.#rejects[i]!(new LeaseExpiredError(partition.queue, partition.number, offset));
      }
    }
  }

  /** Tells everyone that it did not work. */
  fail(errorOf: (offset: number) => FlowMQError): void {
    for (let i = 0; i < this.count; i++) this.#rejects[i]!(errorOf(this.offsets[i]!));
  }

  /**
   * A nack that is sent again finds the lease over where its first sending did its work, and what it
   * wanted is true in any case. An ack that is sent again gets `ok`, as acked messages stay acked.
   */
  #wasDoneBefore(): boolean {
    return this.operation === SettleOperation.nack && this.attempts > 1;
  }
}
