/**
 * Messages in words, for traces.
 *
 * @module
 */

import { type Message, unreachable } from "../../raft/mod.ts";
import { spanText } from "./node.ts";

/** The names that the recordings have for kinds of messages. */
export const RECORDED_KINDS: Readonly<Record<string, Message["kind"]>> = {
  MsgApp: "appendRequest",
  MsgAppResp: "appendResponse",
  MsgHeartbeat: "heartbeat",
  MsgHeartbeatResp: "heartbeatResponse",
  MsgVote: "voteRequest",
  MsgVoteResp: "voteResponse",
  MsgPreVote: "preVoteRequest",
  MsgPreVoteResp: "preVoteResponse",
  MsgSnap: "installSnapshot",
  MsgTimeoutNow: "timeoutNow",
  MsgProp: "forwardProposal",
  MsgReadIndex: "readIndexRequest",
  MsgReadIndexResp: "readIndexResponse",
  MsgTransferLeader: "transferRequest",
};

/**
 * Puts a message into words.
 *
 * @param message The message.
 * @returns One line.
 */
export function messageText(message: Message): string {
  const { kind, from, to, term } = message;
  const details = detailsText(message);
  return `${from}->${to} ${kind} term ${term}${details === "" ? "" : ` ${details}`}`;
}

function detailsText(message: Message): string {
  switch (message.kind) {
    case "appendRequest": {
      const { previousIndex, previousTerm, commit, entries } = message;
      const span = entries.length === 0 ? "empty" : spanText(entries);
      return `after ${previousIndex}/${previousTerm} commit ${commit}: ${span}`;
    }
    case "appendResponse":
      return message.rejected
        ? `refused ${message.index}, hint ${message.hintIndex}/${message.hintTerm}`
        : `up to ${message.index}`;
    case "heartbeat":
      return `commit ${message.commit} round ${message.round}`;
    case "heartbeatResponse":
      return `round ${message.round}`;
    case "voteRequest":
      return `last ${message.lastIndex}/${message.lastTerm}` +
        (message.leaderTransfer ? " on the leader's wish" : "");
    case "preVoteRequest":
      return `last ${message.lastIndex}/${message.lastTerm}`;
    case "voteResponse":
    case "preVoteResponse":
      return message.granted
        ? "granted"
        : `refused, commit ${message.commit ?? 0}/${message.commitTerm ?? 0}`;
    case "installSnapshot":
      return `${message.snapshot.metadata.index}/${message.snapshot.metadata.term}`;
    case "timeoutNow":
      return "";
    case "transferRequest":
      return `to ${message.transferee}`;
    case "forwardProposal":
      return `${message.entries.length} entries`;
    case "readIndexRequest":
      return new TextDecoder().decode(message.context);
    case "readIndexResponse":
      return `${new TextDecoder().decode(message.context)} at ${message.index}`;
    default:
      unreachable(message, "message");
  }
}
