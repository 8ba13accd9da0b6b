/**
 * A cluster on this machine, of real processes: for `flowmq dev`, `flowmq demo`, `flowmq bench` and
 * the tests that kill, pause and restart nodes.
 *
 * Node `k` has its data in `DIRECTORY/node-k` and its log in `DIRECTORY/node-k.log`. The nodes watch
 * their stdin and stop when it ends, so none outlives the program that started it, however that
 * program ends.
 *
 * @module
 */

import { LocalNode, type LocalNodeSettings } from "./local_node.ts";
import { freePorts, type NodePorts } from "./ports.ts";
import { type SelfCommand, selfCommand } from "./self_command.ts";

/** How a local cluster is started. */
export interface LocalClusterOptions {
  /** How many nodes; 3 where left out. */
  readonly nodes?: number;
  /** Where data and logs go; a temporary directory, removed in the end, where left out. */
  readonly directory?: string;
  /** Ports by node; free ones where left out. */
  readonly ports?: readonly NodePorts[];
  /** Where each node listens; all on the loopback address where left out. */
  readonly hosts?: readonly string[];
  /** More arguments for `flowmq serve`, the same for every node. */
  readonly serveArguments?: readonly string[];
  /** The program; this one where left out. */
  readonly program?: SelfCommand;
  /** Has the last word on how a node is started: for tests that give nodes a world of their own. */
  readonly adapt?: (settings: LocalNodeSettings) => LocalNodeSettings;
}

/** Nodes on this machine. */
export class LocalCluster implements AsyncDisposable {
  readonly nodes: readonly LocalNode[];
  readonly directory: string;
  #temporary: boolean;
  #stopped: Promise<void> | undefined;

  private constructor(nodes: readonly LocalNode[], directory: string, temporary: boolean) {
    this.nodes = nodes;
    this.directory = directory;
    this.#temporary = temporary;
  }

  /**
   * Starts a cluster.
   *
   * @param options How many nodes, and where.
   * @returns The cluster, when every node has said that it is ready. It may have no leader yet.
   * @throws {CommandError} If a node does not start; the others are stopped.
   */
  static async start(options: LocalClusterOptions = {}): Promise<LocalCluster> {
    const count = options.nodes ?? 3;
    const directory = options.directory ?? await Deno.makeTempDir({ prefix: "flowmq-" });
    await Deno.mkdir(directory, { recursive: true });
    const ports = options.ports ?? freePorts(count);
    const program = options.program ?? selfCommand();
    const hostOf = (i: number): string => options.hosts?.[i] ?? "127.0.0.1";
    const members = ports.slice(0, count).map((port, i) => `${i + 1}=${hostOf(i)}:${port.peer}`);
    const nodes = ports.slice(0, count).map((port, i) => {
      const id = i + 1;
      const clientAddress = `${hostOf(i)}:${port.client}`;
      const dataDirectory = `${directory}/node-${id}`;
      const serveArguments = [
        "serve",
        `--node=${id}`,
        `--cluster=${members.join(",")}`,
        `--data=${dataDirectory}`,
        `--listen=${clientAddress}`,
        "--stop-with-stdin",
        ...options.serveArguments ?? [],
      ];
      const settings = {
        id,
        clientAddress,
        peerAddress: `${hostOf(i)}:${port.peer}`,
        dataDirectory,
        logPath: `${directory}/node-${id}.log`,
        serveArguments,
        program,
      };
      return new LocalNode(options.adapt?.(settings) ?? settings);
    });
    const cluster = new LocalCluster(nodes, directory, options.directory === undefined);
    const starts = await Promise.allSettled(nodes.map((node) => node.start()));
    const failed = starts.find((start) => start.status === "rejected");
    if (failed !== undefined) {
      await cluster.stop();
      throw failed.reason;
    }
    return cluster;
  }

  /** Where clients connect, node by node. */
  get servers(): string[] {
    return this.nodes.map((node) => node.clientAddress);
  }

  /**
   * Finds a node by its number.
   *
   * @param id From 1 to the number of nodes.
   * @returns The node.
   * @throws {RangeError} If there is none of that number.
   */
  node(id: number): LocalNode {
    const node = this.nodes[id - 1];
    if (node === undefined) {
      throw new RangeError(
        `Cannot find the node as ids go from 1 to ${this.nodes.length}: current value is ${id}`,
      );
    }
    return node;
  }

  /**
   * Has data and logs kept when the cluster stops: something is to be found out.
   *
   * @returns The directory.
   */
  keep(): string {
    this.#temporary = false;
    return this.directory;
  }

  /**
   * Stops every node; removes the directory if it was made for this cluster only.
   *
   * @returns Resolves when all is done; a second call waits for the first.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Stops the cluster at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    if (this.#temporary) await Deno.remove(this.directory, { recursive: true });
  }
}
