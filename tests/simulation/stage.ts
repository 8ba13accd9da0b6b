/**
 * A small cluster for stories that are told step by step: the production code on the simulated world,
 * with all checkers on, and without any fault that the story does not ask for.
 *
 * @module
 */

import { type Client, connect, type ConnectOptions } from "../../client/mod.ts";
import { SimulatedCluster, type SimulatedNode } from "./cluster.ts";
import type { PublishRecord } from "./queue_checker.ts";
import { Machine, type Process, World } from "./world.ts";

/** How long a step of a story may take, in virtual milliseconds. */
const STEP_MS_MAX = 60_000;

/** A client on a machine of its own. */
export interface StageClient {
  readonly client: Client;
  readonly machine: Machine;
  readonly process: Process;
}

/** What may be different from one story to another. */
export interface StageOptions {
  /** @default {1} */
  readonly shards?: number;
  readonly trace?: (line: string) => void;
}

/** See the module comment. */
export class Stage {
  readonly world: World;
  readonly cluster: SimulatedCluster;
  #clients = 0;
  #messages = 0;

  constructor(seed: number, { shards = 1, trace }: StageOptions = {}) {
    this.world = new World(seed, trace);
    const settings = { nodes: 3, shards, storage: {}, raft: {}, limits: {} };
    this.cluster = new SimulatedCluster(this.world, settings, this.world.random.fork());
  }

  /** Starts all nodes and waits for a leader. */
  async start(): Promise<void> {
    for (const node of this.cluster.nodes) node.start();
    await this.until(() => this.cluster.leaders.length === 1);
  }

  get leader(): SimulatedNode {
    return this.cluster.leaders[0]!;
  }

  get followers(): SimulatedNode[] {
    return this.cluster.nodes.filter((node) => node !== this.leader);
  }

  /** Lets time pass. */
  pass(ms: number): Promise<void> {
    return this.world.timeline.pass(ms);
  }

  /** Lets time pass until something holds. */
  async until(holds: () => boolean): Promise<void> {
    const deadlineMs = this.world.nowMs + STEP_MS_MAX;
    await this.world.timeline.run(() => holds() || this.world.nowMs > deadlineMs);
    if (!holds()) throw new Error("It did not come about in time");
  }

  /** Lets time pass until a promise settles. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(() => settled = true, () => settled = true);
    await this.until(() => settled);
    return await promise;
  }

  /** Connects a client. */
  async connect(nodes: readonly SimulatedNode[], options: ConnectOptions): Promise<StageClient> {
    const { world } = this;
    const { network } = this.cluster;
    const machine = new Machine(world, `10.0.1.${++this.#clients}`);
    network.add(machine);
    const process = machine.spawn(`client ${this.#clients}`, world.random.fork());
    const runtime = {
      clock: process.clock,
      dialer: network.dialer(process),
      random: process.random.next,
    };
    const servers = nodes.map((node) => `${node.machine.name}:7400`);
    const client = await this.wait(connect(servers, { ...options, runtime }));
    return { client, machine, process };
  }

  /** Publishes a message, watched by the checker. */
  publish(client: Client, queue: string, timeoutMs = 30_000): Promise<PublishRecord> {
    const number = this.#messages++;
    const id = `message-${number}`;
    const record = this.cluster.queueChecker.publishing(queue, "publisher", number, id);
    return client.queue(queue).publish(`${id} `, { timeoutMs }).then((place) => {
      this.cluster.queueChecker.confirmed(record, place);
      return record;
    }, (error) => {
      this.cluster.queueChecker.refused(record, error.maybeApplied);
      return record;
    });
  }

  /** Cuts both directions between some machines and others. */
  cut(some: readonly Machine[], others: readonly Machine[]): void {
    for (const a of some) {
      for (const b of others) {
        this.cluster.network.block(a, b);
        this.cluster.network.block(b, a);
      }
    }
  }

  /** Breaks the connections of a machine. */
  reset(machine: Machine): void {
    this.cluster.network.resetSome((a, b) => a === machine || b === machine);
  }

  /** Checks what must hold at the end. */
  async end(): Promise<void> {
    await this.until(() => this.cluster.converged);
    this.cluster.raftChecker.compareFinalStates();
    this.cluster.queueChecker.checkEnd();
    await this.pass(1);
  }
}
