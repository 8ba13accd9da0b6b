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
 * @module
 */

import type { ByteStream, Dialer } from "../../client/runtime.ts";
import type { Address, Listener } from "../../broker/runtime.ts";
import { formatAddress } from "../../broker/runtime.ts";
import type { DeathCause, Machine, Process, World } from "./world.ts";
import { type FrameFaults, FrameShuffler, ORDERLY_FRAMES } from "./frame_shuffler.ts";
import type { Random } from "./random.ts";
import { copyOf } from "./slab.ts";

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

/** How long a dial is tried, in milliseconds. */
const DIAL_MS_MAX = 30_000;

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

/** One attempt to make a connection. */
class Dial {
  readonly #network: Network;
  readonly #process: Process;
  readonly #address: Address;
  readonly #machines: ReadonlyMap<string, Machine>;
  readonly #listeners: ReadonlyMap<string, PortListener>;
  readonly #done: (result: ByteStream | Error) => void;
  #over = false;
  #stuck = false;

  constructor(
    network: Network,
    process: Process,
    address: Address,
    machines: ReadonlyMap<string, Machine>,
    listeners: ReadonlyMap<string, PortListener>,
    done: (result: ByteStream | Error) => void,
  ) {
    this.#network = network;
    this.#process = process;
    this.#address = address;
    this.#machines = machines;
    this.#listeners = listeners;
    this.#done = done;
  }

  start(): void {
    const { world } = this.#network;
    world.trace(() => `${this.#process.name} > ${formatAddress(this.#address)}: dials`);
    world.timeline.after(
      DIAL_MS_MAX,
      () => this.#finish(new Deno.errors.TimedOut("Dial timed out")),
    );
    this.#send(0);
  }

  abandon(): void {
    const { world } = this.#network;
    world.trace(() => `${this.#process.name} > ${formatAddress(this.#address)}: gives up`);
    this.#over = true;
  }

  retry(): void {
    if (!this.#stuck) return;
    this.#stuck = false;
    this.#send(this.#network.repeatMs());
  }

  #send(delayMs: number): void {
    const { machine } = this.#process;
    const target = this.#machines.get(this.#address.hostname);
    if (target === undefined) return this.#finish(new Error("No route to host"));
    const travelMs = this.#network.travelMs(machine, target);
    this.#network.world.timeline.after(delayMs + travelMs, () => this.#arrive(target));
  }

  #arrive(target: Machine): void {
    if (this.#over || !this.#process.alive) return;
    const { machine } = this.#process;
    if (!this.#network.open(machine, target) || !this.#network.open(target, machine)) {
      this.#stuck = true;
      return;
    }
    const backMs = this.#network.travelMs(target, machine);
    const listener = this.#listeners.get(formatAddress(this.#address));
    const { timeline } = this.#network.world;
    if (listener === undefined) {
      timeline.after(backMs, () => {
        this.#finish(new Deno.errors.ConnectionRefused("Connection refused"));
      });
      return;
    }
    const here = `${machine.name}:${machine.ephemeralPort()}`;
    const ours = new Socket(this.#network, this.#process, formatAddress(this.#address));
    const theirs = new Socket(this.#network, listener.process, here);
    ours.join(theirs);
    ours.shuffler = this.#network.shuffler(this.#address);
    this.#network.world.counters.add("network: connections");
    listener.take(theirs);
    timeline.after(backMs, () => {
      if (this.#over) ours.close();
      else this.#finish(ours);
    });
  }

  #finish(result: ByteStream | Error): void {
    if (this.#over) return;
    this.#over = true;
    const outcome = result instanceof Error ? result.message : "connected";
    const { world } = this.#network;
    world.trace(() => `${this.#process.name} > ${formatAddress(this.#address)}: ${outcome}`);
    this.#process.deliver(() => this.#done(result));
  }
}

/** A port that takes connections. */
class PortListener implements Listener {
  readonly process: Process;
  readonly address: Address;
  readonly #release: () => void;
  readonly #waiting: Socket[] = [];
  #acceptor: ((stream: ByteStream | null) => void) | undefined;
  #closed = false;

  constructor(process: Process, address: Address, release: () => void) {
    this.process = process;
    this.address = address;
    this.#release = release;
    process.whenDead(() => this.#end());
  }

  accept(): Promise<ByteStream | null> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(null);
      const socket = this.#waiting.shift();
      if (socket !== undefined) resolve(socket);
      else this.#acceptor = resolve;
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#end();
    this.#acceptor?.(null);
  }

  /** A connection came about; the system holds it until the process asks. */
  take(socket: Socket): void {
    this.#waiting.push(socket);
    this.process.deliver(() => {
      const acceptor = this.#acceptor;
      if (acceptor === undefined) return;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#acceptor = undefined;
      acceptor(next);
    });
  }

  #end(): void {
    this.#closed = true;
    this.#release();
    for (const socket of this.#waiting.splice(0)) socket.close();
  }
}

/** What travels in a pipe. */
type Packet = Uint8Array | "end" | "reset";

/** One direction of a connection. */
class Pipe {
  readonly from: Socket;
  readonly to: Socket;
  readonly #network: Network;
  #packets: { readonly packet: Packet; readonly dueMs: number }[] = [];
  #underWay = false;
  #stuckSince: number | undefined;
  #lastDueMs = 0;
  #bytes = 0;
  /** Nothing gets in any more. */
  #sealed = false;

  constructor(network: Network, from: Socket, to: Socket) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  /** Bytes on their way. */
  get bytes(): number {
    return this.#bytes;
  }

  send(packet: Packet): void {
    if (this.#sealed) return;
    if (packet === "end" || packet === "reset") this.#sealed = true;
    const { world } = this.#network;
    const travelMs = this.#network.travelMs(this.from.process.machine, this.to.process.machine);
    const dueMs = this.#lastDueMs = Math.max(this.#lastDueMs, world.nowMs + travelMs);
    if (typeof packet !== "string") this.#bytes += packet.length;
    this.#packets.push({ packet, dueMs });
    this.#next();
  }

  /** What is under way comes in later, and then the other end hears of the reset. */
  linger(ms: number): void {
    const { world } = this.#network;
    this.send("reset");
    const packets = this.#packets;
    this.#packets = packets.map(({ packet, dueMs }) => ({ packet, dueMs: dueMs + ms }));
    // One that is about to come in comes when it was due: the others wait behind it.
    world.trace(() => `${this.from.process.name}: ${packets.length} packets come ${ms} ms late`);
  }

  /** Cuts off what is under way at a random byte. */
  tear(random: Random): void {
    const left = random.below(this.#packets.length + 1);
    const kept = this.#packets.slice(0, left);
    const last = kept.at(-1);
    if (last !== undefined && typeof last.packet !== "string") {
      const bytes = last.packet.subarray(0, random.below(last.packet.length + 1));
      kept[left - 1] = { packet: bytes, dueMs: last.dueMs };
    }
    // Arrives at once: the reset is right behind.
    for (const { packet } of kept) this.to.arrived(packet);
    this.stop();
  }

  /** Nothing arrives any more, and nobody is told. */
  stop(): void {
    this.#sealed = true;
    this.#packets = [];
    this.#network.closed(this);
  }

  /** The link may be open again. */
  retry(): void {
    if (this.#stuckSince === undefined) return;
    const { from, to } = this;
    if (!this.#network.open(from.process.machine, to.process.machine)) return;
    this.#stuckSince = undefined;
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#network.world.nowMs);
    this.#underWay = true;
    this.#network.world.timeline.after(this.#network.repeatMs(), () => this.#arrive());
  }

  #next(): void {
    if (this.#underWay || this.#stuckSince !== undefined) return;
    const first = this.#packets[0];
    if (first === undefined) return;
    this.#underWay = true;
    const { timeline, nowMs } = this.#network.world;
    timeline.after(first.dueMs - nowMs, () => this.#arrive());
  }

  #arrive(): void {
    this.#underWay = false;
    const first = this.#packets[0];
    if (first === undefined) return;
    if (!this.#network.open(this.from.process.machine, this.to.process.machine)) {
      return this.#stick();
    }
    this.#packets.shift();
    const { packet } = first;
    if (typeof packet !== "string") this.#bytes -= packet.length;
    this.to.arrived(packet);
    if (typeof packet === "string") this.stop();
    else {
      this.from.roomMayBeThere();
      this.#next();
    }
  }

  #stick(): void {
    const { world, settings } = this.#network;
    const since = this.#stuckSince = world.nowMs;
    world.timeline.after(settings.giveUpMs, () => {
      if (this.#stuckSince !== since) return;
      world.counters.add("network: connections given up");
      this.stop();
      this.from.fail("Connection timed out");
    });
  }
}

/** One end of a connection. */
class Socket implements ByteStream {
  readonly process: Process;
  readonly remoteAddress: string;
  readonly #network: Network;
  /** To the other end. */
  pipe!: Pipe;
  /** What is written goes through this, where it is there. */
  shuffler: FrameShuffler | undefined;
  #peer!: Socket;
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #ended = false;
  #failure: string | undefined;
  #closed = false;
  #reading:
    | {
      buffer: Uint8Array;
      resolve: (count: number | null) => void;
      reject: (error: Error) => void;
    }
    | undefined;
  #writing:
    | { bytes: Uint8Array; resolve: (count: number) => void; reject: (error: Error) => void }
    | undefined;

  constructor(network: Network, process: Process, remoteAddress: string) {
    this.#network = network;
    this.process = process;
    this.remoteAddress = remoteAddress;
    process.whenDead((cause) => this.#orphaned(cause));
  }

  /** Makes a connection of two ends. */
  join(peer: Socket): void {
    this.#peer = peer;
    peer.#peer = this;
    this.pipe = new Pipe(this.#network, this, peer);
    peer.pipe = new Pipe(this.#network, peer, this);
    this.#network.opened(this.pipe);
    this.#network.opened(peer.pipe);
    // The end of a process that died while the connection was being made.
    if (!peer.process.alive) peer.close();
  }

  /** Whether this end is closed or broken. */
  get closed(): boolean {
    return this.#closed || this.#failure !== undefined;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (this.#reading !== undefined) throw new TypeError("Cannot read twice at a time");
      this.#reading = { buffer, resolve, reject };
      this.#serveRead();
    });
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#writing !== undefined) throw new TypeError("Cannot write twice at a time");
      this.#writing = { bytes, resolve, reject };
      this.#serveWrite();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // With bytes unread, the system tells the other end that they got lost.
    this.pipe.send(this.#receivedBytes > 0 ? "reset" : "end");
    this.#received = [];
    this.#receivedBytes = 0;
    this.#reading?.reject(new Deno.errors.Interrupted("The stream was closed"));
    this.#writing?.reject(new Deno.errors.Interrupted("The stream was closed"));
    this.#reading = undefined;
    this.#writing = undefined;
  }

  /** The connection broke at this end. */
  fail(reason: string): void {
    if (this.#closed || this.#failure !== undefined) return;
    const { world } = this.#network;
    world.trace(() => `${this.process.name} > ${this.remoteAddress}: ${reason}`);
    this.#failure = reason;
    this.process.deliver(() => {
      this.#serveRead();
      this.#serveWrite();
    });
  }

  /** Something came out of the pipe. */
  arrived(packet: Packet): void {
    const { world } = this.#network;
    if (packet === "reset") return this.fail("Connection reset by peer");
    if (packet === "end") {
      if (this.#closed) return;
      this.#ended = true;
      return this.process.deliver(() => this.#serveRead());
    }
    if (this.#closed || !this.process.alive) {
      // Nobody is here to take it.
      this.#peer.pipe.stop();
      this.#peer.#resetBy(this);
      return;
    }
    if (this.#failure !== undefined || packet.length === 0) return;
    world.hash.number(world.nowMs);
    world.hash.bytes(packet);
    this.#received.push(packet);
    this.#receivedBytes += packet.length;
    this.process.deliver(() => this.#serveRead());
  }

  /** The pipe or the other end has taken something. */
  roomMayBeThere(): void {
    if (this.#writing !== undefined) this.process.deliver(() => this.#serveWrite());
  }

  /** The other end answers with a reset, as often as it takes: its way back may be cut. */
  #resetBy(peer: Socket, delayMs = 0): void {
    const { world } = this.#network;
    const from = peer.process.machine;
    const to = this.process.machine;
    world.timeline.after(delayMs + this.#network.travelMs(from, to), () => {
      if (this.closed || !this.process.alive) return;
      if (this.#network.open(from, to)) this.fail("Connection reset by peer");
      else this.#resetBy(peer, this.#network.repeatMs());
    });
  }

  #orphaned(cause: DeathCause): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reading = undefined;
    this.#writing = undefined;
    // Not yet joined: join() will see to it.
    if (this.pipe === undefined) return;
    if (cause === "killed") this.pipe.send(this.#receivedBytes > 0 ? "reset" : "end");
    // A machine without power says nothing more; what it had sent is on its way or not.
    else this.pipe.stop();
  }

  #send(bytes: Uint8Array): void {
    if (this.shuffler === undefined) return this.pipe.send(bytes);
    for (const frame of this.shuffler.take(bytes)) this.pipe.send(frame);
  }

  #serveRead(): void {
    const reading = this.#reading;
    if (reading === undefined || !this.process.alive) return;
    const first = this.#received[0];
    if (first !== undefined) {
      this.#reading = undefined;
      let done = 0;
      const wanted = this.#network.short(Math.min(reading.buffer.length, this.#receivedBytes));
      while (done < wanted) {
        const chunk = this.#received[0]!;
        const count = Math.min(chunk.length, wanted - done);
        reading.buffer.set(chunk.subarray(0, count), done);
        if (count === chunk.length) this.#received.shift();
        else this.#received[0] = chunk.subarray(count);
        done += count;
      }
      this.#receivedBytes -= done;
      this.#peer.roomMayBeThere();
      return reading.resolve(done);
    }
    if (this.#failure === undefined && !this.#ended && !this.#closed) return;
    this.#reading = undefined;
    if (this.#failure !== undefined) {
      return reading.reject(new Deno.errors.ConnectionReset(this.#failure));
    }
    if (this.#closed) return reading.reject(new Deno.errors.BadResource("The stream is closed"));
    reading.resolve(null);
  }

  #serveWrite(): void {
    const writing = this.#writing;
    if (writing === undefined || !this.process.alive) return;
    if (this.#failure !== undefined || this.#closed) {
      this.#writing = undefined;
      const reason = this.#failure ?? "The stream is closed";
      return writing.reject(new Deno.errors.BrokenPipe(reason));
    }
    const room = this.#network.settings.bufferBytes - this.pipe.bytes - this.#peer.#receivedBytes;
    if (room <= 0) return;
    this.#writing = undefined;
    const count = this.#network.short(Math.min(room, writing.bytes.length));
    // A copy: the writer may use its buffer again.
    if (count > 0) this.#send(copyOf(writing.bytes.subarray(0, count)));
    writing.resolve(count);
  }
}
