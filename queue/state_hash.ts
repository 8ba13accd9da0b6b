/**
 * A hash of plain data, for comparing the state of replicas.
 *
 * It covers values, types, the order of lists and the names of fields, in the order in which the code
 * writes them. Not for anything an attacker could gain from: 64 bits, mixed but not cryptographic.
 *
 * @module
 */

const TAG = { undefined: 1, null: 2, false: 3, true: 4, number: 5, string: 6, list: 7, record: 8 };

/** The bits of a number, as two words. */
const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

/**
 * Hashes plain data: numbers, texts, booleans, lists, typed arrays, records.
 *
 * @param value The data.
 * @returns 16 hexadecimal digits.
 * @throws {TypeError} when there is something else in it.
 *
 * @example
 * ```ts
 * import { assertEquals, assertNotEquals } from "@std/assert";
 *
 * assertEquals(hashPlainData({ a: [1, 2] }), hashPlainData({ a: [1, 2] }));
 * assertNotEquals(hashPlainData({ a: [1, 2] }), hashPlainData({ a: [2, 1] }));
 * ```
 */
export function hashPlainData(value: unknown): string {
  const hasher = new Hasher();
  hasher.add(value);
  return hasher.digest();
}

/**
 * Hashes a sequence of plain data, without having all of it at a time.
 *
 * @param values The data.
 * @returns 16 hexadecimal digits.
 * @throws {TypeError} when there is something else in it.
 */
export function hashAll(values: Iterable<unknown>): string {
  const hasher = new Hasher();
  for (const value of values) hasher.add(value);
  return hasher.digest();
}

/** Two lanes of 32 bits that see the same words and mix them differently. */
class Hasher {
  #a = 0x2545_f491;
  #b = 0x6c07_8965;

  add(value: unknown): void {
    switch (typeof value) {
      case "undefined":
        return this.#word(TAG.undefined);
      case "boolean":
        return this.#word(value ? TAG.true : TAG.false);
      case "number":
        this.#word(TAG.number);
        return this.#number(value);
      case "string":
        return this.#string(value);
      case "object":
        return this.#object(value);
      default:
        throw new TypeError(`Cannot hash a ${typeof value} as it is not plain data`);
    }
  }

  digest(): string {
    const a = finish(this.#a ^ Math.imul(this.#b, 0x9e37_79b1));
    const b = finish(this.#b ^ Math.imul(this.#a, 0x85eb_ca77));
    return hex(a) + hex(b);
  }

  #object(value: object | null): void {
    if (value === null) return this.#word(TAG.null);
    if (
      value instanceof Float64Array || value instanceof Uint32Array || value instanceof Uint8Array
    ) {
      this.#word(TAG.list);
      this.#number(value.length);
      for (let at = 0; at < value.length; at++) this.#number(value[at]!);
    } else if (Array.isArray(value)) {
      this.#word(TAG.list);
      this.#number(value.length);
      for (const item of value) this.add(item);
    } else {
      const entries = Object.entries(value);
      this.#word(TAG.record);
      this.#number(entries.length);
      for (const [name, field] of entries) {
        this.#string(name);
        this.add(field);
      }
    }
  }

  #string(text: string): void {
    this.#word(TAG.string);
    this.#number(text.length);
    for (let at = 0; at < text.length; at++) this.#word(text.charCodeAt(at));
  }

  #number(value: number): void {
    float[0] = value;
    this.#word(words[0]!);
    this.#word(words[1]!);
  }

  #word(word: number): void {
    this.#a = Math.imul(rotate(this.#a ^ word, 13), 0x9e37_79b1);
    this.#b = (Math.imul(this.#b, 0x0100_0193) + rotate(word, 7)) ^ (this.#b >>> 15);
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function finish(word: number): number {
  word = Math.imul(word ^ (word >>> 15), 0x2c1b_3c6d);
  word = Math.imul(word ^ (word >>> 13), 0x297a_2d39);
  return (word ^ (word >>> 16)) >>> 0;
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
