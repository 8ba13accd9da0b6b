/**
 * What clients ask and brokers answer about what is in a queue, without changing anything.
 *
 * @module
 */

import type { HistoryReport } from "../queue/history.ts";
import type { MessageHappening, MessageHistory } from "../queue/message_history.ts";
import type { KeyBlockView, KeyCounts, LiveState, SeenState } from "../queue/message_view.ts";
import type { CborMap } from "./cbor.ts";
import { MalformedFrameError } from "./errors.ts";
import {
  amountField,
  booleanField,
  bytesField,
  mapField,
  mapsField,
  optional,
  optionalUintField,
  textField,
  uintField,
  uintsField,
} from "./fields.ts";

/** Everything there is to ask. */
export type LookRequest =
  /** Shows messages of a partition that are not gone, in the order of their offsets. */
  | PeekQuery & { readonly kind: "peek" }
  /** Shows one message. */
  | { readonly kind: "findMessage"; readonly partitionId: number; readonly offset: number }
  /** Shows what happened to one message, as far as that is remembered. */
  | { readonly kind: "messageHistory"; readonly partitionId: number; readonly offset: number }
  /** Shows what goes on in partitions: their consumers, and how fast messages go through. */
  | { readonly kind: "inspect"; readonly partitionIds: readonly number[] };

/** Which messages to show. */
export interface PeekQuery {
  readonly partitionId: number;
  /** Messages below are passed over. */
  readonly fromOffset: number;
  /** The most messages to answer with: there may be fewer, and more to come. */
  readonly count: number;
  /** Only messages in this state. */
  readonly state?: LiveState;
  /** Only messages with this key. */
  readonly key?: string;
  /** Only messages published at this time or later. */
  readonly fromMs?: number;
  /** Only messages published before this time. */
  readonly toMs?: number;
}

/** A consumer of a partition. */
export interface ConsumerReport {
  readonly sessionId: number;
  readonly consumerId: number;
  /** What its client calls itself. */
  readonly clientName: string;
  /**
   * Where its client is connected, perhaps by way of another node; `null` while it is not connected to
   * the leader of the shard.
   */
  readonly address: string | null;
  /** Whether deliveries go to it: it and its session are attached. */
  readonly receiving: boolean;
  /** How many messages it may hold. */
  readonly prefetch: number;
  /** How many it does. */
  readonly held: number;
  /** Since when it has held the one it has held longest: its lease began or was extended last. */
  readonly heldSinceMs?: number;
  /** Of a client that is not connected: when its session ends, and what it holds is given back. */
  readonly sessionEndsAtMs?: number;
}

/** How a message is leased. */
export interface LeaseReport {
  /** Who holds it. */
  readonly consumer: ConsumerReport;
  /** When the lease began or was extended last. A new leader extends all of them. */
  readonly sinceMs: number;
  readonly endsAtMs: number;
}

/** What a ready message waits for: a `KeyBlockView`, with what there is to know about the consumer. */
export type KeyBlockReport =
  | Exclude<KeyBlockView, { by: "leased" }>
  /** A consumer has a message of its key; of several, this one for the longest time. */
  | { readonly by: "leased"; readonly offset: number; readonly lease: LeaseReport };

/** A message as it is looked at. */
export interface PeekedRecord {
  readonly offset: number;
  readonly state: SeenState;
  /** How often it was delivered, the delivery under way included. */
  readonly deliveryCount: number;
  /** Of the entry that holds it. */
  readonly term: number;
  /** Of the entry that holds it. */
  readonly index: number;
  readonly publishedAtMs: number;
  /** Of a leased message. */
  readonly lease?: LeaseReport;
  /** Of a delayed message: when it is due. */
  readonly dueAtMs?: number;
  /** Of a ready message that has to wait for others of its key, or for its key's rate: for what. */
  readonly block?: KeyBlockReport;
  /** The message itself, as in `publish_batch.ts`. */
  readonly record: Uint8Array;
}

/** Some messages of a partition. */
export interface PeekedPage {
  /** The leader's time. */
  readonly nowMs: number;
  readonly messages: readonly PeekedRecord[];
  /** Where to go on; absent when there is nothing more. */
  readonly nextOffset?: number;
}

/**
 * One message: `acked` is what was acked and is kept by the history of its queue, `gone` what was acked or
 * came to another end, `unpublished` what is still to come.
 */
export interface FoundMessage {
  /** The leader's time. */
  readonly nowMs: number;
  readonly state: SeenState | "gone" | "unpublished";
  /** The offset that the next published message gets. */
  readonly nextOffset: number;
  /** The message, unless it is gone or still to come. */
  readonly message?: PeekedRecord;
}

/** What happened to one message. */
export interface FoundHistory extends MessageHistory {
  /** The leader's time. */
  readonly nowMs: number;
  /** As in {@linkcode FoundMessage}. */
  readonly state: FoundMessage["state"];
  /** The offset that the next published message gets. */
  readonly nextOffset: number;
  /** For how long the queue remembers; 0 for not at all. */
  readonly historyMs: number;
}

/** How fast messages go through a partition: an average over the last few seconds. */
export interface FlowRates {
  /** Messages published a second. */
  readonly published: number;
  /** Deliveries a second. */
  readonly delivered: number;
  /** Messages acked a second. */
  readonly acked: number;
  /** The time that was measured. */
  readonly windowMs: number;
}

/** What goes on in a partition. */
export interface PartitionInspection {
  readonly partitionId: number;
  /** Whether its queue is paused: nothing is delivered. */
  readonly paused: boolean;
  /** When the oldest message that is not gone was published; absent when there is none. */
  readonly oldestAtMs?: number;
  readonly rates: FlowRates;
  /** Where keys take turns: what there is of them. */
  readonly keys?: KeyCounts;
  /** How many consumers it has. */
  readonly consumerCount: number;
  /** The first of them, in the order in which they attached; a thousand at most. */
  readonly consumers: readonly ConsumerReport[];
  /** Where the queue keeps one. */
  readonly history?: HistoryReport;
}

/** What goes on in partitions. */
export interface Inspection {
  /** The leader's time. */
  readonly nowMs: number;
  /** All up to this entry of the log is in the answer. An older broker says 0. */
  readonly index: number;
  readonly partitions: readonly PartitionInspection[];
}

/** Everything there is to answer. */
export type LookReply =
  | PeekedPage & { readonly kind: "peekReply" }
  | FoundMessage & { readonly kind: "findMessageReply" }
  | FoundHistory & { readonly kind: "messageHistoryReply" }
  | Inspection & { readonly kind: "inspectReply" };

export type { HistoryReport, KeyCounts, LiveState, MessageHappening, MessageHistory, SeenState };

const u32Max = 0xffff_ffff;

/** Reads a request to peek. */
export function readPeek(map: CborMap): LookRequest {
  return {
    kind: "peek",
    partitionId: uintField(map, "partitionId", u32Max),
    fromOffset: uintField(map, "fromOffset"),
    count: uintField(map, "count", u32Max),
    ...optional(map, "state", readLiveState),
    ...optional(map, "key", textField),
    ...optional(map, "fromMs", uintField),
    ...optional(map, "toMs", uintField),
  };
}

/** Reads a request to show one message. */
export function readFindMessage(map: CborMap): LookRequest {
  return {
    kind: "findMessage",
    partitionId: uintField(map, "partitionId", u32Max),
    offset: uintField(map, "offset"),
  };
}

/** Reads a request to show what happened to a message. */
export function readMessageHistory(map: CborMap): LookRequest {
  return {
    kind: "messageHistory",
    partitionId: uintField(map, "partitionId", u32Max),
    offset: uintField(map, "offset"),
  };
}

/** Reads a request to show what goes on. */
export function readInspect(map: CborMap): LookRequest {
  return { kind: "inspect", partitionIds: uintsField(map, "partitionIds") };
}

/** Reads some messages of a partition. */
export function readPeekReply(map: CborMap): LookReply {
  return {
    kind: "peekReply",
    nowMs: uintField(map, "nowMs"),
    messages: mapsField(map, "messages", readPeeked),
    ...optional(map, "nextOffset", uintField),
  };
}

/** Reads one message. */
export function readFindMessageReply(map: CborMap): LookReply {
  return {
    kind: "findMessageReply",
    nowMs: uintField(map, "nowMs"),
    state: readState(map),
    nextOffset: uintField(map, "nextOffset"),
    ...optional(map, "message", (fields, name) => readPeeked(mapField(fields, name))),
  };
}

/** Reads what happened to one message. */
export function readMessageHistoryReply(map: CborMap): LookReply {
  return {
    kind: "messageHistoryReply",
    nowMs: uintField(map, "nowMs"),
    state: readState(map),
    nextOffset: uintField(map, "nextOffset"),
    historyMs: uintField(map, "historyMs"),
    sinceMs: uintField(map, "sinceMs"),
    happenings: mapsField(map, "happenings", readHappening),
  };
}

/** Reads what goes on in partitions. */
export function readInspectReply(map: CborMap): LookReply {
  return {
    kind: "inspectReply",
    nowMs: uintField(map, "nowMs"),
    index: optionalUintField(map, "index") ?? 0,
    partitions: mapsField(map, "partitions", (partition) => ({
      partitionId: uintField(partition, "partitionId"),
      paused: booleanField(partition, "paused"),
      ...optional(partition, "oldestAtMs", uintField),
      rates: readRates(mapField(partition, "rates")),
      ...optional(partition, "keys", (fields, name) => readKeyCounts(mapField(fields, name))),
      consumerCount: uintField(partition, "consumerCount"),
      consumers: mapsField(partition, "consumers", readConsumer),
      ...optional(partition, "history", (fields, name) => readHistory(mapField(fields, name))),
    })),
  };
}

function readState(map: CborMap): FoundMessage["state"] {
  const state = textField(map, "state");
  return state === "gone" || state === "unpublished" ? state : readSeenState(map);
}

/** What happened may be something that a later broker knows: it is passed on as it is. */
function readHappening(map: CborMap): MessageHappening {
  return {
    what: textField(map, "what") as MessageHappening["what"],
    atMs: uintField(map, "atMs"),
    index: uintField(map, "index"),
    ...optional(map, "sessionId", uintField),
    ...optional(map, "clientName", textField),
    ...optional(map, "consumerId", uintField),
    ...optional(map, "deliveryCount", uintField),
    ...optional(map, "detail", textField),
  };
}

function readHistory(map: CborMap): HistoryReport {
  return {
    sinceMs: uintField(map, "sinceMs"),
    happenings: uintField(map, "happenings"),
    bytes: uintField(map, "bytes"),
    replayable: uintField(map, "replayable"),
    replaying: uintField(map, "replaying"),
  };
}

function readLiveState(map: CborMap, name: string): LiveState {
  const state = textField(map, name);
  if (state === "ready" || state === "leased" || state === "delayed") return state;
  throw new MalformedFrameError(`Cannot read a message of unknown state: ${state}`);
}

function readSeenState(map: CborMap): SeenState {
  return textField(map, "state") === "acked" ? "acked" : readLiveState(map, "state");
}

function readPeeked(map: CborMap): PeekedRecord {
  return {
    offset: uintField(map, "offset"),
    state: readSeenState(map),
    deliveryCount: uintField(map, "deliveryCount"),
    term: uintField(map, "term"),
    index: uintField(map, "index"),
    publishedAtMs: uintField(map, "publishedAtMs"),
    ...optional(map, "lease", (fields, name) => readLease(mapField(fields, name))),
    ...optional(map, "dueAtMs", uintField),
    ...optional(map, "block", (fields, name) => readBlock(mapField(fields, name))),
    record: bytesField(map, "record"),
  };
}

function readBlock(map: CborMap): KeyBlockReport {
  const by = textField(map, "by");
  switch (by) {
    case "leased": {
      const lease = readLease(mapField(map, "lease"));
      return { by, offset: uintField(map, "offset"), lease };
    }
    case "returned":
      return { by, offset: uintField(map, "offset"), untilMs: uintField(map, "untilMs") };
    case "rate":
      return { by, untilMs: uintField(map, "untilMs") };
    case "growing":
      return { by };
    default:
      throw new MalformedFrameError(`Cannot read what holds a message back: ${by}`);
  }
}

function readKeyCounts(map: CborMap): KeyCounts {
  return { keys: uintField(map, "keys"), blocked: uintField(map, "blocked") };
}

function readLease(map: CborMap): LeaseReport {
  return {
    consumer: readConsumer(mapField(map, "consumer")),
    sinceMs: uintField(map, "sinceMs"),
    endsAtMs: uintField(map, "endsAtMs"),
  };
}

function readConsumer(map: CborMap): ConsumerReport {
  return {
    sessionId: uintField(map, "sessionId"),
    consumerId: uintField(map, "consumerId"),
    clientName: textField(map, "clientName"),
    address: map["address"] === null ? null : textField(map, "address"),
    receiving: booleanField(map, "receiving"),
    prefetch: uintField(map, "prefetch"),
    held: uintField(map, "held"),
    ...optional(map, "heldSinceMs", uintField),
    ...optional(map, "sessionEndsAtMs", uintField),
  };
}

function readRates(map: CborMap): FlowRates {
  return {
    published: amountField(map, "published"),
    delivered: amountField(map, "delivered"),
    acked: amountField(map, "acked"),
    windowMs: amountField(map, "windowMs"),
  };
}
