/**
 * The replies that more than one command gets.
 *
 * @module
 */

import type { RefusalReason, Reply } from "./commands.ts";

/** Done, and nothing more to say. */
export const OK: Reply = Object.freeze({ kind: "ok" });

/**
 * Makes the reply to a command that changed nothing.
 *
 * @param reason The stable reason.
 * @param message A sentence for people.
 * @returns The reply.
 */
export function refused(reason: RefusalReason, message: string): Reply {
  return { kind: "refused", reason, message };
}

/**
 * Refuses a command of a session that is not there.
 *
 * @param sessionId Its id.
 * @returns The reply.
 */
export function sessionNotFound(sessionId: number): Reply {
  return refused("sessionNotFound", `There is no session ${sessionId}`);
}

/**
 * Refuses a command about a partition that does not live here.
 *
 * @param partitionId Its id.
 * @returns The reply.
 */
export function partitionNotFound(partitionId: number): Reply {
  return refused("partitionNotFound", `There is no partition ${partitionId} in this shard`);
}

/**
 * Refuses a command for which a table has no room.
 *
 * @param what What the table holds.
 * @param limit How much of it.
 * @returns The reply.
 */
export function limitReached(what: string, limit: number): Reply {
  return refused("limitReached", `The number of ${what} has reached its limit of ${limit}`);
}
