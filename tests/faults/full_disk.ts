/**
 * A disk that is full, and has room again later.
 *
 * What a node does meanwhile is its own business: it may end, saying why, or live on and refuse. What must
 * hold either way: no promise is broken that was made before, none is made that is not kept, and once
 * there is room (and the node, where it ended, was started again) everything works.
 *
 * @module
 */

import { findLeader } from "../../cli/cluster_view.ts";
import { LocalCluster } from "../../cli/local_cluster.ts";
import type { LocalNode } from "../../cli/local_node.ts";
import type { SelfCommand } from "../../cli/self_command.ts";
import { type Client, connect } from "../../mod.ts";
import { until } from "../process/waiting.ts";
import { SmallDisk } from "./disks.ts";
import { Load } from "./load.ts";
import { ownPlaces } from "./loopback.ts";

/** What is tried. */
export interface FullDiskOptions {
  readonly program: SelfCommand;
  /** How many nodes; the disk of one of them gets full, that of the leader. */
  readonly nodes: number;
}

/** What came of it. */
export interface FullDiskReport {
  /** How the node ended, or `undefined` where it lived on. */
  readonly ended: string | undefined;
  /** What the node said last. */
  readonly lastWords: string;
  /** What it said when it was started while the disk was still full; `undefined` where it started. */
  readonly refusal: string | undefined;
  /** Messages confirmed before the disk was full, and in all. */
  readonly confirmedBefore: number;
  readonly confirmed: number;
  /** What must not have happened. */
  readonly violations: readonly string[];
}

const enoughKibibytes = 128 * 1024;

/** Room that is left when a disk is made smaller. */
const spareKibibytes = 700;

const sizeArguments = ["--segment-bytes=64KiB", "--snapshot-bytes=256KiB"];

/** Messages that have to be confirmed once there is room again. */
const messagesAfter = 1_000;

function kibibytesIn(directory: string): number {
  let kibibytes = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    kibibytes += isDirectory ? kibibytesIn(path) : Math.ceil(Deno.statSync(path).size / 4_096) * 4;
  }
  return kibibytes;
}

async function leaderOf(cluster: LocalCluster, client: Client): Promise<LocalNode> {
  let nodeId = 0;
  await until("a node leads", async () => {
    nodeId = (await findLeader(client, cluster.servers, 0))?.nodeId ?? 0;
    return nodeId !== 0;
  });
  return cluster.node(nodeId);
}

/** The last line of a node's log. */
function lastWordsOf(node: LocalNode): string {
  return Deno.readTextFileSync(node.settings.logPath).trim().split("\n").at(-1)!;
}

/** Fills the disk of the node that leads, and looks at what becomes of it. */
export async function fillDisk({ program, nodes }: FullDiskOptions): Promise<FullDiskReport> {
  await using stack = new AsyncDisposableStack();
  const disks: SmallDisk[] = [];
  for (let i = 0; i < nodes; i++) disks.push(stack.use(await SmallDisk.make(enoughKibibytes)));
  const cluster = stack.use(
    await LocalCluster.start({
      nodes,
      ...ownPlaces(nodes),
      program,
      serveArguments: sizeArguments,
      adapt: (settings) => {
        const dataDirectory = `${disks[settings.id - 1]!.directory}/data`;
        const serveArguments = [...settings.serveArguments, `--data=${dataDirectory}`];
        return { ...settings, dataDirectory, serveArguments };
      },
    }),
  );
  const client = stack.use(await connect(cluster.servers, { name: "full disk" }));
  const load = new Load(client, { queue: "full", consume: false, stuckMs: 5_000 });
  const { history } = load;
  await load.progressed(500);

  const node = await leaderOf(cluster, client);
  const disk = disks[node.id - 1]!;
  await disk.resize(kibibytesIn(disk.directory) + spareKibibytes);
  // It ends, or nothing is confirmed any more. In a cluster the others may go on, which takes room, too.
  const longEnough = performance.now() + 20_000;
  while (node.running && performance.now() < longEnough && await load.progressed(1));
  const confirmedBefore = history.totals.confirmed;
  const ended = node.running ? undefined : await node.ended();
  const lastWords = lastWordsOf(node);
  if (ended !== undefined && (!/^exit code [1-9]/.test(ended) || !isAboutSpace(lastWords))) {
    history.violation(`the node ended with ${ended}, and said ${JSON.stringify(lastWords)}`);
  }
  const refusal = ended === undefined ? undefined : await startOnFullDisk(node);
  if (refusal !== undefined && !isAboutSpace(refusal)) {
    history.violation(`the node did not start, and said ${JSON.stringify(refusal)}`);
  }

  await disk.resize(enoughKibibytes);
  if (!await goesOn(load, node)) history.violation("publishing did not go on");
  load.stopPublishing();
  load.startConsuming();
  await load.finish();
  const { confirmed } = history.totals;
  return { ended, lastWords, refusal, confirmedBefore, confirmed, violations: history.check() };
}

/** Whether work goes on, now that there is room. The node may have ended while there was none. */
async function goesOn(load: Load, node: LocalNode): Promise<boolean> {
  for (let attempt = 0; attempt < 3; attempt++) {
    if (!node.running) await node.start();
    if (await load.progressed(messagesAfter)) return true;
  }
  return false;
}

function isAboutSpace(words: string): boolean {
  return /no space left/i.test(words);
}

/** @returns Why it does not start, or `undefined` where it does. */
async function startOnFullDisk(node: LocalNode): Promise<string | undefined> {
  try {
    await node.start();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
