/**
 * Gathers what is needed to explain why messages are not being delivered.
 *
 * @module
 */

import { isRetryable, type NodeStatus } from "../wire/mod.ts";
import type { Client } from "./client.ts";
import type { WaitOptions } from "./core.ts";
import { FlowMQError, QueueNotFoundError, RequestTimeoutError } from "./errors.ts";
import {
  explainEmpty,
  explainMessage,
  explainShard,
  type Explanation,
  type ShardWitness,
} from "./explanation.ts";
import { formatMessageId, parseMessageId } from "./message_id.ts";
import type { PartitionActivity } from "./look.ts";
import type { PeekedMessage } from "./peek.ts";

/** An election takes less: a shard that does not answer for so long is not well. */
const PATIENCE_MS = 3_000;
/** A node that does not answer for so long counts as unreachable. */
const NODE_PATIENCE_MS = 1_000;

/**
 * Explains a queue or a message.
 *
 * @param client The client.
 * @param target A queue, or the id of a message.
 * @param options How long to wait.
 * @returns One explanation, or one for each partition of the queue in which something waits.
 */
export async function explain(
  client: Client,
  target: string,
  options: WaitOptions,
): Promise<Explanation[]> {
  const patient = { ...options, timeoutMs: Math.min(options.timeoutMs ?? Infinity, PATIENCE_MS) };
  try {
    if (parseMessageId(target) === undefined) return await explainQueue(client, target, patient);
    try {
      return [await explainOne(client, target, patient)];
    } catch (error) {
      // A queue may have a name that looks like the id of a message.
      if (!(error instanceof QueueNotFoundError)) throw error;
      return await explainQueue(client, target, patient).catch(() => Promise.reject(error));
    }
  } catch (error) {
    const isSilent = error instanceof RequestTimeoutError ||
      error instanceof FlowMQError && isRetryable(error.code);
    if (!isSilent) throw error;
    const explanations = await explainShards(client, options);
    if (explanations.length === 0) throw error;
    return explanations;
  }
}

async function explainOne(client: Client, id: string, options: WaitOptions): Promise<Explanation> {
  const report = await client.message(id, options);
  const activity = await client.queue(report.queue).activity(options);
  return explainMessage(report, activity.find((one) => one.partition === report.partition)!);
}

async function explainQueue(
  client: Client,
  name: string,
  options: WaitOptions,
): Promise<Explanation[]> {
  const activity = await client.queue(name).activity(options);
  const found = await Promise.all(activity.map(async (partition) => {
    const message = await nextOf(client, name, partition, options);
    return message && explainMessage(
      {
        id: formatMessageId(message),
        queue: name,
        partition: message.partition,
        offset: message.offset,
        state: message.state,
        nextOffset: message.offset + 1,
        nowMs: partition.nowMs,
        message,
      },
      partition,
    );
  }));
  const explanations = found.filter((one) => one !== undefined);
  return explanations.length > 0 ? explanations : [explainEmpty(name)];
}

/** The oldest message that is ready, or else the oldest that there is. */
async function nextOf(
  client: Client,
  name: string,
  { partition, oldestAtMs }: PartitionActivity,
  options: WaitOptions,
): Promise<PeekedMessage | undefined> {
  if (oldestAtMs === undefined) return undefined;
  const queue = client.queue(name);
  for (const state of ["ready", "leased", "delayed"] as const) {
    const only = { ...options, partition, state, pageSize: 1 };
    for await (const message of queue.peek(only)) return message;
  }
  return undefined;
}

/** Asks every node, and explains each shard that has no leader which others follow. */
async function explainShards(client: Client, options: WaitOptions): Promise<Explanation[]> {
  const { nodes, shards } = await client.metadata(options);
  const statuses = await Promise.all(nodes.map(({ address }) => statusOf(client, address)));
  return shards.flatMap(({ id }) => {
    const witnesses = nodes.map((node, i): ShardWitness => ({
      id: node.id,
      address: node.address,
      shard: statuses[i]?.shards.find((one) => one.id === id),
    }));
    return isServed(witnesses) ? [] : [explainShard(id, witnesses)];
  });
}

/** Whether some node leads, and a majority of all nodes follows it. */
function isServed(witnesses: readonly ShardWitness[]): boolean {
  return witnesses.some(({ id, shard }) => {
    if (shard?.role !== "leader") return false;
    const followers = witnesses.filter((witness) => witness.shard?.leader === id).length;
    return followers * 2 > witnesses.length;
  });
}

async function statusOf(client: Client, address: string | null): Promise<NodeStatus | undefined> {
  if (address === null) return undefined;
  try {
    return await client.nodeStatus(address, { timeoutMs: NODE_PATIENCE_MS });
  } catch {
    return undefined; // that is an answer as well
  }
}
