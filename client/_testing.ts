/**
 * For tests: a clock that a test moves, a network in memory, and brokers that do what a test says.
 *
 * @module
 */

import {
  checkPublishCommand,
  checkSettleCommand,
  type ClientRequest,
  decodeCommand,
  decodeMessage,
  decodeRequest,
  defaultLimits,
  DeliverBuilder,
  encodeConsumerEnded,
  encodeDrained,
  encodePublishCommand,
  encodeQueueGrown,
  encodeReply,
  encodeSessionEnded,
  ErrorCode,
  type Frame,
  FrameParser,
  type Message,
  messageEnd,
  type MessageHeaders,
  type MessageOptions,
  messageStart,
  type PublishCommand,
  type QueueInfo,
  queueSettings,
  type ServerReply,
  type SettleCommand,
} from "../wire/mod.ts";
import { type Address, formatAddress } from "./address.ts";
import { type Client, connect } from "./client.ts";
import type { FlowMQError } from "./errors.ts";
import type { ConnectOptions } from "./options.ts";
import type { ByteStream, ClientRuntime, Clock, Dialer } from "./runtime.ts";

/** Lets everything run that waits for promises only: nothing here waits for anything else. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 400; i++) await Promise.resolve();
}

/** What became of a promise, as far as anything has. */
export interface Outcome<T> {
  value?: T;
  /** What the client rejects with, nearly always. */
  error?: FlowMQError;
}

/** Looks after a promise whose outcome is looked at later. */
export function outcomeOf<T>(promise: Promise<T>): Outcome<T> {
  const outcome: Outcome<T> = {};
  promise.then((value) => outcome.value = value, (error) => outcome.error = error);
  return outcome;
}

/** Time that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #nextId = 1;
  readonly #timers = new Map<number, { atMs: number; callback: () => void }>();

  now(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  setTimeout(callback: () => void, ms: number): number {
    const id = this.#nextId++;
    this.#timers.set(id, { atMs: this.#nowMs + Math.max(0, ms), callback });
    return id;
  }

  clearTimeout(id: number): void {
    this.#timers.delete(id);
  }

  /** How many timers there are. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets `ms` milliseconds pass; after each timer everything runs that it set off. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      let next: { id: number; atMs: number; callback: () => void } | undefined;
      for (const [id, timer] of this.#timers) {
        if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) {
          next = { id, ...timer };
        }
      }
      if (next === undefined) break;
      this.#timers.delete(next.id);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** One direction of a connection. */
class Pipe {
  #chunks: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  write(bytes: Uint8Array): void {
    if (this.#isClosed) throw new Error("broken pipe");
    this.#chunks.push(bytes.slice());
    this.#wake?.();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#isClosed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const chunk = this.#chunks[0]!;
    const count = Math.min(chunk.length, buffer.length);
    buffer.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    return count;
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }
}

/** The broker's end of a connection. */
export class ServerConnection {
  readonly server: FakeServer;
  readonly #toClient: Pipe;
  readonly #fromClient: Pipe;
  isClosed = false;

  constructor(server: FakeServer, fromClient: Pipe, toClient: Pipe) {
    this.server = server;
    this.#fromClient = fromClient;
    this.#toClient = toClient;
    void this.#run();
  }

  /** Sends a frame; nothing where the connection is closed. */
  send(frame: Uint8Array): void {
    if (!this.isClosed) this.#toClient.write(frame);
  }

  /** Breaks the connection, both ways. */
  close(): void {
    this.isClosed = true;
    this.#toClient.close();
    this.#fromClient.close();
  }

  async #run(): Promise<void> {
    const parser = new FrameParser((frame) => this.server.received(this, frame));
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await this.#fromClient.read(buffer);
      if (count === null || this.isClosed) return;
      parser.push(buffer.subarray(0, count));
    }
  }
}

/** A request as a fake broker got it. */
export interface ReceivedRequest {
  readonly connection: ServerConnection;
  readonly request: ClientRequest;
  readonly shard: number;
  readonly correlationId: number;
}

/** A publish as a fake broker got it. */
export interface ReceivedPublish extends ReceivedRequest {
  readonly command: PublishCommand;
  readonly messages: Message[];
  readonly bodies: string[];
  readonly bytes: Uint8Array;
}

/** A settle as a fake broker got it. */
export interface ReceivedSettle extends ReceivedRequest {
  readonly command: SettleCommand;
}

type Reply = ServerReply | "silence";

/** What a broker does with requests; a test replaces what it is about. */
export interface Behaviour {
  publish(received: ReceivedPublish): Reply;
  settle(received: ReceivedSettle): Reply;
  attachConsumer(received: ReceivedRequest): Reply;
  openSession(received: ReceivedRequest): Reply;
  attachSession(received: ReceivedRequest): Reply;
  findQueue(received: ReceivedRequest): Reply;
  createQueue(received: ReceivedRequest): Reply;
  other(received: ReceivedRequest): Reply | undefined;
}

/** What any node relays to the leader. */
const needsLeader: ReadonlySet<string> = new Set([
  "openSession",
  "attachSession",
  "publish",
  "settle",
  "attachConsumer",
  "detachConsumer",
  "createQueue",
  "findQueue",
]);

const done: ServerReply = { kind: "done", term: 1, index: 1 };

/** A broker without a queue behind it: it stores nothing and answers what a test wants. */
export class FakeServer {
  readonly address: Address;
  readonly network: FakeNetwork;
  readonly nodeId: number;
  readonly connections: ServerConnection[] = [];
  /** All requests but pings, in order. */
  readonly requests: ReceivedRequest[] = [];
  readonly publishes: ReceivedPublish[] = [];
  readonly settles: ReceivedSettle[] = [];
  /** Takes connections and answers. */
  isUp = true;
  /** Whether clients reach it; other nodes do in any case. */
  isReachable = true;
  /** Clients reach it, but it hears nothing of the others: it looks for a leader in a term of its own. */
  isCutOff = false;
  /** Takes connections and bytes, and never answers, as a paused process. */
  isPaused = false;
  readonly behaviour: Behaviour;

  constructor(network: FakeNetwork, nodeId: number) {
    this.network = network;
    this.nodeId = nodeId;
    this.address = { hostname: "10.0.0." + nodeId, port: 7400 };
    this.behaviour = {
      publish: (received) => this.published(received),
      settle: ({ command }) => ({
        kind: "settled",
        partitionId: command.partitionId,
        term: 1,
        index: 9,
        statuses: new Uint8Array(command.offsets.length),
      }),
      attachConsumer: () => done,
      openSession: () => ({
        kind: "sessionOpened",
        sessionId: network.nextSessionId++,
        term: 1,
        index: 1,
      }),
      attachSession: () => done,
      findQueue: ({ request }) => {
        const name = request.kind === "findQueue" ? request.name : "";
        const queue = network.queues.get(name);
        return queue === undefined
          ? refusal(ErrorCode.queueNotFound, "no such queue")
          : { kind: "queueReply", queue, created: false };
      },
      createQueue: ({ request }) => {
        if (request.kind !== "createQueue") throw new TypeError("not a createQueue");
        return {
          kind: "queueReply",
          queue: network.addQueue(request.name, request.settings.partitions),
          created: true,
        };
      },
      other: () => undefined,
    };
  }

  /** The usual answer to a publish: the messages get the next offsets of the partition. */
  published({ command }: ReceivedPublish, duplicate = false): ServerReply {
    const { partitionId, count } = command;
    const firstOffset = this.network.nextOffset.get(partitionId) ?? 0;
    this.network.nextOffset.set(partitionId, firstOffset + count);
    return {
      kind: "published",
      partitionId,
      count,
      firstOffset,
      term: 3,
      index: 100 + this.network.publishCount++,
      duplicate,
      publishedAtMs: 1_700_000_000_000,
    };
  }

  /** Breaks all connections and takes none until {@linkcode start}. */
  stop(): void {
    this.isUp = false;
    for (const connection of this.connections.splice(0)) connection.close();
  }

  /** Takes connections again. */
  start(): void {
    this.isUp = true;
  }

  /** Breaks all connections; new ones are taken. */
  dropConnections(): void {
    for (const connection of this.connections.splice(0)) connection.close();
  }

  /** Sends a push to all who are connected. */
  push(frame: Uint8Array): void {
    for (const connection of this.connections) connection.send(frame);
  }

  /** Delivers messages to a consumer. */
  deliver(
    consumerId: number,
    partitionId: number,
    messages: readonly {
      readonly offset: number;
      readonly deliveryCount?: number;
      readonly body: string;
      readonly key?: string;
      readonly headers?: MessageHeaders;
      readonly options?: MessageOptions;
    }[],
  ): void {
    const { term } = this.network;
    const builder = new DeliverBuilder({ shard: 0, term, consumerId, partitionId });
    for (const message of messages) {
      const source = encodePublishCommand(
        { sessionId: 1, partitionId, baseSequence: 0 },
        [message],
      );
      const end = messageEnd(source, 0);
      const { offset, deliveryCount = 1 } = message;
      builder.add(
        offset,
        deliveryCount,
        3,
        50,
        1_700_000_000_000,
        source,
        messageStart(source, 0),
        end,
      );
    }
    this.push(builder.finish());
  }

  /** Tells a consumer that there is nothing more. */
  drained(consumerId: number, partitionId: number): void {
    this.push(encodeDrained(0, { term: this.network.term, consumerId, partitionId }));
  }

  /** Tells a consumer that its partition is gone. */
  endConsumer(consumerId: number, partitionId: number): void {
    this.push(encodeConsumerEnded(0, { consumerId, partitionId, reason: "queueDeleted" }));
  }

  /** Tells a consumer that its queue has more partitions. */
  queueGrown(consumerId: number, partitionId: number, partitionCount: number): void {
    this.push(encodeQueueGrown(0, { consumerId, partitionId, partitionCount }));
  }

  /** Tells a client about its session. */
  endSession(sessionId: number, reason: string, shard = 0): void {
    this.push(encodeSessionEnded(shard, { sessionId, reason }));
  }

  /** The requests of one kind, in order. */
  requestsOf<K extends ClientRequest["kind"]>(kind: K): Extract<ClientRequest, { kind: K }>[] {
    return this.requests.map(({ request }) => request).filter((request) =>
      request.kind === kind
    ) as Extract<ClientRequest, { kind: K }>[];
  }

  /** A frame has come. */
  received(connection: ServerConnection, frame: Frame): void {
    if (this.isPaused) return;
    const request = decodeRequest(frame.type, frame.payload);
    if (request === undefined) throw new TypeError(`unknown request type ${frame.type}`);
    const { shard, correlationId } = frame;
    const received: ReceivedRequest = { connection, request, shard, correlationId };
    if (request.kind !== "ping") this.requests.push(received);
    const reply = this.#answer(received);
    this.answer(received, reply);
  }

  /** Answers a request, also one that was passed over in silence. */
  answer({ connection, shard, correlationId }: ReceivedRequest, reply: Reply): void {
    if (reply !== "silence") connection.send(encodeReply(reply, shard, correlationId));
  }

  #answer(received: ReceivedRequest): Reply {
    const { request } = received;
    const special = this.behaviour.other(received);
    if (special !== undefined) return special;
    if (needsLeader.has(request.kind) && !this.network.hasLeader(received.shard)) {
      return refusal(ErrorCode.noLeader, "nobody leads");
    }
    switch (request.kind) {
      case "hello":
        return {
          kind: "welcome",
          protocol: 1,
          version: "test",
          clusterId: this.network.clusterId,
          nodeId: this.nodeId,
          limits: { ...defaultLimits, messageBytesMax: this.network.messageBytesMax },
          shardCount: this.network.shardCount,
        };
      case "ping":
        return { kind: "pong" };
      case "metadata":
        return { kind: "metadataReply", ...this.network.metadata(this.nodeId) };
      case "publish": {
        checkPublishCommand(request.command, defaultLimits);
        const command = decodeCommand(request.command) as PublishCommand;
        const messages = Array.from({ length: command.count }, (_, i) => {
          const start = messageStart(request.command, i);
          return decodeMessage(request.command, start, messageEnd(request.command, i));
        });
        const bodies = messages.map(({ body }) => new TextDecoder().decode(body));
        const publish = { ...received, command, messages, bodies, bytes: request.command };
        this.publishes.push(publish);
        return this.behaviour.publish(publish);
      }
      case "settle": {
        checkSettleCommand(request.command);
        const command = decodeCommand(request.command) as SettleCommand;
        const settles = { ...received, command };
        this.settles.push(settles);
        return this.behaviour.settle(settles);
      }
      case "attachConsumer":
        return this.behaviour.attachConsumer(received);
      case "openSession":
        return this.behaviour.openSession(received);
      case "attachSession":
        return this.behaviour.attachSession(received);
      case "findQueue":
        return this.behaviour.findQueue(received);
      case "createQueue":
        return this.behaviour.createQueue(received);
      case "listQueues":
        return { kind: "queueList", queues: [...this.network.queues.values()] };
      default:
        return done;
    }
  }
}

/** Brokers that can be dialled, and what they agree on. */
export class FakeNetwork {
  readonly clock = new ManualClock();
  readonly servers: FakeServer[];
  readonly queues = new Map<string, QueueInfo>();
  readonly nextOffset = new Map<number, number>();
  readonly leaders: number[];
  /** The addresses that were dialled, in order. */
  readonly dials: string[] = [];
  clusterId = "cluster-1";
  term = 1;
  shardCount: number;
  messageBytesMax = defaultLimits.messageBytesMax;
  nextSessionId = 1_001;
  publishCount = 0;

  constructor(serverCount: number, shardCount = 1) {
    this.servers = Array.from({ length: serverCount }, (_, i) => new FakeServer(this, i + 1));
    this.shardCount = shardCount;
    this.leaders = new Array(shardCount).fill(1);
  }

  get runtime(): ClientRuntime {
    let seed = 1;
    // Any fixed sequence will do: runs must be the same every time.
    const random = () => (seed = (seed * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
    const dialer: Dialer = { connect: (address, signal) => this.#dial(address, signal) };
    return { clock: this.clock, dialer, random };
  }

  /** Makes a queue, its partitions spread over the shards. */
  addQueue(name: string, partitionCount = 1): QueueInfo {
    const existing = this.queues.get(name);
    if (existing !== undefined) return existing;
    const id = this.queues.size + 1;
    const partitions = Array.from({ length: partitionCount }, (_, number) => ({
      id: id * 100 + number,
      number,
      shard: number % this.shardCount,
    }));
    const settings = queueSettings({ partitions: partitionCount });
    const queue: QueueInfo = {
      id,
      name,
      settings,
      paused: false,
      revision: 0,
      partitions,
      state: "ready",
    };
    this.queues.set(name, queue);
    return queue;
  }

  /** Gives a queue more partitions. */
  growQueue(name: string, partitionCount: number): QueueInfo {
    const { partitions: known, ...rest } = this.queues.get(name)!;
    const partitions = Array.from({ length: partitionCount }, (_, number) => ({
      id: rest.id * 100 + number,
      number,
      shard: number % this.shardCount,
    }));
    const queue: QueueInfo = {
      ...rest,
      settings: queueSettings({ partitions: partitionCount }),
      partitions,
      growingFrom: known.length,
    };
    this.queues.set(name, queue);
    return queue;
  }

  /** A client of the first server. */
  connect(options: ConnectOptions = {}): Promise<Client> {
    return connect(formatAddress(this.servers[0]!.address), { runtime: this.runtime, ...options });
  }

  /** Another node leads all shards from now on. */
  elect(nodeId: number): void {
    this.term++;
    this.leaders.fill(nodeId);
  }

  /** Whether the node that leads a shard is up. */
  hasLeader(shard: number): boolean {
    return this.servers.some(({ nodeId, isUp }) => isUp && nodeId === this.leaders[shard]);
  }

  metadata(nodeId: number): Omit<Extract<ServerReply, { kind: "metadataReply" }>, "kind"> {
    return {
      clusterId: this.clusterId,
      nodeId,
      nodes: this.servers.map((server) => ({
        id: server.nodeId,
        address: formatAddress(server.address),
        connected: server.isUp,
      })),
      shards: this.leaders.map((leader, id) =>
        this.servers[nodeId - 1]!.isCutOff
          ? { id, leader: 0, term: this.term + 5 }
          : { id, leader, term: this.term }
      ),
    };
  }

  #dial(address: Address, signal?: AbortSignal): Promise<ByteStream> {
    const text = formatAddress(address);
    this.dials.push(text);
    const server = this.servers.find((one) => formatAddress(one.address) === text);
    if (!server?.isUp || !server.isReachable) {
      return Promise.reject(new Error("connection refused"));
    }
    signal?.throwIfAborted();
    const toServer = new Pipe();
    const toClient = new Pipe();
    const connection = new ServerConnection(server, toServer, toClient);
    server.connections.push(connection);
    return Promise.resolve({
      remoteAddress: text,
      read: (buffer) => toClient.read(buffer),
      write: (bytes) => {
        try {
          toServer.write(bytes);
          return Promise.resolve(bytes.length);
        } catch (error) {
          return Promise.reject(error);
        }
      },
      close: () => connection.close(),
    });
  }
}

/** An error reply. */
export function refusal(
  code: number,
  message: string,
  extra: { readonly maybeApplied?: boolean; readonly leader?: number } = {},
): ServerReply {
  return { kind: "error", code, name: "test", message, maybeApplied: false, ...extra };
}
