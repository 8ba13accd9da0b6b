/**
 * What a node does for those of its replicas that have no vote: asks for one until it is given, and
 * notices when nobody is left who could give it.
 *
 * @module
 */

import { isJoint, isVoter, type NodeId } from "../raft/mod.ts";
import type { Clock } from "../client/runtime.ts";
import { encodeReplicaFrame } from "../wire/mod.ts";
import type { Logger } from "./logger.ts";
import type { Shard } from "./shard.ts";

/** How often a replica asks for its vote, in milliseconds. */
export const JOIN_MS = 250;

/** A node that asked so long ago may have been given its vote, in milliseconds. */
const ASKED_MS_MAX = 3_000;

/** For so long nobody may have a vote before that is believed, in milliseconds. */
const HOPELESS_MS_MAX = 10_000;

/** What is needed of the node. */
export interface JoiningHost {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly log: Logger;
  /** All nodes. */
  readonly members: readonly NodeId[];
  send(to: NodeId, parts: readonly Uint8Array[]): void;
  /** This replica has its vote: what it has taken the place of is not needed any more. */
  joined(shard: Shard): void;
  /** The node cannot go on. */
  fail(error: Error): void;
}

/** The replicas of one node that have no vote, or had none at the start. */
export class Joining {
  readonly #host: JoiningHost;
  readonly #joining = new Set<Shard>();
  /** When a node last asked this one for a vote, by shard. */
  readonly #asked = new Map<Shard, Map<NodeId, number>>();
  readonly #hopelessSince = new Map<Shard, number>();

  constructor(host: JoiningHost) {
    this.#host = host;
  }

  /** A replica of this node that is new: it asks until it has its vote. */
  add(shard: Shard): void {
    this.#joining.add(shard);
  }

  /** Another node's replica has asked for a vote. */
  noteAsked(shard: Shard, from: NodeId): void {
    let asked = this.#asked.get(shard);
    if (asked === undefined) this.#asked.set(shard, asked = new Map());
    asked.set(from, this.#host.clock.monotonic());
  }

  /** Asks, and looks whether there is hope; to be called every {@linkcode JOIN_MS}. */
  check(): void {
    const { nodeId, log, members } = this.#host;
    for (const shard of this.#joining) {
      const { configuration, replica } = shard;
      // In a joint configuration those before it still count.
      if (isVoter(configuration, replica) && !isJoint(configuration)) {
        log.info("The new replica has its vote", { shard: shard.id, replica });
        this.#joining.delete(shard);
        this.#hopelessSince.delete(shard);
        this.#host.joined(shard);
        continue;
      }
      for (const to of members) {
        if (to === nodeId) continue;
        this.#host.send(to, [encodeReplicaFrame("join", shard.id, replica)]);
      }
      this.#checkHope(shard);
    }
  }

  /** Where every node has lost its replica, none of them will ever lead. */
  #checkHope(shard: Shard): void {
    const { clock, members } = this.#host;
    const nowMs = clock.monotonic();
    let lost = 1;
    for (const askedMs of this.#asked.get(shard)?.values() ?? []) {
      if (nowMs - askedMs <= ASKED_MS_MAX) lost++;
    }
    if (lost < members.length) return void this.#hopelessSince.delete(shard);
    const since = this.#hopelessSince.get(shard) ?? nowMs;
    this.#hopelessSince.set(shard, since);
    if (nowMs - since < HOPELESS_MS_MAX) return;
    this.#host.fail(
      new Error(
        `Every node has lost its replica of shard ${shard.id}: the cluster cannot go on. What was ` +
          `damaged is kept as lost-shard-${shard.id} in the data directories`,
      ),
    );
  }
}
