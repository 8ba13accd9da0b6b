/**
 * A set of log indexes, such as those of the entries that a state refers to.
 *
 * Indexes come in runs, and far fewer of them are in use than there ever were. So the set has a bit
 * for each, in chunks, and no chunk where there is nothing: ten million in a row take 2 MB, a lone
 * one some hundred bytes.
 *
 * @module
 */

const CHUNK_BITS = 1_024;
const CHUNK_WORDS = CHUNK_BITS / 32;

interface Chunk {
  readonly words: Uint32Array;
  count: number;
}

/** The chunks in their order, and how many indexes are in all before each of them. */
interface Order {
  readonly numbers: number[];
  readonly before: number[];
  readonly size: number;
}

/**
 * Log indexes, in ascending order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const set = IndexSet.of([7, 3, 5_000]);
 * assertEquals(set.has(7), true);
 * assertEquals(set.countIn(4, 5_000), 1);
 * assertEquals([...set.from(4)], [7, 5_000]);
 * assertEquals(set.nth(2), 5_000);
 * ```
 */
export class IndexSet {
  readonly #chunks = new Map<number, Chunk>();
  /** Made when it is asked for. */
  #order: Order | undefined;
  /** Where the last index went: the next one most often goes there too. */
  #lastNumber = -1;
  #lastChunk: Chunk | undefined;

  /** A set of some indexes. */
  static of(indexes: Iterable<number>): IndexSet {
    const set = new IndexSet();
    for (const index of indexes) set.add(index);
    return set;
  }

  /** A set of all indexes from `low` to before `high`. */
  static range(low: number, high: number): IndexSet {
    const set = new IndexSet();
    for (let index = low; index < high; index++) set.add(index);
    return set;
  }

  /** How many indexes there are. */
  get size(): number {
    return this.#ordered.size;
  }

  /**
   * Adds an index.
   *
   * @param index The index; one that is there already changes nothing.
   */
  add(index: number): void {
    const number = Math.floor(index / CHUNK_BITS);
    const chunk = number === this.#lastNumber ? this.#lastChunk! : this.#chunk(number);
    const bit = index - number * CHUNK_BITS;
    const word = bit >>> 5;
    const mask = 1 << (bit & 31);
    if ((chunk.words[word]! & mask) !== 0) return;
    chunk.words[word]! |= mask;
    chunk.count++;
    this.#order = undefined;
  }

  /** Whether an index is in the set. */
  has(index: number): boolean {
    const number = Math.floor(index / CHUNK_BITS);
    const bit = index - number * CHUNK_BITS;
    const word = this.#chunks.get(number)?.words[bit >>> 5] ?? 0;
    return (word & (1 << (bit & 31))) !== 0;
  }

  /** How many indexes there are from `low` to before `high`. */
  countIn(low: number, high: number): number {
    return low >= high ? 0 : this.#countBelow(high) - this.#countBelow(low);
  }

  /**
   * An index by its place in the order.
   *
   * @param n The place, from 0.
   * @returns The index, or `undefined` behind the last one.
   */
  nth(n: number): number | undefined {
    const { numbers, before, size } = this.#ordered;
    if (n < 0 || n >= size) return undefined;
    const at = lastAtMost(before, n);
    const number = numbers[at]!;
    let left = n - before[at]!;
    const { words } = this.#chunks.get(number)!;
    for (let word = 0;; word++) {
      const count = bitsIn(words[word]!);
      if (left >= count) {
        left -= count;
        continue;
      }
      for (let bit = 0;; bit++) {
        if ((words[word]! & (1 << bit)) === 0 || left-- > 0) continue;
        return number * CHUNK_BITS + word * 32 + bit;
      }
    }
  }

  /** The indexes from `low` on, ascending. The set must not change meanwhile. */
  *from(low: number): Generator<number, void> {
    const { numbers } = this.#ordered;
    const lowest = Math.floor(low / CHUNK_BITS);
    for (let at = Math.max(0, lastAtMost(numbers, lowest)); at < numbers.length; at++) {
      const start = numbers[at]! * CHUNK_BITS;
      const { words } = this.#chunks.get(numbers[at]!)!;
      for (let word = 0; word < CHUNK_WORDS; word++) {
        for (let bits = words[word]!; bits !== 0; bits &= bits - 1) {
          const index = start + word * 32 + 31 - Math.clz32(bits & -bits);
          if (index >= low) yield index;
        }
      }
    }
  }

  /** Whether both sets have the same indexes. */
  equals(other: IndexSet): boolean {
    if (this.#chunks.size !== other.#chunks.size) return false;
    for (const [number, { words }] of this.#chunks) {
      const others = other.#chunks.get(number)?.words;
      if (others === undefined || words.some((word, i) => word !== others[i])) return false;
    }
    return true;
  }

  #chunk(number: number): Chunk {
    let chunk = this.#chunks.get(number);
    if (chunk === undefined) {
      chunk = { words: new Uint32Array(CHUNK_WORDS), count: 0 };
      this.#chunks.set(number, chunk);
    }
    this.#lastNumber = number;
    this.#lastChunk = chunk;
    return chunk;
  }

  get #ordered(): Order {
    if (this.#order !== undefined) return this.#order;
    const numbers = [...this.#chunks.keys()].sort((a, b) => a - b);
    const before: number[] = [];
    let size = 0;
    for (const number of numbers) {
      before.push(size);
      size += this.#chunks.get(number)!.count;
    }
    return this.#order = { numbers, before, size };
  }

  #countBelow(index: number): number {
    const { numbers, before } = this.#ordered;
    const number = Math.floor(index / CHUNK_BITS);
    const at = lastAtMost(numbers, number);
    if (at < 0) return 0;
    const { words, count } = this.#chunks.get(numbers[at]!)!;
    if (numbers[at]! < number) return before[at]! + count;
    const bit = index - number * CHUNK_BITS;
    let below = before[at]!;
    for (let word = 0; word < bit >>> 5; word++) below += bitsIn(words[word]!);
    const mask = (1 << (bit & 31)) - 1;
    return below + bitsIn(words[bit >>> 5]! & mask);
  }
}

/** The place of the last number that is not above another one, or -1. */
function lastAtMost(numbers: readonly number[], most: number): number {
  let low = -1;
  let high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (numbers[middle]! <= most) low = middle;
    else high = middle - 1;
  }
  return low;
}

function bitsIn(word: number): number {
  word -= (word >>> 1) & 0x5555_5555;
  word = (word & 0x3333_3333) + ((word >>> 2) & 0x3333_3333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
