/**
 * Power cuts at moments that nobody has chosen: nodes at work, each with its data on a file system of its
 * own, lose all that is not on their disks, one of them or all at once, again and again.
 *
 * @module
 */

import { LocalCluster } from "../../cli/local_cluster.ts";
import type { LocalNode } from "../../cli/local_node.ts";
import type { SelfCommand } from "../../cli/self_command.ts";
import { connect } from "../../mod.ts";
import { pause, until } from "../process/waiting.ts";
import { LoopDisk } from "./disks.ts";
import { buildShim, shimEnvironment } from "./harm.ts";
import { Load } from "./load.ts";
import { ownPlaces } from "../loopback.ts";

/** What is tried. */
export interface PowerCutOptions {
  readonly program: SelfCommand;
  /** How many nodes. */
  readonly nodes: number;
  /** Whether all of them lose their power at the same time, or one after the other. */
  readonly all: boolean;
  /** How often. */
  readonly cuts: number;
  /** Syncs do nothing: then something must be lost. @default {false} */
  readonly noSyncs?: boolean;
  /** Where the images of the disks are; in memory where left out. */
  readonly root?: string | undefined;
}

/** What came of it. */
export interface PowerCutReport {
  /** Cuts that were made. */
  readonly cuts: number;
  readonly confirmed: number;
  readonly redelivered: number;
  /** What must not have happened. */
  readonly violations: readonly string[];
}

const sizeArguments = [
  "--segment-bytes=256KiB",
  "--snapshot-bytes=1MiB",
  "--disk-reserve-bytes=1MiB",
];

/** A cut comes at some moment within this time after work has gone on. */
const cutMsMax = 400;

/** Messages between two cuts, at least. */
const messagesBetween = 500;

/** Nodes that lie on disks whose power can be cut. */
class PoweredCluster implements AsyncDisposable {
  readonly cluster: LocalCluster;
  readonly #disks: readonly LoopDisk[];

  private constructor(cluster: LocalCluster, disks: readonly LoopDisk[]) {
    this.cluster = cluster;
    this.#disks = disks;
  }

  static async start({ program, nodes, noSyncs = false, root }: PowerCutOptions) {
    const shim = await buildShim();
    const disks: LoopDisk[] = [];
    for (let i = 0; i < nodes; i++) disks.push(await LoopDisk.make(128, root));
    const cluster = await LocalCluster.start({
      nodes,
      ...ownPlaces(nodes),
      program,
      serveArguments: sizeArguments,
      adapt: (settings) => {
        const { directory } = disks[settings.id - 1]!;
        const dataDirectory = `${directory}/data`;
        return {
          ...settings,
          dataDirectory,
          serveArguments: [...settings.serveArguments, `--data=${dataDirectory}`],
          environment: shimEnvironment(shim, { directory, logPath: "/dev/null", noSyncs }),
        };
      },
    });
    return new PoweredCluster(cluster, disks);
  }

  /** Cuts the power of nodes, and brings it back. @returns The last words of nodes that do not start. */
  async cut(nodes: readonly LocalNode[]): Promise<string[]> {
    const disks = nodes.map(({ id }) => this.#disks[id - 1]!);
    // A machine without power makes no promises. A process that ran on for a moment could: of a sync that
    // is under way when ext4 is shut down, Linux (6.18) now and then says that all is well, and it is not.
    await Promise.all(nodes.map(stopInItsTracks));
    for (const disk of disks) disk.cutPower();
    await Promise.all(nodes.map((node) => node.kill()));
    await Promise.all(disks.map((disk) => disk.recover()));
    const starts = await Promise.allSettled(nodes.map((node) => node.start()));
    return starts.filter((start) => start.status === "rejected")
      .map(({ reason }) => (reason as Error).message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
    for (const disk of this.#disks) await disk[Symbol.asyncDispose]();
  }
}

/** Stops a process, and waits until all of its threads stand still, or are busy in the kernel. */
async function stopInItsTracks(node: LocalNode): Promise<void> {
  node.pause();
  const tasks = `/proc/${node.pid}/task`;
  await until("all threads stand still", () => {
    for (const { name } of Deno.readDirSync(tasks)) {
      const stat = Deno.readTextFileSync(`${tasks}/${name}/stat`);
      // The name in brackets may hold anything; the state comes behind it.
      if (!["T", "D"].includes(stat.slice(stat.lastIndexOf(")") + 2)[0]!)) return false;
    }
    return true;
  });
}

/** Cuts the power as often as it is told, and looks at what became of what was confirmed. */
export async function cutPower(options: PowerCutOptions): Promise<PowerCutReport> {
  await using powered = await PoweredCluster.start(options);
  const { cluster } = powered;
  await using client = await connect(cluster.servers, { name: "power cuts" });
  const load = new Load(client, { queue: "powered", inFlight: 200, stuckMs: 15_000 });
  const { history } = load;
  let cuts = 0;
  while (cuts < options.cuts && await load.progressed(messagesBetween)) {
    await pause(Math.random() * cutMsMax);
    const victims = options.all
      ? cluster.nodes
      : [cluster.nodes[Math.floor(Math.random() * cluster.nodes.length)]!];
    cuts++;
    const failures = await powered.cut(victims);
    for (const failure of failures) history.violation(`after cut ${cuts}: ${failure}`);
    if (failures.length > 0) break;
  }
  load.stopPublishing();
  await load.finish();
  const { confirmed, redelivered } = history.totals;
  return { cuts, confirmed, redelivered, violations: history.check() };
}
