/**
 * How far a leader got with one follower, and how it may go on.
 *
 * - `probe`: it is not known where the logs agree, or the follower was away: one append at a time,
 *   each answer moves `nextIndex` to a better guess.
 * - `replicate`: the logs agree up to `matchIndex`: appends are pipelined, `nextIndex` runs ahead of
 *   the answers, up to the size of the window.
 * - `snapshot`: the follower lacks what the leader no longer has: nothing is sent until the snapshot
 *   has arrived or failed.
 *
 * Invariant: `matchIndex < nextIndex`.
 *
 * @module
 */

import type { InflightWindow } from "./inflight.ts";

/** What a leader does about a follower. */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** A leader's view of one member, itself included. */
export class Progress {
  /** The log up to here is known to be the leader's and durable on the follower. */
  matchIndex: number;
  /** The next append starts here. */
  nextIndex: number;
  /** The state of the conversation. */
  state: ProgressState = "probe";
  /** In state `snapshot`: the index of the snapshot on its way. */
  snapshotIndex = 0;
  /** Heard from since the last quorum check. */
  recentlyActive: boolean;
  /** Nothing is sent until something is heard: a probe is out, or the window is full. */
  paused = false;
  /** The highest commit index sent that the follower can be expected to have used. */
  sentCommit = 0;
  /** The newest heartbeat round answered in this term. */
  ackedRound = 0;
  /** Something is to be sent when the next ready is made. */
  due = false;
  /** As `due`, and be it an empty append. */
  dueEvenIfEmpty = false;
  /** The appends not yet answered. */
  readonly inflight: InflightWindow;

  /**
   * @param nextIndex Where to start.
   * @param matchIndex What is known to match.
   * @param recentlyActive Whether the member counts as heard from.
   * @param inflight The window to use.
   */
  constructor(
    nextIndex: number,
    matchIndex: number,
    recentlyActive: boolean,
    inflight: InflightWindow,
  ) {
    this.nextIndex = nextIndex;
    this.matchIndex = matchIndex;
    this.recentlyActive = recentlyActive;
    this.inflight = inflight;
  }

  /** Whether appends have to wait. */
  get blocked(): boolean {
    return this.paused || this.state === "snapshot";
  }

  /** Looks for the place where the logs agree, from the best guess on. */
  becomeProbe(): void {
    // Once a snapshot has arrived, the log goes on behind it.
    const afterSnapshot = this.state === "snapshot" ? this.snapshotIndex + 1 : 0;
    this.#enter("probe");
    this.nextIndex = Math.max(this.matchIndex + 1, afterSnapshot);
    this.sentCommit = Math.min(this.sentCommit, this.nextIndex - 1);
  }

  /** Pipelines from the first entry that is not known to match. */
  becomeReplicate(): void {
    this.#enter("replicate");
    this.nextIndex = this.matchIndex + 1;
  }

  /**
   * Waits for a snapshot to arrive.
   *
   * @param index The snapshot's index.
   */
  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.snapshotIndex = index;
    this.nextIndex = index + 1;
    this.sentCommit = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.paused = false;
    this.snapshotIndex = 0;
    this.inflight.clear();
  }

  /**
   * Takes an acknowledgement.
   *
   * @param index The follower's log matches up to here.
   * @returns Whether this was news.
   */
  acknowledge(index: number): boolean {
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    if (this.nextIndex <= index) this.nextIndex = index + 1;
    this.paused = false;
    return true;
  }

  /**
   * Takes a refusal: the follower has no such entry at `refused`.
   *
   * @param refused The `previousIndex` of the append that was refused.
   * @param agreeing The highest index at which the logs may still agree.
   * @returns Whether this was news; a refusal can be late or a duplicate.
   */
  reject(refused: number, agreeing: number): boolean {
    if (this.state === "replicate") {
      if (refused <= this.matchIndex) return false;
      this.nextIndex = this.matchIndex + 1;
    } else {
      if (this.nextIndex - 1 !== refused) return false;
      this.nextIndex = Math.max(Math.min(refused, agreeing + 1), this.matchIndex + 1);
    }
    this.sentCommit = Math.min(this.sentCommit, this.nextIndex - 1);
    this.paused = false;
    return true;
  }

  /**
   * Notes an append sent.
   *
   * @param count Its number of entries.
   * @param bytes Their size.
   * @param commit The commit index sent along.
   */
  sent(count: number, bytes: number, commit: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.nextIndex += count;
        this.inflight.add(this.nextIndex - 1, bytes);
      }
      this.paused = this.inflight.full;
    } else {
      this.paused = true;
    }
    this.sentCommit = commit;
  }

  /**
   * Whether sending a commit index can move the follower's.
   *
   * @param commit The leader's commit index.
   * @returns Whether the follower may not know it and has or was sent an entry to commit with it.
   */
  lacksCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.nextIndex - 1;
  }
}
