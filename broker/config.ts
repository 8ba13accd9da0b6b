/**
 * The settings of a node, with a default for everything but its identity and its places.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";
import type { SegmentedLogOptions } from "../storage/mod.ts";
import { frameBytesMax } from "../wire/mod.ts";
import type { Address } from "./runtime.ts";
import { formatAddress } from "./runtime.ts";
import { NODE_ID_MAX } from "./replica_id.ts";
import type { Logger } from "./logger.ts";
import type { ShardObserver } from "./observer.ts";

/** A node of the cluster as every other node must be able to reach it. */
export interface ClusterMember {
  readonly id: NodeId;
  readonly peerAddress: Address;
}

/** How often Raft's clock ticks, and its time-outs in ticks. */
export interface RaftTimings {
  /** Milliseconds a tick. @default {20} */
  readonly tickMs: number;
  /** Ticks between heartbeats. @default {3} */
  readonly heartbeatTicks: number;
  /**
   * Ticks without a leader before a node asks for votes; each time a random value from here up to
   * twice as much. @default {16}
   */
  readonly electionTicks: number;
}

/** Bounds of what one shard keeps in memory or has under way. */
export interface ShardLimits {
  /** Bytes of a record block sent to a follower in one message. @default {1 MiB} */
  readonly appendBytesMax: number;
  /** Append messages to one follower that are not answered yet. @default {256} */
  readonly inflightMessagesMax: number;
  /** Bytes sent to one follower that are not answered yet. @default {32 MiB} */
  readonly inflightBytesMax: number;
  /** Bytes proposed that are not committed yet; more waits. @default {32 MiB} */
  readonly uncommittedBytesMax: number;
  /**
   * Bytes of log from one snapshot of the state to the next: what a node that starts has to go through
   * again, and about how much log is kept beyond what messages take. @default {64 MiB}
   */
  readonly snapshotBytes: number;
  /** Bytes of a snapshot sent to a follower in one message. @default {256 KiB} */
  readonly snapshotChunkBytes: number;
}

/** Sizes of a shard's log; the defaults are those of the storage layer. */
export type StorageLimits = Partial<Omit<SegmentedLogOptions, "shard">>;

/** What `startNode()` needs to know. */
export interface NodeConfig {
  readonly nodeId: NodeId;
  /** All members, this one among them, the same list on every node. */
  readonly cluster: readonly ClusterMember[];
  readonly dataDirectory: string;
  /** Where clients connect. Port 0 lets the system choose. */
  readonly listen: Address;
  /** Where clients are told to connect, if that is not where the node listens. */
  readonly advertise?: Address;
  /** Where the other nodes connect. */
  readonly peerListen: Address;
  /** Raft groups of the cluster, the same number on every node and for good. @default {1} */
  readonly shards?: number;
  /** Publishing to a queue that does not exist makes it, with default settings. @default {true} */
  readonly autoCreate?: boolean;
  /** The largest message accepted, in bytes of its record. @default {1 MiB} */
  readonly messageBytesMax?: number;
  /** Sizes of segments and caches. */
  readonly storage?: StorageLimits;
  /**
   * So much room on the disk is kept for deliveries and acks: with less, publishes are refused, once a
   * majority has no more. @default {64 MiB}
   */
  readonly diskReserveBytes?: number;
  readonly raft?: Partial<RaftTimings>;
  readonly limits?: Partial<ShardLimits>;
  readonly log?: Logger;
  /** Watches the shards from inside. */
  readonly observer?: ShardObserver;
}

/** The defaults of {@linkcode RaftTimings}. */
export const DEFAULT_TIMINGS: RaftTimings = { tickMs: 20, heartbeatTicks: 3, electionTicks: 16 };

/** The defaults of {@linkcode ShardLimits}. */
export const DEFAULT_LIMITS: ShardLimits = {
  appendBytesMax: 1 << 20,
  inflightMessagesMax: 256,
  inflightBytesMax: 32 << 20,
  uncommittedBytesMax: 32 << 20,
  snapshotBytes: 64 << 20,
  snapshotChunkBytes: 256 << 10,
};

/** The default of {@linkcode NodeConfig.diskReserveBytes}. */
export const DISK_RESERVE_BYTES: number = 64 << 20;

/** The largest message any node can be told to accept: it has to fit into a frame with its address. */
export const MESSAGE_BYTES_MAX: number = frameBytesMax - (64 << 10);

/** The most shards a cluster can be made with. */
export const SHARDS_MAX = 256;

/**
 * Checks what can be checked before anything is opened.
 *
 * @throws {TypeError} If the members contradict each other or the node is not one of them.
 * @throws {RangeError} If a number is out of its range.
 */
export function checkConfig(config: NodeConfig): void {
  const ids = new Set<NodeId>();
  const addresses = new Set<string>();
  for (const { id, peerAddress } of config.cluster) {
    if (!Number.isSafeInteger(id) || id < 1 || id > NODE_ID_MAX) {
      throw new RangeError(
        `Cannot use a node id as it must be 1 to ${NODE_ID_MAX}: current value is ${id}`,
      );
    }
    const address = formatAddress(peerAddress);
    if (ids.has(id)) {
      throw new TypeError(`Cannot use the cluster list as node ${id} is in it twice`);
    }
    if (addresses.has(address) && peerAddress.port !== 0) {
      throw new TypeError(`Cannot use the cluster list as ${address} is in it twice`);
    }
    ids.add(id);
    addresses.add(address);
  }
  if (!ids.has(config.nodeId)) {
    throw new TypeError(
      `Cannot start node ${config.nodeId} as the cluster list does not name it: it has ` +
        `${[...ids].join(", ")}`,
    );
  }
  const { messageBytesMax } = config;
  if (
    messageBytesMax !== undefined && !(messageBytesMax >= 1 && messageBytesMax <= MESSAGE_BYTES_MAX)
  ) {
    throw new RangeError(
      `Cannot accept messages of this size as it must be 1 to ${MESSAGE_BYTES_MAX} bytes: ` +
        `current value is ${messageBytesMax}`,
    );
  }
  const shards = config.shards ?? 1;
  if (!Number.isSafeInteger(shards) || shards < 1 || shards > SHARDS_MAX) {
    throw new RangeError(
      `Cannot use this number of shards as it must be 1 to ${SHARDS_MAX}: current value is ${shards}`,
    );
  }
}

/**
 * The identity of a cluster with a fixed list of members: a digest of that list, so that nodes that
 * were given different lists, and data directories of another cluster, are recognised. A cluster of
 * one may move to another address: nobody else knows it.
 *
 * @returns 16 hexadecimal digits.
 */
export function clusterIdOf(members: readonly ClusterMember[], shards: number): string {
  const places = members.length === 1
    ? [`${members[0]!.id}`]
    : members.map((member) => `${member.id}=${formatAddress(member.peerAddress)}`).sort();
  const text = `${places.join(",")};shards=${shards}`;
  return fnv1a(text, 0x811c9dc5) + fnv1a(text, 0x01000193);
}

/** FNV-1a over UTF-16 code units from a chosen offset basis: names, not security. */
function fnv1a(text: string, basis: number): string {
  let hash = basis;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
