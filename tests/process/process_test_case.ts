/**
 * A test with real processes: what it starts is ended whatever happens, and a failure says where the
 * logs are and keeps them.
 *
 * @module
 */

import { LocalCluster } from "../../cli/local_cluster.ts";
import { type Client, connect, type ConnectOptions } from "../../mod.ts";
import { Nemesis } from "./nemesis.ts";
import { ownPlaces } from "../loopback.ts";
import { program } from "./program.ts";
import { Shell } from "./shell.ts";
import { within } from "./waiting.ts";

/** What a test gets. */
export interface ProcessTestOptions {
  /** How many nodes are started for it; 0 for a test that starts its own. @default {3} */
  readonly nodes?: number;
  /** More arguments for `flowmq serve`. */
  readonly serveArguments?: readonly string[];
  /** A test that takes longer has failed. @default {120} */
  readonly seconds?: number;
}

/** The world of a test. */
export class ProcessTest {
  /** The nodes. */
  readonly cluster: LocalCluster;
  /** A directory of its own; kept if the test fails. */
  readonly directory: string;
  /** With `flowmq`, which finds the nodes by itself. */
  readonly shell: Shell;
  readonly #clients: Client[] = [];

  /** Made by {@linkcode processTest}. */
  constructor(cluster: LocalCluster, directory: string, shell: Shell) {
    this.cluster = cluster;
    this.directory = directory;
    this.shell = shell;
  }

  /** Connects a client, which is closed when the test ends. */
  async connect(name: string, options: ConnectOptions = {}): Promise<Client> {
    const client = await connect(this.cluster.servers, { name, ...options });
    this.#clients.push(client);
    return client;
  }

  /** An adversary for the nodes. */
  async nemesis(): Promise<Nemesis> {
    return new Nemesis(this.cluster, await this.connect("nemesis"));
  }

  /** Closes the clients. A client of nodes that are gone has nothing to wait for. */
  async closeClients(timeoutMs: number): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close({ timeoutMs })));
  }
}

/** Where to look after a failure. */
function whereToLook(directory: string): string {
  const logs: string[] = [];
  for (const entry of Deno.readDirSync(directory)) {
    if (entry.name.endsWith(".log")) logs.push(`${directory}/${entry.name}`);
  }
  return logs.length > 0 ? `logs: ${logs.sort().join(" ")}` : `files: ${directory}`;
}

/**
 * Registers a test.
 *
 * @param name A sentence.
 * @param options How many nodes it wants.
 * @param body The test.
 */
export function processTest(
  name: string,
  options: ProcessTestOptions,
  body: (test: ProcessTest) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const { nodes = 3, seconds = 120, serveArguments = [] } = options;
    const directory = await Deno.makeTempDir({ prefix: "flowmq-process-test-" });
    let failed = true;
    try {
      await using cluster = await LocalCluster.start({
        nodes,
        directory,
        ...ownPlaces(nodes),
        serveArguments,
        program,
      });
      const shell = await Shell.open(directory, program, cluster.servers);
      const test = new ProcessTest(cluster, directory, shell);
      try {
        await within(`"${name}" was done`, body(test), seconds);
        failed = false;
      } finally {
        await test.closeClients(failed ? 100 : 5_000);
      }
    } catch (error) {
      failed = true;
      if (error instanceof Error) error.message += `\n${whereToLook(directory)}`;
      throw error;
    } finally {
      if (!failed) await Deno.remove(directory, { recursive: true });
    }
  });
}
