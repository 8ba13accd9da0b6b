/**
 * What publishers and consumers saw happen, and whether it may happen.
 *
 * Every message says who published it and which of that publisher's messages it is, so that whatever
 * comes to a consumer can be looked up. Nothing here knows the queue or its client: the history is
 * written by those who take part, in the order in which they saw things.
 *
 * What is checked: a confirmed message is delivered; nothing is delivered after its ack was confirmed;
 * nothing is delivered that was never published, was surely refused, or has another body; a message has
 * one place and a place one message, for the receipt and for every delivery; the messages of a
 * publisher are stored in its order; a consumer gets messages in the order of the partition as long as
 * they come for the first time.
 *
 * What is not checked: in which order several consumers get messages, and how evenly.
 *
 * @module
 */

/** Where a message is. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** What of a delivery is of interest. */
export interface SeenDelivery extends Place {
  readonly deliveryCount: number;
  readonly body: string;
}

/** Counts of a history. */
export interface Totals {
  readonly published: number;
  readonly confirmed: number;
  /** Publishes that ended with an error. */
  readonly unconfirmed: number;
  /** Different messages that came to a consumer. */
  readonly delivered: number;
  /** Deliveries beyond the first of a message, whether or not that one was seen. */
  readonly redelivered: number;
  readonly acked: number;
  /** Acks that ended with an error. */
  readonly ackFailures: number;
}

/** More of them help nobody. */
const violationsMax = 20;
/** Shorter times without a confirmation are nothing to write down. */
const gapMsMin = 20;

/** Two numbers as one, for maps: partition and offset, publisher and message. */
const stride = 2 ** 40;

function placeKey({ partition, offset }: Place): number {
  return partition * stride + offset;
}

function formatPlace(key: number): string {
  return `offset ${key % stride} of partition ${Math.floor(key / stride)}`;
}

function formatName(key: number): string {
  return `${Math.floor(key / stride)}:${key % stride}`;
}

/** What became of a publish. */
type Fate = "pending" | "confirmed" | "unknown" | "refused";

/** One message, as far as it is known. */
interface MessageRecord {
  fate: Fate;
  /** From the receipt, or from the first delivery. */
  place: number | undefined;
  deliveries: number;
  isAcked: boolean;
}

/** The history of a run. */
export class History {
  readonly #messages: MessageRecord[][] = [];
  /** Messages by place. */
  readonly #owners = new Map<number, number>();
  /** Bytes of every body. */
  readonly bodyBytes: number;
  readonly #violations: string[] = [];
  #violationCount = 0;
  #consumers = 0;
  #published = 0;
  #confirmed = 0;
  #unconfirmed = 0;
  #delivered = 0;
  #redelivered = 0;
  #acked = 0;
  #ackFailures = 0;
  #lastConfirmationMs: number | undefined;
  readonly #gaps: { readonly startMs: number; readonly endMs: number }[] = [];
  /** The first error of a publish or an ack, for the message of a failure. */
  firstError: unknown;

  /**
   * Opens a history.
   *
   * @param bodyBytes How long every body is; at least long enough for the name of a message.
   */
  constructor(bodyBytes = 256) {
    this.bodyBytes = bodyBytes;
  }

  /** Adds a publisher. */
  publisher(): PublisherLog {
    return new PublisherLog(this, this.#messages.push([]) - 1);
  }

  /** Adds a consumer. */
  consumer(): ConsumerLog {
    return new ConsumerLog(this, ++this.#consumers);
  }

  /** Counts so far. */
  get totals(): Totals {
    return {
      published: this.#published,
      confirmed: this.#confirmed,
      unconfirmed: this.#unconfirmed,
      delivered: this.#delivered,
      redelivered: this.#redelivered,
      acked: this.#acked,
      ackFailures: this.#ackFailures,
    };
  }

  /** Whether everything that was published has come to its end: confirmed or failed, and acked. */
  get isComplete(): boolean {
    return this.#published === this.#confirmed + this.#unconfirmed &&
      this.#acked >= this.#confirmed;
  }

  /** The longest time without a confirmation that ended after `sinceMs`, in milliseconds. */
  longestGapMs(sinceMs = 0): number {
    let longest = 0;
    for (const { startMs, endMs } of this.#gaps) {
      if (endMs > sinceMs) longest = Math.max(longest, endMs - startMs);
    }
    return longest;
  }

  /** @returns What must not have happened, in words; nothing if all is well. */
  check(): string[] {
    for (const [publisher, messages] of this.#messages.entries()) {
      const last = new Map<number, number>();
      for (const [number, message] of messages.entries()) {
        const name = `message ${publisher}:${number}`;
        if (message.fate === "confirmed" && message.deliveries === 0) {
          this.violation(`${name} was confirmed at ${formatPlace(message.place!)} and never came`);
        }
        if (message.place === undefined) continue;
        const partition = Math.floor(message.place / stride);
        const before = last.get(partition) ?? -1;
        if (message.place <= before) {
          this.violation(
            `${name} is at ${formatPlace(message.place)}, before one that was published earlier`,
          );
        }
        last.set(partition, message.place);
      }
    }
    const more = this.#violationCount - this.#violations.length;
    return more > 0 ? [...this.#violations, `and ${more} more`] : [...this.#violations];
  }

  /** One line for a person. */
  summary(): string {
    const { published, confirmed, delivered, redelivered, acked } = this.totals;
    const gapMs = Math.round(this.longestGapMs());
    return `${published} published, ${confirmed} confirmed, ${delivered} delivered ` +
      `(${redelivered} again), ${acked} acked; longest publish pause ` +
      (gapMs === 0 ? `below ${gapMsMin} ms` : `${gapMs} ms`);
  }

  /** Something that must not happen has happened. */
  violation(text: string): void {
    this.#violationCount++;
    if (this.#violations.length < violationsMax) this.#violations.push(text);
  }

  /** A publisher hands a message to its client. @returns The message's number. */
  publish(publisher: number): number {
    this.#published++;
    const message: MessageRecord = {
      fate: "pending",
      place: undefined,
      deliveries: 0,
      isAcked: false,
    };
    return this.#messages[publisher]!.push(message) - 1;
  }

  /** A publisher got a receipt. */
  confirm(publisher: number, number: number, place: Place): void {
    const now = performance.now();
    const before = this.#lastConfirmationMs;
    if (before !== undefined && now - before > gapMsMin) {
      this.#gaps.push({ startMs: before, endMs: now });
    }
    this.#lastConfirmationMs = now;
    this.#confirmed++;
    const message = this.#messages[publisher]![number]!;
    if (message.fate !== "pending") {
      this.violation(`message ${publisher}:${number} was confirmed twice`);
    }
    message.fate = "confirmed";
    this.#locate(message, publisher * stride + number, placeKey(place));
  }

  /** A publisher got an error. */
  fail(publisher: number, number: number, maybeApplied: boolean, error: unknown): void {
    this.#unconfirmed++;
    this.firstError ??= error;
    const message = this.#messages[publisher]![number]!;
    message.fate = maybeApplied ? "unknown" : "refused";
    if (!maybeApplied && message.deliveries > 0) {
      this.violation(`message ${publisher}:${number} came and was refused`);
    }
  }

  /** A consumer got a message. @returns The message, if there is such a one. */
  deliver(
    publisher: number,
    number: number,
    place: Place,
    deliveryCount: number,
  ): MessageRecord | undefined {
    const message = this.#messages[publisher]?.[number];
    if (message === undefined) {
      this.violation(`a message came from ${formatPlace(placeKey(place))} that nobody published`);
      return undefined;
    }
    const name = `${publisher}:${number}`;
    if (message.fate === "refused") this.violation(`message ${name} was refused and came`);
    if (message.isAcked) this.violation(`message ${name} came after its ack was confirmed`);
    if (message.deliveries > 0 || deliveryCount > 1) this.#redelivered++;
    if (message.deliveries++ === 0) this.#delivered++;
    this.#locate(message, publisher * stride + number, placeKey(place));
    return message;
  }

  /** A consumer's ack was confirmed. */
  ack(message: MessageRecord): void {
    if (message.isAcked) return;
    message.isAcked = true;
    this.#acked++;
  }

  /** A consumer's ack ended with an error. */
  ackFailed(error: unknown): void {
    this.#ackFailures++;
    this.firstError ??= error;
  }

  #locate(message: MessageRecord, name: number, key: number): void {
    if (message.place === undefined) {
      message.place = key;
      const owner = this.#owners.get(key);
      if (owner !== undefined && owner !== name) {
        this.violation(
          `messages ${formatName(owner)} and ${formatName(name)} are both at ${formatPlace(key)}`,
        );
      }
      this.#owners.set(key, name);
    } else if (message.place !== key) {
      this.violation(
        `message ${formatName(name)} is stored twice: at ${formatPlace(message.place)} and ` +
          formatPlace(key),
      );
    }
  }
}

/** What one publisher did. */
export class PublisherLog {
  readonly #history: History;
  readonly #number: number;
  readonly #padding: string;

  /** Made by {@linkcode History.publisher}. */
  constructor(history: History, number: number) {
    this.#history = history;
    this.#number = number;
    this.#padding = ".".repeat(history.bodyBytes);
  }

  /** A message is handed to the client. @returns Its number and its body. */
  publish(): { readonly number: number; readonly body: string } {
    const number = this.#history.publish(this.#number);
    return { number, body: bodyOf(this.#number, number, this.#padding) };
  }

  /** The receipt came. */
  confirm(number: number, place: Place): void {
    this.#history.confirm(this.#number, number, place);
  }

  /** An error came instead. */
  fail(number: number, error: unknown): void {
    const maybeApplied = (error as { maybeApplied?: boolean }).maybeApplied ?? true;
    this.#history.fail(this.#number, number, maybeApplied, error);
  }
}

/** What one consumer did. */
export class ConsumerLog {
  readonly #history: History;
  readonly #number: number;
  readonly #last = new Map<number, number>();

  /** Made by {@linkcode History.consumer}. */
  constructor(history: History, number: number) {
    this.#history = history;
    this.#number = number;
  }

  /** A message came. @returns To be given to `ack()`. */
  deliver(delivery: SeenDelivery): MessageRecord | undefined {
    const { partition, offset, deliveryCount, body } = delivery;
    if (deliveryCount === 1) {
      const before = this.#last.get(partition) ?? -1;
      if (offset <= before) {
        this.#history.violation(
          `consumer ${this.#number} got offset ${offset} of partition ${partition} after ${before}`,
        );
      }
      this.#last.set(partition, offset);
    }
    const match = /^(\d+):(\d+) \.*$/.exec(body);
    if (match === null || body.length !== this.#history.bodyBytes) {
      this.#history.violation(`offset ${offset} of partition ${partition} has a damaged body`);
      return undefined;
    }
    const [publisher, number] = [Number(match[1]), Number(match[2])];
    return this.#history.deliver(publisher, number, delivery, deliveryCount);
  }

  /** The ack of a message was confirmed. */
  ack(message: MessageRecord | undefined): void {
    if (message !== undefined) this.#history.ack(message);
  }

  /** The ack of a message ended with an error. */
  ackFailed(error: unknown): void {
    this.#history.ackFailed(error);
  }
}

/** A body that says whose it is, and is as long as all others. */
function bodyOf(publisher: number, number: number, padding: string): string {
  const name = `${publisher}:${number} `;
  return name + padding.slice(name.length);
}
