/**
 * Measures how long publishing pauses when the leader of a cluster of three is killed, and when it is
 * paused, while publishers keep as much under way as they may.
 *
 * `deno run -A tests/process/failover.ts --kills 20 --pauses 5`
 *
 * The pause of a fault is the longest time without a confirmation, of any publisher, from just before
 * the fault until work has gone on for a second.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { GapMeter } from "../../cli/gap_meter.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import { type Client, connect } from "../../mod.ts";
import { Nemesis } from "./nemesis.ts";
import { freePorts } from "../../cli/ports.ts";
import { program } from "./program.ts";
import { pause, until } from "./waiting.ts";

/** What is measured, and under which load. */
interface FailoverOptions {
  readonly kills: number;
  readonly pauses: number;
  readonly publishers: number;
  readonly consumers: number;
  /** Unconfirmed messages of all publishers together. */
  readonly inFlight: number;
  /** Keeps data and logs, each cluster in a directory of its own; nothing is kept where left out. */
  readonly directory: string | undefined;
}

/** A log that grows for ever makes restarts longer: after so many faults there is a new cluster. */
const faultsPerCluster = 5;
const body = new Uint8Array(256).fill(0x2e);

/** Publishers and consumers at full speed. */
class Load implements AsyncDisposable {
  readonly gap = new GapMeter();
  confirmed = 0;
  failed = 0;
  readonly #clients: Client[];
  #isStopped = false;

  constructor(clients: Client[], { publishers, inFlight }: FailoverOptions) {
    this.#clients = clients;
    for (const client of clients.slice(0, publishers)) {
      const queue = client.queue("failover");
      const publish = (): void => {
        if (this.#isStopped) return;
        queue.publish(body).then(() => {
          this.confirmed++;
          this.gap.event(performance.now());
          publish();
        }, () => {
          this.failed++;
          publish();
        });
      };
      for (let i = 0; i < inFlight / publishers; i++) publish();
    }
    for (const client of clients.slice(publishers)) void this.#consume(client);
  }

  static async start(servers: readonly string[], options: FailoverOptions): Promise<Load> {
    const clients: Client[] = [];
    for (let i = 0; i < options.publishers + options.consumers; i++) {
      clients.push(await connect(servers, { name: `failover ${i + 1}` }));
    }
    await clients[0]!.createQueue("failover");
    return new Load(clients, options);
  }

  async progressed(messages: number): Promise<void> {
    const goal = this.confirmed + messages;
    await until(`${messages} more messages were confirmed`, () => this.confirmed >= goal);
  }

  async #consume(client: Client): Promise<void> {
    try {
      for await (const delivery of client.queue("failover").consume({ prefetch: 1_000 })) {
        delivery.ack().catch(() => {}); // the end of the run
      }
    } catch (error) {
      if (!this.#isStopped) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#clients.map((client) => client.close({ timeoutMs: 2_000 })));
  }
}

type FaultKind = "kill" | "pause";

/** Does one fault to the leader. @returns The publish pause in milliseconds. */
async function measure(kind: FaultKind, cluster: LocalCluster, nemesis: Nemesis, load: Load) {
  const node = await nemesis.leadingNode();
  load.gap.restart();
  const done = async (): Promise<number> => {
    await load.progressed(200);
    await pause(1_000);
    return load.gap.longestMs();
  };
  let ms = 0;
  switch (kind) {
    case "kill":
      await node.kill();
      ms = await done();
      await nemesis.restart(node);
      break;
    case "pause":
      node.pause();
      try {
        ms = await done();
      } finally {
        node.resume();
      }
      break;
  }
  for (const one of cluster.nodes) await nemesis.untilLevel(one);
  return ms;
}

/** Measures faults of one kind on as many clusters as it takes. */
async function measureAll(
  kind: FaultKind,
  count: number,
  options: FailoverOptions,
): Promise<number[]> {
  const pauses: number[] = [];
  while (pauses.length < count) {
    await using cluster = await LocalCluster.start({
      ports: freePorts(3),
      program,
      ...(options.directory === undefined
        ? {}
        : { directory: `${options.directory}/${kind}-${pauses.length + 1}` }),
    });
    await using watcher = await connect(cluster.servers, { name: "watcher" });
    const nemesis = new Nemesis(cluster, watcher);
    await using load = await Load.start(cluster.servers, options);
    await load.progressed(5_000);
    const startedAt = performance.now();
    const before = load.confirmed;
    await pause(1_000);
    const rate = (load.confirmed - before) / (performance.now() - startedAt) * 1_000;
    console.log(`${Math.round(rate).toLocaleString("en")} confirmations a second before the fault`);
    for (let fault = 0; fault < faultsPerCluster && pauses.length < count; fault++) {
      const ms = await measure(kind, cluster, nemesis, load);
      pauses.push(ms);
      console.log(
        `${new Date().toISOString()} ${kind} ${pauses.length}: publishing paused for ` +
          `${Math.round(ms)} ms`,
      );
    }
    if (load.failed > 0) console.log(`${load.failed} publishes failed`);
  }
  return pauses;
}

/** The value that a part of the values does not exceed, by the nearest rank. */
function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!;
}

function summary(kind: FaultKind, pauses: readonly number[]): string {
  const sorted = pauses.toSorted((a, b) => a - b);
  const [median, p99, max] = [percentile(sorted, 0.5), percentile(sorted, 0.99), sorted.at(-1)!];
  return `leader ${kind}: median ${Math.round(median)} ms, p99 ${Math.round(p99)} ms, ` +
    `max ${Math.round(max)} ms (${pauses.length} times)`;
}

if (import.meta.main) {
  const given = parseArgs(Deno.args, {
    string: ["kills", "pauses", "publishers", "consumers", "in-flight", "directory"],
  }) as Record<string, string | undefined>;
  const number = (name: string, fallback: number): number => Number(given[name] ?? fallback);
  const options: FailoverOptions = {
    kills: number("kills", 20),
    pauses: number("pauses", 5),
    publishers: number("publishers", 2),
    consumers: number("consumers", 2),
    inFlight: number("in-flight", 1_000),
    directory: given.directory,
  };
  const killed = await measureAll("kill", options.kills, options);
  const paused = await measureAll("pause", options.pauses, options);
  if (killed.length > 0) console.log(summary("kill", killed));
  if (paused.length > 0) console.log(summary("pause", paused));
}
