/**
 * `flowmq dev`: a cluster on this machine, of real processes, until Ctrl-C.
 *
 * @module
 */

import { SHARDS_MAX } from "../../broker/config.ts";
import { defineCommand } from "../command.ts";
import { jsonFlag } from "../common_flags.ts";
import { type DevLayout, readLayout, writeLayout } from "../dev_layout.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError, UsageError } from "../failures.ts";
import { type FlagValues, integerFlag, textFlag } from "../flags.ts";
import { formatMany, formatTable } from "../format.ts";
import { LocalCluster } from "../local_cluster.ts";
import { isPortFree, portsFrom } from "../ports.ts";
import type { Terminal } from "../terminal.ts";
import { aborted } from "../waiting.ts";

const flags = {
  nodes: integerFlag({
    help: "How many nodes; an even number survives no more losses than the odd one below it.",
    minimum: 1,
    maximum: 9,
    default: 3,
  }),
  data: textFlag({
    valueName: "DIR",
    help: "Keep data, logs and ports here for the next start. Without it all is gone in the end.",
  }),
  basePort: integerFlag({
    help: "Where ports begin; each node takes the next ten, ports in use are passed over.",
    minimum: 1,
    maximum: 65_000,
    default: 7_400,
  }),
  shards: integerFlag({
    help: "How many Raft groups share the queues.",
    minimum: 1,
    maximum: SHARDS_MAX,
    default: 1,
  }),
  json: jsonFlag,
};

type Given = ReadonlySet<keyof typeof flags>;

/** The layout the directory has, if it has one and the flags do not contradict it. */
async function keptLayout(
  values: FlagValues<typeof flags>,
  given: Given,
): Promise<DevLayout | undefined> {
  const { data, nodes, shards } = values;
  if (data === undefined) return undefined;
  const kept = await readLayout(data);
  if (kept === undefined) return undefined;
  if (given.has("nodes") && kept.ports.length !== nodes) {
    throw new UsageError(
      `${data} holds ${
        formatMany(kept.ports.length, "node")
      }, not ${nodes}: leave --nodes out, or ` +
        "choose another directory with --data",
    );
  }
  if (given.has("shards") && kept.shards !== shards) {
    throw new UsageError(
      `${data} holds ${formatMany(kept.shards, "shard")}, not ${shards}: leave --shards out, or ` +
        "choose another directory with --data",
    );
  }
  const taken = kept.ports.flatMap(({ client, peer }) => [client, peer])
    .find((port) => !isPortFree(port));
  if (taken !== undefined) {
    throw new CommandError(
      `port ${taken}, which the cluster in ${data} needs, is in use: is that cluster running ` +
        "already?",
      ExitCode.addressInUse,
    );
  }
  return kept;
}

function newLayout(values: FlagValues<typeof flags>): DevLayout {
  const ports = portsFrom(values.basePort, values.nodes);
  if (ports === undefined) {
    throw new CommandError(
      `not enough free ports from ${values.basePort} on: choose a lower one with --base-port`,
      ExitCode.addressInUse,
    );
  }
  return { version: 1, shards: values.shards, ports };
}

function show(cluster: LocalCluster, values: FlagValues<typeof flags>, terminal: Terminal): void {
  const { paint } = terminal.stdout;
  if (values.json) {
    for (const { settings, pid } of cluster.nodes) {
      const { id, clientAddress, peerAddress, dataDirectory, logPath } = settings;
      terminal.stdout.line(
        JSON.stringify({ node: id, clientAddress, peerAddress, pid, dataDirectory, logPath }),
      );
    }
    return;
  }
  const table = formatTable(
    [
      { title: "node" },
      { title: "clients" },
      { title: "peers" },
      { title: "process" },
      { title: "data" },
      { title: "log" },
    ],
    cluster.nodes.map(({ settings, pid }) => [
      String(settings.id),
      paint.cyan(settings.clientAddress),
      settings.peerAddress,
      String(pid ?? ""),
      settings.dataDirectory,
      settings.logPath,
    ]),
    paint.dim,
  );
  const server = cluster.nodes[0]!.clientAddress;
  const flag = server === "127.0.0.1:7400" ? "" : ` -s ${server}`;
  const lines = [
    `${paint.bold(formatMany(cluster.nodes.length, "node"))} running; Ctrl-C stops ` +
    `${cluster.nodes.length === 1 ? "it" : "them"}${
      values.data === undefined ? " and removes the data" : ""
    }.`,
    "",
    ...table,
    "",
    paint.dim("Try in another terminal"),
    `  ${paint.cyan(`echo hello | flowmq pub greetings${flag}`)}`,
    `  ${paint.cyan(`flowmq sub greetings${flag}`)}`,
    `  ${paint.cyan(`flowmq cluster status${flag}`)}`,
    `  ${paint.cyan(`kill -9 ${cluster.nodes[0]!.pid}`)}`,
    "",
  ];
  terminal.stdout.text(lines.join("\n"));
}

/** Tells when a node ends by itself; resolves when the last one has. */
async function watch(cluster: LocalCluster, terminal: Terminal): Promise<void> {
  await Promise.all(cluster.nodes.map(async (node) => {
    const how = await node.ended();
    if (terminal.interrupted.aborted) return;
    const left = cluster.nodes.filter((one) => one.running).length;
    terminal.stderr.line(
      terminal.stderr.paint.yellow(
        `node ${node.id} ended (${how}), ${left} of ${cluster.nodes.length} left; its log is ` +
          node.settings.logPath,
      ),
    );
  }));
}

/** `flowmq dev`. */
export const dev = defineCommand({
  name: "dev",
  summary: "Run a cluster on this machine until Ctrl-C",
  synonyms: ["cluster start", "local", "up"],
  description: [
    "Each node is a process of its own, as it would be on machines of their own: kill one and watch " +
    "the others go on. Ports, processes and directories are printed.",
  ],
  positionals: [],
  flags,
  examples: [
    { command: "flowmq dev", note: "Three nodes, gone without a trace after Ctrl-C." },
    {
      command: "flowmq dev --nodes 5 --data ./cluster",
      note: "Five nodes; the next flowmq dev --data ./cluster goes on with their data.",
    },
  ],

  async run({ flags: values, given }, terminal): Promise<ExitCode> {
    const layout = await keptLayout(values, given) ?? newLayout(values);
    if (values.data !== undefined) await writeLayout(values.data, layout);
    await using cluster = await LocalCluster.start({
      nodes: layout.ports.length,
      ports: layout.ports,
      serveArguments: [`--shards=${layout.shards}`],
      ...(values.data === undefined ? {} : { directory: values.data }),
    });
    show(cluster, values, terminal);
    await Promise.race([aborted(terminal.interrupted), watch(cluster, terminal)]);
    if (!terminal.interrupted.aborted) {
      throw new CommandError("every node has ended", ExitCode.failed);
    }
    return ExitCode.ok;
  },
});
