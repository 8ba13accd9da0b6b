/**
 * Roughly where in a file which record is: a place for every 64 KiB, from which to read on.
 *
 * @module
 */

/** Remember where a record is whenever this many bytes have passed since the last one. */
const placeBytes = 64 * 1024;

/** A place in a file where a record begins. */
export interface RecordPlace {
  /** The index of that record. */
  readonly nextIndex: number;
  readonly position: number;
}

/** Records between two places. */
export interface Stretch extends RecordPlace {
  /** The index behind those of its records. */
  readonly endIndex: number;
  readonly endPosition: number;
}

/** Places of records, both numbers rising. */
export class RecordPlaces {
  readonly #indexes: number[] = [];
  readonly #positions: number[] = [];

  /**
   * Notes a record behind all others.
   *
   * @param index Its index.
   * @param position Where it begins.
   */
  note(index: number, position: number): void {
    const last = this.#positions.at(-1);
    if (last !== undefined && position - last < placeBytes) return;
    this.#indexes.push(index);
    this.#positions.push(position);
  }

  /**
   * A place from which to look for a record.
   *
   * @param index The index of a record that was noted.
   * @returns The place of that record, or of one not far before it.
   */
  before(index: number): RecordPlace {
    let low = 0;
    let high = this.#indexes.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#indexes[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return { nextIndex: this.#indexes[low]!, position: this.#positions[low]! };
  }

  /**
   * All there is, stretch by stretch.
   *
   * @param lastIndex The index of the last record.
   * @param bytes The length of the file.
   */
  *stretches(lastIndex: number, bytes: number): Generator<Stretch, void> {
    for (const [i, nextIndex] of this.#indexes.entries()) {
      const position = this.#positions[i]!;
      const endIndex = this.#indexes[i + 1] ?? lastIndex + 1;
      yield { nextIndex, position, endIndex, endPosition: this.#positions[i + 1] ?? bytes };
    }
  }

  /** Forgets the records behind an index. */
  truncateSuffix(lastIndex: number): void {
    while (this.#indexes.length > 0 && this.#indexes.at(-1)! > lastIndex) {
      this.#indexes.pop();
      this.#positions.pop();
    }
  }
}
