/**
 * What this node remembers of the terms that replicas of other nodes have spoken of, to notice when one
 * comes back from a start with less: its disk was rolled back, say to an old backup, and it may have
 * forgotten a vote.
 *
 * Kept in memory only: what all nodes forget at the same time, nobody remembers. A roll-back within a
 * term is noticed by the leader of that term, which knows what the replica had acknowledged.
 *
 * @module
 */

import type { Message } from "../raft/mod.ts";
import type { ReplicaTerm } from "../wire/mod.ts";
import type { ReplicaId } from "./replica_id.ts";

/**
 * Messages that prove that their sender has their term on its disk: answers that wait for a sync, and
 * those of leaders, who lead only when their own vote is durable. Others, like the request for a vote,
 * go out before: whoever crashes then may forget the term, and nothing was promised in it.
 */
const PROOFS: ReadonlySet<Message["kind"]> = new Set([
  "voteResponse",
  "appendResponse",
  "appendRequest",
  "heartbeat",
  "installSnapshot",
  "timeoutNow",
]);

/** The highest term that each replica of one shard was heard to know of. */
export class TermMemory {
  readonly #terms = new Map<ReplicaId, number>();

  /** A replica has sent a message. */
  heard({ kind, from, term }: Message): void {
    if (!PROOFS.has(kind)) return;
    if (term > (this.#terms.get(from) ?? 0)) this.#terms.set(from, term);
  }

  /**
   * Compares what a replica says now with what it said before.
   *
   * @param now What it says.
   * @returns The term that it has forgotten, or 0.
   */
  forgotten({ replica, term }: ReplicaTerm): number {
    const known = this.#terms.get(replica) ?? 0;
    return term < known ? known : 0;
  }
}
