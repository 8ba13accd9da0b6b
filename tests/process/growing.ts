/**
 * A queue gets more partitions while publishers and consumers are busy with it: how long nothing is
 * confirmed, how long nothing is delivered, how long messages wait, and how long it takes until the new
 * partitions hold nothing back; with a backlog or without. Each key is checked to keep its order.
 *
 * `deno run -A tests/process/growing.ts --from 4 --to 16 --nodes 3 --backlog 100000`
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Histogram } from "../../cli/bench/histogram.ts";
import { GapMeter } from "../../cli/gap_meter.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import { type Client, connect } from "../../mod.ts";
import { ownPlaces } from "../loopback.ts";
import { program } from "./program.ts";
import { pause, until } from "./waiting.ts";

const KEYS = 1_000;
const PUBLISHERS = 4;
const CONSUMERS = 4;
const UNDER_WAY = 250;
const CALM_MS = 3_000;
const WAIT_S = 600;
const NAME = "growing";

/** What one phase was like. */
class Phase {
  readonly waits = new Histogram();
  readonly confirms = new GapMeter();
  readonly deliveries = new GapMeter();
}

/** Publishers and consumers of one queue, and what they see. */
class Traffic {
  phase = new Phase();
  isOver = false;
  published = 0;
  acked = 0;
  readonly #newest = new Map<string, number>();

  async publish(client: Client, publisher: number): Promise<void> {
    const queue = client.queue(NAME);
    let underWay = 0;
    for (let number = 0; !this.isOver; number++) {
      while (underWay >= UNDER_WAY) await pause(1);
      underWay++;
      const key = `${publisher}-${number % (KEYS / PUBLISHERS)}`;
      const body = JSON.stringify({ number, sentMs: performance.now() });
      void queue.publish(body, { key }).then(() => {
        underWay--;
        this.published++;
        this.phase.confirms.event(performance.now());
      });
      if (number % 50 === 0) await pause(0);
    }
    while (underWay > 0) await pause(1);
  }

  async consume(client: Client): Promise<void> {
    for await (const delivery of client.queue(NAME).consume({ prefetch: 1_000 })) {
      const { number, sentMs } = JSON.parse(delivery.text());
      const nowMs = performance.now();
      if (number >= 0) {
        const newest = this.#newest.get(delivery.key!) ?? -1;
        if (number < newest) throw new Error(`${delivery.key}: ${number} came after ${newest}`);
        this.#newest.set(delivery.key!, number);
        this.phase.waits.record(nowMs - sentMs);
      }
      this.phase.deliveries.event(nowMs);
      void delivery.ack().then(() => this.acked++);
    }
  }
}

function tell(what: string, { waits, confirms, deliveries }: Phase): void {
  console.log(
    `${what}: ${waits.count} messages waited ${waits.percentileMs(0.5).toFixed(1)} ms (p50), ` +
      `${waits.percentileMs(0.99).toFixed(1)} ms (p99), ${waits.maxMs.toFixed(1)} ms (longest); ` +
      `nothing confirmed for ${confirms.longestMs().toFixed(1)} ms, ` +
      `nothing delivered for ${deliveries.longestMs().toFixed(1)} ms, at the longest`,
  );
}

if (import.meta.main) {
  const flags = parseArgs(Deno.args, {
    string: ["from", "to", "nodes", "backlog"],
    default: { from: "4", to: "16", nodes: "3", backlog: "0" },
  });
  const [from, to, nodes, backlog] = [flags.from, flags.to, flags.nodes, flags.backlog].map(Number);
  await using cluster = await LocalCluster.start({ nodes: nodes!, ...ownPlaces(nodes!), program });
  const open = (name: string) => connect(cluster.servers, { name });
  await using admin = await open("admin");
  await admin.createQueue(NAME, { partitions: from!, order: "key" });
  for (let sent = 0; sent < backlog!; sent += 1_000) {
    const body = JSON.stringify({ number: -1, sentMs: 0 });
    const batch = Array.from({ length: 1_000 }, (_, i) => ({ body, key: `old-${i}` }));
    await admin.queue(NAME).publishBatch(batch);
  }
  const traffic = new Traffic();
  const clients = await Promise.all(
    Array.from({ length: PUBLISHERS + CONSUMERS }, (_, i) => open(`client ${i}`)),
  );
  const publishing = clients.slice(0, PUBLISHERS).map((one, i) => traffic.publish(one, i));
  const consuming = clients.slice(PUBLISHERS).map((one) => traffic.consume(one));
  if (backlog === 0) await pause(CALM_MS);
  tell("before", traffic.phase);
  traffic.phase = new Phase();
  const startedMs = performance.now();
  await admin.editQueue(NAME, { partitions: to! });
  console.log(`${from} to ${to} partitions: answered after ${since(startedMs)}`);
  const isOver = async () => (await admin.queue(NAME).info()).growingFrom === undefined;
  await until("the queue has grown", isOver, WAIT_S);
  console.log(`over after ${since(startedMs)}`);
  await pause(1_000);
  tell("meanwhile", traffic.phase);
  traffic.phase = new Phase();
  await pause(CALM_MS);
  tell("after", traffic.phase);
  traffic.isOver = true;
  await Promise.all(publishing);
  const isAllAcked = () => traffic.acked === traffic.published + backlog!;
  await until("everything is acked", isAllAcked, WAIT_S);
  console.log(`${traffic.published} published and acked, each key in its order`);
  await Promise.all(clients.map((one) => one.close()));
  await Promise.all(consuming);
}

function since(startedMs: number): string {
  return `${Math.round(performance.now() - startedMs)} ms`;
}
