/**
 * Checks what a key is promised over all partitions of a queue, however many there come to be: what one
 * publisher publishes with a key is stored in its order, and a message is handed out for the first time
 * only when those before it are gone that are in another partition. Those of the same partition are for
 * others to check, as their order depends on what keys meant when each was published.
 *
 * Messages that ask for a delay or a priority have no place in the order of their key, nor has one that
 * its publisher has given up, and that is stored all the same.
 *
 * @module
 */

import { isAlive, type ModelMessage, type ModelPartition } from "./partition_model.ts";
import type { PublishRecord } from "./queue_checker.ts";

/** A message where it is stored. */
interface Stored {
  readonly partition: ModelPartition;
  readonly message: ModelMessage;
}

/** What one publisher publishes to one queue with one key, in its order. */
interface Line {
  readonly messages: (Stored | undefined)[];
  /** Those before are gone. */
  start: number;
  /** The newest that is stored. */
  newest: number;
}

/** Where a message is in its line. */
interface Place {
  readonly record: PublishRecord;
  readonly line: Line;
  readonly at: number;
}

/** The keys of all queues. */
export class KeyOrderChecker {
  readonly #lines = new Map<string, Line>();
  /** Where each message is in its line, by its name. */
  readonly #places = new Map<string, Place>();

  /** A client begins to publish a message. */
  publishing(record: PublishRecord): void {
    const { queue, publisher, id, asked } = record;
    const { key, delayMs, priority = 0 } = asked;
    if (key === undefined || delayMs !== undefined || priority > 0) return;
    const name = JSON.stringify([queue, publisher, key]);
    let line = this.#lines.get(name);
    if (line === undefined) this.#lines.set(name, line = { messages: [], start: 0, newest: -1 });
    this.#places.set(id, { record, line, at: line.messages.length });
    line.messages.push(undefined);
  }

  /**
   * A message is stored.
   *
   * @returns What is wrong with that, if anything.
   */
  stored(partition: ModelPartition, message: ModelMessage): string | undefined {
    const place = this.#places.get(message.id);
    if (place === undefined || place.record.state === "maybeApplied") return undefined;
    const { line, at } = place;
    // A dead letter that was brought back has its name again, and not its place.
    if (line.messages[at] !== undefined) return undefined;
    line.messages[at] = { partition, message };
    if (line.newest > at) {
      return `${message.id} is stored after ${line.messages[line.newest]!.message.id}`;
    }
    line.newest = at;
    return undefined;
  }

  /**
   * A message is handed out for the first time.
   *
   * @returns What is wrong with that, if anything.
   */
  delivered(partition: ModelPartition, message: ModelMessage): string | undefined {
    const place = this.#places.get(message.id);
    if (place === undefined) return undefined;
    const { line, at } = place;
    if (line.messages[at]?.message !== message) return undefined;
    while (line.start < at && isGone(line.messages[line.start])) line.start++;
    for (const before of line.messages.slice(line.start, at)) {
      if (before === undefined || !isAlive(before.message)) continue;
      if (before.partition === partition) continue;
      const { partition: { queue, number }, message: { id, offset, state } } = before;
      return `${id} at ${queue}/${number}/${offset} is ${state}, in another partition`;
    }
    return undefined;
  }
}

function isGone(stored: Stored | undefined): boolean {
  return stored !== undefined && !isAlive(stored.message);
}
