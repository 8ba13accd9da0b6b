/**
 * A message of the naive model, which lives for ever, and who may hold it.
 *
 * @module
 */

/** What becomes of a message in the end. */
type Outcome = "acked" | "dead" | "expired" | "dropped" | "purged" | "repeated";

/** A message. */
export interface ModelMessage {
  offset: number;
  entryIndex: number;
  position: number;
  /** `out` for a moment: it comes back, or comes to an end. */
  state: "ready" | "delayed" | "leased" | "out" | Outcome;
  /** Where keys mattered when it was published. */
  key: string | undefined;
  /** It has a key, and asked for nothing that gives it a place of its own. */
  isInOrder: boolean;
  deliveryCount: number;
  priority: number;
  unique: string | undefined;
  term: number;
  /** Of a delayed one. */
  dueMs: number;
  expiresAtMs: number;
  holder?: ModelConsumer | undefined;
  deadlineMs: number;
  /** How many bytes it counts for. */
  bytes: number;
  /** Leases given or extended later have a higher one. */
  leaseNumber: number;
}

/** A consumer of a partition. */
export interface ModelConsumer {
  sessionId: number;
  consumerId: number;
  partitionId: number;
  prefetch: number;
  attached: boolean;
  draining: boolean;
  /** 0 for what the queue says. */
  leaseMs: number;
}

/** Whether a message is not gone. */
export function isLive({ state }: ModelMessage): boolean {
  return state === "ready" || state === "delayed" || state === "leased";
}

/** Whether a message is there, and nobody has it. */
export function isWaiting({ state }: ModelMessage): boolean {
  return state === "ready" || state === "delayed";
}
