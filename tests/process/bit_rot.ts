/**
 * Damages one bit of a node's files at a time, and sees that the node finds it, names the file, and
 * gets from the others what it can no longer trust, while publishing goes on.
 *
 * `deno run -A tests/process/bit_rot.ts --flips 200` does it at many places;
 * `bit_rot_test.ts` at a few.
 *
 * A node is stopped in good order before a bit is flipped: after a crash, damage to the very last group
 * of records cannot be told from a torn tail (`docs/FORMAT.md`).
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { statusOf } from "../../cli/cluster_view.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import type { LocalNode } from "../../cli/local_node.ts";
import { type Client, connect } from "../../mod.ts";
import type { History } from "./history.ts";
import { ownPlaces } from "../loopback.ts";
import { Nemesis } from "./nemesis.ts";
import { program } from "./program.ts";
import { until } from "./waiting.ts";
import { Workload } from "./workload.ts";

/** The kinds of file that a node has. */
const KINDS = ["meta", "configuration", "hard state", "segment", "snapshot"] as const;
type Kind = typeof KINDS[number];

/** One damaged bit. */
export interface Flip {
  readonly node: number;
  readonly kind: Kind;
  readonly path: string;
  readonly offset: number;
  readonly bit: number;
  /** What the node said about it when it started. */
  readonly said: string;
  /** Whether the node got a new replica; the others mended a second copy, or went on without it. */
  readonly replaced: boolean;
  /** From the start until the node had its vote and all that is committed, in milliseconds. */
  readonly repairMs: number;
}

/** A cluster whose files get damaged. */
export class BitRot {
  readonly #cluster: LocalCluster;
  readonly #watcher: Client;
  readonly #nemesis: Nemesis;
  readonly #random: () => number;

  /**
   * @param cluster Its victim, all of it running.
   * @param watcher A client that asks nodes how they are, and does nothing else.
   * @param random Chooses nodes and places.
   */
  constructor(cluster: LocalCluster, watcher: Client, random: () => number) {
    this.#cluster = cluster;
    this.#watcher = watcher;
    this.#nemesis = new Nemesis(cluster, watcher);
    this.#random = random;
  }

  /**
   * Damages a bit of a node, and waits until all is well again.
   *
   * @param kind In what kind of file; the next one where there is none of it.
   * @returns What happened.
   */
  async flip(kind: Kind): Promise<Flip> {
    const node = this.#cluster.node(1 + this.#below(this.#cluster.nodes.length));
    await node.stop();
    const place = this.#damage(node, kind);
    const logBefore = Deno.statSync(node.settings.logPath).size;
    const startedAt = performance.now();
    await this.#nemesis.restart(node);
    await until(`node ${node.id} has a vote again`, async () => {
      const status = await statusOf(this.#watcher, node.clientAddress);
      return status?.shards.every(({ role }) => role !== "learner") ?? false;
    });
    await this.#nemesis.untilLevel(node);
    const repairMs = performance.now() - startedAt;
    const log = new TextDecoder().decode(
      Deno.readFileSync(node.settings.logPath).subarray(logBefore),
    );
    const said = log.split("\n").find((line) => line.includes(place.path));
    if (said === undefined) {
      throw new Error(
        `Node ${node.id} did not say that ${place.path} is damaged at ${place.offset}:\n${log}`,
      );
    }
    await until(`node ${node.id} has discarded what it gave up`, () => {
      return [...Deno.readDirSync(node.settings.dataDirectory)]
        .every(({ name }) => !name.startsWith("lost-"));
    });
    return { node: node.id, ...place, said, replaced: said.includes("given up"), repairMs };
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #damage(node: LocalNode, kind: Kind) {
    const files = filesOf(node.settings.dataDirectory);
    const start = KINDS.indexOf(kind);
    const found = KINDS.map((_, i) => KINDS[(start + i) % KINDS.length]!)
      .find((one) => files[one].length > 0)!;
    const path = files[found][this.#below(files[found].length)]!;
    const bytes = Deno.readFileSync(path);
    const offset = found === "hard state"
      ? newestSlot(bytes) + this.#below(SLOT_BYTES)
      : this.#below(bytes.length);
    const bit = this.#below(8);
    bytes[offset]! ^= 1 << bit;
    Deno.writeFileSync(path, bytes);
    return { kind: found, path, offset, bit };
  }
}

const SLOT_BYTES = 64;
const SLOT_DISTANCE = 4_096;

/** Where the slot is that counts: damage to the other one changes nothing. */
function newestSlot(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer);
  const generation = (slot: number) =>
    slot + 16 <= bytes.length ? view.getBigUint64(slot + 8, true) : 0n;
  return generation(0) > generation(SLOT_DISTANCE) ? 0 : SLOT_DISTANCE;
}

/** What there is in a data directory, by kind. */
function filesOf(directory: string): Record<Kind, string[]> {
  const files: Record<Kind, string[]> = {
    "meta": [`${directory}/meta`],
    "configuration": [],
    "hard state": [],
    "segment": [],
    "snapshot": [],
  };
  const walk = (path: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      const inner = `${path}/${name}`;
      if (isDirectory) walk(inner);
      else if (name === "configuration") files.configuration.push(inner);
      else if (name.startsWith("hard-state-")) files["hard state"].push(inner);
      else if (name.endsWith(".seg")) files.segment.push(inner);
      else if (name.endsWith(".snap")) files.snapshot.push(inner);
    }
  };
  walk(directory);
  return files;
}

/**
 * Damages a cluster of three again and again while messages are published and consumed.
 *
 * @param cluster The cluster.
 * @param flips How many bits.
 * @param tell Told of each.
 * @returns What publishers and consumers saw.
 */
export async function rotWhileWorking(
  cluster: LocalCluster,
  flips: number,
  tell: (flip: Flip) => void = () => {},
): Promise<History> {
  const clients: Client[] = [];
  const connectOne = async (name: string) => {
    const client = await connect(cluster.servers, { name });
    clients.push(client);
    return client;
  };
  await using workload = await Workload.start(connectOne, {
    publishers: 2,
    consumers: 2,
    inFlight: 20,
    ratePerSecond: 500,
  });
  const rot = new BitRot(cluster, await connectOne("watcher"), Math.random);
  for (let i = 0; i < flips; i++) {
    tell(await rot.flip(KINDS[i % KINDS.length]!));
    await workload.progressed(50);
  }
  await workload.finish();
  await Promise.all(clients.map((client) => client.close()));
  return workload.history;
}

/** Makes every node write a snapshot, so that there is one to damage. */
export async function fillUntilSnapshot(cluster: LocalCluster): Promise<void> {
  await using client = await connect(cluster.servers, { name: "filler" });
  const queue = client.queue("filler");
  const body = new Uint8Array(256 << 10);
  const hasSnapshot = (node: LocalNode) => filesOf(node.settings.dataDirectory).snapshot.length > 0;
  await until("every node has a snapshot", async () => {
    await Promise.all(Array.from({ length: 16 }, () => queue.publish(body)));
    return cluster.nodes.every(hasSnapshot);
  });
}

if (import.meta.main) {
  const { flips = "200" } = parseArgs(Deno.args, { string: ["flips"] });
  await using cluster = await LocalCluster.start({ nodes: 3, ...ownPlaces(3), program });
  await fillUntilSnapshot(cluster);
  const counts = new Map<string, { flips: number; replaced: number; ms: number[] }>();
  const history = await rotWhileWorking(cluster, Number(flips), ({ kind, replaced, repairMs }) => {
    const count = counts.get(kind) ?? { flips: 0, replaced: 0, ms: [] };
    counts.set(kind, count);
    count.flips++;
    if (replaced) count.replaced++;
    count.ms.push(repairMs);
  });
  for (const [kind, { flips, replaced, ms }] of counts) {
    ms.sort((a, b) => a - b);
    console.log(
      `${kind}: ${flips} bits, all found and named; ${replaced} replicas replaced; ` +
        `well again after ${ms[ms.length >> 1]!.toFixed(0)} ms (median), ` +
        `${ms.at(-1)!.toFixed(0)} ms (longest)`,
    );
  }
  console.log(history.summary());
  const problems = history.check();
  for (const problem of problems) console.log(`PROBLEM: ${problem}`);
  Deno.exit(problems.length > 0 ? 1 : 0);
}
