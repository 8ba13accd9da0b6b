/**
 * Chance, from a seed: everything random in a simulation comes out of one of these, so that the same
 * seed always tells the same story.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, a handful of additions
 * and shifts, and no known statistical weakness at this size. Parts of the simulation get generators of
 * their own by {@linkcode Random.fork}, so that one more draw in the network does not change what the
 * workload does.
 *
 * @module
 */

/** A seeded source of numbers. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed An integer; a second number tells the forks of one seed apart. */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = stream | 0;
    for (let i = 0; i < 16; i++) this.#step();
  }

  #step(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21 | this.#c >>> 11) + sum) | 0;
    return sum >>> 0;
  }

  /** A number from 0 up to but not including 1. A field, so that it can be handed around by itself. */
  readonly next = (): number => (this.#step() >>> 5) / 2 ** 27;

  /** An integer from 0 up to but not including `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** A number from `low` up to but not including `high`. */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** An integer from `low` to `high`, both possible. */
  integer(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** Between `low` and `high`, with every order of magnitude as likely as the others. */
  magnitude(low: number, high: number): number {
    return low * (high / low) ** this.next();
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the items, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** The items in random order. */
  shuffle<T>(items: Iterable<T>): T[] {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }

  /** A time to wait, exponentially distributed: events that come by themselves, `mean` apart. */
  wait(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  /** A generator of its own, which depends on this one's state and on nothing drawn later. */
  fork(): Random {
    return new Random(this.#step() * 2 ** 21 + (this.#step() >>> 11), this.#step());
  }
}
