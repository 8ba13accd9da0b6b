/**
 * Compares the replicas of every shard: all nodes hash the state of their machine at the same place in the
 * log.
 *
 * Each node is asked for the hash at a mark that is not in the log yet; once all of them wait for it, the
 * mark is put there. So it does not matter how far each of them is, or how much is going on.
 *
 * @module
 */

import type { NodeInfo } from "../wire/mod.ts";
import { parseAddress } from "./address.ts";
import { type Connection, expectReply } from "./connection.ts";
import type { ClientCore, WaitOptions } from "./core.ts";
import { sleep } from "./waiting.ts";

/** What a node says about its replica of a shard. */
export interface ReplicaHash {
  readonly nodeId: number;
  /** Where the node takes clients, `null` while nobody knows. */
  readonly address: string | null;
  /** The hash of its state, or `undefined` where it did not say. */
  readonly hash: string | undefined;
  /** The log index that the state is that of. */
  readonly index: number | undefined;
  /** Why there is no hash. */
  readonly problem: string | undefined;
}

/** The replicas of a shard at one moment. */
export interface ShardComparison {
  readonly shard: number;
  /** One a node, by its number. */
  readonly replicas: readonly ReplicaHash[];
}

/** Marks of two comparisons are different ones. */
const markMax = 2 ** 52;

type Answer = Pick<ReplicaHash, "hash" | "index" | "problem">;

/**
 * Compares the replicas of every shard.
 *
 * @param core The client.
 * @param options How long to wait for the nodes.
 * @returns What each node says, shard by shard.
 * @throws {RequestTimeoutError} when a shard has no leader.
 */
export async function compareReplicas(
  core: ClientCore,
  options: WaitOptions,
): Promise<ShardComparison[]> {
  const patienceMs = options.timeoutMs ?? core.settings.requestTimeoutMs;
  await core.cluster.acquireAny(options.signal);
  const { nodes, shards } = await core.cluster.metadata();
  const mark = Math.floor(core.runtime.random() * markMax);
  const shardIds = shards.map(({ id }) => id);
  const answers = await Promise.all(
    nodes.map((node) => askNode(core, node, shardIds, mark, patienceMs)),
  );
  for (const id of shardIds) {
    await core.call(`mark shard ${id}`, { kind: "markState", mark }, id, "done", options);
  }
  return await Promise.all(shardIds.map(async (shard) => ({
    shard,
    replicas: await Promise.all(nodes.map(async ({ id, address }, i) => ({
      nodeId: id,
      address,
      ...await inTime(core, patienceMs, answers[i]!.get(shard)!),
    }))),
  })));
}

/** Makes a node wait for the mark in all its shards. @returns Its answers, which never reject. */
async function askNode(
  core: ClientCore,
  { address }: NodeInfo,
  shards: readonly number[],
  mark: number,
  patienceMs: number,
): Promise<Map<number, Promise<Answer>>> {
  let answers = new Map<number, Promise<Answer>>();
  const asked = (async (): Promise<Answer> => {
    if (address === null) return refusal("its address is not known");
    const connection = await core.cluster.connectTo(parseAddress(address));
    answers = new Map(shards.map((shard) => [shard, hashOf(connection, shard, mark)]));
    // Requests are taken in their order: once this one is answered, the node waits for the mark.
    await connection.request({ kind: "ping" }, 0);
    return refusal("");
  })();
  const { problem } = await inTime(core, patienceMs, asked.catch(refusalOf));
  if (problem === "") return answers;
  return new Map(shards.map((shard) => [shard, Promise.resolve(refusal(problem!))]));
}

async function hashOf(connection: Connection, shard: number, mark: number): Promise<Answer> {
  try {
    const request = { kind: "stateHash", mark } as const;
    const reply = expectReply(await connection.request(request, shard), "stateHashReply");
    return { hash: reply.hash, index: reply.index, problem: undefined };
  } catch (error) {
    return refusalOf(error);
  }
}

/** An answer that comes too late is none. */
async function inTime(core: ClientCore, ms: number, answer: Promise<Answer>): Promise<Answer> {
  const patience = new AbortController();
  const late = sleep(core.runtime.clock, ms, patience.signal)
    .then(() => refusal("it does not answer"), () => refusal(""));
  try {
    return await Promise.race([answer, late]);
  } finally {
    patience.abort();
  }
}

function refusal(problem: string): Answer {
  return { hash: undefined, index: undefined, problem };
}

function refusalOf(error: unknown): Answer {
  return refusal(error instanceof Error ? error.message : String(error));
}
