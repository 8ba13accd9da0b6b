/**
 * The settings of one Raft node.
 *
 * @module
 */

import type { LogStorage, NodeId } from "./types.ts";

/** What a {@linkcode Raft} is made of. */
export interface RaftConfig {
  /** This node's id. */
  readonly id: NodeId;
  /** The log and the state that this node starts from. */
  readonly storage: LogStorage;
  /** A number in [0, 1), for election time-outs. */
  readonly random: () => number;
  /**
   * The last index that the state machine already holds, from which on entries are handed out. The
   * configuration that storage gives must be the one of this index.
   *
   * @default The snapshot's index, or 0.
   */
  readonly appliedIndex?: number;
  /**
   * A follower that hears nothing for this many ticks, or up to twice as many, campaigns.
   *
   * @default 10
   */
  readonly electionTicks?: number;
  /**
   * A leader sends heartbeats every so many ticks.
   *
   * @default 1
   */
  readonly heartbeatTicks?: number;
  /**
   * Ask "would you vote for me" before raising the term, so that a node that comes back from a
   * partition does not depose a leader.
   *
   * @default true
   */
  readonly preVote?: boolean;
  /**
   * A leader that has not heard a quorum for an election time-out steps down, and voters that hear
   * a leader refuse to vote.
   *
   * @default true
   */
  readonly checkQuorum?: boolean;
  /**
   * How a leader makes sure that it still leads before it serves a read. `quorum` asks a quorum.
   * `lease` trusts that a quorum which answered a heartbeat refuses its votes to others for an
   * election time-out: it saves the round. It is right only while the leader's ticks are never late,
   * which no process that can be paused can promise, and so it is off by default. Needs
   * `checkQuorum`; a node in this mode neither forgets its leader nor votes right after a restart.
   *
   * @default "quorum"
   */
  readonly readMode?: "quorum" | "lease";
  /**
   * A lease ends so many ticks before the election time-out: room for clock drift and for the
   * coarseness of ticks. At least 2.
   *
   * @default A quarter of `electionTicks`, at least 2.
   */
  readonly leaseMarginTicks?: number;
  /**
   * Followers send proposals on to the leader instead of refusing them.
   *
   * @default false
   */
  readonly forwardProposals?: boolean;
  /**
   * Bytes of entry data in one append message; a bigger single entry travels alone.
   *
   * @default 1 MiB
   */
  readonly appendBytesMax?: number;
  /**
   * Append messages on their way to one follower.
   *
   * @default 256
   */
  readonly inflightMessagesMax?: number;
  /**
   * Bytes of entry data on their way to one follower.
   *
   * @default 64 MiB
   */
  readonly inflightBytesMax?: number;
  /**
   * Bytes of proposals that are not yet committed; more are refused. A proposal on an empty tail is
   * always taken, whatever its size.
   *
   * @default 256 MiB
   */
  readonly uncommittedBytesMax?: number;
  /**
   * Reads that wait for their index; more are refused.
   *
   * @default 65,536
   */
  readonly pendingReadsMax?: number;
  /**
   * Bytes of committed entries in one ready.
   *
   * @default 16 MiB
   */
  readonly committedBytesMax?: number;
  /**
   * Hand out committed entries that are not yet durable on this node: a majority has them, so a slow
   * disk here delays nobody. A shell that writes state machine snapshots must then wait with one
   * until the log is durable up to its index.
   *
   * @default true
   */
  readonly applyBeforeDurable?: boolean;
  /**
   * When followers are told that something is committed if there is nothing else to tell them:
   * `atOnce`, or with the next `tick`, which saves two messages a follower for each entry that comes
   * alone. Whatever is sent carries the commit index anyway.
   *
   * @default "atOnce"
   */
  readonly commitNews?: "atOnce" | "tick";
  /**
   * Also hand out a hard state when only the commit index has moved.
   *
   * @default false
   */
  readonly persistCommit?: boolean;
}

/** A configuration of the core with every default filled in. */
export type Settings = Required<RaftConfig>;

/**
 * Checks the settings and fills in the defaults.
 *
 * @param config What the caller gave.
 * @returns All settings.
 * @throws {RangeError} when a number is out of its range, or settings exclude each other.
 */
export function resolveConfig(config: RaftConfig): Settings {
  const electionTicks = config.electionTicks ?? 10;
  const heartbeatTicks = config.heartbeatTicks ?? 1;
  const checkQuorum = config.checkQuorum ?? true;
  const readMode = config.readMode ?? "quorum";
  const leaseMarginTicks = config.leaseMarginTicks ?? Math.max(2, Math.ceil(electionTicks / 4));
  const settings: Settings = {
    id: config.id,
    storage: config.storage,
    random: config.random,
    appliedIndex: config.appliedIndex ?? config.storage.firstIndex() - 1,
    electionTicks,
    heartbeatTicks,
    preVote: config.preVote ?? true,
    checkQuorum,
    readMode,
    leaseMarginTicks,
    forwardProposals: config.forwardProposals ?? false,
    appendBytesMax: config.appendBytesMax ?? 1024 * 1024,
    inflightMessagesMax: config.inflightMessagesMax ?? 256,
    inflightBytesMax: config.inflightBytesMax ?? 64 * 1024 * 1024,
    uncommittedBytesMax: config.uncommittedBytesMax ?? 256 * 1024 * 1024,
    pendingReadsMax: config.pendingReadsMax ?? 65_536,
    committedBytesMax: config.committedBytesMax ?? 16 * 1024 * 1024,
    applyBeforeDurable: config.applyBeforeDurable ?? true,
    commitNews: config.commitNews ?? "atOnce",
    persistCommit: config.persistCommit ?? false,
  };
  requireInteger("id", settings.id, 1);
  requireInteger("appliedIndex", settings.appliedIndex, 0);
  requireInteger("heartbeatTicks", heartbeatTicks, 1);
  requireInteger("electionTicks", electionTicks, heartbeatTicks + 1);
  requireInteger("leaseMarginTicks", leaseMarginTicks, 2);
  requireInteger("appendBytesMax", settings.appendBytesMax, 1);
  requireInteger("inflightMessagesMax", settings.inflightMessagesMax, 1);
  requireInteger("inflightBytesMax", settings.inflightBytesMax, 1);
  requireInteger("uncommittedBytesMax", settings.uncommittedBytesMax, 1);
  requireInteger("pendingReadsMax", settings.pendingReadsMax, 1);
  requireInteger("committedBytesMax", settings.committedBytesMax, 1);
  if (readMode === "lease") {
    if (!checkQuorum) {
      throw new RangeError(
        "Cannot create Raft as lease reads need checkQuorum: current value is false",
      );
    }
    requireInteger("electionTicks", electionTicks, leaseMarginTicks + 1);
  }
  return settings;
}

function requireInteger(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw new RangeError(
    `Cannot create Raft as ${name} must be an integer of at least ${min}: current value is ${value}`,
  );
}
