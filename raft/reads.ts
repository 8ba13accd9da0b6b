/**
 * Linearizable reads (thesis, section 6.4). A read gets the commit index at the time it was asked
 * for, once it is sure that the leader was still the leader then: a quorum has answered a broadcast
 * of heartbeats sent afterwards, or, in lease mode, one sent so recently that the quorum cannot have
 * voted for anyone else yet. A new leader does not know the commit index of its predecessors until it
 * has committed an entry of its own term: reads wait for that.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { quorumIndex } from "./quorum.ts";
import type { NodeId } from "./types.ts";

interface PendingRead {
  readonly from: NodeId;
  readonly context: Uint8Array;
  /** The commit index when it was asked for. */
  readonly index: number;
  /** The first round that was sent afterwards. */
  readonly round: number;
}

/** The reads that wait on a leader. */
export class ReadQueue {
  /** Until the leader's term is established. */
  #postponed: { from: NodeId; context: Uint8Array }[] = [];
  /** Until their round is confirmed; rounds never fall along it. */
  #pending: PendingRead[] = [];
  /** When the rounds since the confirmed one were sent. */
  #sent: { round: number; tick: number }[] = [];
  #confirmedTick = -Infinity;

  /** How many reads wait. */
  get size(): number {
    return this.#postponed.length + this.#pending.length;
  }

  /** Forgets everything: leadership is over. */
  clear(): void {
    this.#postponed = [];
    this.#pending = [];
    this.#sent = [];
    this.#confirmedTick = -Infinity;
  }

  /** Puts a read off until the term is established. */
  postpone(from: NodeId, context: Uint8Array): void {
    this.#postponed.push({ from, context });
  }

  /** Takes the reads that were put off. */
  takePostponed(): { from: NodeId; context: Uint8Array }[] {
    const postponed = this.#postponed;
    this.#postponed = [];
    return postponed;
  }

  /** Lets a read wait for its round. */
  await(read: PendingRead): void {
    this.#pending.push(read);
  }

  /** Notes when a round was sent. */
  roundSent(round: number, tick: number): void {
    // Without contact to a quorum the list would grow; only the newest round of a tick matters.
    const last = this.#sent.at(-1);
    if (last !== undefined && last.tick === tick) last.round = round;
    else this.#sent.push({ round, tick });
    if (this.#sent.length > ROUNDS_MAX) this.#sent.shift();
  }

  /** Takes the reads that a confirmed round serves. */
  confirm(round: number): readonly PendingRead[] {
    while (this.#sent.length > 0 && this.#sent[0]!.round <= round) {
      this.#confirmedTick = this.#sent.shift()!.tick;
    }
    let count = 0;
    while (count < this.#pending.length && this.#pending[count]!.round <= round) count++;
    return count === 0 ? NONE : this.#pending.splice(0, count);
  }

  /** When the newest confirmed round was sent. */
  get confirmedTick(): number {
    return this.#confirmedTick;
  }
}

const NONE: readonly PendingRead[] = [];
/** More rounds than fit into any lease. */
const ROUNDS_MAX = 1024;

/**
 * Takes a read on the leader.
 *
 * @param core The leader.
 * @param from Who asks.
 * @param context The asker's name for the read.
 */
export function requestRead(core: Core, from: NodeId, context: Uint8Array): void {
  if (!core.termCommitted) {
    core.reads.postpone(from, context);
    return;
  }
  const index = core.log.commitIndex;
  if (isOnlyVoter(core) || holdsLease(core)) {
    answerRead(core, from, context, index);
    return;
  }
  core.reads.await({ from, context, index, round: core.heartbeatRound + 1 });
  core.heartbeatDue = true;
}

/**
 * Takes up the reads that waited for the leader's first own commit.
 *
 * @param core The leader.
 */
export function registerPostponedReads(core: Core): void {
  for (const { from, context } of core.reads.takePostponed()) requestRead(core, from, context);
}

/**
 * Serves the reads whose round a quorum has answered.
 *
 * @param core The leader.
 */
export function confirmReads(core: Core): void {
  const round = quorumIndex(core.configuration, core.roundOf);
  for (const read of core.reads.confirm(round)) {
    answerRead(core, read.from, read.context, read.index);
  }
}

function answerRead(core: Core, to: NodeId, context: Uint8Array, index: number): void {
  if (to === core.id) core.answerRead({ index, context });
  else core.send({ kind: "readIndexResponse", from: core.id, to, term: core.term, index, context });
}

function isOnlyVoter(core: Core): boolean {
  const { voters, votersOutgoing } = core.configuration;
  return voters.length === 1 && votersOutgoing.length === 0 && voters[0] === core.id;
}

function holdsLease(core: Core): boolean {
  const { readMode, electionTicks, leaseMarginTicks } = core.settings;
  return readMode === "lease" && core.transferee === 0 && !core.leaseBroken &&
    core.ticks - core.reads.confirmedTick < electionTicks - leaseMarginTicks;
}
