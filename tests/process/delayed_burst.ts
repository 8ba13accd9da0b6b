/**
 * Very many delayed messages that are due at the same moment: how late the last one comes, how much memory
 * the nodes take, and what publishing to another queue feels meanwhile.
 *
 * `deno run -A tests/process/delayed_burst.ts --messages 1000000 --nodes 3`
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Histogram } from "../../cli/bench/histogram.ts";
import { formatBytes, formatMs } from "../../cli/format.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import { processUsage } from "../../cli/process_usage.ts";
import { type Client, connect } from "../../mod.ts";
import { ownPlaces } from "../loopback.ts";
import { program } from "./program.ts";
import { pause } from "./waiting.ts";

const BODY = new Uint8Array(256).fill(120);
const BATCH = 500;
const BATCHES_IN_FLIGHT = 8;
const CONSUMERS = 4;
const PREFETCH = 1_000;

/** How long everything is published before it is due, and how long publishing is looked at before. */
const PUBLISHING_MS_FOR_EACH_MESSAGE = 0.05;
const CALM_MS = 5_000;

/** How often the other queue gets a message. */
const PROBE_EVERY_MS = 10;

async function publishAll(client: Client, total: number, at: Date): Promise<void> {
  const queue = client.queue("delayed");
  let left = total;
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, async () => {
    while (left > 0) {
      const count = Math.min(BATCH, left);
      left -= count;
      await queue.publishBatch(Array.from({ length: count }, () => ({ body: BODY, at })));
    }
  }));
}

/** Publishes to another queue all the time, until it is told to stop. */
class Probe {
  latency = new Histogram();
  #isStopped = false;
  readonly #running: Promise<void>;

  constructor(client: Client) {
    this.#running = (async () => {
      const queue = client.queue("other");
      while (!this.#isStopped) {
        const sentMs = performance.now();
        await queue.publish(BODY);
        this.latency.record(performance.now() - sentMs);
        await pause(PROBE_EVERY_MS);
      }
    })();
  }

  /** What publishing took since this was asked last. */
  take(): string {
    const { latency } = this;
    this.latency = new Histogram();
    const [p50, p99] = [latency.percentileMs(0.5), latency.percentileMs(0.99)];
    return `${formatMs(p50)} (p50), ${formatMs(p99)} (p99), ${formatMs(latency.maxMs)} (longest)`;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }
}

async function measure(total: number, nodes: number): Promise<void> {
  await using cluster = await LocalCluster.start({ nodes, ...ownPlaces(nodes), program });
  const clients = await Promise.all(
    ["publisher", "probe", ...Array.from({ length: CONSUMERS }, (_, i) => `consumer ${i + 1}`)]
      .map((name) => connect(cluster.servers, { name })),
  );
  const [publisher, probing, ...consuming] = clients as [Client, Client, ...Client[]];
  const pids = cluster.nodes.map(({ pid }) => pid!);
  const memory = () => {
    const { memoryBytes, memoryPeakBytes } = processUsage(pids)!;
    return `${formatBytes(memoryBytes / nodes)} now, ${
      formatBytes(memoryPeakBytes / nodes)
    } at most`;
  };
  // All of it is there a while before it is due.
  const dueMs = Date.now() + total * PUBLISHING_MS_FOR_EACH_MESSAGE + 3 * CALM_MS;
  await publishAll(publisher, total, new Date(dueMs));
  const { delayed } = await publisher.queue("delayed").info();
  const leftMs = dueMs - Date.now();
  if (delayed !== total || leftMs < 2 * CALM_MS) {
    throw new Error(`Publishing took too long: ${delayed} are delayed, ${leftMs} ms are left`);
  }
  console.log(`${total} messages are delayed; memory of a node: ${memory()}`);

  const late = new Histogram();
  let early = 0;
  const stop = new AbortController();
  const consumers = consuming.map(async (client) => {
    const queue = client.queue("delayed");
    for await (const delivery of queue.consume({ prefetch: PREFETCH, signal: stop.signal })) {
      const ms = Date.now() - dueMs;
      if (ms < 0) early++;
      late.record(Math.max(0, ms));
      void delivery.ack();
      if (late.count >= total) stop.abort();
    }
  });
  await pause(dueMs - CALM_MS - Date.now());
  const probe = new Probe(probing);
  await pause(dueMs - Date.now());
  console.log(`publishing elsewhere before: ${probe.take()}`);
  await Promise.allSettled(consumers);
  console.log(`publishing elsewhere meanwhile: ${probe.take()}`);
  await probe.stop();
  const [first, median] = [late.percentileMs(0), late.percentileMs(0.5)];
  console.log(
    `${late.count} came, ${early} of them early: the first ${formatMs(first)} late, half within ` +
      `${formatMs(median)}, the last ${formatMs(late.maxMs)} late ` +
      `(${Math.round(total / late.maxMs * 1_000)} messages a second)`,
  );
  console.log(`memory of a node: ${memory()}`);
  await Promise.all(clients.map((client) => client.close()));
}

if (import.meta.main) {
  const { messages, nodes } = parseArgs(Deno.args, {
    string: ["messages", "nodes"],
    default: { messages: "1000000", nodes: "3" },
  });
  await measure(Number(messages), Number(nodes));
}
