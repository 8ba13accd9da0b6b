/**
 * The nodes of a simulated cluster: production brokers on simulated machines, and what can be done to
 * them.
 *
 * @module
 */

import { RaftTrace, ReplicaLostError, startNode } from "../../broker/mod.ts";
import type {
  NodeConfig,
  NodeRuntime,
  RaftTimings,
  RunningNode,
  ShardLimits,
} from "../../broker/mod.ts";
import type { StorageLimits } from "../../broker/config.ts";
import type { ShardObserver } from "../../broker/observer.ts";
import type { Logger } from "../../broker/logger.ts";
import { type DiskCounts, SimulatedDisk } from "./disk.ts";
import { pickDurableByte } from "./disk_rot.ts";
import { Network } from "./network.ts";
import { QueueChecker } from "./queue_checker.ts";
import { RaftChecker } from "./raft_checker.ts";
import type { Random } from "./random.ts";
import { Machine, type Process, type World } from "./world.ts";

/** What a cluster is made of. */
export interface ClusterSettings {
  readonly nodes: number;
  readonly shards: number;
  readonly storage: StorageLimits;
  readonly raft: Partial<RaftTimings>;
  readonly limits: Partial<ShardLimits>;
}

const CLIENT_PORT = 7400;
const PEER_PORT = 7402;
/** What is kept free on disks of simulated nodes: a few of their messages. */
const DISK_RESERVE_BYTES = 3_000;

const DATA_DIRECTORY = "data";

/** A machine with a disk that runs a broker, most of the time. */
export class SimulatedNode {
  readonly id: number;
  readonly machine: Machine;
  readonly #cluster: SimulatedCluster;
  readonly #random: Random;
  #lives = 0;
  /** Its disk has been damaged, or was replaced. */
  isForgetful = false;
  /** It has an old state of its own disk. */
  isRolledBack = false;
  /** The broker has been up: it is a member of its cluster. */
  hasRun = false;
  /** How many syncs had failed, and writes been refused, when this life began. */
  #failedSyncs = 0;
  #refusedWrites = 0;
  #process: Process | undefined;
  #running: RunningNode | undefined;
  disk: SimulatedDisk;

  constructor(cluster: SimulatedCluster, id: number, random: Random) {
    const { world, network } = cluster;
    this.id = id;
    this.#cluster = cluster;
    this.#random = random;
    const wallOffsetMs = random.between(-50, 50);
    this.machine = new Machine(world, `10.0.0.${id}`, wallOffsetMs, random.between(0.99, 1.01));
    network.add(this.machine);
    this.disk = this.#newDisk();
  }

  #newDisk(): SimulatedDisk {
    return new SimulatedDisk({
      clock: {
        setTimeout: (callback, ms) => this.#process!.clock.setTimeout(callback, ms),
      },
      random: this.#random.fork().next,
      syncMsMin: 0.2,
      syncMsMax: 2,
    });
  }

  /** Whether its process runs, paused or not. */
  get alive(): boolean {
    return this.#process !== undefined;
  }

  get paused(): boolean {
    return this.#process?.paused ?? false;
  }

  /** The broker, once it has started. */
  get running(): RunningNode | undefined {
    return this.#running;
  }

  /** Starts the broker. */
  start(): void {
    if (this.#process !== undefined) return;
    const { world, network, settings } = this.#cluster;
    this.machine.poweredOn = true;
    network.poweredOn();
    world.note(`node ${this.id} starts`);
    const random = this.#random.fork();
    this.#lives++;
    this.#failedSyncs = this.disk.counts.failedSyncs;
    this.#refusedWrites = this.disk.counts.fullErrors;
    const process = this.machine.spawn(`node ${this.id}`, random.fork());
    this.#process = process;
    const runtime: NodeRuntime = {
      clock: process.clock,
      dialer: network.dialer(process),
      random: random.next,
      listen: (address) => network.listen(process, address),
      files: this.disk,
      processId: this.#lives,
      memoryBytes: () => 0,
    };
    const config: NodeConfig = {
      nodeId: this.id,
      cluster: this.#cluster.nodes.map(({ id, machine }) => ({
        id,
        peerAddress: { hostname: machine.name, port: PEER_PORT },
      })),
      dataDirectory: DATA_DIRECTORY,
      listen: { hostname: this.machine.name, port: CLIENT_PORT },
      peerListen: { hostname: this.machine.name, port: PEER_PORT },
      shards: settings.shards,
      storage: settings.storage,
      raft: settings.raft,
      limits: settings.limits,
      diskReserveBytes: DISK_RESERVE_BYTES,
      log: traceLogger(world, this.id),
      observer: this.#cluster.observer(this.id),
    };
    startNode(config, runtime).then((running) => {
      if (this.#process !== process) return;
      this.#running = running;
      this.hasRun = true;
      void running.failed.then((error) => this.#failed(process, error));
    }, (error) => this.#failed(process, error));
  }

  /** Ends the process at once; the machine goes on. */
  kill(): void {
    // After a failed sync the page cache shows what the disk does not have: the machine starts anew.
    if (this.disk.counts.failedSyncs > this.#failedSyncs) return this.losePower();
    this.#end("killed");
    this.disk = this.disk.kill();
  }

  /** Cuts the machine's power. */
  losePower(): void {
    this.machine.poweredOn = false;
    this.#end("powerLost");
    this.disk = this.disk.crash();
  }

  /** The machine comes back with an empty disk. */
  replaceDisk(): void {
    if (this.alive) this.losePower();
    this.disk = this.#newDisk();
    this.isForgetful = true;
  }

  /**
   * Damages one bit of what is surely on the disk.
   *
   * @returns Where, or `undefined` where there is nothing yet.
   */
  rot(random: Random): string | undefined {
    const place = pickDurableByte(this.disk, DATA_DIRECTORY, this.id % 2 === 0 ? "b" : "a", random);
    if (place === undefined) return undefined;
    this.disk.flipBit(place.path, place.offset, random.below(8));
    this.isForgetful = true;
    return `${place.path} at ${place.offset}`;
  }

  /** Stops the broker in an orderly way. */
  stop(): void {
    const process = this.#process;
    const running = this.#running;
    if (process === undefined || running === undefined) return;
    running.stop().then(() => {
      if (this.#process === process) this.kill();
    }, (error) => this.#failed(process, error));
  }

  pause(): void {
    this.#process?.pause();
  }

  resume(): void {
    this.#process?.resume();
  }

  #end(cause: "killed" | "powerLost"): void {
    this.#process?.die(cause);
    this.#cluster.raftChecker.ended(this.id);
    this.#process = undefined;
    this.#running = undefined;
  }

  /** The broker gave up, as it should when its disk fails, and never else. A real process exits then. */
  #failed(process: Process, error: Error): void {
    if (this.#process !== process) return;
    const { world } = this.#cluster;
    const { failedSyncs, fullErrors } = this.disk.counts;
    if (error instanceof ReplicaLostError && this.isForgetful) {
      world.note(`node ${this.id} starts again: ${error.message}`);
      world.counters.add("replica: found lost while running");
      this.kill();
      return this.start();
    }
    if (failedSyncs === this.#failedSyncs && fullErrors === this.#refusedWrites) {
      world.violated("nodes do not fail by themselves", `node ${this.id}: ${error.stack}`);
      return;
    }
    world.note(`node ${this.id} ends itself: ${error.message}`);
    world.counters.add("fault: node ended itself");
    this.losePower();
  }
}

/** All nodes, and the checkers that watch them. */
export class SimulatedCluster {
  readonly world: World;
  readonly network: Network;
  readonly settings: ClusterSettings;
  readonly nodes: SimulatedNode[] = [];
  readonly raftChecker: RaftChecker;
  readonly queueChecker: QueueChecker;

  constructor(world: World, settings: ClusterSettings, random: Random) {
    this.world = world;
    this.settings = settings;
    this.network = new Network(world, random.fork(), PEER_PORT);
    const ids = Array.from({ length: settings.nodes }, (_, i) => i + 1);
    for (const id of ids) this.nodes.push(new SimulatedNode(this, id, random.fork()));
    this.raftChecker = new RaftChecker(world, settings.shards, ids);
    this.queueChecker = new QueueChecker(world, settings.shards);
  }

  /** Where clients find the nodes. */
  get servers(): string[] {
    return this.nodes.map(({ machine }) => `${machine.name}:${CLIENT_PORT}`);
  }

  /** The nodes that lead a shard as far as they know. */
  get leaders(): SimulatedNode[] {
    return this.nodes.filter(({ id, alive }) => alive && this.raftChecker.leads(id));
  }

  /** What the checkers are told of a node's next life. */
  observer(node: number): ShardObserver {
    const { raftChecker, queueChecker, world, nodes } = this;
    const trace = world.raftTrace && new RaftTrace(() => world.nowMs, world.raftTrace);
    return {
      opened(shard) {
        trace?.opened(shard);
        raftChecker.opened(node, shard, nodes[node - 1]!);
        queueChecker.stepped(node, shard, raftChecker.appliedBy(node, shard.id));
      },
      received(shard, message) {
        trace?.received(shard, message);
        raftChecker.received(node, shard, message);
      },
      ready(shard, ready) {
        trace?.ready(shard, ready);
        raftChecker.ready(node, shard, ready);
      },
      durable(shard, ready) {
        trace?.durable(shard, ready);
        raftChecker.durable(node, shard, ready);
      },
      snapshotTaken: (shard, index) => raftChecker.snapshotTaken(node, shard, index),
      compacted: (shard, firstIndex) => raftChecker.compacted(node, shard, firstIndex),
      rewritten: (shard, done) => raftChecker.rewritten(node, shard, done),
      restored(shard, index) {
        raftChecker.restored(node, shard, index);
        queueChecker.stepped(node, shard, index);
      },
      applied(shard, entry, reply) {
        trace?.applied(shard, entry);
        if (raftChecker.applied(node, shard, entry)) {
          queueChecker.applied(shard, entry, reply);
        }
        queueChecker.stepped(node, shard, entry.index);
      },
    };
  }

  /** Whether every node has applied all that was ever applied. */
  get converged(): boolean {
    for (let shard = 0; shard < this.settings.shards; shard++) {
      const last = this.raftChecker.lastApplied(shard);
      for (const { id, alive } of this.nodes) {
        if (!alive || !this.raftChecker.hasOpened(id, shard)) return false;
        if (this.raftChecker.appliedBy(id, shard) !== last) return false;
      }
    }
    return true;
  }

  /** Adds what the disks counted. */
  countDisks(): void {
    const names: [string, keyof DiskCounts][] = [
      ["disk: syncs", "syncs"],
      ["disk: syncs failed", "failedSyncs"],
      ["disk: writes refused, disk full", "fullErrors"],
      ["disk: short writes", "shortWrites"],
      ["disk: unsynced writes kept at a power cut", "changesKept"],
      ["disk: unsynced writes torn at a power cut", "changesTorn"],
      ["disk: unsynced writes lost at a power cut", "changesLost"],
      ["disk: unsynced names lost at a power cut", "namesLost"],
      ["disk: segments written again", "filesReused"],
    ];
    for (const { disk } of this.nodes) {
      for (const [name, field] of names) this.world.counters.add(name, disk.counts[field]);
    }
  }
}

/** What nodes say that is worth counting. */
const COUNTED_MESSAGES = new Map([
  ["Sending a snapshot", "snapshot: transfers begun"],
  ["A snapshot goes on", "snapshot: transfers resumed"],
  ["Could not send a snapshot", "snapshot: transfers broken off"],
  ["Cannot use a snapshot", "snapshot: transfers refused"],
]);

function traceLogger(world: World, node: number): Logger {
  const write = (level: string) => (message: string, fields?: Record<string, unknown>) => {
    const counter = COUNTED_MESSAGES.get(message);
    if (counter !== undefined) world.counters.add(counter);
    world.trace(() => `node ${node} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
