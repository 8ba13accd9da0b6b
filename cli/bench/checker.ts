/**
 * Checks a measurement while it runs: nothing lost, nothing stored or delivered twice, nothing
 * damaged, and each publisher's messages in its order in every partition.
 *
 * Not checked: the order between publishers, in which order several consumers get messages, and how
 * evenly.
 *
 * @module
 */

import { DeliveryLedger, type Verdict } from "../delivery_ledger.ts";
import { CommandError } from "../failures.ts";
import type { MessageName } from "./messages.ts";

/** What the check found. */
export interface CheckVerdict extends Verdict {
  /** Stored, or delivered for the first time, behind a later message of the same publisher. */
  readonly reordered: number;
}

/** Where a message is. */
export interface CheckedPlace {
  /** Counted over all queues. */
  readonly partition: number;
  readonly offset: number;
}

/** Books need memory for each message; a longer run has to be checked in parts. */
export const checkedMessagesMax = 100_000_000;
/** A place as one number: offsets stay below this, as messages are fewer. */
const partitionStride = 2 ** 32;
/** Partitions of all queues together, so that a place is an exact number. */
export const checkedPartitionsMax = 2 ** 20;
const nowhere = -1;

/** The books, for messages that are named by publisher and number. */
export class Checker {
  readonly #producers: number;
  readonly #ledger = new DeliveryLedger();
  /** The next number of each publisher. */
  readonly #next: number[];
  /** Places by message. */
  #places = new Float64Array(1_024).fill(nowhere);
  readonly #reordered = new Set<number>();
  #storedTwice = 0;

  /**
   * Opens the books.
   *
   * @param producers How many publishers there are.
   */
  constructor(producers: number) {
    this.#producers = producers;
    this.#next = new Array(producers).fill(0);
  }

  /** Whether all that was published is confirmed and acked. */
  get complete(): boolean {
    return this.#ledger.complete;
  }

  /** Different messages whose ack is confirmed so far. */
  get acked(): number {
    return this.#ledger.acked;
  }

  /**
   * A publisher is about to publish its next message.
   *
   * @param producer From 0.
   * @returns The name of the message.
   * @throws {CommandError} If the books are full.
   */
  publish(producer: number): MessageName {
    const name = { producer, number: this.#next[producer]!++ };
    const message = this.#messageOf(name);
    if (message >= checkedMessagesMax) {
      throw new CommandError(
        `--check keeps books of ${checkedMessagesMax} messages at most: ask for fewer with ` +
          "--messages or --duration",
      );
    }
    this.#ledger.publish(message);
    return name;
  }

  /**
   * A publisher has got a receipt.
   *
   * @param name Which message.
   * @param place Where it is stored.
   */
  confirm(name: MessageName, place: CheckedPlace): void {
    const message = this.#messageOf(name);
    this.#ledger.confirm(message);
    this.#locate(message, place);
  }

  /**
   * A message has come to a consumer.
   *
   * @param consumer The consumer's own books.
   * @param name Which message its body says it is; `undefined` where the body is damaged.
   * @param place Where it is stored.
   * @param deliveryCount 1 for the first delivery.
   */
  deliver(
    consumer: ConsumerOrder,
    name: MessageName | undefined,
    place: CheckedPlace,
    deliveryCount: number,
  ): void {
    if (name === undefined || !(name.number < (this.#next[name.producer] ?? 0))) {
      this.#ledger.deliver(NaN, false);
      return;
    }
    const message = this.#messageOf(name);
    this.#ledger.deliver(message, true);
    this.#locate(message, place);
    if (deliveryCount > 1) return;
    const stream = place.partition * this.#producers + name.producer;
    const before = consumer.get(stream) ?? -1;
    if (name.number < before) this.#reordered.add(message);
    else consumer.set(stream, name.number);
  }

  /**
   * The ack of a message was confirmed.
   *
   * @param name Which.
   */
  ack(name: MessageName | undefined): void {
    if (name !== undefined) this.#ledger.ack(this.#messageOf(name));
  }

  /**
   * Draws the line.
   *
   * @returns What became of all messages.
   */
  verdict(): CheckVerdict {
    this.#findStoredOutOfOrder();
    const verdict = this.#ledger.verdict();
    const reordered = this.#reordered.size;
    return {
      ...verdict,
      duplicated: verdict.duplicated + this.#storedTwice,
      reordered,
      ok: verdict.ok && reordered === 0 && this.#storedTwice === 0,
    };
  }

  #messageOf({ producer, number }: MessageName): number {
    return number * this.#producers + producer;
  }

  /** A message has one place, whoever tells it. */
  #locate(message: number, { partition, offset }: CheckedPlace): void {
    if (message >= this.#places.length) {
      const larger = new Float64Array(Math.max(message + 1, this.#places.length * 2)).fill(nowhere);
      larger.set(this.#places);
      this.#places = larger;
    }
    const place = partition * partitionStride + offset;
    if (this.#places[message] === nowhere) this.#places[message] = place;
    else if (this.#places[message] !== place) this.#storedTwice++;
  }

  /** Goes through each publisher's messages from its last one: none may lie behind a later one. */
  #findStoredOutOfOrder(): void {
    for (let producer = 0; producer < this.#producers; producer++) {
      const first = new Map<number, number>(); // the lowest place of those behind, by partition
      for (let number = this.#next[producer]! - 1; number >= 0; number--) {
        const message = this.#messageOf({ producer, number });
        const place = this.#places[message] ?? nowhere;
        if (place === nowhere) continue;
        const partition = Math.floor(place / partitionStride);
        if (place > (first.get(partition) ?? Infinity)) this.#reordered.add(message);
        else first.set(partition, place);
      }
    }
  }
}

/** What one consumer has seen: the last number by partition and publisher. */
export type ConsumerOrder = Map<number, number>;
