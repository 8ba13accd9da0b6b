/**
 * Reads the messages out of the commands of the log.
 *
 * @module
 */

import type { QueueSettings } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";
import { decodeMessage, messageEnd, messageStart, publishedWith } from "../../wire/mod.ts";
import { nameOfMessage } from "./message_name.ts";
import type { NewMessage } from "./partition_model.ts";

const decoder = new TextDecoder();

/**
 * Reads the messages of a command that stores them.
 *
 * @param entry The entry of the command.
 * @param settings Of the queue that they are published to.
 * @param nowMs The time of the log.
 * @param count How many there are.
 * @returns The messages, as they are published now.
 */
export function readMessages(
  { index, term, data }: Entry,
  settings: QueueSettings,
  nowMs: number,
  count: number,
): NewMessage[] {
  const share = Math.ceil((messageEnd(data, count - 1) - messageStart(data, 0)) / count);
  return Array.from({ length: count }, (_, i) => {
    const [start, end] = [messageStart(data, i), messageEnd(data, i)];
    const { options, key, ...rest } = decodeMessage(data, start, end);
    const { delayMs = 0, atMs = nowMs + delayMs, ttlMs = 0, priority = 0, unique } = options;
    const livesMs = Math.min(ttlMs || Infinity, settings.ttlMs || Infinity);
    const times = { dueMs: atMs, expiresAtMs: nowMs + livesMs };
    const id = nameIn(rest);
    return { id, key, index, term, priority, ...times, unique, bytes: end - start, share };
  });
}

/**
 * Reads what is published with an ack.
 *
 * @param entry The entry of the ack.
 * @param count How many messages that are.
 * @returns What they are called.
 */
export function namesPublishedWith({ data }: Entry, count: number): string[] {
  const messages = publishedWith(data);
  return Array.from({ length: count }, (_, i) => {
    return nameIn(decodeMessage(messages, messageStart(messages, i), messageEnd(messages, i)));
  });
}

/** What a message is called. */
function nameIn(
  { body, headers }: Pick<ReturnType<typeof decodeMessage>, "body" | "headers">,
): string {
  return nameOfMessage(decoder.decode(body), headers);
}
