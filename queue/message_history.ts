/**
 * What happened to a message, for people and tools.
 *
 * @module
 */

import { HappeningKind, type HappeningName } from "./happenings.ts";
import type { History } from "./history.ts";

/** Something that happened to a message. */
export interface MessageHappening {
  readonly what: HappeningName;
  /** The time of the log. */
  readonly atMs: number;
  /** The log index of the command by which it happened. */
  readonly index: number;
  /** Whose client did it; absent where time or the queue did. */
  readonly sessionId?: number;
  /** What that client calls itself. */
  readonly clientName?: string;
  /** Which of its consumers. */
  readonly consumerId?: number;
  /** Which delivery it is about. */
  readonly deliveryCount?: number;
  /** Why, where somebody said so. */
  readonly detail?: string;
}

/** What is remembered of a message. */
export interface MessageHistory {
  /** Nothing is known of what happened before. */
  readonly sinceMs: number;
  /** Oldest first. */
  readonly happenings: readonly MessageHappening[];
}

const NAMES = new Map<number, HappeningName>(
  Object.entries(HappeningKind).map(([name, kind]) => [kind, name as HappeningName]),
);

/**
 * Tells what happened to a message.
 *
 * @param history Of its partition.
 * @param offset The message.
 * @returns What is remembered.
 */
export function messageHistory(history: History, offset: number): MessageHistory {
  const happenings = history.of(offset).map((happening): MessageHappening => {
    const { kind, atMs, index, sessionId, consumerId, deliveryCount, detail } = happening;
    const clientName = history.clientName(sessionId);
    return {
      what: NAMES.get(kind)!,
      atMs,
      index,
      ...(sessionId === 0 ? {} : { sessionId }),
      ...(clientName === undefined ? {} : { clientName }),
      ...(consumerId === 0 ? {} : { consumerId }),
      ...(deliveryCount === 0 ? {} : { deliveryCount }),
      ...(detail === undefined ? {} : { detail }),
    };
  });
  return { sinceMs: history.report.sinceMs, happenings };
}
