/**
 * An async iteration that can be ended from outside, also while it waits for its next value.
 *
 * `Promise.race()` with a promise that never settles would keep something for every value, for as
 * long as the iteration lasts; this keeps nothing.
 *
 * @module
 */

/** Passes the values of an iterator on until it is stopped. */
export class Stoppable<T> implements AsyncIterableIterator<T> {
  readonly #iterator: AsyncIterator<T>;
  #stopped = false;
  #wake: ((result: IteratorResult<T>) => void) | undefined;

  /**
   * Begins an iteration.
   *
   * @param values Where the values come from. It is not closed by stopping: a read that is under way
   * may never end, and what it holds may be needed.
   */
  constructor(values: AsyncIterable<T>) {
    this.#iterator = values[Symbol.asyncIterator]();
  }

  /** Ends the iteration now. May be called again. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.({ done: true, value: undefined });
  }

  /**
   * Waits for the next value.
   *
   * @returns The value, or the end of the values or of the iteration.
   */
  next(): Promise<IteratorResult<T>> {
    if (this.#stopped) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#wake = resolve;
      this.#iterator.next().then(resolve, reject);
    });
  }

  /** The iteration is its own iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }
}
