/**
 * Makes things go wrong: which kinds of fault happen in a run, how often and for how long, is drawn
 * from the seed. Some seeds get one kind, at full force; some get everything (swarm testing: a mix of
 * everything all the time hides the bugs that need one thing to happen undisturbed).
 *
 * What may happen is only what the cluster promises to survive. Any number of nodes may stop, lose
 * power or be cut off, since all of that ends; a disk that loses what it had synced is a promise broken
 * by the disk, and happens to no more than a minority.
 *
 * @module
 */

import type { SimulatedCluster, SimulatedNode } from "./cluster.ts";
import { ORDERLY_FRAMES } from "./frame_shuffler.ts";
import { CALM_NETWORK } from "./network.ts";
import type { Random } from "./random.ts";
import type { Machine } from "./world.ts";

/** A kind of fault: does something wrong, and says how to make it good. */
type Fault = (nemesis: Nemesis) => void;

const FAULTS: Record<string, Fault> = {
  kill(nemesis) {
    const node = nemesis.pickNode();
    if (!node.alive) return;
    nemesis.note(`kill node ${node.id}`, "fault: kills");
    node.kill();
    nemesis.later(nemesis.outageMs(), () => node.start());
  },

  killLeader(nemesis) {
    const [node] = nemesis.random.shuffle(nemesis.cluster.leaders);
    if (node === undefined) return;
    nemesis.note(`kill leader ${node.id}`, "fault: leaders killed");
    node.kill();
    nemesis.later(nemesis.outageMs(), () => node.start());
  },

  losePower(nemesis) {
    const all = nemesis.random.chance(0.15);
    const nodes = all ? nemesis.cluster.nodes : [nemesis.pickNode()];
    for (const node of nodes) {
      if (!node.alive) continue;
      nemesis.note(`cut power of node ${node.id}`, "fault: power cuts");
      node.losePower();
      nemesis.later(nemesis.outageMs(), () => node.start());
    }
  },

  stop(nemesis) {
    const node = nemesis.pickNode();
    if (node.running === undefined) return;
    nemesis.note(`stop node ${node.id}`, "fault: orderly stops");
    node.stop();
    nemesis.later(3_000 + nemesis.outageMs(), () => {
      if (node.alive && !node.paused) node.kill();
      node.start();
    });
  },

  pause(nemesis) {
    const node = nemesis.pickNode();
    if (!node.alive || node.paused) return;
    nemesis.note(`pause node ${node.id}`, "fault: pauses");
    node.pause();
    nemesis.later(nemesis.random.magnitude(20, 6_000), () => node.resume());
  },

  jumpClock(nemesis) {
    const { machine, id } = nemesis.pickNode();
    const ms = nemesis.random.magnitude(5, 20_000) * (nemesis.random.chance(0.5) ? 1 : -1);
    nemesis.note(`clock of node ${id} jumps by ${ms.toFixed(0)} ms`, "fault: clock jumps");
    machine.wallOffsetMs += ms;
  },

  partition(nemesis) {
    const { cluster, random } = nemesis;
    const nodes = random.shuffle(cluster.nodes);
    const count = random.integer(1, Math.max(1, nodes.length - 1));
    nemesis.note(
      `cut off ${nodes.slice(0, count).map(({ id }) => id)} from the other nodes`,
      "fault: partitions",
    );
    for (const a of nodes.slice(0, count)) {
      for (const b of nodes.slice(count)) nemesis.cutBoth(a.machine, b.machine);
    }
    nemesis.later(nemesis.outageMs(), () => cluster.network.healAll());
  },

  isolateLeader(nemesis) {
    const { cluster, random } = nemesis;
    const [leader] = random.shuffle(cluster.leaders);
    if (leader === undefined) return;
    nemesis.note(`cut off leader ${leader.id}`, "fault: leaders cut off");
    // From everybody, or from the nodes alone: then it goes on talking to clients.
    const others: Machine[] = random.chance(0.5)
      ? cluster.nodes.map(({ machine }) => machine)
      : nemesis.machines;
    for (const machine of others) nemesis.cutBoth(leader.machine, machine);
    nemesis.later(nemesis.outageMs(), () => cluster.network.healAll());
  },

  cutOneWay(nemesis) {
    const { cluster, random } = nemesis;
    const [a, b] = random.shuffle(random.chance(0.7) ? nodeMachines(cluster) : nemesis.machines);
    if (a === undefined || b === undefined) return;
    nemesis.note(`cut ${a.name} > ${b.name}`, "fault: one-way partitions");
    cluster.network.block(a, b);
    nemesis.later(nemesis.outageMs(), () => cluster.network.unblock(a, b));
  },

  resetConnections(nemesis) {
    const { cluster, random } = nemesis;
    const share = random.next();
    const count = cluster.network.resetSome(() => random.chance(share));
    nemesis.note(`reset ${count} connections`, "fault: connections reset", count);
  },

  slowNetwork(nemesis) {
    const { cluster, random } = nemesis;
    nemesis.note("the network is bad", "fault: bad network");
    cluster.network.settings = {
      ...cluster.network.settings,
      latencyMs: random.magnitude(0.1, 30),
      jitterMs: random.magnitude(0.1, 300),
      lossChance: random.chance(0.5) ? random.magnitude(0.001, 0.2) : 0,
    };
    nemesis.later(random.magnitude(500, 10_000), () => nemesis.calmNetwork());
  },

  slowDisk(nemesis) {
    const node = nemesis.pickNode();
    nemesis.note(`the disk of node ${node.id} is slow`, "fault: slow disks");
    node.disk.syncMsMax = nemesis.random.magnitude(5, 1_000);
    nemesis.later(nemesis.random.magnitude(500, 10_000), () => node.disk.syncMsMax = 2);
  },

  failSync(nemesis) {
    const node = nemesis.unreliableNode();
    if (node === undefined || !node.alive) return;
    nemesis.note(`the next sync of node ${node.id} fails`, "fault: failing syncs");
    node.disk.failSyncs(1);
    nemesis.later(nemesis.outageMs(), () => {
      node.disk.failSyncs(0);
      node.start();
    });
  },

  fillDisk(nemesis) {
    const { cluster, random } = nemesis;
    for (const node of random.chance(0.3) ? cluster.nodes : [nemesis.pickNode()]) {
      nemesis.note(`the disk of node ${node.id} gets full`, "fault: full disks");
      node.disk.capacityBytes = node.disk.usedBytes + random.below(20_000);
      nemesis.noteRoom();
      nemesis.later(nemesis.outageMs(), () => {
        node.disk.capacityBytes = Infinity;
        nemesis.noteRoom();
        node.start();
      });
    }
  },

  replaceDisk(nemesis) {
    const node = nemesis.unreliableNode();
    if (node === undefined) return;
    nemesis.note(`node ${node.id} gets an empty disk`, "fault: disks replaced");
    node.replaceDisk();
    nemesis.later(nemesis.outageMs(), () => node.start());
  },

  rotDisk(nemesis) {
    const node = nemesis.unreliableNode();
    if (node === undefined) return;
    const wasAlive = node.alive;
    const dies = wasAlive && nemesis.random.chance(0.5);
    if (dies) node.kill();
    const place = node.rot(nemesis.random);
    if (place !== undefined) {
      nemesis.note(`a bit rots on node ${node.id}: ${place}`, "fault: bits rotten");
    }
    if (dies) nemesis.later(nemesis.outageMs(), () => node.start());
  },

  crashClient(nemesis) {
    nemesis.crashClient();
  },
};

/** What the nemesis may do to clients. */
export interface Victims {
  /** The machines that clients run on. */
  readonly machines: Machine[];
  /** Kills one client, which comes back as a new one. */
  crashOne(): void;
}

/** Chooses the faults of a run and lets them happen. */
export class Nemesis {
  readonly cluster: SimulatedCluster;
  readonly random: Random;
  readonly #victims: Victims;
  readonly #kinds: { readonly fault: Fault; readonly meanMs: number }[] = [];
  readonly #outageMsMax: number;
  /** The nodes whose disks may break promises: a minority. */
  readonly unreliable: readonly SimulatedNode[];
  #active = true;

  /**
   * @param cluster What to hurt.
   * @param victims The clients of it.
   * @param random Decides.
   */
  constructor(cluster: SimulatedCluster, victims: Victims, random: Random) {
    this.cluster = cluster;
    this.random = random;
    this.#victims = victims;
    this.#outageMsMax = random.magnitude(300, 20_000);
    const share = random.pick([0, 0.15, 0.3, 0.5, 1]);
    const names = Object.keys(FAULTS).filter(() => random.chance(share));
    for (const name of names) {
      this.#kinds.push({ fault: FAULTS[name]!, meanMs: random.magnitude(150, 15_000) });
    }
    cluster.world.note(`faults: ${names.join(", ") || "none"}`);
    const minority = Math.floor((cluster.nodes.length - 1) / 2);
    this.unreliable = random.shuffle(cluster.nodes).slice(0, minority);
    if (random.chance(0.3)) {
      for (const { disk } of cluster.nodes) disk.shortWriteChance = random.next() * 0.2;
    }
    this.calmNetwork();
    const { network } = cluster;
    if (random.chance(0.3)) {
      network.frameFaults = {
        duplicateChance: random.magnitude(0.001, 0.3),
        lateChance: random.magnitude(0.001, 0.1),
      };
    }
    if (random.chance(0.5)) network.lateBytesChance = random.next();
  }

  /** Begins. */
  start(): void {
    for (const kind of this.#kinds) this.#plan(kind.fault, kind.meanMs);
  }

  /** Ends: no more faults, and all that was broken is mended but for what happens to `broken`. */
  stop(broken: readonly SimulatedNode[] = []): void {
    this.#active = false;
    const { network, nodes } = this.cluster;
    network.healAll();
    network.settings = CALM_NETWORK;
    network.frameFaults = ORDERLY_FRAMES;
    for (const node of nodes) {
      if (broken.includes(node)) {
        this.#break(node);
        continue;
      }
      node.resume();
      node.disk.capacityBytes = Infinity;
      node.disk.syncMsMax = 2;
      node.disk.failSyncs(0);
      node.start();
    }
    this.noteRoom();
  }

  /** All machines there are. */
  get machines(): Machine[] {
    return [...nodeMachines(this.cluster), ...this.#victims.machines];
  }

  pickNode(): SimulatedNode {
    return this.random.pick(this.cluster.nodes);
  }

  /** A node whose disk may break promises. */
  unreliableNode(): SimulatedNode | undefined {
    return this.unreliable.length === 0 ? undefined : this.random.pick(this.unreliable);
  }

  outageMs(): number {
    return this.random.magnitude(10, this.#outageMsMax);
  }

  cutBoth(a: Machine, b: Machine): void {
    if (a === b) return;
    this.cluster.network.block(a, b);
    this.cluster.network.block(b, a);
  }

  calmNetwork(): void {
    const { cluster, random } = this;
    cluster.network.settings = { ...CALM_NETWORK, giveUpMs: random.magnitude(3_000, 120_000) };
  }

  crashClient(): void {
    this.#victims.crashOne();
  }

  note(text: string, counter: string, by = 1): void {
    this.cluster.world.note(`FAULT ${text}`);
    this.cluster.world.counters.add(counter, by);
  }

  /** Makes something good again, unless the fault phase has ended and all was mended. */
  later(ms: number, mend: () => void): void {
    this.cluster.world.timeline.after(ms, () => {
      if (this.#active) mend();
    });
  }

  /** Tells the world whether there is room on all disks. */
  noteRoom(): void {
    const { world, nodes } = this.cluster;
    const hasRoom = nodes.every(({ disk }) => disk.capacityBytes === Infinity);
    if (!hasRoom) world.roomSinceMs = Infinity;
    else if (world.roomSinceMs === Infinity) world.roomSinceMs = world.nowMs;
  }

  /** Leaves a node in one of the states that the others must be able to live with. */
  #break(node: SimulatedNode): void {
    const { machine } = node;
    switch (this.random.below(4)) {
      case 0:
        if (node.alive) node.kill();
        return;
      case 1:
        if (node.alive) node.losePower();
        return;
      case 2:
        return node.pause();
      default:
        // It hears nobody, and shouts at everybody.
        for (const { machine: other } of this.cluster.nodes) {
          if (other !== machine) this.cluster.network.block(other, machine);
        }
    }
  }

  #plan(fault: Fault, meanMs: number): void {
    this.later(this.random.wait(meanMs), () => {
      fault(this);
      this.#plan(fault, meanMs);
    });
  }
}

function nodeMachines(cluster: SimulatedCluster): Machine[] {
  return cluster.nodes.map(({ machine }) => machine);
}
