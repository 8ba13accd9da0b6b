/**
 * Cuts the leader off without a word, again and again, while messages are published, and measures how long
 * none was confirmed.
 *
 * `deno run -A tests/process/silent_cuts.ts --cuts 20` does it often; `silent_cuts_test.ts` a few times.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { findLeader, statusOf } from "../../cli/cluster_view.ts";
import { GapMeter } from "../../cli/gap_meter.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import { type Client, connect } from "../../mod.ts";
import { OwnNetworks } from "./own_networks.ts";
import { program } from "./program.ts";
import { pause, until } from "./waiting.ts";

/** What is published by each of the publishers before it waits. */
const IN_FLIGHT = 200;

/** How long a leader stays cut off, and how long the cluster is whole before the next cut. */
const CUT_MS = 3_000;
const WHOLE_MS = 1_500;

/** What came of it. */
export interface SilentCuts {
  /** The longest time without a confirmation around each cut, in milliseconds. */
  readonly gapsMs: readonly number[];
  readonly confirmed: number;
  /** Messages that were not confirmed, and why. */
  readonly failures: readonly string[];
}

/**
 * Cuts leaders of a cluster of three nodes off.
 *
 * @param cuts How often.
 * @returns What came of it.
 */
export async function cutLeadersOff(cuts: number): Promise<SilentCuts> {
  await using networks = await OwnNetworks.make(3);
  const { hosts, ports, adapt } = networks;
  await using cluster = await LocalCluster.start({ nodes: 3, hosts, ports, adapt, program });
  await using watcher = await connect(cluster.servers, { name: "watcher" });
  await using client = await connect(cluster.servers, { name: "publisher" });
  const meter = new GapMeter();
  const failures: string[] = [];
  let confirmed = 0;
  let isOver = false;
  const queue = client.queue("cut");
  const publishing = Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (!isOver) {
      await queue.publish("x".repeat(256)).then(() => {
        confirmed++;
        meter.event(performance.now());
      }, (error) => void failures.push(String(error)));
    }
  }));
  const gapsMs: number[] = [];
  for (let i = 0; i < cuts; i++) {
    await pause(WHOLE_MS);
    await until("all nodes keep up", () => isHealthy(watcher, cluster.servers));
    const leader = (await findLeader(watcher, cluster.servers, 0))!.nodeId;
    meter.restart();
    await networks.cut(leader);
    await pause(CUT_MS);
    gapsMs.push(meter.longestMs(performance.now()));
    await networks.mend(leader);
  }
  isOver = true;
  await publishing;
  return { gapsMs, confirmed, failures };
}

/** Whether every node answers and knows who leads. */
async function isHealthy(watcher: Client, servers: readonly string[]): Promise<boolean> {
  const statuses = await Promise.all(servers.map((server) => statusOf(watcher, server)));
  return statuses.every((status) => status?.shards.every(({ leader }) => leader !== 0) ?? false);
}

if (import.meta.main) {
  const { cuts } = parseArgs(Deno.args, { string: ["cuts"], default: { cuts: "20" } });
  const { gapsMs, confirmed, failures } = await cutLeadersOff(Number(cuts));
  const sorted = gapsMs.toSorted((a, b) => a - b).map(Math.round);
  console.log(`${gapsMs.length} cuts, ${confirmed} confirmed, ${failures.length} not`);
  console.log(
    `longest time without a confirmation: median ${sorted[sorted.length >> 1]} ms, ` +
      `max ${sorted.at(-1)} ms; all: ${sorted.join(" ")}`,
  );
  for (const failure of new Set(failures)) console.log(`  ${failure}`);
}
