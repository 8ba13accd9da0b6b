/**
 * What a message that was brought back says about where it was.
 *
 * @module
 */

import type { Transfer } from "../queue/commands.ts";
import type { MessageHeaders } from "./message_record.ts";

/** The header of a message that was acked and brought back: the id that it had, `QUEUE/PARTITION/OFFSET`. */
export const REPLAYED_FROM_HEADER = "flowmq-replayed-from";

/**
 * Writes down where a message was.
 *
 * @param headers Those it has.
 * @param replayOf Where it was last.
 * @returns Its headers.
 */
export function withReplayNote(
  headers: MessageHeaders,
  { queue, partition, offset }: NonNullable<Transfer["replayOf"]>,
): MessageHeaders {
  return { ...headers, [REPLAYED_FROM_HEADER]: `${queue}/${partition}/${offset}` };
}
