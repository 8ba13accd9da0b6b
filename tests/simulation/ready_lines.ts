/**
 * The ready messages of a partition of the model, in the order in which they must be delivered: those of
 * the highest priority first, then the lowest offset.
 *
 * @module
 */

/** What there is to know of a message for that. */
export interface Ranked {
  readonly offset: number;
  readonly priority: number;
}

const PRIORITIES = 10;

/** One line for each priority, each in the order of the offsets. */
export class ReadyLines<T extends Ranked> {
  readonly #lines: T[][] = Array.from({ length: PRIORITIES }, () => []);
  /** How many deliveries in a row have passed over an older message. */
  #passedOver = 0;

  /** Adds a message at its place. */
  add(message: T): void {
    const line = this.#lines[message.priority]!;
    line.splice(placeIn(line, message.offset), 0, message);
  }

  /** Takes a message out. */
  remove(message: T): void {
    const line = this.#lines[message.priority]!;
    line.splice(placeIn(line, message.offset), 1);
  }

  /**
   * Finds the message that must be delivered next, and counts it as delivered.
   *
   * @param starvationLimit So many deliveries in a row may pass over an older message; 0 for any.
   * @returns The message, which is still there; `undefined` where nothing is ready.
   */
  next(starvationLimit: number): T | undefined {
    const first = this.#lines.findLast(({ length }) => length > 0)?.[0];
    if (first === undefined) return undefined;
    const oldest = this.oldest()!;
    const isStarved = starvationLimit > 0 && this.#passedOver >= starvationLimit;
    const next = isStarved ? oldest : first;
    this.#passedOver = next === oldest ? 0 : this.#passedOver + 1;
    return next;
  }

  /** The oldest message, whatever its priority. */
  oldest(): T | undefined {
    let oldest: T | undefined;
    for (const [first] of this.#lines) {
      if (first !== undefined && !(oldest !== undefined && oldest.offset < first.offset)) {
        oldest = first;
      }
    }
    return oldest;
  }
}

/** Where an offset is in a line, or would be. */
function placeIn(line: readonly Ranked[], offset: number): number {
  // Nearly always it is the newest or the oldest.
  if (line.length === 0 || line.at(-1)!.offset < offset) return line.length;
  let low = 0;
  let high = line.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (line[middle]!.offset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
