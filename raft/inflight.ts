/**
 * The window of appends on their way to one follower, bounded in messages and in bytes.
 *
 * A ring of (last index, bytes) in the order of sending. One answer frees all up to its index.
 *
 * @module
 */

import { invariant } from "./invariant.ts";

/** The appends that a follower has not yet answered. */
export class InflightWindow {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  /** Pairs of last index and bytes. */
  #ring: Float64Array;
  #start = 0;
  #count = 0;
  #bytes = 0;

  /**
   * @param messagesMax The window is full at so many messages.
   * @param bytesMax The window is full at so many bytes.
   */
  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
    this.#ring = new Float64Array(2 * Math.min(messagesMax, 8));
  }

  /** Messages in flight. */
  get count(): number {
    return this.#count;
  }

  /** Bytes in flight. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing more may be sent. The last message may overshoot the byte limit. */
  get full(): boolean {
    return this.#count >= this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  /**
   * Notes a message sent.
   *
   * @param lastIndex The index of its last entry.
   * @param bytes The size of its entries.
   */
  add(lastIndex: number, bytes: number): void {
    invariant(!this.full, "nothing is sent into a full window");
    if (2 * this.#count === this.#ring.length) this.#grow();
    const at = (2 * (this.#start + this.#count)) % this.#ring.length;
    this.#ring[at] = lastIndex;
    this.#ring[at + 1] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /**
   * Takes out what an answer covers.
   *
   * @param index Messages whose last entry is at or before this index have arrived.
   */
  freeTo(index: number): void {
    const capacity = this.#ring.length / 2;
    while (this.#count > 0 && this.#ring[2 * this.#start]! <= index) {
      this.#bytes -= this.#ring[2 * this.#start + 1]!;
      this.#count--;
      this.#start = this.#start + 1 === capacity ? 0 : this.#start + 1;
    }
  }

  /** Forgets everything in flight. */
  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const capacity = this.#ring.length / 2;
    const ring = new Float64Array(2 * Math.min(this.#messagesMax, capacity * 2));
    for (let i = 0; i < this.#count; i++) {
      const from = 2 * ((this.#start + i) % capacity);
      ring[2 * i] = this.#ring[from]!;
      ring[2 * i + 1] = this.#ring[from + 1]!;
    }
    this.#ring = ring;
    this.#start = 0;
  }
}
