/**
 * What the queues for dead letters are called.
 *
 * @module
 */

import { COMMAND_BOUNDS } from "./limits.ts";
import { utf8Length } from "./queue_name.ts";

/** What the name of a dead-letter queue ends with. */
const DEAD_SUFFIX = ".dead";

/**
 * Tells whether a queue is one for dead letters: what dies there is gone.
 *
 * @param name Its name.
 * @returns Whether it is.
 */
export function isDeadLetterQueue(name: string): boolean {
  return name.endsWith(DEAD_SUFFIX);
}

/**
 * Names the queue that the dead letters of a queue go to.
 *
 * @param name The queue's name.
 * @returns Its name with `.dead`; where that would be too long for a name, the end of the name is cut off
 *   first.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(deadLetterQueueOf("mail"), "mail.dead");
 * ```
 */
export function deadLetterQueueOf(name: string): string {
  const bytesMax = COMMAND_BOUNDS.queueNameBytesMax - DEAD_SUFFIX.length;
  if (utf8Length(name) <= bytesMax) return name + DEAD_SUFFIX;
  const characters = [...name];
  while (utf8Length(characters.join("")) > bytesMax) characters.pop();
  return characters.join("") + DEAD_SUFFIX;
}
