/**
 * Why a message is not being delivered, in a sentence. What it says follows from what a leader has
 * said about the message and its partition; nothing is asked here.
 *
 * @module
 */

import type {
  ConsumerReport,
  KeyBlockReport,
  NodeInfo,
  PartitionInspection,
  ShardStatus,
} from "../wire/mod.ts";
import type { MessageReport } from "./look.ts";
import { formatMessageId } from "./message_id.ts";
import type { PeekedMessage } from "./peek.ts";

/**
 * - `empty`: there is nothing to deliver;
 * - `unpublished`: there is no such message yet;
 * - `gone`: it was acked, or came to another end;
 * - `leased`: a consumer has it;
 * - `delayed`: its time has not come;
 * - `paused`: the queue is paused;
 * - `noConsumer`: nobody consumes from its partition;
 * - `consumersAway`: those who do are not connected;
 * - `keyLeased`: a consumer has a message of its key, and more may not be with consumers;
 * - `keyReturned`: a message of its key has come back, and goes first, but not yet;
 * - `keyRate`: so many of its key were delivered in a second as may be;
 * - `queueGrowing`: its queue is getting more partitions, and there may be older messages of its key in
 *   another one;
 * - `noCredit`: each consumer holds as many messages as it may;
 * - `underWay`: a consumer can take it, and gets it now;
 * - `noQuorum`: too few nodes answer for the shard to work;
 * - `noLeader`: the shard is without a leader although enough nodes answer.
 */
export type ExplanationReason =
  | "empty"
  | "unpublished"
  | "gone"
  | "leased"
  | "delayed"
  | "paused"
  | "noConsumer"
  | "consumersAway"
  | "keyLeased"
  | "keyReturned"
  | "keyRate"
  | "queueGrowing"
  | "noCredit"
  | "underWay"
  | "noQuorum"
  | "noLeader";

/** Why a message is not being delivered. */
export interface Explanation {
  readonly reason: ExplanationReason;
  /** For people. */
  readonly sentence: string;
  /** The message that it is about. */
  readonly id?: string;
  /** The shard that cannot work. */
  readonly shard?: number;
}

/** No sentence names more consumers. */
const NAMES_MAX = 3;

/**
 * Explains a message.
 *
 * @param report The message.
 * @param partition What goes on in its partition.
 * @returns Why it is not being delivered.
 */
export function explainMessage(report: MessageReport, partition: PartitionInspection): Explanation {
  const { id, state, nextOffset, nowMs, message } = report;
  if (state === "unpublished") {
    const sentence = `${id} is not published yet: the next message of its partition gets offset ` +
      nextOffset;
    return { reason: "unpublished", sentence, id };
  }
  if (message === undefined) {
    return {
      reason: "gone",
      sentence: `${id} is gone: it was acked, or came to another end`,
      id,
    };
  }
  if (message.state === "acked") {
    const sentence =
      `${id} was acked, and is kept by the history of ${JSON.stringify(message.queue)}: ` +
      "a replay can bring it back";
    return { reason: "gone", sentence, id };
  }
  if (message.state === "leased") return explainLease(message, nowMs);
  if (message.state === "delayed") {
    return {
      reason: "delayed",
      sentence: `${id} is delayed until ${at(message.dueAtMs!, nowMs)}`,
      id,
    };
  }
  return explainReady(message, partition, nowMs);
}

/**
 * Explains a queue, or a partition, that has nothing.
 *
 * @param name The queue.
 * @returns That there is nothing to deliver.
 */
export function explainEmpty(name: string): Explanation {
  return {
    reason: "empty",
    sentence: `${name} has no message that waits, and none that is leased`,
  };
}

/** A node, and what it says of a shard: nothing where it does not answer. */
export interface ShardWitness extends Pick<NodeInfo, "id" | "address"> {
  readonly shard: Pick<ShardStatus, "role" | "leader"> | undefined;
}

/**
 * Explains a shard that does not answer.
 *
 * @param shard Its number.
 * @param witnesses All nodes.
 * @returns What is the matter with it.
 */
export function explainShard(shard: number, witnesses: readonly ShardWitness[]): Explanation {
  const silent = witnesses.filter((witness) => witness.shard === undefined);
  const count = witnesses.length;
  const voters =
    witnesses.filter((witness) => witness.shard !== undefined && witness.shard.role !== "learner")
      .length;
  const quorum = Math.floor(count / 2) + 1;
  const missing = listed(
    silent.map(({ id, address }) => `node ${id} (${address ?? "address unknown"})`),
  );
  if (voters < quorum) {
    const learners = count - silent.length - voters;
    const sentence =
      `no quorum on shard ${shard}: ${voters} of ${count} nodes can vote, ${quorum} ` +
      "are needed" + (silent.length === 0 ? "" : `; ${missing} unreachable`) +
      (learners === 0 ? "" : `; ${learners} still catching up`);
    return { reason: "noQuorum", sentence, shard };
  }
  const leader = witnesses.find((witness) => witness.shard?.role === "leader");
  const known = leader === undefined
    ? `shard ${shard} has no leader at the moment: ${voters} of ${count} nodes answer, and are to ` +
      "elect one"
    : `shard ${shard} did not answer: node ${leader.id} leads it, and is busy or cut off from the ` +
      "others";
  return {
    reason: "noLeader",
    sentence: known + (silent.length === 0 ? "" : `; ${missing} unreachable`),
    shard,
  };
}

function explainLease({ id, deliveryCount, lease }: PeekedMessage, nowMs: number): Explanation {
  const { consumer, sinceMs, endsAtMs } = lease!;
  const times = deliveryCount === 1 ? "" : ` (delivery ${deliveryCount})`;
  const sentence = `${id} is leased to ${nameOf(consumer)}${times} since ${at(sinceMs, nowMs)}, ` +
    `until ${at(endsAtMs, nowMs)}${absence(consumer, nowMs)}`;
  return { reason: "leased", sentence, id };
}

function explainBlock(
  { id, queue, partition }: PeekedMessage,
  block: KeyBlockReport,
  nowMs: number,
): Explanation {
  if (block.by === "rate") {
    const sentence = `${id} is ready, and its key is over its rate until ` +
      at(block.untilMs, nowMs);
    return { reason: "keyRate", sentence, id };
  }
  if (block.by === "growing") {
    const sentence =
      `${id} is ready, and waits until all messages are acked that were in the other ` +
      `partitions when ${JSON.stringify(queue)} got more of them: there may be some of its key`;
    return { reason: "queueGrowing", sentence, id };
  }
  const other = formatMessageId({ queue, partition, offset: block.offset });
  if (block.by === "returned") {
    const sentence = `${id} is ready, and ${other} of its key came back, and goes first: it is ` +
      `delayed until ${at(block.untilMs, nowMs)}`;
    return { reason: "keyReturned", sentence, id };
  }
  const { consumer, sinceMs } = block.lease;
  const sentence = `${id} is ready, and its key is in flight at ${nameOf(consumer)} since ` +
    `${at(sinceMs, nowMs)}: ${other}${absence(consumer, nowMs)}`;
  return { reason: "keyLeased", sentence, id };
}

function explainReady(
  message: PeekedMessage,
  { paused, consumerCount, consumers }: PartitionInspection,
  nowMs: number,
): Explanation {
  const { id, block } = message;
  if (paused) {
    return { reason: "paused", sentence: `${id} is ready, and its queue is paused`, id };
  }
  if (block?.by === "growing") return explainBlock(message, block, nowMs);
  if (consumerCount === 0) {
    return {
      reason: "noConsumer",
      sentence: `${id} is ready, and nobody consumes from its partition`,
      id,
    };
  }
  const present = consumers.filter(({ receiving }) => receiving);
  if (present.length === 0) {
    const names = listed(consumers.map((one) => awayOf(one, nowMs)), consumerCount);
    return {
      reason: "consumersAway",
      sentence: `${id} is ready, and no consumer of its partition is connected: ${names}`,
      id,
    };
  }
  if (block !== undefined) return explainBlock(message, block, nowMs);
  const free = present.find(({ held, prefetch }) => held < prefetch);
  if (free !== undefined) {
    return { reason: "underWay", sentence: `${id} is on its way: ${nameOf(free)} has credit`, id };
  }
  const byAge = present.toSorted((a, b) => (a.heldSinceMs ?? nowMs) - (b.heldSinceMs ?? nowMs));
  const holders = byAge.map((one) =>
    `${nameOf(one)} holds ${one.held} of ${one.prefetch}, the longest since ` +
    at(one.heldSinceMs ?? nowMs, nowMs)
  );
  return {
    reason: "noCredit",
    sentence: `${id} is ready, and no consumer of its partition has credit: ${listed(holders)}`,
    id,
  };
}

function nameOf({ clientName, address }: ConsumerReport): string {
  const name = clientName === "" ? "a client without a name" : clientName;
  return address === null ? name : `${name} (${address})`;
}

function awayOf(consumer: ConsumerReport, nowMs: number): string {
  const { sessionEndsAtMs } = consumer;
  return sessionEndsAtMs === undefined
    ? `${nameOf(consumer)} is about to attach again`
    : `the session of ${nameOf(consumer)} ends at ${at(sessionEndsAtMs, nowMs)}`;
}

function absence({ receiving, sessionEndsAtMs }: ConsumerReport, nowMs: number): string {
  if (receiving) return "";
  return sessionEndsAtMs === undefined
    ? ", which is about to attach again"
    : `, which is not connected: its session ends at ${at(sessionEndsAtMs, nowMs)}`;
}

/** A list for people, cut where it becomes long. */
function listed(items: readonly string[], count = items.length): string {
  const shown = items.slice(0, NAMES_MAX);
  if (count > shown.length) shown.push(`${count - shown.length} more`);
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join("; ")} and ${shown.at(-1)}`;
}

/** A moment, and how far it is from now. */
function at(ms: number, nowMs: number): string {
  const away = Math.abs(ms - nowMs);
  const span = away < 60_000
    ? `${(away / 1_000).toFixed(1)} s`
    : away < 3_600_000
    ? `${Math.round(away / 60_000)} min`
    : away < 172_800_000
    ? `${Math.round(away / 3_600_000)} h`
    : `${Math.round(away / 86_400_000)} d`;
  return `${new Date(ms).toISOString()} (${ms > nowMs ? `in ${span}` : `${span} ago`})`;
}
