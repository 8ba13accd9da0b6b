/**
 * What the naive model answers: the replies of the machine without the texts for people.
 *
 * @module
 */

import type { RefusalReason, Reply } from "./commands.ts";

/** A reply without the text for people. */
export type ModelReply =
  | Exclude<Reply, { kind: "refused" } | { kind: "settled" }>
  | { kind: "refused"; reason: RefusalReason }
  | { kind: "settled"; statuses: number[] };

/** The answer to a command that is not carried out. */
export function refused(reason: RefusalReason): ModelReply {
  return { kind: "refused", reason };
}
