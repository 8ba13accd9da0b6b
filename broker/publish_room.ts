/**
 * Whether there is room for what is published: on the disks of a majority, as for anything that is
 * confirmed.
 *
 * Nodes tell each other when their disks are nearly full (`disk_space.ts`). While only a minority is,
 * publishes go on without it. Otherwise they are refused, and messages that are there can be consumed.
 *
 * @module
 */

import { type Configuration, type NodeId, quorumVote } from "../raft/mod.ts";
import { nodeOf } from "./replica_id.ts";

/** The room on the disks of all nodes, as far as one of them knows. */
export class PublishRoom {
  readonly #low = new Set<NodeId>();

  /** A node has said whether its disk is nearly full. */
  note(node: NodeId, isLow: boolean): void {
    if (isLow) this.#low.add(node);
    else this.#low.delete(node);
  }

  /** Whether a node has room, or has not said anything else. */
  isOn(node: NodeId): boolean {
    return !this.#low.has(node);
  }

  /**
   * Looks for reasons not to take messages.
   *
   * @param configuration Who has a say in a shard.
   * @returns The nodes without which there is no majority with room; empty where there is one.
   */
  missing(configuration: Configuration): NodeId[] {
    if (this.#low.size === 0) return [];
    const voters = new Set([...configuration.voters, ...configuration.votersOutgoing]);
    const votes = new Map([...voters].map((id) => [id, this.isOn(nodeOf(id))]));
    if (quorumVote(configuration, votes) === "won") return [];
    return [...votes].filter(([, hasRoom]) => !hasRoom).map(([id]) => nodeOf(id)).sort();
  }
}
