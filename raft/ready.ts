/**
 * What the core answers with: work for the shell, results of requests, and a view for people.
 *
 * @module
 */

import type { Message } from "./messages.ts";
import type { Configuration, Entry, HardState, NodeId, Snapshot } from "./types.ts";
import type { ProgressState } from "./progress.ts";

/** The part a node plays. */
export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** Who leads, as far as this node knows. */
export interface Leadership {
  readonly role: Role;
  /** The leader of `term`, or 0 while unknown. */
  readonly leader: NodeId;
  readonly term: number;
}

/** A read that may be served once `index` is applied here. */
export interface ReadState {
  readonly index: number;
  readonly context: Uint8Array;
}

/**
 * What there is to do. The shell, in this order and without waiting in between:
 *
 * 1. hands `snapshot`, `hardState` and `entries` to its storage, which keeps the order of readies;
 *    entries replace whatever the log holds from their first index on;
 * 2. sends `messages`;
 * 3. applies `committedEntries` and calls `Raft.applied()`;
 * 4. once all of this ready *and of those before it* is durable, calls `Raft.persisted(ready)` and
 *    sends `messagesAfterPersist`.
 *
 * `ready()` may be called again before step 4. A ready with nothing to write goes through step 4 like
 * the others: its answers may acknowledge what an earlier ready wrote.
 */
export interface Ready {
  /** To be made durable, if set. A change of the commit index alone is no reason to set it. */
  readonly hardState: HardState | undefined;
  /** To be appended and made durable. */
  readonly entries: readonly Entry[];
  /**
   * Replaces log and state machine. The state machine has to be restored from it before
   * `persisted()` is called, which takes its index as applied.
   */
  readonly snapshot: Snapshot | undefined;
  /** Whether any of the three above is there. */
  readonly mustPersist: boolean;
  /** To be sent at once. */
  readonly messages: readonly Message[];
  /** To be sent once this ready is durable. */
  readonly messagesAfterPersist: readonly Message[];
  /** To be applied in this order. They may include entries that are not yet durable *here*. */
  readonly committedEntries: readonly Entry[];
  /** Reads that got their index. */
  readonly readStates: readonly ReadState[];
  /** Set when role, leader or term differ from the last ready. */
  readonly leadership: Leadership | undefined;
  /** Set when the configuration differs from the last ready. */
  readonly configuration: Configuration | undefined;
}

/** Why a proposal was not taken. */
export type RefusalReason =
  /** This node does not lead (and does not forward): try `leader`, if it is not 0. */
  | "notLeader"
  /** The uncommitted tail has reached `uncommittedBytesMax`. */
  | "overloaded"
  /** Leadership is being handed over. */
  | "transferring"
  /** The leader has not yet committed an entry of its own term (membership changes only). */
  | "termNotCommitted"
  /** An earlier membership change is not yet applied. */
  | "changePending"
  /** The configuration is joint: it has to be left before it changes again. */
  | "joint"
  /** The configuration is not joint: there is nothing to leave. */
  | "notJoint"
  /** The change would leave no voter. */
  | "noVoters";

/** A proposal that was not taken: nothing of it is in the log. */
export interface Refusal {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  /** The leader, or 0 while unknown. */
  readonly leader: NodeId;
}

/** What became of a proposal. */
export type ProposalResult =
  /** In the leader's log from `firstIndex` on; committed when that index of `term` is. */
  | { readonly kind: "accepted"; readonly firstIndex: number; readonly term: number }
  /** Sent to the leader, which may still refuse it or never get it. */
  | { readonly kind: "forwarded"; readonly leader: NodeId }
  | Refusal;

/** What became of a request to read. */
export type ReadResult =
  /** A `ReadState` with the same context comes with a later ready, unless leadership is lost. */
  | { readonly kind: "accepted" }
  /** The leader was asked; the answer comes as a `ReadState`, or never. */
  | { readonly kind: "forwarded"; readonly leader: NodeId }
  | Refusal;

/** What became of a request to hand leadership over. */
export type TransferResult =
  | { readonly kind: "accepted" }
  | { readonly kind: "forwarded"; readonly leader: NodeId }
  | {
    readonly kind: "refused";
    /** `notVoter`: the target may not lead. `alreadyLeader`: the target leads. */
    readonly reason: "notLeader" | "notVoter" | "alreadyLeader";
    readonly leader: NodeId;
  };

/** How far a leader got with one follower. */
export interface ProgressStatus {
  readonly id: NodeId;
  readonly state: ProgressState;
  readonly matchIndex: number;
  readonly nextIndex: number;
  readonly learner: boolean;
  /** Heard from since the last quorum check. */
  readonly recentlyActive: boolean;
  /** Appends in flight. */
  readonly inflightMessages: number;
  readonly inflightBytes: number;
}

/** One node's consensus state, for people, metrics and tests. */
export interface RaftStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly leader: NodeId;
  readonly term: number;
  readonly vote: NodeId;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  /** Everything up to here is on this node's disk. */
  readonly durableIndex: number;
  readonly uncommittedBytes: number;
  readonly configuration: Configuration;
  /** The node that leadership is being handed to, or 0. */
  readonly transferee: NodeId;
  /** The other members, on a leader; empty on others. */
  readonly progress: readonly ProgressStatus[];
}
