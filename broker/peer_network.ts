/**
 * The connections between the nodes of a cluster.
 *
 * Each node dials every other one and sends on the connection it dialled; what it receives comes in on
 * the connections the others dialled. So a pair of nodes has two one-way streams, and there is never a
 * question which of two connections counts. Frames on a stream keep their order; a stream that breaks
 * loses what was under way, and both ends are told, so that Raft repeats and relays end.
 *
 * The sender of a stream pings, and gives the stream up when no pong comes: after a cut that nobody
 * announced, a new connection is there long before the system would try again on the old one.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";
import {
  decodePeerHello,
  encodeFrame,
  encodePeerHello,
  type Frame,
  FrameWriter,
  peerFrameBytesMax,
  PeerFrameType,
  peerProtocolVersion,
  readFrames,
} from "../wire/mod.ts";
import type { ByteStream } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";
import { acceptAll } from "./accept.ts";
import { type Address, formatAddress, type Listener, type NodeRuntime } from "./runtime.ts";

/** Who this node is, as it tells its peers. */
export interface PeerIdentity {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly shardCount: number;
  /** Where clients reach this node. */
  readonly clientAddress: string;
}

/** What the node does with what its peers say. */
export interface PeerEvents {
  /** Frames can be sent to a peer; its hello is on the way. */
  sendingUp(to: NodeId): void;
  /** A frame of a peer that has said a proper hello. */
  received(from: NodeId, frame: Frame): void;
  /** The stream to a peer broke: what was sent last may be lost. */
  sendingLost(to: NodeId): void;
  /** The stream from a peer broke: nothing more comes until it dials again. */
  receivingLost(from: NodeId): void;
}

/** Pauses between attempts to dial a peer, in milliseconds. */
const DIAL_PAUSE_MS_MIN = 20;
const DIAL_PAUSE_MS_MAX = 500;

/** How long a dial may take, in milliseconds. */
const DIAL_MS_MAX = 2_000;

/** How long a peer may take for its hello, in milliseconds. */
const HELLO_MS_MAX = 5_000;

/** How often the sender pings, and how long it waits for any pong, in milliseconds. */
const PING_INTERVAL_MS = 500;
const SILENCE_MS_MAX = 3_000;

/** A stream with more than this waiting takes no more Raft messages: Raft repeats them later. */
const WAITING_BYTES_MAX = 64 << 20;

const ping = encodeFrame(PeerFrameType.ping, 0, 0);
const pong = encodeFrame(PeerFrameType.pong, 0, 0);

/** All streams from and to the peers of one node. */
export class PeerNetwork {
  readonly #identity: PeerIdentity;
  readonly #runtime: NodeRuntime;
  readonly #events: PeerEvents;
  readonly #log: Logger;
  readonly #outgoing = new Map<NodeId, OutgoingStream>();
  readonly #incoming = new Map<NodeId, ByteStream>();
  readonly #accepted = new Set<ByteStream>();
  /** How many connections were ever accepted. */
  #acceptedCount = 0;
  /** Which of them was the last in use for each peer. */
  readonly #newest = new Map<NodeId, number>();
  readonly #clientAddresses = new Map<NodeId, string>();
  #listener: Listener | undefined;
  #accepting: Promise<void> | undefined;
  #closed = false;

  constructor(identity: PeerIdentity, runtime: NodeRuntime, events: PeerEvents, log: Logger) {
    this.#identity = identity;
    this.#runtime = runtime;
    this.#events = events;
    this.#log = log;
  }

  /** Takes connections of peers on `listener` and dials each of `peers`, again and again. */
  start(listener: Listener, peers: Iterable<readonly [NodeId, Address]>): void {
    this.#listener = listener;
    this.#accepting = this.#acceptLoop(listener);
    for (const [id, address] of peers) {
      const stream = new OutgoingStream(id, address, this.#identity, this.#runtime, {
        up: () => {
          this.#log.info("Connected to peer", { peer: id, address: formatAddress(address) });
          this.#events.sendingUp(id);
        },
        lost: (error) => {
          if (this.#closed) return;
          this.#log.warn("Lost the connection to a peer", { peer: id, error: textOf(error) });
          this.#events.sendingLost(id);
        },
      });
      this.#outgoing.set(id, stream);
      stream.start();
    }
  }

  /** Whether frames can be sent to a peer now. */
  connected(to: NodeId): boolean {
    return this.#outgoing.get(to)?.connected ?? false;
  }

  /** Whether what a peer sends arrives here: it has dialled us, and said hello. */
  heard(from: NodeId): boolean {
    return this.#incoming.has(from);
  }

  /** Where clients reach a node, as it said in its last hello. */
  clientAddress(id: NodeId): string | undefined {
    return id === this.#identity.nodeId
      ? this.#identity.clientAddress
      : this.#clientAddresses.get(id);
  }

  /**
   * Sends a frame that Raft repeats by itself if it is lost.
   *
   * @returns Whether it was taken; `false` when there is no connection, or too much waits on it.
   */
  sendRaft(to: NodeId, parts: readonly Uint8Array[]): boolean {
    const stream = this.#outgoing.get(to);
    if (!stream?.connected || stream.waitingBytes > WAITING_BYTES_MAX) return false;
    stream.send(parts);
    return true;
  }

  /**
   * Sends a frame of a relayed client.
   *
   * @returns Whether there is a connection to send it on.
   */
  sendRelay(to: NodeId, parts: readonly Uint8Array[]): boolean {
    const stream = this.#outgoing.get(to);
    if (!stream?.connected) return false;
    stream.send(parts);
    return true;
  }

  /** Resolves when nothing waits to be sent to a peer. */
  flushed(to: NodeId): Promise<void> {
    return this.#outgoing.get(to)?.flushed() ?? Promise.resolve();
  }

  /** Bytes that wait to be sent to a peer. */
  waitingBytes(to: NodeId): number {
    return this.#outgoing.get(to)?.waitingBytes ?? 0;
  }

  /**
   * Ends all connections, and takes no more.
   *
   * @returns When the listener is gone: until then its address is in use.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#listener?.close();
    for (const stream of this.#outgoing.values()) stream.close();
    for (const stream of this.#accepted) stream.close();
    await this.#accepting;
  }

  async #acceptLoop(listener: Listener): Promise<void> {
    for await (const stream of acceptAll(listener, this.#runtime.clock, this.#log)) {
      if (this.#closed) stream.close();
      else void this.#receive(stream);
    }
  }

  async #receive(stream: ByteStream): Promise<void> {
    this.#accepted.add(stream);
    const number = ++this.#acceptedCount;
    const answers = new FrameWriter(stream);
    let from: NodeId = 0;
    const lateHello = this.#runtime.clock.setTimeout(() => {
      if (from === 0) stream.close();
    }, HELLO_MS_MAX);
    try {
      await readFrames(stream, (frame) => {
        if (from === 0) from = this.#greet(frame, stream, number);
        else if (frame.type === PeerFrameType.ping) answers.send(pong);
        // A second connection of the same peer replaces the first, whose frames are stale.
        else if (this.#incoming.get(from) === stream) this.#events.received(from, frame);
      }, { frameBytesMax: peerFrameBytesMax });
    } catch (error) {
      if (!this.#closed) {
        this.#log.warn("Closed a peer's connection", {
          peer: from === 0 ? undefined : from,
          address: stream.remoteAddress,
          error: textOf(error),
        });
      }
    }
    this.#runtime.clock.clearTimeout(lateHello);
    stream.close();
    this.#accepted.delete(stream);
    if (from !== 0 && this.#incoming.get(from) === stream) {
      this.#incoming.delete(from);
      if (!this.#closed) this.#events.receivingLost(from);
    }
  }

  /** Checks the first frame of a connection and makes it the one that counts for its peer. */
  #greet(frame: Frame, stream: ByteStream, number: number): NodeId {
    if (frame.type !== PeerFrameType.hello) {
      throw new Error(`The first frame must be a peer's hello: it is of type ${frame.type}`);
    }
    const hello = decodePeerHello(frame.payload);
    const { clusterId, shardCount } = this.#identity;
    if (hello.protocol !== peerProtocolVersion) {
      throw new Error(`Peer protocol ${hello.protocol} is not spoken here`);
    }
    if (hello.clusterId !== clusterId || hello.shardCount !== shardCount) {
      throw new Error(
        `Node ${hello.nodeId} was started with another --cluster or --shards: its cluster id is ` +
          `${hello.clusterId}, ours is ${clusterId}`,
      );
    }
    if (!this.#outgoing.has(hello.nodeId)) {
      throw new Error(`Node ${hello.nodeId} is not in the cluster list`);
    }
    // A peer dials again only when it has given up the connection before. What it said there may come in
    // late, and even in another life of the peer: it is about the past, the hello and all behind it.
    const newest = this.#newest.get(hello.nodeId) ?? 0;
    if (number < newest) throw new Error(`Node ${hello.nodeId} has made a newer connection`);
    this.#newest.set(hello.nodeId, number);
    const previous = this.#incoming.get(hello.nodeId);
    this.#incoming.set(hello.nodeId, stream);
    this.#clientAddresses.set(hello.nodeId, hello.clientAddress);
    if (previous !== undefined) {
      previous.close();
      this.#events.receivingLost(hello.nodeId);
    }
    // Whoever dials us is up: no need to wait for the end of a pause.
    this.#outgoing.get(hello.nodeId)!.hurry();
    return hello.nodeId;
  }
}

/** The stream to one peer: dials, says hello, sends, and starts over when it breaks. */
class OutgoingStream {
  readonly #to: NodeId;
  readonly #address: Address;
  readonly #identity: PeerIdentity;
  readonly #runtime: NodeRuntime;
  readonly #events: { up(): void; lost(error: unknown): void };
  readonly #closing = new AbortController();
  #stream: ByteStream | undefined;
  #writer: FrameWriter | undefined;
  #wake: (() => void) | undefined;

  constructor(
    to: NodeId,
    address: Address,
    identity: PeerIdentity,
    runtime: NodeRuntime,
    events: { up(): void; lost(error: unknown): void },
  ) {
    this.#to = to;
    this.#address = address;
    this.#identity = identity;
    this.#runtime = runtime;
    this.#events = events;
  }

  get connected(): boolean {
    return this.#writer !== undefined;
  }

  get waitingBytes(): number {
    return this.#writer?.waitingBytes ?? 0;
  }

  start(): void {
    void this.#run();
  }

  send(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.#writer!.send(part);
  }

  flushed(): Promise<void> {
    return this.#writer?.flushed() ?? Promise.resolve();
  }

  /** Dials at once where it waits for the next attempt. */
  hurry(): void {
    this.#wake?.();
  }

  close(): void {
    this.#closing.abort();
    this.#writer = undefined;
    this.#stream?.close();
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let pauseMs = DIAL_PAUSE_MS_MIN;
    while (!signal.aborted) {
      const startMs = this.#runtime.clock.monotonic();
      const failure = await this.#connectAndHold();
      if (signal.aborted) return;
      if (failure !== undefined) this.#events.lost(failure);
      // A connection that ends at once was refused by the peer: it is not asked again and again.
      const heldMs = this.#runtime.clock.monotonic() - startMs;
      if (failure !== undefined && heldMs > DIAL_PAUSE_MS_MAX) pauseMs = DIAL_PAUSE_MS_MIN;
      await this.#pause(pauseMs * (0.5 + this.#runtime.random()));
      pauseMs = Math.min(pauseMs * 2, DIAL_PAUSE_MS_MAX);
    }
  }

  /**
   * One connection from dial to end.
   *
   * @returns What ended it, or `undefined` when it never came about.
   */
  async #connectAndHold(): Promise<unknown> {
    const stream = await this.#dial();
    if (stream === undefined) return undefined;
    this.#stream = stream;
    let failure: unknown = new Error("The peer closed the connection");
    const writer = new FrameWriter(stream, (error) => {
      failure = error;
      stream.close();
    });
    const { nodeId, clusterId, shardCount, clientAddress } = this.#identity;
    writer.send(
      encodePeerHello({
        protocol: peerProtocolVersion,
        nodeId,
        clusterId,
        shardCount,
        clientAddress,
      }),
    );
    this.#writer = writer;
    this.#events.up();
    try {
      await this.#holdWhileAlive(stream, writer);
    } catch (error) {
      failure = error;
    }
    if (this.#writer === writer) this.#writer = undefined;
    this.#stream = undefined;
    stream.close();
    return failure;
  }

  /** @returns A connection, or `undefined` when none could be had in time. */
  async #dial(): Promise<ByteStream | undefined> {
    const { clock, dialer } = this.#runtime;
    const late = new AbortController();
    const timer = clock.setTimeout(() => late.abort(), DIAL_MS_MAX);
    const signal = AbortSignal.any([late.signal, this.#closing.signal]);
    try {
      const stream = await dialer.connect(this.#address, signal);
      if (!signal.aborted) return stream;
      stream.close();
    } catch {
      // Nobody there yet, or no way to them: the caller tries again.
    } finally {
      clock.clearTimeout(timer);
    }
    return undefined;
  }

  /** Reads pongs, and nothing else, until the connection ends or falls silent. */
  async #holdWhileAlive(stream: ByteStream, writer: FrameWriter): Promise<void> {
    const { clock } = this.#runtime;
    let heardAtMs = clock.monotonic();
    let checkedAtMs = heardAtMs;
    let waitingBytes = 0;
    const check = () => {
      timer = clock.setTimeout(check, PING_INTERVAL_MS);
      const nowMs = clock.monotonic();
      // Bytes that were taken are a sign of life, too; and if we were the ones asleep, nobody is silent.
      const isMoving = writer.waitingBytes < waitingBytes;
      if (isMoving || nowMs - checkedAtMs > 2 * PING_INTERVAL_MS) heardAtMs = nowMs;
      checkedAtMs = nowMs;
      waitingBytes = writer.waitingBytes;
      if (nowMs - heardAtMs > SILENCE_MS_MAX) stream.close();
      else writer.send(ping);
    };
    let timer = clock.setTimeout(check, PING_INTERVAL_MS);
    const buffer = new Uint8Array(256);
    try {
      while (await stream.read(buffer) !== null) heardAtMs = clock.monotonic();
    } finally {
      clock.clearTimeout(timer);
    }
  }

  #pause(ms: number): Promise<void> {
    const { clock } = this.#runtime;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clock.clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
