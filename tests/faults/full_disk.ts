/**
 * Disks that get full, and have room again later.
 *
 * Meanwhile nodes live on: publishes are refused, with the reason, once a majority has no room, and what is
 * there can be consumed out of what is kept in reserve. Then something else takes even that: all stands
 * still. When there is room again, everything goes on by itself. No promise is broken that was made before,
 * and none is made that is not kept.
 *
 * @module
 */

import { LocalCluster } from "../../cli/local_cluster.ts";
import { findLeader } from "../../cli/cluster_view.ts";
import type { SelfCommand } from "../../cli/self_command.ts";
import { connect, ErrorCode, FlowMQError } from "../../mod.ts";
import { pause, until } from "../process/waiting.ts";
import { SmallDisk } from "./disks.ts";
import { Load } from "./load.ts";
import { ownPlaces } from "../loopback.ts";

/** What is tried. */
export interface FullDiskOptions {
  readonly program: SelfCommand;
  /** How many nodes there are. */
  readonly nodes: number;
  /** Whether the disks of all of them get full, or that of the leader only. */
  readonly all: boolean;
}

/** What came of it. */
export interface FullDiskReport {
  /** Messages confirmed before the disks were full, and in all. */
  readonly confirmedBefore: number;
  readonly confirmed: number;
  /** Messages acked while nothing could be published. */
  readonly ackedMeanwhile: number;
  /** What must not have happened. */
  readonly violations: readonly string[];
}

const enoughKibibytes = 128 * 1024;

/** Room that is left when a disk is made smaller. */
const spareKibibytes = 3_000;

const serveArguments = [
  "--segment-bytes=64KiB",
  "--snapshot-bytes=256KiB",
  "--disk-reserve-bytes=2MiB",
];

/** Messages that have to be acked while nothing can be published, and confirmed once there is room again. */
const messagesAcked = 300;
const messagesAfter = 1_000;

/** How long nothing at all can be written. */
const standstillMs = 2_000;

function kibibytesIn(directory: string): number {
  let kibibytes = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    kibibytes += isDirectory ? kibibytesIn(path) : Math.ceil(Deno.statSync(path).size / 4_096) * 4;
  }
  return kibibytes;
}

/** Fills disks, and looks at what becomes of the cluster. */
export async function fillDisks(
  { program, nodes, all }: FullDiskOptions,
): Promise<FullDiskReport> {
  await using stack = new AsyncDisposableStack();
  const disks: SmallDisk[] = [];
  for (let i = 0; i < nodes; i++) disks.push(stack.use(await SmallDisk.make(enoughKibibytes)));
  const cluster = stack.use(
    await LocalCluster.start({
      nodes,
      ...ownPlaces(nodes),
      program,
      serveArguments,
      adapt: (settings) => {
        const dataDirectory = `${disks[settings.id - 1]!.directory}/data`;
        const serveArguments = [...settings.serveArguments, `--data=${dataDirectory}`];
        return { ...settings, dataDirectory, serveArguments };
      },
    }),
  );
  // It asks for longer than anything stands still here: an ack that fails would come again much later.
  const client = stack.use(await connect(cluster.servers, { name: "full disk" }));
  const load = new Load(client, { queue: "full", consume: false, stuckMs: 10_000 });
  const { history } = load;
  await load.progressed(messagesAcked + 200);

  let leader = 0;
  await until("a node leads", async () => {
    leader = (await findLeader(client, cluster.servers, 0))?.nodeId ?? 0;
    return leader !== 0;
  });
  const filled = all ? disks : [disks[leader - 1]!];
  for (const disk of filled) await disk.resize(kibibytesIn(disk.directory) + spareKibibytes);

  const refusedByAll = all || nodes === 1;
  let ackedMeanwhile = 0;
  if (refusedByAll) {
    await until("nothing is published any more", async () => {
      const before = history.totals.confirmed;
      await pause(1_000);
      return history.totals.confirmed === before;
    });
    const refusal = await client.queue("full").publish("no room", { timeoutMs: 500 })
      .then(() => undefined, (error) => error);
    if (!(refusal instanceof FlowMQError && refusal.code === ErrorCode.diskFull)) {
      history.violation(`with a full disk, publishing ended with ${refusal}`);
    }
    const ackedBefore = history.totals.acked;
    load.startConsuming();
    await until("messages are acked", () => {
      return history.totals.acked - ackedBefore >= messagesAcked;
    });
    ackedMeanwhile = history.totals.acked - ackedBefore;
  } else if (!await load.progressed(messagesAfter)) {
    history.violation("with the disk of one node full, publishing did not go on");
  }
  const confirmedBefore = history.totals.confirmed;

  // Something else takes what was kept.
  const ballast = filled.map((disk) => `${disk.mount}/ballast`);
  for (const path of ballast) fillUp(path);
  await pause(standstillMs);
  for (const path of ballast) await Deno.remove(path);
  for (const disk of filled) await disk.resize(enoughKibibytes);
  if (!await load.progressed(messagesAfter)) history.violation("publishing did not go on");
  for (const node of cluster.nodes) {
    if (!node.running) history.violation(`node ${node.id} ended with ${await node.ended()}`);
  }
  load.stopPublishing();
  load.startConsuming();
  await load.finish();
  const { confirmed } = history.totals;
  return { confirmedBefore, confirmed, ackedMeanwhile, violations: history.check() };
}

/** Writes a file until there is no room for more. */
function fillUp(path: string): void {
  using file = Deno.openSync(path, { write: true, create: true });
  for (let bytes = new Uint8Array(64 << 10); bytes.length > 0;) {
    try {
      file.writeSync(bytes);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOSPC") throw error;
      bytes = bytes.subarray(0, bytes.length >> 1);
    }
  }
}
