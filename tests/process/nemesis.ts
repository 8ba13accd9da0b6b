/**
 * Does harm to a cluster of real processes, in small parts with names.
 *
 * Every part leaves the cluster as it found it, with all nodes running and level, except where its name
 * says otherwise.
 *
 * @module
 */

import { findLeader, type LeaderView, statusOf } from "../../cli/cluster_view.ts";
import type { LocalCluster } from "../../cli/local_cluster.ts";
import type { LocalNode } from "../../cli/local_node.ts";
import type { Client } from "../../mod.ts";
import { until, within } from "./waiting.ts";

/** Something that went on working through a fault, to be waited for. */
export type Progress = () => Promise<void>;

/** The adversary. */
export class Nemesis {
  readonly #cluster: LocalCluster;
  readonly #watcher: Client;

  /**
   * Makes an adversary.
   *
   * @param cluster Its victim.
   * @param watcher A client that asks nodes how they are, and does nothing else.
   */
  constructor(cluster: LocalCluster, watcher: Client) {
    this.#cluster = cluster;
    this.#watcher = watcher;
  }

  /** Waits until one of the nodes leads the shard. A paused node must not be asked: it never answers. */
  async leader(
    among: readonly LocalNode[] = this.#cluster.nodes.filter((node) => node.running),
    shard = 0,
  ): Promise<LeaderView> {
    const addresses = among.map((node) => node.clientAddress);
    let leader: LeaderView | undefined;
    await until(`one of ${addresses.join(", ")} leads shard ${shard}`, async () => {
      leader = await findLeader(this.#watcher, addresses, shard);
      return leader !== undefined;
    });
    return leader!;
  }

  /** The node that leads the shard. */
  async leadingNode(): Promise<LocalNode> {
    return this.#cluster.node((await this.leader()).nodeId);
  }

  /** All nodes but one. */
  othersThan(node: LocalNode): LocalNode[] {
    return this.#cluster.nodes.filter((other) => other !== node);
  }

  /** Starts a node that is down. */
  async restart(node: LocalNode): Promise<void> {
    await within(`node ${node.id} is ready again`, node.start());
  }

  /** Waits until a node has applied what is committed by now. */
  async untilLevel(node: LocalNode): Promise<void> {
    const { shard } = await this.leader();
    await until(`node ${node.id} has applied entry ${shard.commitIndex}`, async () => {
      const status = await statusOf(this.#watcher, node.clientAddress);
      return (status?.shards[shard.id]?.appliedIndex ?? 0) >= shard.commitIndex;
    });
  }

  /** SIGKILL to a node; once work goes on without it, it is started again and catches up. */
  async killAndRestart(node: LocalNode, progress: Progress): Promise<void> {
    await node.kill();
    await progress();
    await this.restart(node);
    await this.untilLevel(node);
  }

  /** SIGKILL to one node after the other, round and round. */
  async killInTurn(kills: number, progress: Progress): Promise<void> {
    for (let kill = 0; kill < kills; kill++) {
      await this.killAndRestart(
        this.#cluster.nodes[kill % this.#cluster.nodes.length]!,
        progress,
      );
    }
  }

  /** SIGKILL to all nodes at once; then all are started again. */
  async killAllAndRestart(): Promise<void> {
    await Promise.all(this.#cluster.nodes.map((node) => node.kill()));
    await Promise.all(this.#cluster.nodes.map((node) => this.restart(node)));
    await this.leader();
  }

  /** SIGSTOP to a follower; once work has gone on without it, SIGCONT. */
  async pauseFollower(progress: Progress): Promise<void> {
    const [node] = this.othersThan(await this.leadingNode());
    node!.pause();
    try {
      await progress();
    } finally {
      node!.resume();
    }
    await this.untilLevel(node!);
  }

  /**
   * SIGSTOP to all followers; after some work without them, SIGKILL to the leader. What only the leader
   * had is lost with it until it is started again, which is left to the caller.
   *
   * @param meanwhile What is done while the leader is alone.
   * @returns The node that is down.
   */
  async isolateAndKillLeader(meanwhile: Progress): Promise<LocalNode> {
    const leader = await this.leadingNode();
    const followers = this.othersThan(leader);
    for (const follower of followers) follower.pause();
    try {
      await meanwhile();
      await leader.kill();
    } finally {
      for (const follower of followers) follower.resume();
    }
    await this.leader(followers);
    return leader;
  }

  /**
   * SIGSTOP to the leader; once another node leads and work goes on, SIGCONT.
   *
   * @param progress What has to go on.
   * @returns The leaders before and after.
   */
  async pauseLeader(
    progress: Progress,
  ): Promise<{ readonly before: LeaderView; readonly after: LeaderView }> {
    const before = await this.leader();
    const node = this.#cluster.node(before.nodeId);
    node.pause();
    let after: LeaderView;
    try {
      after = await this.leader(this.othersThan(node));
      await progress();
    } finally {
      node.resume();
    }
    await this.untilLevel(node);
    return { before, after };
  }
}
