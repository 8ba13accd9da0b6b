/**
 * Writes deliveries out and acks each one after its bytes are written, never before: a message whose
 * bytes did not get out goes back to the queue.
 *
 * All that has come in while a write was under way goes out in the next one, so a fast queue makes
 * large writes and a slow one is printed at once.
 *
 * @module
 */

/** The part of a delivery that printing needs. */
export interface Printable {
  /** Tells the queue that the message is finished. */
  ack(): Promise<unknown>;
}

/** What {@linkcode DeliveryPrinter} needs. */
export interface DeliveryPrinterOptions<D extends Printable> {
  /** The bytes of a delivery, its line end included. */
  format(delivery: D): readonly Uint8Array[];
  /** Writes all of the bytes. */
  write(bytes: Uint8Array): Promise<void>;
  /** Whether a delivery is acked once it is written. */
  readonly ack: boolean;
  /** Hears of an ack that failed; the message may come again. */
  onAckFailed(error: unknown): void;
}

/** Writes, then acks. */
export class DeliveryPrinter<D extends Printable> {
  readonly #options: DeliveryPrinterOptions<D>;
  #waiting: D[] = [];
  #run: Promise<void> | undefined;
  #acking = new Set<Promise<unknown>>();
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
   * @returns Resolves when all is written and all acks are answered.
   * @throws What writing threw.
   */
  async finish(): Promise<void> {
    await this.#run;
    await Promise.all(this.#acking);
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
      if (this.#options.ack) { for (const delivery of batch) this.#ack(delivery); }
    }
    this.#run = undefined;
  }

  #ack(delivery: D): void {
    const acking = delivery.ack().then(
      () => void this.#acking.delete(acking),
      (error) => {
        this.#acking.delete(acking);
        this.#options.onAckFailed(error);
      },
    );
    this.#acking.add(acking);
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
