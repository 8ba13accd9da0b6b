/**
 * The harm that the bench can do to a cluster of its own, each kind to whoever leads.
 *
 * @module
 */

import type { Client } from "../../mod.ts";
import { findLeader, statusOf, waitForLeader } from "../cluster_view.ts";
import { CommandError } from "../failures.ts";
import type { LocalCluster } from "../local_cluster.ts";
import type { LocalNode } from "../local_node.ts";
import { sleep } from "../waiting.ts";

/** The kinds, as they are asked for. */
export const faultKinds = ["kill-leader", "pause", "restart"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One line for people about each. */
export const faultSummaries: Readonly<Record<FaultKind, string>> = {
  "kill-leader": "SIGKILL to the leader, and a new start",
  pause: "SIGSTOP to the leader, and SIGCONT",
  restart: "SIGTERM to the leader, and a new start",
};

/** A node that needs longer than this to catch up has failed. */
const levelMs = 60_000;
/** The shard whose leader is harmed. */
const shard = 0;

/** Does harm to the nodes of a local cluster. */
export class Saboteur {
  readonly #cluster: LocalCluster;
  readonly #watcher: Client;
  readonly #signal: AbortSignal;

  /**
   * Makes a saboteur.
   *
   * @param cluster Its victim.
   * @param watcher Asks nodes how they are.
   * @param signal Gives up, wherever it is.
   */
  constructor(cluster: LocalCluster, watcher: Client, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#watcher = watcher;
    this.#signal = signal;
  }

  /**
   * Does harm once, and heals it.
   *
   * @param kind What.
   * @param meanwhile How long the harm lasts: until this has ended.
   * @returns When all nodes run and the harmed one has caught up.
   */
  async harm(kind: FaultKind, meanwhile: () => Promise<void>): Promise<void> {
    const node = await this.#leadingNode();
    switch (kind) {
      case "kill-leader":
        await node.kill();
        await meanwhile();
        await node.start();
        break;
      case "restart":
        await node.stop();
        await meanwhile();
        await node.start();
        break;
      case "pause":
        node.pause();
        try {
          await meanwhile();
        } finally {
          node.resume();
        }
        break;
    }
    await this.#untilLevel(node);
  }

  async #leadingNode(): Promise<LocalNode> {
    const { nodeId } = await waitForLeader(
      this.#watcher,
      this.#cluster.servers,
      shard,
      this.#signal,
    );
    return this.#cluster.node(nodeId);
  }

  async #untilLevel(node: LocalNode): Promise<void> {
    const deadline = performance.now() + levelMs;
    let target: number | undefined;
    for (;;) {
      target ??= (await findLeader(this.#watcher, this.#cluster.servers, shard))?.shard.commitIndex;
      const status = await statusOf(this.#watcher, node.clientAddress);
      const applied = status?.shards.find(({ id }) => id === shard)?.appliedIndex ?? 0;
      if (target !== undefined && applied >= target) return;
      this.#signal.throwIfAborted();
      if (performance.now() > deadline) {
        throw new CommandError(`node ${node.id} did not catch up within ${levelMs / 1_000} s`);
      }
      await sleep(5, this.#signal);
    }
  }
}
