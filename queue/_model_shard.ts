/**
 * What the parts of the naive model have in common: the command that is being carried out, and what comes
 * of it.
 *
 * @module
 */

import type { DrainedEffect, HeldMessage } from "./commands.ts";
import type { MachineLimits } from "./limits.ts";
import type { OutboxModel } from "./_outbox_model.ts";

/** The limits of the machine that the model knows. */
export type ModelLimits = Pick<
  MachineLimits,
  | "windowBatches"
  | "producerRetentionMs"
  | "namedProducerRetentionMs"
  | "dueAtOnce"
  | "outboxTransfers"
  | "historyBytes"
>;

/** The effects of one command, one object each. */
export interface ModelEffects {
  deliveries: (HeldMessage & DrainedEffect)[];
  drained: DrainedEffect[];
  sessionsEnded: { sessionId: number }[];
  consumersEnded: DrainedEffect[];
  queuesGrown: DrainedEffect[];
}

/** What a part sees of the whole. */
export interface ModelShard {
  readonly limits: ModelLimits;
  /** The time of the log. */
  readonly nowMs: number;
  /** The entry that is being applied. */
  readonly index: number;
  readonly outbox: OutboxModel;
  readonly effects: ModelEffects;
  /** What the clients of sessions were called, of all that ever were. */
  readonly clientNames: Map<number, string>;
  /** How many bytes the history of one partition may have. */
  readonly historyShare: number;
  isAttached(sessionId: number): boolean;
  /** There is one more history. */
  trimHistories(): void;
}

/** Nothing happened yet. */
export function noEffects(): ModelEffects {
  return { deliveries: [], drained: [], sessionsEnded: [], consumersEnded: [], queuesGrown: [] };
}
