/**
 * What a slow part of a cluster costs the others: a follower with a slow disk, a follower that stands still,
 * a consumer that takes its time, a publisher that is faster than the cluster.
 *
 * `deno run -A tests/faults/slow_parts.ts` measures all of it. Rates are compared within one run: stretches
 * with the slow part alternate with stretches without.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { findLeader } from "../../cli/cluster_view.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import type { LocalNode } from "../../cli/local_node.ts";
import { processUsage } from "../../cli/process_usage.ts";
import { type Client, connect } from "../../mod.ts";
import { program } from "../process/program.ts";
import { pause, until } from "../process/waiting.ts";
import { buildShim, shimEnvironment } from "./harm.ts";
import { ownPlaces } from "../loopback.ts";

const BODY = new Uint8Array(256).fill(120);
const QUEUE = "work";
const SLOW_SYNC_MS = 200;

/** Messages of one publisher that are not confirmed. */
const IN_FLIGHT = 1_000;

/** A cluster under load. */
class Scene implements AsyncDisposable {
  readonly cluster: LocalCluster;
  readonly client: Client;
  /** While this file is there, the disk of the node is slow. */
  readonly #slowPaths: readonly string[];
  readonly #directory: string;
  confirmed = 0;
  acked = 0;
  #isOver = false;
  readonly #work: Promise<void>[] = [];

  private constructor(
    cluster: LocalCluster,
    client: Client,
    slowPaths: readonly string[],
    directory: string,
  ) {
    this.cluster = cluster;
    this.client = client;
    this.#slowPaths = slowPaths;
    this.#directory = directory;
  }

  static async begin(): Promise<Scene> {
    const shim = await buildShim();
    const directory = await Deno.makeTempDir({ prefix: "flowmq-slow-" });
    const slowPaths = [1, 2, 3].map((id) => `${directory}/slow-${id}`);
    const cluster = await LocalCluster.start({
      nodes: 3,
      ...ownPlaces(3),
      program,
      adapt: (settings) => {
        const slowSyncs = { ms: SLOW_SYNC_MS, whilePath: slowPaths[settings.id - 1]! };
        const environment = shimEnvironment(shim, { directory: settings.dataDirectory, slowSyncs });
        return { ...settings, environment };
      },
    });
    const client = await connect(cluster.servers, { name: "load" });
    await client.createQueue(QUEUE);
    return new Scene(cluster, client, slowPaths, directory);
  }

  /** Publishes as fast as it goes. */
  publish(publishers = 2): void {
    for (let i = 0; i < publishers * IN_FLIGHT; i++) this.#work.push(this.#publishOn());
  }

  async #publishOn(): Promise<void> {
    const queue = this.client.queue(QUEUE);
    while (!this.#isOver) {
      await queue.publish(BODY);
      this.confirmed++;
    }
  }

  /** Consumes and acks at once. */
  consume(): void {
    this.#work.push((async () => {
      for await (const delivery of this.client.queue(QUEUE).consume({ prefetch: 1_000 })) {
        void delivery.ack().then(() => this.acked++, () => {});
        if (this.#isOver) return;
      }
    })());
  }

  /** A node that does not lead. */
  async follower(): Promise<LocalNode> {
    let leader = 0;
    await until("a node leads", async () => {
      leader = (await findLeader(this.client, this.cluster.servers, 0))?.nodeId ?? 0;
      return leader !== 0;
    });
    return this.cluster.nodes.find(({ id }) => id !== leader)!;
  }

  slowDown({ id }: LocalNode): void {
    Deno.writeTextFileSync(this.#slowPaths[id - 1]!, "");
  }

  speedUp({ id }: LocalNode): void {
    Deno.removeSync(this.#slowPaths[id - 1]!);
  }

  /** What the nodes take of memory, all together. */
  get memoryBytes(): number {
    const pids = this.cluster.nodes.map(({ pid }) => pid!);
    return processUsage(pids)?.memoryBytes ?? NaN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.client.close();
    await Promise.allSettled(this.#work);
    await this.cluster.stop();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** Confirmations, or acks, a second over a stretch of time. */
async function rateOf(count: () => number, ms: number): Promise<number> {
  const [before, startedMs] = [count(), performance.now()];
  await pause(ms);
  return (count() - before) / (performance.now() - startedMs) * 1_000;
}

/** Compares stretches with a slow part and without; the median of the ratios. */
async function compare(
  stretches: number,
  ms: number,
  count: () => number,
  slow: () => Promise<void> | void,
  normal: () => Promise<void> | void,
): Promise<string> {
  const ratios: number[] = [];
  for (let i = 0; i < stretches; i++) {
    const without = await rateOf(count, ms);
    await slow();
    const during = await rateOf(count, ms);
    await normal();
    // Whoever was slow catches up first.
    await pause(ms / 2);
    ratios.push(during / without);
  }
  const sorted = ratios.toSorted((a, b) => a - b);
  const all = ratios.map((ratio) => ratio.toFixed(2)).join(" ");
  return `${(100 * sorted[sorted.length >> 1]!).toFixed(0)} % of the rate without it (${all})`;
}

/** Compares with a follower to which something is done. */
async function withFollower(
  stretches: number,
  ms: number,
  harm: (scene: Scene, node: LocalNode) => void,
  mend: (scene: Scene, node: LocalNode) => void,
): Promise<string> {
  await using scene = await Scene.begin();
  scene.publish();
  const node = await scene.follower();
  await pause(ms);
  return await compare(
    stretches,
    ms,
    () => scene.confirmed,
    () => harm(scene, node),
    () => mend(scene, node),
  );
}

function slowFollower(stretches: number, ms: number): Promise<string> {
  return withFollower(
    stretches,
    ms,
    (scene, node) => scene.slowDown(node),
    (scene, node) => scene.speedUp(node),
  );
}

function pausedFollower(stretches: number, ms: number): Promise<string> {
  return withFollower(stretches, ms, (_, node) => node.pause(), (_, node) => node.resume());
}

async function slowConsumer(stretches: number, ms: number): Promise<string> {
  await using scene = await Scene.begin();
  scene.publish(1);
  for (let i = 0; i < 2; i++) scene.consume();
  await using lazy = await connect(scene.cluster.servers, { name: "lazy" });
  await pause(ms);
  let isOver = false;
  let taking: Promise<void> = Promise.resolve();
  return await compare(stretches, ms, () => scene.acked, () => {
    isOver = false;
    taking = (async () => {
      for await (const delivery of lazy.queue(QUEUE).consume({ prefetch: 100 })) {
        await pause(100);
        await delivery.ack();
        if (isOver) return;
      }
    })();
  }, async () => {
    isOver = true;
    await taking;
  });
}

/** A publisher that never waits for a confirmation. */
async function fastPublisher(seconds: number): Promise<string> {
  await using scene = await Scene.begin();
  for (let i = 0; i < 2; i++) scene.consume();
  scene.publish(4);
  const nodes: number[] = [];
  const own: number[] = [];
  // The first fifth is for caches to fill.
  await pause(seconds * 200);
  const confirmedBefore = scene.confirmed;
  for (let i = 0; i < 16; i++) {
    await pause(seconds * 50);
    nodes.push(Math.round(scene.memoryBytes / 2 ** 20));
    own.push(Math.round(Deno.memoryUsage().rss / 2 ** 20));
  }
  const rate = (scene.confirmed - confirmedBefore) / (seconds * 0.8);
  return `${Math.round(rate)} a second for ${seconds} s; MiB of the three nodes: ${
    nodes.join(" ")
  }; ` +
    `of the publisher's process: ${own.join(" ")}`;
}

if (import.meta.main) {
  const flags = parseArgs(Deno.args, {
    string: ["stretches", "seconds", "flood-seconds"],
    default: { stretches: "5", seconds: "5", "flood-seconds": "300" },
  });
  const [stretches, ms] = [Number(flags.stretches), Number(flags.seconds) * 1_000];
  console.log(
    `a follower's disk takes ${SLOW_SYNC_MS} ms a sync: ${await slowFollower(stretches, ms)}`,
  );
  console.log(`a follower stands still: ${await pausedFollower(stretches, ms)}`);
  console.log(`a consumer takes 100 ms a message: ${await slowConsumer(stretches, ms)}`);
  console.log(`faster than the cluster: ${await fastPublisher(Number(flags["flood-seconds"]))}`);
}
