/**
 * A view of a node's shards from inside, for checkers and traces. Nothing depends on it, and where none
 * is given it costs nothing.
 *
 * @module
 */

import type { Entry, Message, Ready } from "../raft/mod.ts";
import type { Reply } from "../queue/mod.ts";
import type { Rewritten } from "../storage/mod.ts";
import type { Shard } from "./shard.ts";

/** Watches the shards of a node. Its calls are synchronous; what they throw stops the node. */
export interface ShardObserver {
  /** A shard was recovered from disk, and has not done anything yet. */
  opened(shard: Shard): void;
  /** A message of a peer is about to be given to the core. */
  received?(shard: Shard, message: Message): void;
  /** A ready was taken from the core and is about to go to the disk and the peers. */
  ready(shard: Shard, ready: Ready): void;
  /** The core is about to be told that a ready is durable. */
  durable(shard: Shard, ready: Ready): void;
  /**
   * A committed entry was applied. `reply` is the machine's, `undefined` where the entry was not for
   * it; the machine's effects are those of this entry. Its proposer has not been told yet.
   */
  applied(shard: Shard, entry: Entry, reply: Reply | undefined): void;
  /** The machine's state at an index, which it still has, is about to be written as a snapshot. */
  snapshotTaken?(shard: Shard, index: number): void;
  /** The log begins at another index: what was before it is gone. */
  compacted?(shard: Shard, firstIndex: number): void;
  /** Segments were rewritten to what is alive in them. */
  rewritten?(shard: Shard, done: Rewritten): void;
  /** The machine was replaced by that of another node's snapshot; its ready is being handled. */
  restored?(shard: Shard, index: number): void;
}
