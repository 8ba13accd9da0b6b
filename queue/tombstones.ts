/**
 * Which partitions were deleted from this shard, the most recent ones.
 *
 * A keeper that was slow, or one that has been replaced, may propose `createPartition` after the
 * partition was deleted, even before it was ever created here. Ids are never used twice, so a deleted
 * one stays forbidden; the oldest are forgotten when there are very many.
 *
 * @module
 */

/** A bounded set of partition ids; the one added first goes first. */
export class Tombstones {
  readonly #capacity: number;
  readonly #ids = new Set<number>();

  /**
   * Makes a set.
   *
   * @param capacity How many ids it remembers.
   */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /**
   * Tells whether a partition was deleted here.
   *
   * @param id Its id.
   * @returns Whether it is remembered.
   */
  has(id: number): boolean {
    return this.#ids.has(id);
  }

  /**
   * Remembers a deleted partition.
   *
   * @param id Its id; one already there keeps its place.
   */
  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= this.#capacity) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
  }

  /**
   * Copies the ids.
   *
   * @returns All of them, oldest first.
   */
  capture(): Uint32Array {
    return Uint32Array.from(this.#ids);
  }
}
