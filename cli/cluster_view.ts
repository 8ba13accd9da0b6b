/**
 * A cluster seen from outside: every node asked for itself, one by one.
 *
 * @module
 */

import type { Client, NodeStatus, ShardStatus } from "../mod.ts";
import { sleep } from "./waiting.ts";

/** A node that does not answer for so long counts as down. */
const answerMs = 1_000;

/**
 * Asks a node how it is.
 *
 * @param client Any client of the cluster.
 * @param address Where the node takes clients.
 * @returns Its answer, or `undefined` if there was none.
 */
export async function statusOf(client: Client, address: string): Promise<NodeStatus | undefined> {
  try {
    return await client.nodeStatus(address, { timeoutMs: answerMs });
  } catch {
    return undefined; // down, or going down: that is an answer as well
  }
}

/** A leader, as it sees itself. */
export interface LeaderView {
  readonly nodeId: number;
  readonly shard: ShardStatus;
}

/**
 * Asks nodes which of them leads a shard.
 *
 * @param client Any client of the cluster.
 * @param addresses The nodes to ask.
 * @param shardId The shard.
 * @returns The one of the newest term that calls itself leader, if any does.
 */
export async function findLeader(
  client: Client,
  addresses: readonly string[],
  shardId: number,
): Promise<LeaderView | undefined> {
  const statuses = await Promise.all(addresses.map((address) => statusOf(client, address)));
  let best: LeaderView | undefined;
  for (const status of statuses) {
    const shard = status?.shards.find((one) => one.id === shardId);
    if (status === undefined || shard?.role !== "leader") continue;
    if (best === undefined || shard.term > best.shard.term) best = { nodeId: status.nodeId, shard };
  }
  return best;
}

/**
 * Asks again and again until a node leads the shard.
 *
 * @param client Any client of the cluster.
 * @param addresses The nodes to ask.
 * @param shardId The shard.
 * @param signal Gives up.
 * @returns The leader.
 * @throws The signal's reason.
 */
export async function waitForLeader(
  client: Client,
  addresses: readonly string[],
  shardId: number,
  signal: AbortSignal,
): Promise<LeaderView> {
  for (;;) {
    signal.throwIfAborted();
    const leader = await findLeader(client, addresses, shardId);
    if (leader !== undefined) return leader;
    await sleep(2, signal);
  }
}
