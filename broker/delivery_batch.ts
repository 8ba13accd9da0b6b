/**
 * What one consumer of one partition is to be sent: parallel arrays, so that a delivery costs no object,
 * which are used again for whoever is next.
 *
 * @module
 */

/** One delivery of a consumer. */
export interface Delivered {
  readonly offset: number;
  readonly deliveryCount: number;
  readonly entryIndex: number;
  readonly position: number;
}

/** Deliveries in the order in which they are sent. */
export class DeliveryBatch {
  sessionId = 0;
  consumerId = 0;
  partitionId = 0;
  /** The consumer asked to drain and nothing more is ready: told after its messages. */
  drained = false;
  /** How many deliveries there are; what the arrays hold behind them is of no meaning. */
  count = 0;
  /** The first delivery that has not been sent. */
  next = 0;
  readonly offset: number[] = [];
  readonly deliveryCount: number[] = [];
  readonly entryIndex: number[] = [];
  readonly position: number[] = [];

  /**
   * Begins anew, for somebody else.
   *
   * @param sessionId Whose consumer it is.
   * @param consumerId Which one.
   * @param partitionId What it consumes.
   */
  reset(sessionId: number, consumerId: number, partitionId: number): void {
    this.sessionId = sessionId;
    this.consumerId = consumerId;
    this.partitionId = partitionId;
    this.drained = false;
    this.count = 0;
    this.next = 0;
  }

  /** Adds a delivery at the end. */
  add(offset: number, deliveryCount: number, entryIndex: number, position: number): void {
    const at = this.count++;
    this.offset[at] = offset;
    this.deliveryCount[at] = deliveryCount;
    this.entryIndex[at] = entryIndex;
    this.position[at] = position;
  }

  /**
   * Drops deliveries that have not been sent.
   *
   * @param isKept Tells which stay.
   */
  keepUnsent(isKept: (offset: number, deliveryCount: number) => boolean): void {
    const { offset, deliveryCount, entryIndex, position, next, count } = this;
    this.next = 0;
    this.count = 0;
    for (let i = next; i < count; i++) {
      if (!isKept(offset[i]!, deliveryCount[i]!)) continue;
      this.add(offset[i]!, deliveryCount[i]!, entryIndex[i]!, position[i]!);
    }
  }
}
