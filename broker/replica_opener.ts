/**
 * Opens a node's replicas from its disk. Where one is missing or cannot be trusted, it makes another,
 * under a name that none has had before, which gets everything from the other nodes.
 *
 * @module
 */

import { bootstrapConfiguration } from "../raft/mod.ts";
import {
  CorruptFileError,
  CorruptRecordError,
  type DataDirectory,
  ForgottenEntriesError,
  ForgottenTermError,
  ShardStore,
  type WhenFull,
} from "../storage/mod.ts";
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type NodeConfig } from "./config.ts";
import type { Logger } from "./logger.ts";
import { StaleReplicaError } from "./replacement.ts";
import { newReplica, type ReplicaId } from "./replica_id.ts";
import type { NodeRuntime } from "./runtime.ts";
import { Shard, type ShardHost } from "./shard.ts";

/** What the replicas of one node are made of. */
export class ReplicaOpener {
  readonly #config: NodeConfig;
  readonly #runtime: NodeRuntime;
  readonly #directory: DataDirectory;
  readonly #host: ShardHost;
  readonly #log: Logger;
  readonly #whenFull: WhenFull;

  /**
   * @param config Who the node is.
   * @param runtime Its files and its clock.
   * @param directory Where its replicas are.
   * @param host Runs them.
   * @param log Is told what was found.
   * @param whenFull Waits for room on the disk.
   */
  constructor(
    config: NodeConfig,
    runtime: NodeRuntime,
    directory: DataDirectory,
    host: ShardHost,
    log: Logger,
    whenFull: WhenFull,
  ) {
    this.#config = config;
    this.#runtime = runtime;
    this.#directory = directory;
    this.#host = host;
    this.#log = log;
    this.#whenFull = whenFull;
  }

  /**
   * Opens the replica of a shard.
   *
   * @param id The shard.
   * @param isFounder Whether one that is made now is one of those that the cluster begins with.
   * @returns The shard, which does not run yet.
   * @throws {CorruptFileError | CorruptRecordError} When it is damaged, and no other node has it.
   */
  async open(id: number, isFounder: boolean): Promise<Shard> {
    const directory = this.#directory;
    const isReplaceable = this.#config.cluster.length > 1;
    if (directory.meta.standing === "member" && !directory.hasShard(id)) {
      const missing = new CorruptFileError(directory.shardDirectory(id), "it is missing");
      if (!isReplaceable) throw missing;
      this.#log.error("A replica is lost; a new one takes its place", { reason: missing.message });
    }
    const newcomer = () => this.#nameReplica();
    try {
      return await this.#open(id, isFounder ? this.#config.nodeId : newcomer);
    } catch (error) {
      if (!isReplaceable || !isDamage(error)) throw error;
      this.#log.error("A replica is given up; a new one takes its place", {
        reason: error.message,
      });
      await directory.giveUp(id);
      return await this.#open(id, newcomer);
    }
  }

  /** Names a new replica, and notes it: where the clock goes back, the next one must have another name. */
  async #nameReplica(): Promise<ReplicaId> {
    const directory = this.#directory;
    const { nodeId } = this.#config;
    const replica = newReplica(nodeId, this.#runtime.clock.now(), directory.meta.newestReplica);
    await directory.setNewestReplica(replica);
    return replica;
  }

  async #open(id: number, replica: ReplicaId | (() => Promise<ReplicaId>)): Promise<Shard> {
    const directory = this.#directory;
    const store = await ShardStore.open(this.#runtime.files, directory.shardDirectory(id), {
      shard: id,
      replica,
      salt: directory.salt,
      whenFull: this.#whenFull,
      configuration: bootstrapConfiguration(this.#config.cluster.map((member) => member.id)),
      ...this.#config.storage,
    });
    for (const { path, offset, bytes } of store.tornTails) {
      this.#log.warn("Cut off what a crash had torn", { path, offset, bytes });
    }
    const { mendedHardState: mended } = store;
    if (mended !== undefined) {
      this.#log.warn("Mended term and vote from their other copy", { path: mended });
    }
    for (const path of store.damagedSnapshots) {
      this.#log.warn("Going on without a snapshot that is damaged", { path });
    }
    const timings = { ...DEFAULT_TIMINGS, ...this.#config.raft };
    const limits = { ...DEFAULT_LIMITS, ...this.#config.limits };
    try {
      return new Shard(id, store, this.#host, timings, limits);
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Sees to it that nobody uses what there is of a shard, whatever becomes of this process. */
  async giveUp({ id, replica }: Shard): Promise<void> {
    const directory = this.#directory;
    await directory.setNewestReplica(replica);
    await directory.giveUp(id);
  }
}

/** Whether what is on the disk of this node cannot be trusted, while that of others can. */
export function isDamage(error: unknown): error is Error {
  return error instanceof CorruptRecordError || error instanceof CorruptFileError ||
    error instanceof ForgottenEntriesError || error instanceof ForgottenTermError ||
    error instanceof StaleReplicaError;
}
