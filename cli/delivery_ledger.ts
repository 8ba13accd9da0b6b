/**
 * The books of a run: every message by its number, from publish to ack, so that in the end it can be
 * said what was lost and what came twice.
 *
 * Kept apart from the queue and its client: it knows only what a program saw happen.
 *
 * @module
 */

/** How far a message has come. A message moves up only. */
const Stage = { none: 0, published: 1, confirmed: 2 } as const;

/** What became of all messages. */
export interface Verdict {
  /** Handed to the client. */
  readonly published: number;
  /** Promised to be safe. */
  readonly confirmed: number;
  /** Different messages that came to a consumer. */
  readonly delivered: number;
  /** Deliveries of a message that had come before and was not acked yet: allowed. */
  readonly redelivered: number;
  /** Different messages whose ack was confirmed. */
  readonly acked: number;
  /** Confirmed, but never delivered: must be 0. */
  readonly lost: number;
  /** Delivered again after its ack was confirmed: must be 0. */
  readonly duplicated: number;
  /** Delivered with another body than was published, or never published at all: must be 0. */
  readonly corrupted: number;
  /** Whether the queue kept its promises and the run came to its end. */
  readonly ok: boolean;
}

/** Keeps the books of messages that are numbered from 0. */
export class DeliveryLedger {
  /** How many messages there will be, where that is known. */
  readonly #count: number | undefined;
  #stages: Uint8Array;
  /** Deliveries of a message, up to 255. */
  #deliveries: Uint8Array;
  #acked: Uint8Array;
  #published = 0;
  #confirmed = 0;
  #delivered = 0;
  #redelivered = 0;
  #ackedCount = 0;
  #duplicated = 0;
  #corrupted = 0;

  /**
   * Opens the books.
   *
   * @param count How many messages there will be. Left out, the books grow, and what was published
   * counts.
   */
  constructor(count?: number) {
    this.#count = count;
    const size = count ?? 1_024;
    this.#stages = new Uint8Array(size);
    this.#deliveries = new Uint8Array(size);
    this.#acked = new Uint8Array(size);
  }

  /** Messages promised to be safe so far. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Different messages delivered so far. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Different messages whose ack is confirmed so far. */
  get acked(): number {
    return this.#ackedCount;
  }

  /**
   * A message was handed to the client.
   *
   * @param number Which.
   */
  publish(number: number): void {
    if (this.#count === undefined && number >= this.#stages.length) this.#grow(number + 1);
    if (this.#stages[number] !== Stage.none) {
      throw new TypeError(`Cannot publish message ${number} as it was published before`);
    }
    this.#stages[number] = Stage.published;
    this.#published++;
  }

  /**
   * The publish of a message was confirmed.
   *
   * @param number Which.
   */
  confirm(number: number): void {
    this.#stages[number] = Stage.confirmed;
    this.#confirmed++;
  }

  /**
   * A message came to a consumer.
   *
   * @param number What the message says it is.
   * @param intact Whether its body is what was published under that number.
   */
  deliver(number: number, intact: boolean): void {
    if (!Number.isSafeInteger(number) || number < 0 || number >= this.#stages.length) {
      this.#corrupted++;
      return;
    }
    if (!intact || this.#stages[number] === Stage.none) this.#corrupted++;
    if (this.#acked[number] === 1) {
      this.#duplicated++;
    } else if (this.#deliveries[number]! > 0) {
      this.#redelivered++;
    } else {
      this.#delivered++;
    }
    if (this.#deliveries[number]! < 255) this.#deliveries[number]!++;
  }

  /**
   * The ack of a message was confirmed.
   *
   * @param number Which.
   */
  ack(number: number): void {
    if (this.#acked[number] === 1) return;
    this.#acked[number] = 1;
    this.#ackedCount++;
  }

  /**
   * Whether nothing is left to wait for: all is confirmed, and all that is confirmed is acked.
   *
   * @returns `true` when the run may end.
   */
  get complete(): boolean {
    const count = this.#count ?? this.#published;
    return this.#confirmed === count && this.#ackedCount >= count;
  }

  /**
   * Draws the line.
   *
   * @returns What became of all messages.
   */
  verdict(): Verdict {
    let lost = 0;
    for (let number = 0; number < this.#stages.length; number++) {
      if (this.#stages[number] === Stage.confirmed && this.#deliveries[number] === 0) lost++;
    }
    return {
      published: this.#published,
      confirmed: this.#confirmed,
      delivered: this.#delivered,
      redelivered: this.#redelivered,
      acked: this.#ackedCount,
      lost,
      duplicated: this.#duplicated,
      corrupted: this.#corrupted,
      ok: this.complete && lost === 0 && this.#duplicated === 0 && this.#corrupted === 0,
    };
  }

  #grow(size: number): void {
    this.#stages = larger(this.#stages, size);
    this.#deliveries = larger(this.#deliveries, size);
    this.#acked = larger(this.#acked, size);
  }
}

/** A copy with room for more: twice as much at least, so that growing is rare. */
function larger(bytes: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(Math.max(size, bytes.length * 2));
  copy.set(bytes);
  return copy;
}
