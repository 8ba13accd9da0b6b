/**
 * One message that nobody acks, and gigabytes that are published and acked behind it: how much disk that
 * takes, and what publishing feels of the log being rewritten.
 *
 * `deno run -A tests/process/head_of_line.ts --gigabytes 10`
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Histogram } from "../../cli/bench/histogram.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import { connect } from "../../mod.ts";
import { ownPlaces } from "../loopback.ts";
import { program } from "./program.ts";
import { pause } from "./waiting.ts";

const BODY = new Uint8Array(4_096).fill(120);

/** Messages that are not confirmed, and those that are not acked yet. */
const IN_FLIGHT = 400;
const BEHIND_MAX = 50_000;

/** How often it is looked how much there is on disk. */
const LOOK_MS = 3_000;

/** Rewriting goes on for a moment. */
const QUIET_MS = 8_000;

/** How many bytes there are in all files of a directory. */
function bytesIn(directory: string): number {
  let bytes = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    try {
      bytes += isDirectory ? bytesIn(path) : Deno.statSync(path).size;
    } catch (error) {
      // It has just been removed.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return bytes;
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

async function measure(gigabytes: number, nodes: number): Promise<void> {
  const total = Math.floor(gigabytes * 2 ** 30 / BODY.length);
  await using cluster = await LocalCluster.start({ nodes, ...ownPlaces(nodes), program });
  const { dataDirectory } = cluster.nodes[0]!.settings;
  await using client = await connect(cluster.servers, { name: "head of line" });
  const queue = client.queue("work");
  await queue.publish("the head");
  const head = (await queue.consume({ prefetch: 1 }).next()).value!;
  const lease = setInterval(() => void head.extendLease(), 10_000);

  let published = 0;
  let acked = 0;
  const latency = new Histogram();
  const consumer = queue.consume({ prefetch: 2_000 });
  const consuming = (async () => {
    for await (const delivery of consumer) void delivery.ack().then(() => acked++);
  })();
  const onDisk: number[] = [];
  const looking = setInterval(() => onDisk.push(bytesIn(dataDirectory)), LOOK_MS);
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (published < total) {
      published++;
      const sentMs = performance.now();
      await queue.publish(BODY);
      latency.record(performance.now() - sentMs);
      while (published - acked > BEHIND_MAX) await pause(5);
    }
  }));
  while (acked < total) await pause(20);
  const seconds = (performance.now() - startedMs) / 1_000;
  clearInterval(looking);
  await consumer.close();
  await consuming;
  await pause(QUIET_MS);
  clearInterval(lease);
  const [p50Ms, p99Ms] = [latency.percentileMs(0.5), latency.percentileMs(0.99)].map(Math.round);
  const maxMs = Math.round(latency.maxMs);
  console.log(
    `${total} messages of 4 KiB published and acked behind one that is not, in ${
      seconds.toFixed(0)
    } s, ` +
      `${nodes} nodes: publishing took ${p50Ms} ms (p50), ${p99Ms} ms (p99), ${maxMs} ms (longest)`,
  );
  console.log(`on disk every ${LOOK_MS / 1_000} s: ${onDisk.map(mebibytes).join(", ")}`);
  console.log(`in the end: ${mebibytes(bytesIn(dataDirectory))}`);
  await head.ack();
}

if (import.meta.main) {
  const { gigabytes, nodes } = parseArgs(Deno.args, {
    string: ["gigabytes", "nodes"],
    default: { gigabytes: "10", nodes: "1" },
  });
  await measure(Number(gigabytes), Number(nodes));
}
