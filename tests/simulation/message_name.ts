/**
 * What messages are called in a simulation: their bodies are texts that begin with a name, known to occur
 * once, and their headers tell what became of them.
 *
 * @module
 */

import type { Death } from "../../queue/commands.ts";
import { DeadLetterHeader, REPLAYED_FROM_HEADER, ScheduleHeader } from "../../wire/mod.ts";

/** What is known of a message that died. */
export type KnownDeath = Pick<
  Death,
  "queue" | "partition" | "offset" | "deliveryCount" | "reason"
>;

/**
 * Names a message.
 *
 * @param text Its body: the name, up to the first space.
 * @param headers Its headers: those of a schedule add the due time, that of one that was acked and came
 *   back where it was, and those of a dead letter how it died.
 * @returns The name.
 */
export function nameOfMessage(text: string, headers: { readonly [name: string]: string }): string {
  const end = text.indexOf(" ");
  const body = end < 0 ? text : text.slice(0, end);
  const dueAt = headers[ScheduleHeader.dueAt];
  const own = dueAt === undefined ? body : `${body}@${dueAt}`;
  const from = headers[REPLAYED_FROM_HEADER];
  const name = from === undefined ? own : nameOfReplay(own, from);
  const queue = headers[DeadLetterHeader.queue];
  if (queue === undefined) return name;
  return nameOfDead(name, {
    queue,
    partition: Number(headers[DeadLetterHeader.partition]),
    offset: Number(headers[DeadLetterHeader.offset]),
    deliveryCount: Number(headers[DeadLetterHeader.deliveries]),
    reason: headers[DeadLetterHeader.reason] as Death["reason"],
  });
}

/** What a message is called that was `name` when it was alive. */
export function nameOfDead(name: string, death: KnownDeath): string {
  return `${name}†${death.reason}×${death.deliveryCount}@${originOfDeath(death)}`;
}

/** Where a message was when it died. */
export function originOfDeath({ queue, partition, offset }: KnownDeath): string {
  return `${queue}/${partition}/${offset}`;
}

/**
 * What a message is called that was acked as `name`, and came back.
 *
 * @param name The name.
 * @param from Its id then.
 * @returns The name now: of several such ids, the last one.
 */
export function nameOfReplay(name: string, from: string): string {
  const [alive = "", ...death] = name.split("†");
  return [`${alive.split("~")[0]}~${from}`, ...death].join("†");
}
