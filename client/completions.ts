/**
 * Who is told what becomes of messages that are published.
 *
 * @module
 */

import type { Published } from "../wire/mod.ts";

/** What the publisher of a message gets: where it is, for good. */
export interface Receipt {
  /** The partition, from 0. */
  readonly partition: number;
  /** Its place in the partition. */
  readonly offset: number;
  /** Term of the log entry that holds it. */
  readonly term: number;
  /** Index of the log entry that holds it. */
  readonly index: number;
  /**
   * It was there before: an earlier attempt had stored it, whose answer was lost, or a message with the
   * same `unique` is not acked yet, and this is where that one is.
   */
  readonly duplicate: boolean;
}

/** Told what became of messages. */
export interface Completion {
  /**
   * A message is stored. Called once for each message.
   *
   * @param partition The partition, from 0.
   * @param offset The message.
   * @param published The broker's reply for its batch.
   * @param position Which of the completion's messages it is.
   */
  confirmed(partition: number, offset: number, published: Published, position: number): void;
  /** A message is not stored, or perhaps not. Only the first call counts. */
  failed(error: unknown): void;
}

/** The completion of a single message: no more than its promise. */
export class SingleCompletion implements Completion {
  readonly #resolve: (receipt: Receipt) => void;
  readonly #reject: (error: unknown) => void;

  /**
   * Makes a completion.
   *
   * @param resolve Of the promise.
   * @param reject Of the promise.
   */
  constructor(resolve: (receipt: Receipt) => void, reject: (error: unknown) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  confirmed(partition: number, offset: number, published: Published): void {
    this.#resolve(makeReceipt(partition, offset, published));
  }

  failed(error: unknown): void {
    this.#reject(error);
  }
}

/** Puts together the receipts of messages that were published by one call. */
export class ReceiptCollector implements Completion {
  readonly #receipts: Receipt[];
  readonly #resolve: (receipts: Receipt[]) => void;
  readonly #reject: (error: unknown) => void;
  #missing: number;

  /**
   * Makes a completion.
   *
   * @param count How many messages.
   * @param resolve Of the promise.
   * @param reject Of the promise.
   */
  constructor(
    count: number,
    resolve: (receipts: Receipt[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#receipts = new Array(count);
    this.#missing = count;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  confirmed(partition: number, offset: number, published: Published, position: number): void {
    this.#receipts[position] = makeReceipt(partition, offset, published);
    if (--this.#missing === 0) this.#resolve(this.#receipts);
  }

  failed(error: unknown): void {
    this.#reject(error);
  }
}

/** Stops listening to a signal as soon as the outcome is known. */
export class AbortableCompletion implements Completion {
  readonly #inner: Completion;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;

  /**
   * Makes a completion.
   *
   * @param inner Told all that happens.
   * @param signal Fails it with its reason.
   * @param aborted Told that this has happened.
   */
  constructor(inner: Completion, signal: AbortSignal, aborted: (completion: Completion) => void) {
    this.#inner = inner;
    this.#signal = signal;
    this.#onAbort = () => {
      inner.failed(signal.reason);
      aborted(this);
    };
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  confirmed(partition: number, offset: number, published: Published, position: number): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#inner.confirmed(partition, offset, published, position);
  }

  failed(error: unknown): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#inner.failed(error);
  }
}

function makeReceipt(partition: number, offset: number, published: Published): Receipt {
  const { term, index, duplicate } = published;
  return { partition, offset, term, index, duplicate };
}
