/**
 * One tenant publishes very many messages at once, another one a message every few milliseconds: how
 * long those of the other wait, from their publish to a consumer, before, during and after the flood;
 * without fair keys, and with them.
 *
 * `deno run -A tests/process/tenant_flood.ts --messages 100000 --nodes 3`
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Histogram } from "../../cli/bench/histogram.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import { type Client, connect } from "../../mod.ts";
import { ownPlaces } from "../loopback.ts";
import { program } from "./program.ts";
import { pause } from "./waiting.ts";

const EVERY_MS = 10;
const CONSUMERS = 4;
/** What a consumer has in hand waits for it alone. */
const PREFETCH = 50;
/** Before and behind the flood. */
const CALM_MS = 2_000;

interface Waits {
  readonly before: Histogram;
  readonly during: Histogram;
  readonly after: Histogram;
}

/** Floods a queue, and measures how long the messages of another tenant wait. */
async function flood(client: Client, fairKeys: boolean, messages: number): Promise<Waits> {
  const name = fairKeys ? "fair" : "fifo";
  await client.createQueue(name, { fairKeys });
  const queue = client.queue(name);
  const waits = { before: new Histogram(), during: new Histogram(), after: new Histogram() };
  let phase: keyof Waits = "before";
  let flooded = 0;
  const consumers = Array.from({ length: CONSUMERS }, () => queue.consume({ prefetch: PREFETCH }));
  const consuming = consumers.map(async (consumer) => {
    for await (const delivery of consumer) {
      if (delivery.key === "flood") {
        flooded++;
        // So that consumers are what is short: each does ten messages in a millisecond, about.
        if (flooded % 10 === 0) await pause(1);
      } else {
        const { phase: of, sentMs } = JSON.parse(delivery.text());
        waits[of as keyof Waits].record(performance.now() - sentMs);
      }
      void delivery.ack();
    }
  });
  const sending = setInterval(() => {
    const body = JSON.stringify({ phase, sentMs: performance.now() });
    void queue.publish(body, { key: "calm" });
  }, EVERY_MS);
  await pause(CALM_MS);
  phase = "during";
  const startedMs = performance.now();
  const batch = Array.from({ length: 1_000 }, () => ({ body: "x".repeat(100), key: "flood" }));
  for (let sent = 0; sent < messages; sent += batch.length) await queue.publishBatch(batch);
  while (flooded < messages) await pause(10);
  console.log(`${name}: the flood took ${Math.round(performance.now() - startedMs)} ms`);
  phase = "after";
  await pause(CALM_MS);
  clearInterval(sending);
  await Promise.all(consumers.map((consumer) => consumer.close()));
  await Promise.all(consuming);
  return waits;
}

if (import.meta.main) {
  const { messages, nodes } = parseArgs(Deno.args, {
    string: ["messages", "nodes"],
    default: { messages: "100000", nodes: "1" },
  });
  const count = Number(nodes);
  await using cluster = await LocalCluster.start({ nodes: count, ...ownPlaces(count), program });
  await using client = await connect(cluster.servers, { name: "tenants" });
  for (const fairKeys of [false, true]) {
    const waits = await flood(client, fairKeys, Number(messages));
    for (const [phase, wait] of Object.entries(waits) as [string, Histogram][]) {
      const [p50, p99] = [wait.percentileMs(0.5), wait.percentileMs(0.99)];
      console.log(
        `${fairKeys ? "fair" : "fifo"}, ${phase}: ${wait.count} messages waited ` +
          `${p50.toFixed(1)} ms (p50), ${p99.toFixed(1)} ms (p99), ` +
          `${wait.maxMs.toFixed(1)} ms (longest)`,
      );
    }
  }
}
