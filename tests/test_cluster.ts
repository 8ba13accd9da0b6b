/**
 * For tests: nodes on addresses of this machine, and a client that speaks the bare protocol.
 *
 * @module
 */

import {
  type ClientRequest,
  decodeReply,
  encodeFrame,
  encodeRequest,
  type Frame,
  FrameWriter,
  readFrames,
  type ReplyOf,
  ReplyType,
  type ServerReply,
} from "../wire/mod.ts";
import { ownPlaces } from "./loopback.ts";
import { type Address, type NodeConfig, type RunningNode, startNode } from "../broker/mod.ts";

/** Nodes of one cluster in this process, each with a directory of its own. */
export class TestCluster implements AsyncDisposable {
  readonly nodes = new Map<number, RunningNode>();
  readonly #configs = new Map<number, NodeConfig>();
  readonly #directory = Deno.makeTempDirSync({ prefix: "flowmq-test-" });

  private constructor() {}

  /** Starts `count` nodes, numbered from 1. */
  static async start(count: number, settings: Partial<NodeConfig> = {}): Promise<TestCluster> {
    const cluster = new TestCluster();
    const { hosts, ports } = ownPlaces(count);
    const members = hosts.map((hostname, i) => ({
      id: i + 1,
      peerAddress: { hostname, port: ports[i]!.peer },
    }));
    for (const { id, peerAddress } of members) {
      cluster.#configs.set(id, {
        nodeId: id,
        cluster: members,
        dataDirectory: `${cluster.#directory}/node-${id}`,
        listen: { hostname: peerAddress.hostname, port: 0 },
        peerListen: peerAddress,
        ...settings,
      });
    }
    await Promise.all(members.map(({ id }) => cluster.startNode(id)));
    return cluster;
  }

  async startNode(id: number): Promise<RunningNode> {
    const node = await startNode(this.#configs.get(id)!);
    this.nodes.set(id, node);
    return node;
  }

  async stopNode(id: number): Promise<void> {
    const node = this.nodes.get(id);
    this.nodes.delete(id);
    await node?.stop();
  }

  /** Where clients reach a node. */
  address(id: number): Address {
    return this.nodes.get(id)!.clientAddress;
  }

  /** Waits until shard 0 has a leader that all nodes know. @returns Its number. */
  async leader(): Promise<number> {
    for (;;) {
      const leaders = new Set<number>();
      for (const id of this.nodes.keys()) {
        using client = await TestClient.connect(this.address(id));
        leaders.add((await client.ask({ kind: "metadata" }, "metadataReply")).shards[0]!.leader);
      }
      const [leader = 0] = leaders;
      if (leaders.size === 1 && leader !== 0) return leader;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.nodes.keys()].map((id) => this.stopNode(id)));
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** A connection that sends what it is told and keeps what comes. */
export class TestClient implements Disposable {
  readonly pushes: Frame[] = [];
  /** Resolves when the broker has closed the connection. */
  readonly ended: Promise<void>;
  /** The error frame without a request that came last. */
  refusal: ReplyOf<"error"> | undefined;
  readonly #connection: Deno.TcpConn;
  readonly #writer: FrameWriter;
  readonly #waiting = new Map<number, (reply: ServerReply) => void>();
  #correlationId = 0;
  #closed = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    connection.setNoDelay(true);
    this.#writer = new FrameWriter(connection);
    this.ended = readFrames(connection, (frame) => this.#receive(frame)).catch(() => {});
  }

  /** Connects without a word. */
  static async connectSilently(address: Address): Promise<TestClient> {
    return new TestClient(await Deno.connect({ ...address }));
  }

  /** Connects and says hello. */
  static async connect(address: Address): Promise<TestClient> {
    const client = await TestClient.connectSilently(address);
    await client.ask({ kind: "hello", protocol: 1, clientName: "test" }, "welcome");
    return client;
  }

  /** Sends a request. @returns The reply, whatever it is. */
  request(request: ClientRequest, shard = 0): Promise<ServerReply> {
    const id = ++this.#correlationId;
    this.#writer.send(encodeRequest(request, shard, id));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** Sends a request, and again while the cluster has no leader. @returns The reply, of this kind. */
  async ask<K extends ServerReply["kind"]>(
    request: ClientRequest,
    kind: K,
    shard = 0,
  ): Promise<ReplyOf<K>> {
    for (;;) {
      const reply = await this.request(request, shard);
      if (reply.kind === kind) return reply as ReplyOf<K>;
      if (reply.kind !== "error" || reply.code < 10 || reply.code > 12) {
        throw new Error(`Wanted ${kind}, got ${JSON.stringify(reply)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends any frame. */
  sendFrame(type: number, payload: Uint8Array): void {
    this.#writer.send(encodeFrame(type, 0, ++this.#correlationId, payload));
  }

  /** Sends any bytes. */
  sendBytes(bytes: Uint8Array): void {
    this.#writer.send(bytes);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  #receive(frame: Frame): void {
    if (frame.type < ReplyType.error && frame.type >= 200) {
      this.pushes.push(frame);
      return;
    }
    const reply = decodeReply(frame.type, frame.payload);
    if (frame.correlationId === 0 && reply.kind === "error") this.refusal = reply;
    const resolve = this.#waiting.get(frame.correlationId);
    this.#waiting.delete(frame.correlationId);
    resolve?.(reply);
  }
}
