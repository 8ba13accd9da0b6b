/**
 * Publishing many messages with a bounded number under way.
 *
 * @module
 */

/** How much may be under way: published and not confirmed yet. */
export interface WindowLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** A publish that was not confirmed. */
export interface PublishFailure {
  /** Which message, counted from 1. */
  readonly number: number;
  readonly error: unknown;
}

/** Sends messages on their way and keeps count of what became of them. */
export class PublishWindow<Receipt> {
  readonly #publish: (body: Uint8Array) => Promise<Receipt>;
  readonly #onConfirmed: (number: number, receipt: Receipt) => void;
  readonly #limits: WindowLimits;
  #underWay = 0;
  #bytesUnderWay = 0;
  #waiter: (() => void) | undefined;
  #firstFailure: PublishFailure | undefined;
  /** Messages handed to `add()`. */
  published = 0;
  /** Messages the server has confirmed. */
  confirmed = 0;
  /** Bytes of the confirmed ones. */
  confirmedBytes = 0;
  /** Messages that were refused, or whose fate is unknown. */
  failed = 0;

  /**
   * Makes an empty window.
   *
   * @param publish Publishes one message.
   * @param limits How much may be under way.
   * @param onConfirmed Hears of every confirmation.
   */
  constructor(
    publish: (body: Uint8Array) => Promise<Receipt>,
    limits: WindowLimits,
    onConfirmed: (number: number, receipt: Receipt) => void = () => {},
  ) {
    this.#publish = publish;
    this.#limits = limits;
    this.#onConfirmed = onConfirmed;
  }

  /** The failure with the smallest number so far. */
  get firstFailure(): PublishFailure | undefined {
    return this.#firstFailure;
  }

  /**
   * Publishes a message.
   *
   * @param body Its bytes; they must not change until it is confirmed.
   * @returns `undefined` where the next one may be added at once; otherwise resolves when it may.
   */
  add(body: Uint8Array): Promise<void> | undefined {
    const number = ++this.published;
    this.#underWay++;
    this.#bytesUnderWay += body.length;
    this.#publish(body).then(
      (receipt) => {
        this.confirmed++;
        this.confirmedBytes += body.length;
        this.#onConfirmed(number, receipt);
        this.#ended(body.length);
      },
      (error) => {
        this.failed++;
        if (this.#firstFailure === undefined || number < this.#firstFailure.number) {
          this.#firstFailure = { number, error };
        }
        this.#ended(body.length);
      },
    );
    const { messagesMax, bytesMax } = this.#limits;
    if (this.#underWay < messagesMax && this.#bytesUnderWay < bytesMax) return undefined;
    return this.#wait();
  }

  /**
   * Waits for the end of everything under way.
   *
   * @returns Resolves when every message is confirmed or failed.
   */
  async settled(): Promise<void> {
    while (this.#underWay > 0) await this.#wait();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#waiter = resolve);
  }

  #ended(bytes: number): void {
    this.#underWay--;
    this.#bytesUnderWay -= bytes;
    const { messagesMax, bytesMax } = this.#limits;
    // Wake up at half: adding one message for each one confirmed would make tiny batches.
    if (this.#underWay > messagesMax / 2 || this.#bytesUnderWay > bytesMax / 2) return;
    this.#waiter?.();
    this.#waiter = undefined;
  }
}
