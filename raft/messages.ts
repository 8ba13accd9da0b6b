/**
 * What nodes say to each other: a union on `kind`.
 *
 * Every message is a flat record: safe integers and booleans, and at most one of `entries`,
 * `snapshot` or `context`. Messages are plain data and never change once made; `entries` refers to
 * the log's own entries.
 *
 * A message of a higher term than the receiver's moves the receiver to that term, with two
 * exceptions: a pre-vote request asks "what if", and a granted pre-vote answers it.
 *
 * @module
 */

import type { Entry, NodeId, Snapshot } from "./types.ts";

/** Who talks to whom, and in which term. */
export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  /** The sender's term; for pre-votes the term that the sender would campaign in. */
  readonly term: number;
}

/** The leader extends a follower's log (Raft paper, section 5.3). */
export interface AppendRequest extends Envelope {
  readonly kind: "appendRequest";
  /** Position of the entry just before `entries`. */
  readonly previousIndex: number;
  readonly previousTerm: number;
  /** The leader's commit index. */
  readonly commit: number;
  /** Consecutive, the first at `previousIndex + 1`. Empty to probe or to move the commit index. */
  readonly entries: readonly Entry[];
}

/** A follower's answer: sent only once what it acknowledges is durable. */
export interface AppendResponse extends Envelope {
  readonly kind: "appendResponse";
  readonly rejected: boolean;
  /** The last index known to match the leader's log; if rejected, the refused `previousIndex`. */
  readonly index: number;
  /** If rejected: where the logs may still agree, an index at or below the refused one; else 0. */
  readonly hintIndex: number;
  /** If rejected: the term of the follower's entry at `hintIndex`; else 0. */
  readonly hintTerm: number;
}

/** The leader is alive. Never waits behind entries. */
export interface Heartbeat extends Envelope {
  readonly kind: "heartbeat";
  /** The commit index as far as this follower is known to hold the log. */
  readonly commit: number;
  /** Counts the leader's broadcasts of heartbeats within its term: an answer dates its knowledge. */
  readonly round: number;
}

/** A follower still knows the sender as its leader. */
export interface HeartbeatResponse extends Envelope {
  readonly kind: "heartbeatResponse";
  /** The round of the heartbeat answered. */
  readonly round: number;
}

/** A candidate asks for the vote of its term (Raft paper, section 5.2). */
export interface VoteRequest extends Envelope {
  readonly kind: "voteRequest";
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The leader itself asked for this election: a voter that still hears it votes all the same. */
  readonly leaderTransfer: boolean;
}

/**
 * What the voter knows to be committed: a candidate that holds the same entry knows it then too. It
 * may have been left behind by the rest before it heard that the members have changed, and would
 * otherwise go on asking the wrong ones. Absent where a transport does not carry it.
 */
export interface CommitNews {
  /** The voter's commit index. */
  readonly commit?: number;
  /** The term of the entry there, or 0 where that is no longer known. */
  readonly commitTerm?: number;
}

/** The answer to a vote request: sent only once the vote is durable. */
export interface VoteResponse extends Envelope, CommitNews {
  readonly kind: "voteResponse";
  readonly granted: boolean;
}

/** Would you vote for me in this term? Changes nothing at the receiver (thesis, section 9.6). */
export interface PreVoteRequest extends Envelope {
  readonly kind: "preVoteRequest";
  readonly lastIndex: number;
  readonly lastTerm: number;
}

/** The answer to a pre-vote request: in the asked term if granted, else in the voter's own. */
export interface PreVoteResponse extends Envelope, CommitNews {
  readonly kind: "preVoteResponse";
  readonly granted: boolean;
}

/**
 * The leader no longer has what the follower lacks. The shell carries the snapshot over in chunks in
 * its own time and gives this message to the receiver's core when the whole of it has arrived; the
 * sender's shell reports the end with `Raft.reportSnapshot()`.
 */
export interface InstallSnapshot extends Envelope {
  readonly kind: "installSnapshot";
  readonly snapshot: Snapshot;
}

/** The leader asks a caught-up follower to campaign at once (thesis, section 3.10). */
export interface TimeoutNow extends Envelope {
  readonly kind: "timeoutNow";
}

/** A follower passes on a request to hand leadership over. */
export interface TransferRequest extends Envelope {
  readonly kind: "transferRequest";
  readonly transferee: NodeId;
}

/** A follower passes proposals on; the entries have index 0 and term 0, the leader places them. */
export interface ForwardProposal extends Envelope {
  readonly kind: "forwardProposal";
  readonly entries: readonly Entry[];
}

/** A follower asks the leader for an index to read at (thesis, section 6.4). */
export interface ReadIndexRequest extends Envelope {
  readonly kind: "readIndexRequest";
  /** The asker's own name for the read; comes back unchanged. */
  readonly context: Uint8Array;
}

/** The leader's answer: once the asker has applied `index`, the read is linearizable. */
export interface ReadIndexResponse extends Envelope {
  readonly kind: "readIndexResponse";
  readonly index: number;
  readonly context: Uint8Array;
}

/** Anything one core says to another. */
export type Message =
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | VoteRequest
  | VoteResponse
  | PreVoteRequest
  | PreVoteResponse
  | InstallSnapshot
  | TimeoutNow
  | TransferRequest
  | ForwardProposal
  | ReadIndexRequest
  | ReadIndexResponse;

/** The names of the messages. */
export type MessageKind = Message["kind"];
