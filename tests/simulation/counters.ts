/**
 * Counts what really happened in a simulation: a checker that found nothing says little unless there
 * was something to find.
 *
 * @module
 */

/** Named counts. */
export class Counters {
  readonly #counts = new Map<string, number>();

  /** Counts one more, or `by` more. */
  add(name: string, by = 1): void {
    this.#counts.set(name, this.get(name) + by);
  }

  /** The count, 0 where nothing was ever counted. */
  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** All counts, by name. */
  entries(): [string, number][] {
    return [...this.#counts];
  }

  /** Adds the counts of another run. */
  addAll(counts: Iterable<readonly [string, number]>): void {
    for (const [name, count] of counts) this.add(name, count);
  }

  /** One line a count, in the order of their names. */
  table(): string {
    const names = [...this.#counts.keys()].sort();
    const width = Math.max(0, ...names.map((name) => name.length));
    return names.map((name) => `  ${name.padEnd(width)}  ${this.get(name)}`).join("\n");
  }
}
