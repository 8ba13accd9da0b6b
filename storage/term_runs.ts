/**
 * The terms of all entries of a log, in a few numbers: terms change rarely, so it is enough to keep
 * where each one begins.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

/** Which term the entry at an index has. Invariant: both indexes and terms rise strictly. */
export class TermRuns {
  readonly #firstIndexes: number[] = [];
  readonly #terms: number[] = [];

  /** The term of the last entry, 0 where there is none. */
  get lastTerm(): number {
    return this.#terms.at(-1) ?? 0;
  }

  /**
   * Notes the term of an entry behind all others.
   *
   * @param index The index of the entry.
   * @param term Its term.
   */
  append(index: number, term: number): void {
    const last = this.#terms.length - 1;
    if (last >= 0 && this.#terms[last] === term) return;
    invariant(last < 0 || this.#terms[last]! < term, "terms in a log never fall");
    this.#firstIndexes.push(index);
    this.#terms.push(term);
  }

  /**
   * The term of an entry.
   *
   * @param index The index of an entry that is in the log.
   * @returns Its term; 0 for an index before all entries.
   */
  termAt(index: number): number {
    // Mostly the question is about the newest term.
    let low = 0;
    let high = this.#firstIndexes.length - 1;
    if (high >= 0 && this.#firstIndexes[high]! <= index) return this.#terms[high]!;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#firstIndexes[middle]! <= index) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#terms[low - 1]!;
  }

  /** Where each term begins. */
  *[Symbol.iterator](): Generator<{ readonly firstIndex: number; readonly term: number }> {
    for (const [i, term] of this.#terms.entries()) {
      yield { firstIndex: this.#firstIndexes[i]!, term };
    }
  }

  /**
   * Forgets the terms of the entries behind an index.
   *
   * @param lastIndex The index that stays.
   */
  truncateSuffix(lastIndex: number): void {
    while (this.#firstIndexes.length > 0 && this.#firstIndexes.at(-1)! > lastIndex) {
      this.#firstIndexes.pop();
      this.#terms.pop();
    }
  }
}
