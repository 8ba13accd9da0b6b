/**
 * Steps from one batch record to the next, as bytes: how far the offset goes on, and how far the index.
 *
 * Steps that repeat are written once, with a count in front: `count, offset step, index step`, each a
 * number of as few bytes as it takes (seven bits a byte, the lowest first, the high bit says that more
 * follow). A million messages published one by one take five bytes.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

const BYTES_MIN = 64;
/** The longest a step gets: three numbers of up to 53 bits. */
const STEP_BYTES_MAX = 3 * 8;

/** Takes steps and makes bytes of them. */
export class StepWriter {
  #bytes = new Uint8Array(BYTES_MIN);
  #length = 0;
  /** The step that repeats, and how often by now. */
  #count = 0;
  #offsetStep = 0;
  #indexStep = 0;

  /**
   * Adds a step.
   *
   * @param offsetStep How far the offset goes on.
   * @param indexStep How far the index goes on.
   */
  add(offsetStep: number, indexStep: number): void {
    if (offsetStep !== this.#offsetStep || indexStep !== this.#indexStep) {
      this.#flush();
      this.#offsetStep = offsetStep;
      this.#indexStep = indexStep;
    }
    this.#count++;
  }

  /**
   * Ends the steps; the writer can be used for others then.
   *
   * @returns Bytes of their own.
   */
  finish(): Uint8Array {
    this.#flush();
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #flush(): void {
    if (this.#count === 0) return;
    if (this.#length + STEP_BYTES_MAX > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#write(this.#count);
    this.#write(this.#offsetStep);
    this.#write(this.#indexStep);
    this.#count = 0;
  }

  #write(number: number): void {
    while (number >= 0x80) {
      this.#bytes[this.#length++] = (number % 0x80) | 0x80;
      number = Math.floor(number / 0x80);
    }
    this.#bytes[this.#length++] = number;
  }
}

/** Gives the steps back, run by run. */
export class StepReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Filled by `next`: how many steps are the same. */
  count = 0;
  /** Filled by `next`: how far the offset goes on. */
  offsetStep = 0;
  /** Filled by `next`: how far the index goes on. */
  indexStep = 0;

  /**
   * @param bytes What a writer made.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * Goes to the next steps.
   *
   * @returns Whether there are any.
   */
  next(): boolean {
    if (this.#at === this.#bytes.length) return false;
    this.count = this.#read();
    this.offsetStep = this.#read();
    this.indexStep = this.#read();
    return true;
  }

  #read(): number {
    let number = 0;
    for (let factor = 1;; factor *= 0x80) {
      const byte = this.#bytes[this.#at++];
      invariant(byte !== undefined && factor < 2 ** 53, "Steps are whole");
      number += (byte & 0x7f) * factor;
      if (byte < 0x80) return number;
    }
  }
}
