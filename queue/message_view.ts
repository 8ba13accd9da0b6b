/**
 * What there is to see of a message that is not gone, for people and tools.
 *
 * @module
 */

/**
 * - `ready`: waits for a consumer;
 * - `leased`: is with a consumer;
 * - `delayed`: waits for a time.
 */
export type LiveState = "ready" | "leased" | "delayed";

/** `acked`: done with, and kept by a history. */
export type SeenState = LiveState | "acked";

/** A message that is not gone, or is kept. */
export interface MessageView {
  readonly offset: number;
  readonly state: SeenState;
  /** How often it was delivered, the delivery under way included. */
  readonly deliveryCount: number;
  /** The log index of the publish command that holds it. */
  readonly entryIndex: number;
  /** Its place in that command. */
  readonly position: number;
  /** Of a leased message: who holds it, and until when. */
  readonly lease?: LeaseView;
  /** Of a delayed message: when it is due. */
  readonly dueAtMs?: number;
  /** Of a ready message that has to wait for others of its key, or for its key's rate: for what. */
  readonly block?: KeyBlockView;
}

/** What a ready message waits for. */
export type KeyBlockView =
  /** A consumer has a message of its key; of several, this one for the longest time. */
  | { readonly by: "leased"; readonly offset: number; readonly lease: LeaseView }
  /** A message of its key has come back, and is delayed. */
  | { readonly by: "returned"; readonly offset: number; readonly untilMs: number }
  /** So many of its key were delivered in a second as may be. */
  | { readonly by: "rate"; readonly untilMs: number }
  /** Its queue is getting more partitions: messages of its key may be in another one. */
  | { readonly by: "growing" };

/** A lease of a message. */
export interface LeaseView {
  readonly sessionId: number;
  readonly consumerId: number;
  /** When it was given, extended, or given its full time again by a new leader, whatever was last. */
  readonly sinceMs: number;
  readonly endsAtMs: number;
}

/** Which messages of a partition to look at, and how much to do for it in one go. */
export interface LookOptions {
  /** Messages below are passed over. */
  readonly fromOffset: number;
  /** Only messages in this state. */
  readonly state?: LiveState;
  /** The most messages to give. */
  readonly messagesMax: number;
  /** The most offsets to look at, those of messages that are gone included. */
  readonly offsetsMax: number;
}

/** Some messages of a partition, in the order of their offsets. */
export interface MessagesSeen {
  readonly messages: readonly MessageView[];
  /** Where to go on; `undefined` when there is nothing more. */
  readonly nextOffset: number | undefined;
}

/** How the keys of a partition are, where they take turns. */
export interface KeyCounts {
  /** How many keys the ready messages have. */
  readonly keys: number;
  /** Ready messages that wait for others of their key, or for its rate. */
  readonly blocked: number;
}

/** What has gone through a partition, ever. */
export interface PartitionFlow {
  readonly published: number;
  /** Each delivery of a message counts. */
  readonly delivered: number;
  readonly acked: number;
}
