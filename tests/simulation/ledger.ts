/**
 * What something was at each index of a log: a line for each change, found again by its index.
 *
 * @module
 */

interface Line<T> {
  /** From here on, until the next line. */
  readonly index: number;
  readonly value: T;
}

/** The lines of one thing. Before the first of them it was not there. */
export class Ledger<T> {
  readonly #lines: Line<T>[] = [];

  /** What it is now. */
  get last(): T | undefined {
    return this.#lines.at(-1)?.value;
  }

  /** Writes down what it is after the entry at `index`, which comes behind all that are written. */
  write(index: number, value: T): void {
    this.#lines.push({ index, value });
  }

  /** What it was after the entry at `index`. */
  at(index: number): T | undefined {
    return this.#lines[this.#lineAt(index)]?.value;
  }

  /** The first index from `low` to `high` after which it was as `isMeant` says. */
  find(low: number, high: number, isMeant: (value: T | undefined) => boolean): number | undefined {
    let at = this.#lineAt(low);
    if (isMeant(this.#lines[at]?.value)) return low;
    for (at++; at < this.#lines.length && this.#lines[at]!.index <= high; at++) {
      const { index, value } = this.#lines[at]!;
      if (isMeant(value)) return index;
    }
    return undefined;
  }

  /** The number of the last line that is not behind `index`, or -1. Most often it is the last of all. */
  #lineAt(index: number): number {
    const lines = this.#lines;
    let low = 0;
    let high = lines.length;
    if (high > 0 && lines[high - 1]!.index <= index) return high - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lines[middle]!.index <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
