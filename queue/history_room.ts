/**
 * The memory that the histories of a shard may take: all have the same share of it, and a history that
 * has more forgets its oldest.
 *
 * @module
 */

/** A history that takes room. */
export interface RoomTaker {
  /** Gives back what is over its share. */
  trim(): void;
}

/** The room of one shard. */
export class HistoryRoom {
  readonly #bytesMax: number;
  readonly #takers = new Set<RoomTaker>();

  /**
   * @param bytesMax How much there is.
   */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How much each history may take. */
  get share(): number {
    return Math.floor(this.#bytesMax / Math.max(1, this.#takers.size));
  }

  /**
   * Gives a history its share; nothing changes where it has one.
   *
   * @param taker The history.
   */
  join(taker: RoomTaker): void {
    if (this.#takers.has(taker)) return;
    this.#takers.add(taker);
    for (const one of this.#takers) one.trim();
  }

  /**
   * Takes the share of a history back; nothing changes where it has none.
   *
   * @param taker The history.
   */
  leave(taker: RoomTaker): void {
    this.#takers.delete(taker);
  }
}
