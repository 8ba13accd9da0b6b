/**
 * What a dead letter says about its death: headers beside those that the message was published with.
 *
 * @module
 */

import type { Death, DeathReason } from "../queue/commands.ts";
import { delayMsMax } from "./limits.ts";
import type { MessageHeaders } from "./message_record.ts";
export { deadLetterQueueOf } from "../queue/dead_letter_queue.ts";

const prefix = "flowmq-dead-";

/** The headers of a dead letter. */
export const DeadLetterHeader = {
  /** `maxDeliveries`, `rejected` or `expired`. */
  reason: `${prefix}reason`,
  /** The queue it was in. */
  queue: `${prefix}queue`,
  /** The partition there. */
  partition: `${prefix}partition`,
  /** Its offset there. */
  offset: `${prefix}offset`,
  /** How often it had been delivered. */
  deliveries: `${prefix}deliveries`,
  /** When it died: ISO 8601. */
  at: `${prefix}at`,
  /** What the consumer said about it last; not always there. */
  detail: `${prefix}detail`,
  /** How long it was to live, if it said so itself: a dead letter does not expire by that. */
  ttlMs: `${prefix}ttl-ms`,
} as const;

/** What became of a message, as its headers tell. */
export interface DeathNote {
  readonly reason: DeathReason;
  readonly queue: string;
  readonly partition: number;
  readonly offset: number;
  readonly deliveryCount: number;
  readonly atMs: number;
  readonly detail?: string;
  /** How long the message was to live, where it said so itself. */
  readonly ttlMs?: number;
}

/**
 * Writes down a death in the headers of a message.
 *
 * @param headers Those it has; what they say of an earlier death is left out.
 * @param death What became of it.
 * @param ttlMs How long it was to live, if it said so itself.
 * @returns Its headers as a dead letter.
 */
export function withDeathNote(
  headers: MessageHeaders,
  death: Omit<Death, "entryIndex" | "position">,
  ttlMs?: number,
): MessageHeaders {
  const { queue, partition, offset, deliveryCount, reason, detail, atMs } = death;
  return {
    ...withoutDeathNote(headers),
    [DeadLetterHeader.reason]: reason,
    [DeadLetterHeader.queue]: queue,
    [DeadLetterHeader.partition]: String(partition),
    [DeadLetterHeader.offset]: String(offset),
    [DeadLetterHeader.deliveries]: String(deliveryCount),
    [DeadLetterHeader.at]: new Date(atMs).toISOString(),
    ...(detail === undefined ? {} : { [DeadLetterHeader.detail]: detail }),
    ...(ttlMs === undefined ? {} : { [DeadLetterHeader.ttlMs]: String(ttlMs) }),
  };
}

/**
 * Takes out what the headers of a message say of its death.
 *
 * @param headers The headers of a dead letter.
 * @returns Those that it was published with.
 */
export function withoutDeathNote(headers: MessageHeaders): MessageHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !name.startsWith(prefix)),
  );
}

/**
 * Reads what became of a message.
 *
 * @param headers Its headers.
 * @returns What they say, or `undefined` where it was not brought here by its death.
 */
export function deathNoteOf(headers: MessageHeaders): DeathNote | undefined {
  const queue = headers[DeadLetterHeader.queue];
  const reason = headers[DeadLetterHeader.reason];
  if (queue === undefined || !isDeathReason(reason)) return undefined;
  const detail = headers[DeadLetterHeader.detail];
  const ttlMs = Number(headers[DeadLetterHeader.ttlMs]);
  return {
    reason,
    queue,
    partition: Number(headers[DeadLetterHeader.partition]),
    offset: Number(headers[DeadLetterHeader.offset]),
    deliveryCount: Number(headers[DeadLetterHeader.deliveries]),
    atMs: Date.parse(headers[DeadLetterHeader.at] ?? ""),
    ...(detail === undefined ? {} : { detail }),
    // Whoever can publish to a dead-letter queue can write any text there.
    ...(ttlMs >= 1 && ttlMs <= delayMsMax && Number.isInteger(ttlMs) ? { ttlMs } : {}),
  };
}

function isDeathReason(text: string | undefined): text is DeathReason {
  return text === "maxDeliveries" || text === "rejected" || text === "expired";
}
