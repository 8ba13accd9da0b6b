/**
 * Replies to requests, and the errors among them.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";
import type { Reply } from "../queue/mod.ts";
import {
  encodeError,
  encodeReply,
  ErrorCode,
  type ErrorName,
  type Frame,
  frameBytesMax,
  type ServerReply,
  type WireLimits,
} from "../wire/mod.ts";
import type { ClientLink } from "./client_link.ts";
import type { Outcome } from "./shard.ts";

/** What became of a command that was applied. */
export type Applied = Outcome & { readonly kind: "applied" };

/** The most partitions that one request may ask about. */
export const STATS_COUNT_MAX = 10_000;

/** Sends a reply; where it is too large for a frame, an error. */
export function answer(link: ClientLink, frame: Frame, reply: ServerReply): void {
  const bytes = encodeReply(reply, frame.shard, frame.correlationId);
  if (bytes.length <= frameBytesMax) return link.send(bytes);
  refuse(
    link,
    frame,
    "limitReached",
    `The answer has ${bytes.length} bytes, more than a frame holds`,
  );
}

/** Answers a request whose command has been applied, and has nothing more to say. */
export function answerDone(link: ClientLink, frame: Frame, { term, index }: Applied): void {
  answer(link, frame, { kind: "done", term, index });
}

/** Answers a request with an error. */
export function refuse(
  link: ClientLink,
  frame: Frame,
  name: ErrorName,
  message: string,
  maybeApplied = false,
): void {
  const error = { code: ErrorCode[name], message, maybeApplied };
  link.send(encodeError(error, frame.shard, frame.correlationId));
}

/** There is no such shard. */
export function refuseNoShard(link: ClientLink, frame: Frame, count: number): void {
  const message = `There is no shard ${frame.shard}: the cluster has ${count}`;
  refuse(link, frame, "invalidArgument", message);
}

/** A request asks about too many partitions. */
export function refuseTooMany(link: ClientLink, frame: Frame, count: number): void {
  const message = `Ask about ${STATS_COUNT_MAX} partitions at most: there were ${count}`;
  refuse(link, frame, "invalidArgument", message);
}

/** Refuses a batch that has a message over the limit. */
export function refuseTooLarge(
  link: ClientLink,
  frame: Frame,
  position: number,
  { messageBytesMax }: WireLimits,
): void {
  const message = `Message ${position} of the batch is over the limit of ${messageBytesMax} bytes`;
  refuse(link, frame, "messageTooLarge", message);
}

/** Too much waits already. */
export function refuseFull(link: ClientLink, frame: Frame): void {
  refuse(link, frame, "overloaded", `Shard ${frame.shard} has more waiting than it can take in`);
}

/** There is no room for messages. */
export function refuseForRoom(link: ClientLink, frame: Frame, nodes: readonly NodeId[]): void {
  const whose = nodes.length === 1 ? `disk of node ${nodes[0]} is` : `disks of nodes ${nodes} are`;
  const message =
    `The ${whose} nearly full: what is there can be consumed, and nothing published ` +
    "until there is room";
  refuse(link, frame, "diskFull", message);
}

/** A session is attached over another connection. */
export function refuseConflict(link: ClientLink, frame: Frame, sessionId: number): void {
  const message = `Session ${sessionId} is not attached over this connection`;
  refuse(link, frame, "sessionConflict", message);
}

/** This node leads the catalog no longer. */
export function refuseCatalogMoved(link: ClientLink, frame: Frame): void {
  refuse(link, frame, "leadershipLost", "The leader of the catalog has changed", true);
}

/** This node does not lead the shard. */
export function refuseNotLeader(link: ClientLink, frame: Frame, leader: NodeId): void {
  if (leader === 0) {
    return refuse(link, frame, "noLeader", `Shard ${frame.shard} has no leader at the moment`);
  }
  const error = {
    code: ErrorCode.notLeader,
    message: `Shard ${frame.shard} is led by node ${leader}`,
    maybeApplied: false,
    leader,
  };
  link.send(encodeError(error, frame.shard, frame.correlationId));
}

/** A command was not applied, or not known to be. */
export function refuseOutcome(
  link: ClientLink,
  frame: Frame,
  outcome: Exclude<Outcome, { kind: "applied" }>,
): void {
  if (outcome.kind === "notLeader") return refuseNotLeader(link, frame, outcome.leader);
  refuse(link, frame, "leadershipLost", `Shard ${frame.shard} lost its leader meanwhile`, true);
}

/** The machine refused a command. */
export function refuseReply(link: ClientLink, frame: Frame, reply: Reply): void {
  if (reply.kind !== "refused") {
    throw new Error(`A request of type ${frame.type} got the reply ${reply.kind}`);
  }
  refuse(link, frame, reply.reason, reply.message);
}
