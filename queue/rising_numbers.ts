/**
 * Numbers that only rise, in as little memory as they allow: filled one by one, then packed.
 *
 * Each is kept relative to the first. While they are filled in they take 4 bytes each; once packed,
 * 2 bytes where they lie close together, and nothing at all where all steps are the same: messages
 * published one by one, or batches of one size.
 *
 * @module
 */

/** How far the last number may lie from the first. */
const SPAN_MAX = 0xffff_ffff;
const SPAN_MAX_PACKED = 0xffff;

/** Rising numbers; how many of them count, their owner knows. */
export class RisingNumbers {
  readonly #first: number;
  /** The step from each number to the next, where there are no `#distances`. */
  readonly #step: number;
  readonly #distances: Uint32Array | Uint16Array | undefined;

  private constructor(
    first: number,
    step: number,
    distances: Uint32Array | Uint16Array | undefined,
  ) {
    this.#first = first;
    this.#step = step;
    this.#distances = distances;
  }

  /**
   * Makes room for numbers.
   *
   * @param first The first of them.
   * @param capacity How many there may be.
   * @returns The numbers, of which only the first is there.
   */
  static startingWith(first: number, capacity: number): RisingNumbers {
    return new RisingNumbers(first, 0, new Uint32Array(capacity));
  }

  /** The first number. */
  get first(): number {
    return this.#first;
  }

  /**
   * Tells whether a number is near enough.
   *
   * @param number One that is not below the first.
   * @returns Whether it may be set.
   */
  reaches(number: number): boolean {
    return number - this.#first <= SPAN_MAX;
  }

  /**
   * Fills in a number, before they are packed.
   *
   * @param place Where, counted from 0.
   * @param number The number.
   */
  set(place: number, number: number): void {
    this.#distances![place] = number - this.#first;
  }

  /**
   * Reads a number.
   *
   * @param place Where, counted from 0.
   * @returns The number.
   */
  at(place: number): number {
    return this.#first +
      (this.#distances === undefined ? place * this.#step : this.#distances[place]!);
  }

  /**
   * Copies the numbers into less memory. These stay as they are.
   *
   * @param count How many there are, at least one.
   * @returns The same numbers, to which none can be added.
   */
  packed(count: number): RisingNumbers {
    const distances = this.#distances!;
    const step = count > 1 ? distances[1]! : 0;
    let place = 1;
    while (place < count && distances[place] === place * step) place++;
    if (place === count) return new RisingNumbers(this.#first, step, undefined);
    const narrow = distances[count - 1]! <= SPAN_MAX_PACKED;
    return new RisingNumbers(
      this.#first,
      0,
      narrow ? Uint16Array.from(distances.subarray(0, count)) : distances.slice(0, count),
    );
  }
}
