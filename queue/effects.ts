/**
 * Where the machine writes down what its shell has to do: parallel arrays that are used again by every
 * `apply`, so that a delivery costs no object.
 *
 * @module
 */

import type {
  ConsumerEndedEffect,
  Deliveries,
  DrainedEffect,
  Effects,
  QueueGrownEffect,
  SessionEndedEffect,
} from "./commands.ts";
import type { Consumer } from "./consumer.ts";

/** A buffer that has had to hold more than this is not kept. */
const DELIVERIES_KEPT = 100_000;

/** Deliveries as they are collected. */
class DeliveryBuffer implements Deliveries {
  count = 0;
  readonly sessionId: number[] = [];
  readonly consumerId: number[] = [];
  readonly partitionId: number[] = [];
  readonly offset: number[] = [];
  readonly deliveryCount: number[] = [];
  readonly entryIndex: number[] = [];
  readonly position: number[] = [];
}

/** The effects of one `apply`, valid until the next. */
export class EffectBuffer implements Effects {
  deliveries = new DeliveryBuffer();
  readonly drained: DrainedEffect[] = [];
  readonly sessionsEnded: SessionEndedEffect[] = [];
  readonly consumersEnded: ConsumerEndedEffect[] = [];
  readonly queuesGrown: QueueGrownEffect[] = [];

  /** Makes room for the effects of the next `apply`. */
  clear(): void {
    if (this.deliveries.count > DELIVERIES_KEPT) this.deliveries = new DeliveryBuffer();
    this.deliveries.count = 0;
    this.drained.length = 0;
    this.sessionsEnded.length = 0;
    this.consumersEnded.length = 0;
    this.queuesGrown.length = 0;
  }

  /**
   * Adds a delivery.
   *
   * @param consumer Who gets the message.
   * @param offset Which message.
   * @param deliveryCount The how manieth delivery of it this is.
   * @param entryIndex The log index of the entry that holds it.
   * @param position Its place in that entry.
   */
  deliver(
    consumer: Consumer,
    offset: number,
    deliveryCount: number,
    entryIndex: number,
    position: number,
  ): void {
    const deliveries = this.deliveries;
    const at = deliveries.count++;
    deliveries.sessionId[at] = consumer.sessionId;
    deliveries.consumerId[at] = consumer.consumerId;
    deliveries.partitionId[at] = consumer.partitionId;
    deliveries.offset[at] = offset;
    deliveries.deliveryCount[at] = deliveryCount;
    deliveries.entryIndex[at] = entryIndex;
    deliveries.position[at] = position;
  }
}
