/**
 * Where a workload is measured: the cluster, connections and queues that go away with it, the stretch
 * of time that counts, and what watches over it.
 *
 * @module
 */

import type { Client } from "../../mod.ts";
import { connectTo } from "../cluster_client.ts";
import type { LocalCluster } from "../local_cluster.ts";
import { Chaos } from "./chaos.ts";
import type { Checker } from "./checker.ts";
import { type FaultKind, Saboteur } from "./faults.ts";
import type { BenchLoad } from "./load.ts";
import { NodeMeter, type NodesUsage } from "./node_meter.ts";

/** A queue that was made for a measurement. */
export interface ArenaQueue {
  readonly name: string;
  /** Number of its first partition, counted over all queues of the arena. */
  readonly firstPartition: number;
}

/** The cluster, and what is wanted beside the measurement. */
export interface ArenaOptions {
  readonly servers: readonly string[];
  /** The cluster where it is a temporary one, which may be harmed. */
  readonly cluster: LocalCluster | undefined;
  /** The process of each node at the moment, as far as they can be seen. */
  readonly pids: () => readonly (number | undefined)[];
  readonly checker?: Checker | undefined;
  /** Faults in the middle of the measurement, in turn; empty where there shall be none. */
  readonly faultKinds: readonly FaultKind[];
  /** How long a client tries to connect, and how long a request may take. */
  readonly timeoutMs: number;
  /** Stops everything. */
  readonly signal: AbortSignal;
}

/** How long a client may take to say goodbye. */
const closeMs = 10_000;
/** Queues are made and removed a few at a time. */
const queuesAtOnce = 64;

/** Where one run takes place. */
export class Arena implements AsyncDisposable {
  /** Messages that have come to their end, for those who watch. */
  done = 0;
  readonly servers: readonly string[];
  readonly checker: Checker | undefined;
  readonly signal: AbortSignal;
  /** Which faults are wanted. */
  readonly faultKinds: readonly FaultKind[];
  /** What the nodes used in the time that counts, where they can be seen. */
  usage: NodesUsage | undefined;
  /** Faults in the time that counts. */
  faults: Partial<Record<FaultKind, number>> = {};
  readonly #options: ArenaOptions;
  readonly #stack = new AsyncDisposableStack();
  #partitions = 0;

  /**
   * Makes an arena; nothing is connected yet.
   *
   * @param options The cluster, and what watches over it.
   */
  constructor(options: ArenaOptions) {
    this.#options = options;
    this.servers = options.servers;
    this.checker = options.checker;
    this.signal = options.signal;
    this.faultKinds = options.faultKinds;
  }

  /**
   * Connects clients, which are closed with the arena.
   *
   * @param count How many.
   * @param role What the cluster's tools call them.
   * @returns The clients.
   */
  async connectAll(count: number, role: string): Promise<Client[]> {
    const clients: Client[] = [];
    for (let i = 0; i < count; i++) clients.push(await this.connect(`${role} ${i + 1}`));
    return clients;
  }

  /**
   * Connects one client, which is closed with the arena.
   *
   * @param name What the cluster's tools call it.
   * @returns The client.
   */
  async connect(name: string): Promise<Client> {
    const { servers, timeoutMs, signal } = this.#options;
    const client = await connectTo(
      { server: servers, timeout: timeoutMs },
      signal,
      `flowmq bench ${name}`,
    );
    // Where it was interrupted the cluster may be gone already, and nobody waits for it.
    this.#stack.defer(() => client.close({ timeoutMs: signal.aborted ? 1 : closeMs }));
    return client;
  }

  /**
   * Makes the queues of a load, which are removed with the arena.
   *
   * @param load How many, with how many partitions.
   * @returns The queues, empty.
   */
  async createQueues({ queues, partitions }: BenchLoad): Promise<ArenaQueue[]> {
    const admin = await this.connect("admin");
    const id = crypto.randomUUID();
    const made = Array.from({ length: queues }, (_, i) => ({
      name: `bench-${id}-${i + 1}`,
      firstPartition: this.#partitions + i * partitions,
    }));
    this.#partitions += queues * partitions;
    this.#stack.defer(async () => {
      if (this.signal.aborted) return;
      await forEachOf(made, ({ name }) => admin.deleteQueue(name));
    });
    await forEachOf(made, ({ name }) => admin.createQueue(name, { partitions }));
    return made;
  }

  /**
   * The stretch of time that counts: nodes are watched and faults happen from its start to its end.
   *
   * @param work What is measured.
   * @param options With `calm` there are no faults but those of the work itself.
   * @returns What it returns, and how long it took.
   */
  async time<T>(
    work: () => Promise<T>,
    options: { readonly calm?: boolean } = {},
  ): Promise<{ readonly value: T; readonly seconds: number }> {
    using meter = new NodeMeter(this.#options.pids);
    const isCalm = options.calm === true || this.faultKinds.length === 0;
    const faults = isCalm ? undefined : await this.#startChaos();
    this.done = 0;
    const startedAt = performance.now();
    try {
      const value = await work();
      const seconds = (performance.now() - startedAt) / 1_000;
      this.usage = meter.usage();
      return { value, seconds };
    } finally {
      await faults?.stop();
      this.faults = faults?.counts ?? {};
    }
  }

  /**
   * Somebody who can do harm to the cluster.
   *
   * @returns The saboteur.
   * @throws {TypeError} If the cluster is not a temporary one.
   */
  async saboteur(): Promise<Saboteur> {
    const { cluster, signal } = this.#options;
    if (cluster === undefined) throw new TypeError("Cannot do harm to a cluster that is not ours");
    return new Saboteur(cluster, await this.connect("watcher"), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #startChaos(): Promise<Chaos> {
    const saboteur = await this.saboteur();
    return new Chaos(this.faultKinds, (kind, meanwhile) => saboteur.harm(kind, meanwhile));
  }
}

/** Does something with everything, a few at a time. */
async function forEachOf<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < all.length; i += queuesAtOnce) {
    await Promise.all(all.slice(i, i + queuesAtOnce).map(work));
  }
}
