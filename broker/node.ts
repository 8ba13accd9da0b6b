/**
 * A node of the cluster: opens its data directory, runs its shards, and joins them to peers and
 * clients.
 *
 * @module
 */

import { bootstrapConfiguration, isVoter } from "../raft/mod.ts";
import type { Entry, Message, NodeId } from "../raft/mod.ts";
import type { Effects } from "../queue/mod.ts";
import {
  CorruptFileError,
  CorruptRecordError,
  DataDirectory,
  decodeRecords,
  encodeRecords,
  ForgottenEntriesError,
  ForgottenTermError,
  type Founders,
  RecordEntry,
  ShardStore,
} from "../storage/mod.ts";
import {
  clientProtocolVersion,
  decodeForgot,
  decodeFrame,
  decodePeerStanding,
  decodeRaftMessage,
  decodeRelayAddress,
  decodeReplicaFrame,
  decodeSnapshotAbort,
  decodeSnapshotAck,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  defaultLimits,
  encodeError,
  encodeForgot,
  encodePeerStanding,
  encodeRaftMessage,
  encodeReplicaFrame,
  type Frame,
  MalformedFrameError,
  PeerFrameType,
  type PeerStanding,
  relayedFrame,
  type ReplicaTerm,
} from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import { version } from "./version.ts";
import { acceptAll } from "./accept.ts";
import { CatalogKeeper } from "./catalog_keeper.ts";
import { ClientConnection } from "./client_connection.ts";
import type { ClientLink } from "./client_link.ts";
import {
  checkConfig,
  clusterIdOf,
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
  type NodeConfig,
} from "./config.ts";
import { denoNodeRuntime } from "./deno_runtime.ts";
import { Formation } from "./formation.ts";
import { InternalClient } from "./internal_client.ts";
import { JOIN_MS, Joining } from "./joining.ts";
import { listenOn } from "./listen_error.ts";
import { LocalShard } from "./local_shard.ts";
import { type Logger, silentLogger } from "./logger.ts";
import type { ShardObserver } from "./observer.ts";
import { PeerNetwork } from "./peer_network.ts";
import { RelayInbox, RelayOutbox } from "./relay.ts";
import { StaleReplicaError } from "./replacement.ts";
import { newReplica, nodeOf, type ReplicaId } from "./replica_id.ts";
import { RequestHandler } from "./request_handler.ts";
import { type Address, formatAddress, type Listener, type NodeRuntime } from "./runtime.ts";
import { Shard, type ShardHost } from "./shard.ts";
import { SnapshotReceiver } from "./snapshot_receiver.ts";
import { SnapshotSender } from "./snapshot_sender.ts";
import { TermMemory } from "./term_memory.ts";

/** How often a node that waits for others says so, in milliseconds. */
const FORMATION_NEWS_MS = 5_000;

/** How long a stopping node waits for others to take over what it leads, in milliseconds. */
const HAND_OVER_MS_MAX = 500;

/** With more than this waiting for a node that clients' requests are relayed to, clients wait. */
const RELAY_BYTES_MAX = 4 << 20;

/** The most clients that are served at a time. */
const CONNECTIONS_MAX = 10_000;

/** How often connections are looked at that may have lost their client, in milliseconds. */
const CONNECTION_CHECK_MS = 1_000;

/** A node that has been started. */
export interface RunningNode {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  /** Where clients connect, with the real port. */
  readonly clientAddress: Address;
  /** Where peers connect, with the real port. */
  readonly peerAddress: Address;
  /**
   * Resolves with the reason when the node has to stop by itself: its disk failed, or it found itself
   * in a state that must not be. Nothing is confirmed after that; the process should exit.
   */
  readonly failed: Promise<Error>;
  /** Hands over what it leads, ends all connections, and closes the data directory. */
  stop(): Promise<void>;
}

/**
 * Starts a node.
 *
 * The first start of a cluster waits until all of its nodes are there (`formation.ts`).
 *
 * @param config Who it is, and where.
 * @param runtime The world it runs in: Deno's unless told otherwise.
 * @param signal Ends the wait for the other nodes.
 * @returns The node, which accepts connections.
 * @throws {TypeError} If the configuration contradicts itself.
 * @throws {RangeError} If a setting is out of its range.
 * @throws {DataDirectoryLockedError} If another process uses the data directory.
 * @throws {DataDirectoryMismatchError} If the directory belongs to another cluster or node.
 * @throws {CorruptRecordError} If the log is damaged, and there is no other node to repair it from.
 * @throws {ListenError} If an address cannot be had.
 */
export async function startNode(
  config: NodeConfig,
  runtime: NodeRuntime = denoNodeRuntime(),
  signal?: AbortSignal,
): Promise<RunningNode> {
  checkConfig(config);
  const node = new Node(config, runtime);
  await node.start(signal);
  return node;
}

/**
 * What a node had of a shard is damaged, or older than what it once had. It has been given up: the next
 * start gets a new replica from the other nodes.
 */
export class ReplicaLostError extends Error {
  override readonly name = "ReplicaLostError";

  /**
   * @param shard The shard.
   * @param cause What is wrong with it.
   */
  constructor(shard: number, cause: Error) {
    super(`The replica of shard ${shard} on this node is lost: ${cause.message}`, { cause });
  }
}

class Node implements RunningNode, ShardHost {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly observer: ShardObserver | undefined;
  readonly failed: Promise<Error>;
  readonly #config: NodeConfig;
  readonly #runtime: NodeRuntime;
  readonly #shards: LocalShard[] = [];
  /** What the replicas of other nodes have said, shard by shard. */
  readonly #terms: TermMemory[] = [];
  /** What they had forgotten when they connected. */
  readonly #reminders = new Map<NodeId, readonly Uint8Array[]>();
  /** The terms that this node began with, shard by shard, and who was told of them. */
  readonly #firstTerms: number[] = [];
  readonly #toldTerms = new Set<NodeId>();
  readonly #connections = new Set<ClientConnection>();
  #fail!: (error: Error) => void;
  #hasFailed = false;
  #stopping = false;
  #released = false;
  #stopped: Promise<void> | undefined;
  readonly #timers: TimerId[] = [];
  #directory: DataDirectory | undefined;
  #clientListener: Listener | undefined;
  #peerListener: Listener | undefined;
  #formation!: Formation;
  #joining!: Joining;
  /** The shards are open, and run. */
  #isReady = false;
  #peers!: PeerNetwork;
  readonly #snapshotSender: SnapshotSender;
  readonly #snapshotReceiver: SnapshotReceiver;
  #inbox!: RelayInbox;
  #outbox!: RelayOutbox;
  #internal!: InternalClient;
  #keeper!: CatalogKeeper;
  #requests!: RequestHandler;

  constructor(config: NodeConfig, runtime: NodeRuntime) {
    this.#config = config;
    this.#runtime = runtime;
    this.nodeId = config.nodeId;
    this.clusterId = clusterIdOf(config.cluster, config.shards ?? 1);
    this.clock = runtime.clock;
    this.random = runtime.random;
    this.log = config.log ?? silentLogger;
    this.observer = config.observer;
    this.failed = new Promise((resolve) => this.#fail = resolve);
    const host = {
      clock: this.clock,
      log: this.log,
      chunkBytes: { ...DEFAULT_LIMITS, ...config.limits }.snapshotChunkBytes,
      send: (to: NodeId, parts: readonly Uint8Array[]) => this.#peers.sendRaft(to, parts),
      fail: (error: Error, shard: Shard) => this.fail(error, shard),
    };
    this.#snapshotSender = new SnapshotSender(host);
    this.#snapshotReceiver = new SnapshotReceiver(host);
  }

  get clientAddress(): Address {
    return this.#clientListener!.address;
  }

  get peerAddress(): Address {
    return this.#peerListener!.address;
  }

  /** Where clients are told to find this node. */
  get #advertised(): string {
    return formatAddress(this.#config.advertise ?? this.clientAddress);
  }

  async start(signal?: AbortSignal): Promise<void> {
    try {
      await this.#open(signal);
    } catch (error) {
      await this.#release();
      throw error;
    }
    const { tickMs } = { ...DEFAULT_TIMINGS, ...this.#config.raft };
    this.#every(tickMs, () => {
      for (const { shard } of this.#shards) shard.tick();
    });
    this.#every(CONNECTION_CHECK_MS, () => {
      for (const connection of [...this.#connections]) connection.checkAlive();
    });
    if (this.#config.cluster.length > 1) this.#every(JOIN_MS, () => this.#joining.check());
    this.#isReady = true;
    this.#announce();
    for (const { shard } of this.#shards) shard.start();
    void this.#acceptClients(this.#clientListener!);
  }

  /** Does something again and again until the node stops; a late turn is not made up for. */
  #every(ms: number, work: () => void): void {
    const slot = this.#timers.length;
    const again = () => {
      this.#timers[slot] = this.clock.setTimeout(again, ms);
      work();
    };
    this.#timers.push(this.clock.setTimeout(again, ms));
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    const { cluster, dataDirectory } = this.#config;
    this.#clientListener = listenOn(this.#runtime, this.#config.listen);
    this.#peerListener = listenOn(this.#runtime, this.#config.peerListen);
    this.#directory = await DataDirectory.open(this.#runtime.files, dataDirectory, {
      clusterId: this.clusterId,
      nodeId: this.nodeId,
      pid: this.#runtime.processId,
      random: this.random,
      replaceable: this.#hasPeers,
    });
    const { damage } = this.#directory;
    if (damage !== undefined) {
      this.log.error("All that this node had is given up", { reason: damage.message });
    }
    this.#formation = new Formation(
      this.nodeId,
      cluster.map(({ id }) => id),
      this.#directory,
      () => this.#announce(),
    );
    this.#connect();
    await this.#openShards(await this.#formed(signal));
  }

  /** Whether other nodes hold what this one does. */
  get #hasPeers(): boolean {
    return this.#config.cluster.length > 1;
  }

  /** Waits until it is known whom the cluster begins with, or that it has begun. */
  async #formed(signal: AbortSignal | undefined): Promise<Founders | undefined> {
    const late = Promise.withResolvers<never>();
    const abort = () => late.reject(signal!.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const tell = () => {
      this.log.info("A new cluster begins when all of its nodes are there", {
        missing: this.#formation.missing.join(", "),
      });
      timer = this.clock.setTimeout(tell, FORMATION_NEWS_MS);
    };
    let timer = this.clock.setTimeout(tell, FORMATION_NEWS_MS);
    try {
      return await Promise.race([this.#formation.decided, late.promise]);
    } finally {
      this.clock.clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  async #openShards(founders: Founders | undefined): Promise<void> {
    const directory = this.#directory!;
    const { shards = 1 } = this.#config;
    for (let id = 0; id < shards; id++) {
      const shard = await this.#openShard(id, founders !== undefined);
      this.#shards.push(new LocalShard(shard));
      this.#terms.push(new TermMemory());
      this.#firstTerms.push(shard.term);
      const { configuration, replica } = shard;
      if (!isVoter(configuration, replica) || directory.hasLost(id)) this.#joining.add(shard);
    }
    if (directory.meta.standing === "member") return;
    await directory.setStanding("member", founders);
  }

  /** Opens a shard; where it is missing or damaged, makes a new replica that gets all from the others. */
  async #openShard(id: number, isFounder: boolean): Promise<Shard> {
    const directory = this.#directory!;
    const path = directory.shardDirectory(id);
    const { nodeId } = this;
    if (directory.meta.standing === "member" && !directory.hasShard(id)) {
      const missing = new CorruptFileError(path, "it is missing");
      if (!this.#hasPeers) throw missing;
      this.log.error("A replica is lost; a new one takes its place", { reason: missing.message });
    }
    try {
      return await this.#openReplica(id, isFounder ? nodeId : await this.#newReplica());
    } catch (error) {
      if (!this.#hasPeers || !isDamage(error)) throw error;
      this.log.error("A replica is given up; a new one takes its place", { reason: error.message });
      await directory.giveUp(id);
      return await this.#openReplica(id, await this.#newReplica());
    }
  }

  /** Names a new replica, and notes it: where the clock goes back, the next one must have another name. */
  async #newReplica(): Promise<ReplicaId> {
    const directory = this.#directory!;
    const replica = newReplica(this.nodeId, this.clock.now(), directory.meta.newestReplica);
    await directory.setNewestReplica(replica);
    return replica;
  }

  async #openReplica(id: number, replica: ReplicaId): Promise<Shard> {
    const directory = this.#directory!;
    const store = await ShardStore.open(this.#runtime.files, directory.shardDirectory(id), {
      shard: id,
      replica,
      salt: directory.salt,
      configuration: bootstrapConfiguration(this.#config.cluster.map((member) => member.id)),
      ...this.#config.storage,
    });
    for (const { path, offset, bytes } of store.tornTails) {
      this.log.warn("Cut off what a crash had torn", { path, offset, bytes });
    }
    const { mendedHardState: mended } = store;
    if (mended !== undefined) {
      this.log.warn("Mended term and vote from their other copy", { path: mended });
    }
    for (const path of store.damagedSnapshots) {
      this.log.warn("Going on without a snapshot that is damaged", { path });
    }
    const timings = { ...DEFAULT_TIMINGS, ...this.#config.raft };
    const limits = { ...DEFAULT_LIMITS, ...this.#config.limits };
    try {
      return new Shard(id, store, this, timings, limits);
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Tells the other nodes how far this one has come. */
  #announce(): void {
    for (const { id } of this.#config.cluster) this.#tellStanding(id);
  }

  /**
   * A peer that hears from this life of the node for the first time is told the terms that the node
   * began with: it may remember later ones. Before the shards are open there are none to tell.
   */
  #tellStanding(to: NodeId): void {
    const isFirst = this.#isReady && !this.#toldTerms.has(to);
    const replicas = this.#shards.map(({ shard: { replica, term } }, i) => {
      return { replica, term: isFirst ? this.#firstTerms[i]! : term };
    });
    const standing = { ...this.#formation.standing, replicas: this.#isReady ? replicas : [] };
    const isTold = this.#peers.sendRaft(to, [encodePeerStanding(standing)]);
    if (isTold && isFirst) this.#toldTerms.add(to);
  }

  /** Joins the parts. */
  #connect(): void {
    const { cluster, messageBytesMax = defaultLimits.messageBytesMax } = this.#config;
    this.#peers = new PeerNetwork(
      {
        nodeId: this.nodeId,
        clusterId: this.clusterId,
        shardCount: this.#config.shards ?? 1,
        clientAddress: this.#advertised,
      },
      this.#runtime,
      {
        sendingUp: (to) => {
          this.#tellStanding(to);
          this.#remind(to);
        },
        received: (from, frame) => this.#receive(from, frame),
        sendingLost: (to) => {
          this.#endRelays(to);
          this.#snapshotSender.lost(to);
          for (const { shard } of this.#shards) shard.peerUnreachable(to);
        },
        receivingLost: (from) => {
          this.#formation.lost(from);
          this.#reminders.delete(from);
          this.#endRelays(from);
          this.#snapshotSender.lost(from);
          this.#snapshotReceiver.lost(from);
          for (const { shard } of this.#shards) shard.leaderUnreachable(from);
        },
      },
      this.log,
    );
    this.#inbox = new RelayInbox(this.#peers, (link) => this.#linkClosed(link));
    this.#outbox = new RelayOutbox(this.#peers, this.random);
    this.#internal = new InternalClient(
      (link, frame) => this.#requests.handle(link, frame),
      this.clock,
    );
    this.#keeper = new CatalogKeeper(
      () => this.#shards[0]!.shard.machine,
      (shard, command) => this.#internal.submit(shard, command),
      this.clock,
      this.log,
    );
    this.#requests = new RequestHandler({
      nodeId: this.nodeId,
      clusterId: this.clusterId,
      members: cluster.map((member) => member.id),
      shards: this.#shards,
      peers: this.#peers,
      outbox: this.#outbox,
      keeper: this.#keeper,
      internal: this.#internal,
      runtime: this.#runtime,
      limits: { ...defaultLimits, messageBytesMax },
      autoCreate: this.#config.autoCreate ?? true,
      clientAddress: this.#advertised,
      peerAddress: formatAddress(this.peerAddress),
    });
    this.#joining = new Joining({
      nodeId: this.nodeId,
      clock: this.clock,
      log: this.log,
      members: cluster.map((member) => member.id),
      send: (to, parts) => this.#peers.sendRaft(to, parts),
      joined: ({ id }) => void this.#directory!.discardLost(id).catch((error) => this.fail(error)),
      fail: (error) => this.fail(error),
    });
    this.#peers.start(
      this.#peerListener!,
      cluster.filter(({ id }) => id !== this.nodeId)
        .map(({ id, peerAddress }) => [id, peerAddress] as const),
    );
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#clientListener?.close();
    await this.#handOver();
    await this.#release();
  }

  /** Gives leadership away, so that the others need no election to go on. */
  async #handOver(): Promise<void> {
    if (this.#hasFailed || this.#config.cluster.length === 1) return;
    for (const { shard } of this.#shards) shard.handOver();
    const deadline = this.clock.monotonic() + HAND_OVER_MS_MAX;
    while (
      this.#shards.some(({ shard }) => shard.leading) && this.clock.monotonic() < deadline
    ) {
      await new Promise<void>((resolve) => this.clock.setTimeout(resolve, 10));
    }
  }

  async #release(): Promise<void> {
    this.#stopping = true;
    this.#released = true;
    for (const timer of this.#timers) this.clock.clearTimeout(timer);
    this.#clientListener?.close();
    for (const connection of [...this.#connections]) connection.close();
    if (this.#peers === undefined) this.#peerListener?.close();
    else this.#peers.close();
    this.#keeper?.lead(false);
    this.#internal?.close();
    this.#snapshotSender.close();
    this.#snapshotReceiver.close();
    for (const { shard } of this.#shards) await shard.close();
    this.#directory?.close();
  }

  async #acceptClients(listener: Listener): Promise<void> {
    const { messageBytesMax = defaultLimits.messageBytesMax } = this.#config;
    const welcome = {
      protocol: clientProtocolVersion,
      version,
      clusterId: this.clusterId,
      nodeId: this.nodeId,
      limits: { ...defaultLimits, messageBytesMax },
      shardCount: this.#shards.length,
    };
    for await (const stream of acceptAll(listener, this.clock, this.log)) {
      if (this.#stopping || this.#connections.size >= CONNECTIONS_MAX) {
        if (!this.#stopping) this.log.warn("Too many clients", { connections: CONNECTIONS_MAX });
        stream.close();
        continue;
      }
      const connection = new ClientConnection(
        stream,
        welcome,
        {
          request: (link, frame) => this.#requests.handle(link, frame),
          room: () => this.#room(),
          closed: () => {
            this.#connections.delete(connection);
            this.#linkClosed(connection);
          },
        },
        this.clock,
        this.log,
      );
      this.#connections.add(connection);
      void connection.run();
    }
  }

  /** Back-pressure: clients are not read while more waits than can be committed, or relayed. */
  #room(): Promise<void> | undefined {
    for (const { shard } of this.#shards) {
      if (shard.congested) return shard.room().then(() => this.#room());
    }
    for (const node of this.#outbox.nodes()) {
      if (this.#peers.waitingBytes(node) <= RELAY_BYTES_MAX) continue;
      return this.#peers.flushed(node).then(() => this.#room());
    }
    return undefined;
  }

  #linkClosed(link: ClientLink): void {
    this.#outbox.linkClosed(link);
    for (const shard of this.#shards) shard.linkClosed(link);
  }

  #endRelays(node: NodeId): void {
    this.#inbox.endAll(node);
    this.#outbox.closeAll(node);
  }

  /** A frame of a peer. */
  #receive(from: NodeId, frame: Frame): void {
    if (this.#released) return;
    if (frame.type === PeerFrameType.standing) {
      return this.#receiveStanding(from, decodePeerStanding(frame.payload));
    }
    // Whoever sends anything else has not noticed yet that this node starts anew.
    if (!this.#isReady) return;
    switch (frame.type) {
      case PeerFrameType.raft:
        return this.#receiveRaft(from, frame);
      case PeerFrameType.join:
        return this.#receiveJoin(from, this.#shardOf(frame), decodeReplicaFrame(frame.payload));
      case PeerFrameType.stale:
        return this.#receiveStale(this.#shardOf(frame), decodeReplicaFrame(frame.payload));
      case PeerFrameType.forgot:
        return this.#receiveForgot(this.#shardOf(frame), decodeForgot(frame.payload));
      case PeerFrameType.snapshotBegin: {
        const begin = decodeSnapshotBegin(frame.payload);
        const shard = this.#shardOf(frame);
        if (!this.#isForUs(from, shard, begin.message)) return;
        return this.#snapshotReceiver.begin(from, shard, begin);
      }
      case PeerFrameType.snapshotChunk: {
        const chunk = decodeSnapshotChunk(frame.payload);
        return this.#snapshotReceiver.chunk(from, this.#shardOf(frame), chunk);
      }
      case PeerFrameType.snapshotAck:
        return this.#snapshotSender.acknowledged(from, decodeSnapshotAck(frame.payload));
      case PeerFrameType.snapshotAbort:
        return this.#snapshotSender.aborted(from, decodeSnapshotAbort(frame.payload));
      case PeerFrameType.relayFrame: {
        const { connectionId, toLeader } = decodeRelayAddress(frame.payload);
        const inner = relayedFrame(frame.payload);
        if (!toLeader) return this.#outbox.answer(connectionId, inner);
        return this.#receiveRelayed(this.#inbox.link(from, connectionId), inner);
      }
      case PeerFrameType.relayClose: {
        const { connectionId, toLeader } = decodeRelayAddress(frame.payload);
        if (toLeader) return this.#inbox.end(from, connectionId);
        return this.#outbox.closeLink(connectionId);
      }
      default:
        throw new MalformedFrameError(`A peer sent a frame of unknown type ${frame.type}`);
    }
  }

  #shardOf(frame: Frame): Shard {
    const local = this.#shards[frame.shard];
    if (local === undefined) throw new MalformedFrameError(`There is no shard ${frame.shard} here`);
    return local.shard;
  }

  /**
   * Whether a message is for the replica that this node has now.
   *
   * @throws {MalformedFrameError} If it is not from or not to the node that it should be.
   */
  #isForUs(from: NodeId, shard: Shard, message: Message): boolean {
    if (nodeOf(message.from) !== from || nodeOf(message.to) !== this.nodeId) {
      throw new MalformedFrameError(
        `A message from ${message.from} to ${message.to} came to node ${this.nodeId} from ${from}`,
      );
    }
    return message.to === shard.replica;
  }

  #receiveRaft(from: NodeId, frame: Frame): void {
    const shard = this.#shardOf(frame);
    const { message, records } = decodeRaftMessage(frame.payload);
    if (!this.#isForUs(from, shard, message)) return;
    if (message.kind === "installSnapshot") {
      throw new MalformedFrameError("A snapshot came without what it stands for");
    }
    if (message.kind === "preVoteRequest" && this.#toldStale(from, shard, message.from)) return;
    this.#terms[shard.id]!.heard(message);
    shard.step(
      message.kind === "appendRequest" && records.length > 0
        ? { ...message, entries: decodeRecords(records) }
        : message,
    );
  }

  /** Another node has told how far it has come. */
  #receiveStanding(from: NodeId, standing: PeerStanding): void {
    this.#formation.heard(from, standing);
    const reminders = standing.replicas.flatMap((now, shard) => {
      const term = this.#terms[shard]?.forgotten(now) ?? 0;
      return term === 0 ? [] : [encodeForgot(shard, { replica: now.replica, term })];
    });
    this.#reminders.set(from, reminders);
    this.#remind(from);
  }

  /** Tells a node of terms that it has forgotten; where that is not possible now, it is when it is. */
  #remind(node: NodeId): void {
    const reminders = this.#reminders.get(node) ?? [];
    if (reminders.length > 0) this.#peers.sendRaft(node, reminders);
  }

  /** This node once knew of a later term: its disk was rolled back. */
  #receiveForgot(shard: Shard, { replica, term }: ReplicaTerm): void {
    if (replica === shard.replica) this.fail(new ForgottenTermError(shard.id, term), shard);
  }

  /** A replica without a vote asks for one. */
  #receiveJoin(from: NodeId, shard: Shard, replica: ReplicaId): void {
    if (nodeOf(replica) !== from) {
      throw new MalformedFrameError(`Node ${from} asked for a vote of replica ${replica}`);
    }
    this.#joining.noteAsked(shard, from);
    if (this.#toldStale(from, shard, replica)) return;
    const { kind } = shard.admit(replica);
    if (kind !== "ignored") {
      this.log.info("A new replica takes the place of a lost one", {
        shard: shard.id,
        replica,
        as: kind,
      });
    }
  }

  /** Tells a node that it goes on with a replica that it has replaced, if that is so. */
  #toldStale(node: NodeId, shard: Shard, replica: ReplicaId): boolean {
    const later = shard.laterThan(replica);
    if (later === 0) return false;
    this.#peers.sendRaft(node, [encodeReplicaFrame("stale", shard.id, later)]);
    return true;
  }

  /** This node once had a later replica than the one it has: its disk was rolled back. */
  #receiveStale(shard: Shard, later: ReplicaId): void {
    if (nodeOf(later) !== this.nodeId) {
      throw new MalformedFrameError(`Replica ${later} is none of node ${this.nodeId}`);
    }
    if (later <= shard.replica || this.#hasFailed) return;
    this.#directory!.setNewestReplica(later).then(
      () => this.fail(new StaleReplicaError(shard.replica, later), shard),
      (error) => this.fail(error),
    );
  }

  /** A frame of another node's client: if it is malformed, that client suffers and not the node. */
  #receiveRelayed(link: ClientLink, bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    try {
      this.#requests.handle(link, frame);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      const { code, message } = error;
      link.send(encodeError({ code, message, maybeApplied: false }, 0, 0));
      link.close();
    }
  }

  // What the shards need of their node.

  sendToPeer(shard: Shard, replica: ReplicaId, message: Message): void {
    const to = nodeOf(replica);
    if (message.kind === "installSnapshot") return this.#snapshotSender.begin(shard, message);
    const records = message.kind === "appendRequest" ? recordsOf(shard, message.entries) : [];
    let recordsBytes = 0;
    for (const block of records) recordsBytes += block.length;
    const head = encodeRaftMessage(shard.id, message, recordsBytes);
    if (!this.#peers.sendRaft(to, [head, ...records])) shard.peerUnreachable(to);
  }

  leaderChanged(shard: Shard): void {
    this.log.info(shard.leading ? "Leading" : "Leader changed", {
      shard: shard.id,
      leader: shard.leader,
      term: shard.term,
    });
    this.#shards[shard.id]!.leaderChanged();
    if (shard.leader !== 0) this.#outbox.leaderMoved(shard.id, shard.leader);
    if (shard.id === 0 && !shard.leading) this.#keeper.lead(false);
  }

  termBegun(shard: Shard): void {
    if (shard.id === 0) this.#keeper.lead(true);
  }

  carryOut(shard: Shard, effects: Effects): void {
    this.#shards[shard.id]!.carryOut(effects);
  }

  turnEnded(shard: Shard): void {
    this.#shards[shard.id]!.deliveries.flush();
    if (shard.id === 0) this.#keeper.check();
  }

  fail(error: Error, shard?: Shard): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.log.error("The node cannot go on", { error: error.message });
    if (shard === undefined || !this.#hasPeers || !isDamage(error)) return this.#fail(error);
    this.#giveUp(shard).then(
      () => this.#fail(new ReplicaLostError(shard.id, error)),
      (failure) => this.#fail(failure),
    );
  }

  /** Sees to it that nobody uses what there is of a shard, whatever becomes of this process. */
  async #giveUp({ id, replica }: Shard): Promise<void> {
    const directory = this.#directory!;
    if (replica > (directory.meta.newestReplica ?? 0)) await directory.setNewestReplica(replica);
    await directory.giveUp(id);
  }
}

/** Whether what is on the disk of this node cannot be trusted, while that of others can. */
function isDamage(error: unknown): error is Error {
  return error instanceof CorruptRecordError || error instanceof CorruptFileError ||
    error instanceof ForgottenEntriesError || error instanceof ForgottenTermError ||
    error instanceof StaleReplicaError;
}

/** The bytes of entries as they are on disk: what a follower writes to its own. */
function recordsOf(shard: Shard, entries: readonly Entry[]): Uint8Array[] {
  const first = entries[0];
  if (first === undefined) return [];
  // Entries that were read from disk, for a follower that is behind, have their bytes with them.
  if (first instanceof RecordEntry && entries.at(-1) instanceof RecordEntry) {
    return [encodeRecords(entries)];
  }
  return shard.store.records(first.index, first.index + entries.length, Infinity);
}
