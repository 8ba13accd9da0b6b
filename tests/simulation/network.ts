/**
 * A network with the promises of TCP and no more.
 *
 * A connection is two pipes. Bytes in a pipe keep their order and none goes missing, but they take time,
 * come in pieces of any size, and stop altogether where the link between two machines is down in that
 * direction: then they are held, as a sender repeats what nobody acknowledged, until the link heals or
 * the sender gives up. Lost packets are therefore pauses. What a process sees of a dead or deaf peer
 * is what TCP shows: the end of the stream when the peer closed, a reset when it was killed, nothing
 * at all when its machine lost power, and a reset when that machine is back and knows of no connection.
 *
 * Here is what lies between the machines. A connection is made by `dial.ts`; its two pipes are in `pipe.ts`,
 * its ends in `socket.ts`.
 *
 * @module
 */

import type { ByteStream, Dialer } from "../../client/runtime.ts";
import type { Address, Listener } from "../../broker/runtime.ts";
import { formatAddress } from "../../broker/runtime.ts";
import type { Machine, Process, World } from "./world.ts";
import { Dial } from "./dial.ts";
import { type FrameFaults, FrameShuffler, ORDERLY_FRAMES } from "./frame_shuffler.ts";
import type { Pipe } from "./pipe.ts";
import { PortListener } from "./port_listener.ts";
import type { Random } from "./random.ts";

/** How good the network is. */
export interface NetworkSettings {
  /** How long a packet takes at least, in milliseconds. */
  readonly latencyMs: number;
  /** How much longer it may take. */
  readonly jitterMs: number;
  /** The chance that a packet is lost: it arrives after a pause for its repetition. */
  readonly lossChance: number;
  /** The chance that a read or write moves fewer bytes than it could. */
  readonly shortChance: number;
  /** Bytes that a connection holds between writer and reader. */
  readonly bufferBytes: number;
  /** How long bytes may be held before their sender gives the connection up. */
  readonly giveUpMs: number;
}

/** A good network. */
export const CALM_NETWORK: NetworkSettings = {
  latencyMs: 0.1,
  jitterMs: 0.2,
  lossChance: 0,
  shortChance: 0.05,
  bufferBytes: 256 << 10,
  giveUpMs: 60_000,
};

/** Pauses before a packet is sent again, in milliseconds. */
const REPEAT_MS_MIN = 200;
const REPEAT_MS_MAX = 3_000;

/** All machines of a simulation, and what is between them. */
export class Network {
  readonly world: World;
  settings: NetworkSettings = CALM_NETWORK;
  /** What happens to frames of Raft. */
  frameFaults: FrameFaults = ORDERLY_FRAMES;
  /** How likely what is under way, when a connection is reset, still comes in after that. */
  lateBytesChance = 0;
  readonly #peerPort: number | undefined;
  readonly #random: Random;
  readonly #listeners = new Map<string, PortListener>();
  readonly #machines = new Map<string, Machine>();
  readonly #blocked = new Set<string>();
  readonly #pipes = new Set<Pipe>();
  readonly #dials = new Set<Dial>();

  /**
   * @param world Where it is.
   * @param random Decides.
   * @param peerPort The port on which brokers take the streams of other brokers.
   */
  constructor(world: World, random: Random, peerPort?: number) {
    this.world = world;
    this.#random = random;
    this.#peerPort = peerPort;
  }

  /** Connects a machine. */
  add(machine: Machine): void {
    this.#machines.set(machine.name, machine);
  }

  /** How a process makes connections. */
  dialer(process: Process): Dialer {
    return {
      connect: (address, signal) => this.#connect(process, address, signal),
    };
  }

  /**
   * Opens a port.
   *
   * @throws {Deno.errors.AddrInUse} If it is taken.
   */
  listen(process: Process, address: Address): Listener {
    const { name } = process.machine;
    const port = address.port === 0 ? process.machine.ephemeralPort() : address.port;
    const key = formatAddress({ hostname: name, port });
    if (this.#listeners.has(key)) throw new Deno.errors.AddrInUse(`Address in use: ${key}`);
    const listener = new PortListener(process, { hostname: name, port }, () => {
      if (this.#listeners.get(key) === listener) this.#listeners.delete(key);
    });
    this.#listeners.set(key, listener);
    return listener;
  }

  /** Cuts one direction between two machines. */
  block(from: Machine, to: Machine): void {
    this.#blocked.add(`${from.name}>${to.name}`);
  }

  /** Mends one direction. */
  unblock(from: Machine, to: Machine): void {
    if (!this.#blocked.delete(`${from.name}>${to.name}`)) return;
    this.#retry();
  }

  /** Mends everything. */
  healAll(): void {
    this.#blocked.clear();
    this.#retry();
  }

  /** Whether anything is cut. */
  get partitioned(): boolean {
    return this.#blocked.size > 0;
  }

  /** A machine has power again: what waited for it is tried again. */
  poweredOn(): void {
    this.#retry();
  }

  /** Breaks open connections that `which` picks, in the middle of whatever they carry. */
  resetSome(which: (a: Machine, b: Machine) => boolean): number {
    let count = 0;
    for (const pipe of [...this.#pipes]) {
      const { from, to } = pipe;
      if (from.closed || !which(from.process.machine, to.process.machine)) continue;
      from.fail("Connection reset by peer");
      to.pipe.tear(this.#random);
      if (this.lateBytesChance > 0 && this.#random.chance(this.lateBytesChance)) {
        // The other end goes on reading, for a while, what this one sent before it gave up.
        pipe.linger(this.#random.magnitude(1, 3_000));
        this.world.counters.add("network: connections that outlive their reset");
      } else {
        // What is under way arrives in part.
        pipe.tear(this.#random);
        to.fail("Connection reset by peer");
      }
      count++;
    }
    return count;
  }

  /** Whether packets travel in this direction. */
  open(from: Machine, to: Machine): boolean {
    return from.poweredOn && to.poweredOn &&
      (from === to || this.#blocked.size === 0 || !this.#blocked.has(`${from.name}>${to.name}`));
  }

  /** How long the next packet takes. */
  travelMs(from: Machine, to: Machine): number {
    const { latencyMs, jitterMs, lossChance } = this.settings;
    if (from === to) return 0.02 + this.#random.next() * 0.05;
    let ms = latencyMs + this.#random.next() * this.#random.next() * jitterMs;
    if (lossChance > 0 && this.#random.chance(lossChance)) {
      this.world.counters.add("network: packets lost");
      ms += this.repeatMs();
    }
    return ms;
  }

  /** A pause before something is sent again. */
  repeatMs(): number {
    return this.#random.magnitude(REPEAT_MS_MIN, REPEAT_MS_MAX);
  }

  /** Less than `count`, now and then. */
  short(count: number): number {
    if (count <= 1 || !this.#random.chance(this.settings.shortChance)) return count;
    return this.#random.integer(1, count);
  }

  /** What a stream to an address goes through. */
  shuffler({ port }: Address): FrameShuffler | undefined {
    if (port !== this.#peerPort) return undefined;
    return new FrameShuffler(() => this.frameFaults, this.#random, this.world.counters);
  }

  opened(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  closed(pipe: Pipe): void {
    this.#pipes.delete(pipe);
  }

  /** Packets that were held, and dials, are sent again, each after its own pause. */
  #retry(): void {
    for (const pipe of this.#pipes) pipe.retry();
    for (const dial of this.#dials) dial.retry();
  }

  #connect(process: Process, address: Address, signal?: AbortSignal): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (!process.alive) return;
      const dial = new Dial(this, process, address, this.#machines, this.#listeners, (result) => {
        this.#dials.delete(dial);
        signal?.removeEventListener("abort", onAbort);
        if (result instanceof Error) reject(result);
        else resolve(result);
      });
      const onAbort = () => {
        this.#dials.delete(dial);
        dial.abandon();
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#dials.add(dial);
      dial.start();
    });
  }
}
