/**
 * `flowmq serve`: one node.
 *
 * @module
 */

import { formatAddress } from "../address.ts";
import type { FlagValues } from "../flags.ts";
import {
  addressFlag,
  choiceFlag,
  clusterFlag,
  integerFlag,
  optionalAddressFlag,
  optionalPathFlag,
  sizeFlag,
  switchFlag,
  textFlag,
} from "../flags.ts";
import type { ClusterMember, NodeConfig } from "../../broker/config.ts";
import { SHARDS_MAX } from "../../broker/config.ts";
import {
  denoNodeRuntime,
  ListenError,
  NODE_ID_MAX,
  RaftTrace,
  ReplicaLostError,
  type RunningNode,
  startNode,
} from "../../broker/mod.ts";
import { frameBytesMax } from "../../wire/limits.ts";
import { defineCommand } from "../command.ts";
import { defaultClientAddress } from "../common_flags.ts";
import { describeError } from "../describe_error.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError, UsageError } from "../failures.ts";
import { listenFailure } from "../listen_failure.ts";
import { formatReadyLine } from "../ready_line.ts";
import { keepFreedMemory } from "../memory.ts";
import { logFormats, logLevels, StderrLogger } from "../stderr_logger.ts";
import type { Terminal } from "../terminal.ts";
import { version } from "../../broker/version.ts";
import { TraceFile } from "../trace_file.ts";
import { aborted } from "../waiting.ts";

const flags = {
  data: textFlag({
    valueName: "DIR",
    help: "Where the node keeps its data; made if it does not exist. One process each.",
    default: "./flowmq-data",
  }),
  listen: addressFlag({
    help: "Where clients connect. Port 0 takes a free one.",
    default: defaultClientAddress,
    allowPortZero: true,
  }),
  advertise: optionalAddressFlag({
    help: "Where clients on other machines reach this node, if that is not --listen: the address " +
      "that clients of other nodes are sent to.",
  }),
  peer: addressFlag({
    help: "Where the other nodes connect. In a cluster the default is this node's own entry.",
    default: "127.0.0.1:7402",
    allowPortZero: true,
  }),
  node: integerFlag({
    help: "The number of this node in the cluster.",
    minimum: 1,
    maximum: NODE_ID_MAX,
    default: 1,
  }),
  cluster: clusterFlag({
    help: "Every node with the address where its peers reach it, the same on every node and at " +
      "every start. Without it the node is a cluster of its own.",
  }),
  shards: integerFlag({
    help: "How many Raft groups share the queues; the same on every node, and for good.",
    minimum: 1,
    maximum: SHARDS_MAX,
    default: 1,
  }),
  messageBytesMax: sizeFlag({
    help: "The largest message accepted: key, headers and body.",
    default: "1MiB",
    minimum: 1,
    maximum: frameBytesMax / 2,
  }),
  segmentBytes: sizeFlag({
    help: "How long a file of the log may get. Space is given back a whole file at a time.",
    default: "64MiB",
    minimum: 4 << 10,
    maximum: 1 << 30,
  }),
  snapshotBytes: sizeFlag({
    help: "How much log there is from one snapshot of the state to the next: what a node that " +
      "starts goes through again.",
    default: "64MiB",
    minimum: 4 << 10,
    maximum: 1 << 30,
  }),
  diskReserveBytes: sizeFlag({
    help:
      "How much room on the disk is kept for deliveries and acks: with less, on a majority of " +
      "the nodes, publishes are refused until there is room again.",
    default: "64MiB",
    minimum: 0,
    maximum: 2 ** 40,
  }),
  noAutoCreate: switchFlag({
    help: "Refuse to publish to a queue that nobody has made with flowmq queue add.",
  }),
  logFormat: choiceFlag(logFormats, {
    help: "How lines on stderr look: for people or for programs.",
    default: "text",
  }),
  logLevel: choiceFlag(logLevels, {
    help: "Which lines are written to stderr: this level and louder ones.",
    default: "info",
  }),
  raftTrace: optionalPathFlag({
    help: "Append a line of JSON for every step of Raft, for finding faults.",
  }),
  stopWithStdin: switchFlag({
    help: "Stop when stdin ends: for programs that start nodes and must not leave any behind.",
  }),
};

/**
 * The members of the cluster and this node's place in it.
 *
 * @throws {UsageError} If `--cluster` does not name `--node`, or `--node` was forgotten.
 */
function membersOf(
  values: FlagValues<typeof flags>,
  given: ReadonlySet<keyof typeof flags>,
): { cluster: readonly ClusterMember[]; peerListen: NodeConfig["peerListen"] } {
  const { cluster, node, peer } = values;
  if (cluster === undefined) {
    return { cluster: [{ id: node, peerAddress: peer }], peerListen: peer };
  }
  const ids = cluster.map((member) => member.id).join(", ");
  if (!given.has("node")) {
    throw new UsageError(`--cluster needs --node too: which of ${ids} is this one?`);
  }
  const self = cluster.find((member) => member.id === node);
  if (self === undefined) {
    throw new UsageError(`--cluster does not name --node ${node}: it has ${ids}`);
  }
  return { cluster, peerListen: given.has("peer") ? peer : self.peerAddress };
}

/** Ends with Ctrl-C, SIGTERM or, where that is wanted, stdin. */
function endSignal(values: FlagValues<typeof flags>, terminal: Terminal): AbortSignal {
  if (!values.stopWithStdin) return terminal.interrupted;
  const stdinEnded = new AbortController();
  void endOf(terminal.stdin).then(() => stdinEnded.abort());
  return AbortSignal.any([terminal.interrupted, stdinEnded.signal]);
}

/** Waits for the end of stdin; whatever is in it does not matter. */
async function endOf(stdin: ReadableStream<Uint8Array>): Promise<void> {
  try {
    for await (const _ of stdin) { /* dropped */ }
  } catch {
    // A stdin that cannot be read has no one at its other end either.
  }
}

function loggerFor(values: FlagValues<typeof flags>, terminal: Terminal): StderrLogger {
  return new StderrLogger({
    format: values.logFormat,
    level: values.logLevel,
    fields: { node: values.node },
    now: () => Date.now(),
    write(line) {
      try {
        terminal.stderr.line(line);
      } catch {
        // Whoever read the log has gone; the node's work goes on.
      }
    },
  });
}

/** Opens the file of the trace; a path that cannot be had is named. */
function openTrace(path: string): TraceFile {
  try {
    return new TraceFile(path);
  } catch (error) {
    throw new UsageError(`--raft-trace: cannot write ${path}: ${describeError(error).line}`);
  }
}

/**
 * Starts the node; an address that cannot be had is named.
 *
 * @returns The node, or `undefined` if it was interrupted while it waited for the others.
 */
async function start(
  config: NodeConfig,
  interrupted: AbortSignal,
): Promise<RunningNode | undefined> {
  try {
    return await startNode(config, denoNodeRuntime(), interrupted);
  } catch (error) {
    if (interrupted.aborted) return undefined;
    if (!(error instanceof ListenError)) throw error;
    throw listenFailure(error, [
      { flag: "--listen", address: config.listen },
      { flag: "--peer", address: config.peerListen },
    ]);
  }
}

/** `flowmq serve`. */
export const serve = defineCommand({
  name: "serve",
  summary: "Run a node: alone, or as part of a cluster",
  synonyms: ["server", "start", "run", "broker"],
  description: [
    "Prints one line on stdout when it is ready, logs to stderr, and stops cleanly on Ctrl-C and " +
    "SIGTERM. A message whose publish was confirmed is on the disks of a majority of the nodes.",
    "A cluster of three nodes survives the loss of one, a cluster of five the loss of two. The very " +
    "first start waits until all nodes are there. A node whose disk was replaced or damaged gets " +
    "everything from the others by itself. To try a cluster on this machine, flowmq dev is shorter.",
  ],
  positionals: [],
  flags,
  examples: [
    { command: "flowmq serve", note: "One node, with its data in ./flowmq-data." },
    {
      command: "flowmq serve --node 1 --listen 10.0.0.1:7400 --data /var/lib/flowmq \\\n" +
        "      --cluster 1=10.0.0.1:7402,2=10.0.0.2:7402,3=10.0.0.3:7402",
      note: "The first of three nodes; the others differ in --node and --listen only.",
    },
  ],

  async run({ flags: values, given }, terminal): Promise<ExitCode> {
    keepFreedMemory();
    const { cluster, peerListen } = membersOf(values, given);
    const logger = loggerFor(values, terminal);
    using trace = values.raftTrace === undefined ? undefined : openTrace(values.raftTrace);
    const config: NodeConfig = {
      nodeId: values.node,
      cluster,
      dataDirectory: values.data,
      listen: values.listen,
      peerListen,
      shards: values.shards,
      autoCreate: !values.noAutoCreate,
      messageBytesMax: values.messageBytesMax,
      storage: { segmentBytesMax: values.segmentBytes },
      limits: { snapshotBytes: values.snapshotBytes },
      diskReserveBytes: values.diskReserveBytes,
      log: logger,
      ...(values.advertise === undefined ? {} : { advertise: values.advertise }),
      ...(trace === undefined
        ? {}
        : { observer: new RaftTrace(() => Date.now(), (line) => trace.write(line)) }),
    };
    const ended = endSignal(values, terminal);
    for (;;) {
      const node = await start(config, ended);
      if (node === undefined) return ExitCode.ok;
      terminal.stdout.line(formatReadyLine({
        version,
        nodeId: values.node,
        clientAddress: formatAddress(node.clientAddress),
        peerAddress: formatAddress(node.peerAddress),
        dataDirectory: values.data,
      }));
      let failure = await Promise.race([aborted(ended).then(() => undefined), node.failed]);
      if (failure === undefined) {
        logger.info("stopping");
        await node.stop();
        // Its disk may have failed while it stopped.
        failure = await Promise.race([node.failed, Promise.resolve(undefined)]);
      }
      if (failure === undefined) {
        logger.info("stopped");
        return ExitCode.ok;
      }
      if (!(failure instanceof ReplicaLostError)) {
        // What is in memory can no longer be trusted to reach the disk: no orderly stop.
        throw new CommandError(
          `node ${values.node} had to stop: ${describeError(failure).line}`,
          ExitCode.failed,
          { cause: failure },
        );
      }
      // What was lost is with the other nodes: this one starts anew and gets it from them.
      logger.error("starting again without a lost replica", { reason: failure.message });
      await node.stop();
    }
  },
});
