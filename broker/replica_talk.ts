/**
 * What nodes tell each other about themselves besides Raft's messages: how far each has come, whether its
 * disk is nearly full, which replicas want a vote, and who goes on with one that has been replaced or
 * that has forgotten something.
 *
 * @module
 */

import type { Message, NodeId } from "../raft/mod.ts";
import { type DataDirectory, ForgottenTermError } from "../storage/mod.ts";
import {
  encodeForgot,
  encodePeerStanding,
  encodeReplicaFrame,
  MalformedFrameError,
  type PeerStanding,
  type ReplicaTerm,
} from "../wire/mod.ts";
import type { DiskSpace } from "./disk_space.ts";
import type { Formation } from "./formation.ts";
import type { Joining } from "./joining.ts";
import type { LocalShard } from "./local_shard.ts";
import type { Logger } from "./logger.ts";
import type { PublishRoom } from "./publish_room.ts";
import { StaleReplicaError } from "./replacement.ts";
import { nodeOf, type ReplicaId } from "./replica_id.ts";
import type { Shard } from "./shard.ts";
import { TermMemory } from "./term_memory.ts";

/** What is needed of the node. */
export interface ReplicaTalkHost {
  readonly nodeId: NodeId;
  readonly log: Logger;
  /** All nodes. */
  readonly members: readonly NodeId[];
  readonly shards: readonly LocalShard[];
  readonly directory: DataDirectory;
  readonly formation: Formation;
  readonly joining: Joining;
  /** The room on this node's own disk, and on those of all. */
  readonly disk: DiskSpace;
  readonly room: PublishRoom;
  /** Sends to a node; `false` where there is no connection. */
  send(to: NodeId, parts: readonly Uint8Array[]): boolean;
  /** The node cannot go on, or not with the replica of that shard. */
  fail(error: Error, shard?: Shard): void;
}

/** One node's part of that. */
export class ReplicaTalk {
  readonly #host: ReplicaTalkHost;
  /** What the replicas of other nodes have said, shard by shard. */
  readonly #terms: TermMemory[] = [];
  /** What they had forgotten when they connected. */
  readonly #reminders = new Map<NodeId, readonly Uint8Array[]>();
  /** The terms that this node began with, shard by shard; empty until it runs. */
  #firstTerms: readonly number[] = [];
  /** Who was told of them. */
  readonly #toldTerms = new Set<NodeId>();

  /** @param host The node. */
  constructor(host: ReplicaTalkHost) {
    this.#host = host;
  }

  /** The node has its replicas now, and is about to run them. */
  begin(): void {
    this.#firstTerms = this.#host.shards.map(({ shard }) => shard.term);
    this.announce();
  }

  /** Tells the other nodes how far this one has come. */
  announce(): void {
    for (const id of this.#host.members) this.#tellStanding(id);
  }

  /** There is a connection to a node. */
  connected(to: NodeId): void {
    this.#tellStanding(to);
    this.#remind(to);
  }

  /** There is no connection from a node any more. */
  lost(from: NodeId): void {
    this.#reminders.delete(from);
  }

  /**
   * A peer that hears from this life of the node for the first time is told the terms that the node
   * began with: it may remember later ones. Before the replicas run there are none to tell.
   */
  #tellStanding(to: NodeId): void {
    const isRunning = this.#firstTerms.length > 0;
    const isFirst = isRunning && !this.#toldTerms.has(to);
    const { disk, formation, shards } = this.#host;
    const replicas = this.#firstTerms.map((firstTerm, i) => {
      const { replica, term } = shards[i]!.shard;
      return { replica, term: isFirst ? firstTerm : term };
    });
    const standing = { ...formation.standing, isDiskLow: disk.isLow, replicas };
    const isTold = this.#host.send(to, [encodePeerStanding(standing)]);
    if (isTold && isFirst) this.#toldTerms.add(to);
  }

  /** Another node has told how far it has come. */
  heardStanding(from: NodeId, standing: PeerStanding): void {
    this.#host.formation.heard(from, standing);
    this.#host.room.note(from, standing.isDiskLow);
    const reminders = standing.replicas.flatMap((now, shard) => {
      const term = this.#terms[shard]?.forgotten(now) ?? 0;
      return term === 0 ? [] : [encodeForgot(shard, { replica: now.replica, term })];
    });
    this.#reminders.set(from, reminders);
    this.#remind(from);
  }

  /** Tells a node of terms that it has forgotten; where that is not possible now, it is when it is. */
  #remind(node: NodeId): void {
    const reminders = this.#reminders.get(node) ?? [];
    if (reminders.length > 0) this.#host.send(node, reminders);
  }

  /** A replica of another node has sent a message. */
  heard(shard: Shard, message: Message): void {
    (this.#terms[shard.id] ??= new TermMemory()).heard(message);
  }

  /** Another node says that this one once knew of a later term: its disk was rolled back. */
  heardForgot(shard: Shard, { replica, term }: ReplicaTerm): void {
    if (replica === shard.replica) this.#host.fail(new ForgottenTermError(shard.id, term), shard);
  }

  /** A replica without a vote asks for one. */
  heardJoin(from: NodeId, shard: Shard, replica: ReplicaId): void {
    if (nodeOf(replica) !== from) {
      throw new MalformedFrameError(`Node ${from} asked for a vote of replica ${replica}`);
    }
    this.#host.joining.noteAsked(shard, from);
    if (this.toldStale(from, shard, replica)) return;
    const { kind } = shard.admit(replica);
    if (kind === "ignored") return;
    this.#host.log.info("A new replica takes the place of a lost one", {
      shard: shard.id,
      replica,
      as: kind,
    });
  }

  /** Tells a node that it goes on with a replica that it has replaced, if that is so. */
  toldStale(node: NodeId, shard: Shard, replica: ReplicaId): boolean {
    const later = shard.laterThan(replica);
    if (later === 0) return false;
    this.#host.send(node, [encodeReplicaFrame("stale", shard.id, later)]);
    return true;
  }

  /** Another node says that this one once had a later replica: its disk was rolled back. */
  heardStale(shard: Shard, later: ReplicaId): void {
    const { nodeId, directory, fail } = this.#host;
    if (nodeOf(later) !== nodeId) {
      throw new MalformedFrameError(`Replica ${later} is none of node ${nodeId}`);
    }
    if (later <= shard.replica) return;
    directory.setNewestReplica(later).then(
      () => fail(new StaleReplicaError(shard.replica, later), shard),
      (error) => fail(error),
    );
  }
}
