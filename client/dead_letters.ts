/**
 * The dead letters of a queue: looked at, and brought back.
 *
 * A dead letter goes back by an ack that publishes: it leaves the dead-letter queue and is on its way to
 * its queue in one step, so that whoever stops in the middle of many has moved each once or not at all.
 *
 * @module
 */

import { type DeathNote, deathNoteOf, type MessageHeaders, withoutDeathNote } from "../wire/mod.ts";
import { Consumer } from "./consumer.ts";
import type { ClientCore } from "./core.ts";
import type { Delivery } from "./delivery.ts";
import { QueueNotFoundError } from "./errors.ts";
import { peekQueue } from "./peek.ts";

/** Dead letters that are being moved at a time. */
const UNDER_WAY_MAX = 1_000;

/** A message that died. */
export interface DeadLetter {
  /** Its offset in the dead-letter queue. */
  readonly offset: number;
  /** How it died, where it did not get there otherwise. */
  readonly death: DeathNote | undefined;
  /** The key it was published with. */
  readonly key: string | undefined;
  /** The headers it was published with. */
  readonly headers: MessageHeaders;
  /** The body. */
  readonly body: Uint8Array;
}

/** Settings of `Queue.deadLetters()`. */
export interface DeadLettersOptions {
  /** The most to look at, the oldest first. @default {100} */
  readonly limit?: number;
}

/** Settings of `Queue.redrive()`. */
export interface RedriveOptions {
  /** The most to move: by priority, then the oldest first. @default {as many as there are at the beginning} */
  readonly limit?: number;
  /** Another queue to bring them to than the one that each was in. */
  readonly to?: string;
}

/**
 * Looks at dead letters.
 *
 * @param core Of the client.
 * @param deadQueue The dead-letter queue.
 * @param limit The most to look at.
 * @returns The oldest first; none where there is no such queue.
 */
export async function listDeadLetters(
  core: ClientCore,
  deadQueue: string,
  limit: number,
): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  try {
    for await (const { offset, key, headers, body } of peekQueue(core, deadQueue, {})) {
      const death = deathNoteOf(headers);
      letters.push({ offset, death, key, headers: withoutDeathNote(headers), body });
      if (letters.length === limit) break;
    }
  } catch (error) {
    // It is made when the first message dies.
    if (!(error instanceof QueueNotFoundError)) throw error;
  }
  return letters;
}

/**
 * Moves dead letters, each in one step.
 *
 * @param core Of the client.
 * @param deadQueue The dead-letter queue.
 * @param limit The most to move, the oldest first.
 * @param to Where to, where it is not where each was.
 * @returns How many were moved.
 */
export async function redriveDeadLetters(
  core: ClientCore,
  deadQueue: string,
  limit: number,
  to: string | undefined,
): Promise<number> {
  const moves = new Set<Promise<unknown>>();
  const failures: unknown[] = [];
  let moved = 0;
  const prefetch = Math.min(limit, UNDER_WAY_MAX);
  await using consumer = new Consumer(core, deadQueue, { drain: true, prefetch });
  try {
    for (let taken = 0; taken < limit && failures.length === 0; taken++) {
      const { value: delivery } = await consumer.next();
      if (delivery === undefined) break;
      const move: Promise<unknown> = delivery.ack({ publish: [movedMessage(delivery, to)] })
        .then(() => moved++, (error) => failures.push(error))
        .finally(() => moves.delete(move));
      moves.add(move);
    }
  } finally {
    await Promise.all(moves);
  }
  if (failures.length > 0) throw failures[0];
  return moved;
}

function movedMessage(delivery: Delivery, to: string | undefined) {
  const { queue, offset, key, headers, body, options: { priority } } = delivery;
  const death = deathNoteOf(headers);
  const target = to ?? death?.queue;
  if (target === undefined) {
    throw new TypeError(
      `Cannot bring message ${offset} of queue ${
        JSON.stringify(queue)
      } back as it does not say where ` +
        "it was: say where it is to go",
    );
  }
  const own = withoutDeathNote(headers);
  return {
    queue: target,
    body,
    create: false,
    ...(key === undefined ? {} : { key }),
    ...(Object.keys(own).length === 0 ? {} : { headers: own }),
    ...(priority === undefined ? {} : { priority }),
    ...(death?.ttlMs === undefined ? {} : { ttlMs: death.ttlMs }),
  };
}
