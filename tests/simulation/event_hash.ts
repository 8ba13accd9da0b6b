/**
 * A running digest of everything that happens in a simulation: two runs of one seed must end with the
 * same value, or something in the code under test depends on more than its inputs.
 *
 * Two FNV-1a hashes over 32-bit words with different multipliers; quick, and not for security.
 *
 * @module
 */

/** The digest. */
export class EventHash {
  #a = 0x811c9dc5 | 0;
  #b = 0x2545f491 | 0;

  /** Adds a number. */
  number(value: number): void {
    this.#word(value | 0);
    this.#word((value * 1000) | 0);
  }

  /** Adds a text. */
  text(value: string): void {
    for (let i = 0; i < value.length; i++) this.#word(value.charCodeAt(i));
  }

  /** Adds bytes. */
  bytes(value: Uint8Array): void {
    const { length } = value;
    this.#word(length);
    const end = length - length % 4;
    for (let i = 0; i < end; i += 4) {
      this.#word(value[i]! | value[i + 1]! << 8 | value[i + 2]! << 16 | value[i + 3]! << 24);
    }
    for (let i = end; i < length; i++) this.#word(value[i]!);
  }

  /** The digest so far, 16 hexadecimal digits. */
  digest(): string {
    const part = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
    return part(this.#a) + part(this.#b);
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193);
    this.#b = Math.imul(this.#b ^ word, 0x5bd1e995);
    this.#b ^= this.#b >>> 15;
  }
}
