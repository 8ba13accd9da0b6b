/**
 * Keeps the leases of a live consumer from running out under messages that take long.
 *
 * Every third of a lease there is a round. What was there in the round before is extended; what is
 * new since then has two thirds of its lease left, and nearly always is settled by the next round. So
 * a consumer that keeps up says nothing but acks.
 *
 * @module
 */

/** A message as it was found in a round. */
interface Aged {
  readonly deliveryCount: number;
  /** In how many rounds it has been seen. */
  readonly rounds: number;
}

/** Decides which leases to extend, and when. */
export class LeaseKeeper {
  readonly #intervalMs: number;
  readonly #roundsMax: number;
  #nextMs = 0;
  /** What the last round found. */
  #aged = new Map<number, Aged>();

  /**
   * Makes a keeper.
   *
   * @param leaseMs How long a lease lasts.
   * @param extendForMs How long a message is kept from others, about.
   */
  constructor(leaseMs: number, extendForMs: number) {
    this.#intervalMs = leaseMs / 3;
    this.#roundsMax = extendForMs / this.#intervalMs;
  }

  /**
   * Holds a round, if it is time for one.
   *
   * @param nowMs The monotonic time.
   * @param held What the consumer holds: offset to delivery count.
   * @returns The offsets whose leases are to be extended.
   */
  due(nowMs: number, held: ReadonlyMap<number, number>): number[] {
    if (nowMs < this.#nextMs || held.size === 0) return [];
    this.#nextMs = nowMs + this.#intervalMs;
    const aged = new Map<number, Aged>();
    const due: number[] = [];
    for (const [offset, deliveryCount] of held) {
      const before = this.#aged.get(offset);
      const rounds = before?.deliveryCount === deliveryCount ? before.rounds + 1 : 1;
      aged.set(offset, { deliveryCount, rounds });
      if (rounds > 1 && rounds <= this.#roundsMax) due.push(offset);
    }
    this.#aged = aged;
    return due;
  }
}
