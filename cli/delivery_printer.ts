/**
 * Writes deliveries out and settles each one after its bytes are written, never before: a message
 * whose bytes did not get out goes back to the queue.
 *
 * All that has come in while a write was under way goes out in the next one, so a fast queue makes
 * large writes and a slow one is printed at once.
 *
 * @module
 */

/** What {@linkcode DeliveryPrinter} needs. */
export interface DeliveryPrinterOptions<D> {
  /** The bytes of a delivery, its line end included. */
  format(delivery: D): readonly Uint8Array[];
  /** Writes all of the bytes. */
  write(bytes: Uint8Array): Promise<void>;
  /** Tells the queue what becomes of a message that is written, where it is to be told anything. */
  readonly settle: ((delivery: D) => Promise<unknown>) | undefined;
  /** Hears of a word that the queue did not take; the message may come again. */
  onSettleFailed(error: unknown): void;
}

/** Writes, then settles. */
export class DeliveryPrinter<D> {
  readonly #options: DeliveryPrinterOptions<D>;
  #waiting: D[] = [];
  #run: Promise<void> | undefined;
  #settling = new Set<Promise<unknown>>();
  #failure: { readonly error: unknown } | undefined;
  readonly #broken = Promise.withResolvers<void>();
  /** Deliveries whose bytes are out. */
  written = 0;

  /**
   * Makes a printer.
   *
   * @param options How and where to print.
   */
  constructor(options: DeliveryPrinterOptions<D>) {
    this.#options = options;
  }

  /** Resolves when writing has failed: nothing more will get out, and `finish()` says why. */
  get broken(): Promise<void> {
    return this.#broken.promise;
  }

  /**
   * Takes a delivery over. It is written soon, unless writing has failed before.
   *
   * @param delivery What to print.
   */
  print(delivery: D): void {
    if (this.#failure !== undefined) return;
    this.#waiting.push(delivery);
    this.#run ??= this.#writeAll();
  }

  /**
   * Waits for everything that was handed over.
   *
   * @returns Resolves when all is written and the queue has answered about all of it.
   * @throws What writing threw.
   */
  async finish(): Promise<void> {
    await this.#run;
    await Promise.all(this.#settling);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #writeAll(): Promise<void> {
    // One turn of the event loop, so that what arrived together is written together.
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    while (this.#waiting.length > 0 && this.#failure === undefined) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#options.write(
          joined(batch.flatMap((delivery) => this.#options.format(delivery))),
        );
      } catch (error) {
        this.#failure = { error };
        this.#broken.resolve();
        return;
      }
      this.written += batch.length;
      const { settle } = this.#options;
      if (settle !== undefined) { for (const delivery of batch) this.#settle(settle(delivery)); }
    }
    this.#run = undefined;
  }

  #settle(answer: Promise<unknown>): void {
    const settling = answer.then(
      () => void this.#settling.delete(settling),
      (error) => {
        this.#settling.delete(settling);
        this.#options.onSettleFailed(error);
      },
    );
    this.#settling.add(settling);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
