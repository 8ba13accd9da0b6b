/**
 * A node of the cluster: opens its data directory, runs its shards, and joins them to peers and
 * clients.
 *
 * @module
 */

import { type Entry, isVoter, type Message, type NodeId } from "../raft/mod.ts";
import type { Effects } from "../queue/mod.ts";
import { DataDirectory, decodeRecords, encodeRecords, RecordEntry } from "../storage/mod.ts";
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
  type EncodableCommand,
  encodeError,
  encodeRaftMessage,
  type Frame,
  MalformedFrameError,
  PeerFrameType,
  relayedFrame,
} from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import { version } from "./version.ts";
import { acceptAll } from "./accept.ts";
import { CatalogKeeper } from "./catalog_keeper.ts";
import { GrowthKeeper } from "./growth_keeper.ts";
import { ScheduleKeeper } from "./schedule_keeper.ts";
import { ClientConnection } from "./client_connection.ts";
import type { ClientLink } from "./client_link.ts";
import {
  checkConfig,
  clusterIdOf,
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
  DISK_RESERVE_BYTES,
  type NodeConfig,
} from "./config.ts";
import { DISK_CHECK_MS, DiskSpace } from "./disk_space.ts";
import { denoNodeRuntime } from "./deno_runtime.ts";
import { Formation } from "./formation.ts";
import { InternalClient } from "./internal_client.ts";
import { JOIN_MS, Joining } from "./joining.ts";
import { listenOn } from "./listen_error.ts";
import { LocalShard } from "./local_shard.ts";
import { type Logger, silentLogger } from "./logger.ts";
import type { ShardObserver } from "./observer.ts";
import { OutboxKeeper } from "./outbox_keeper.ts";
import { PublishRoom } from "./publish_room.ts";
import { PeerNetwork } from "./peer_network.ts";
import { RelayInbox, RelayOutbox } from "./relay.ts";
import { nodeOf, type ReplicaId } from "./replica_id.ts";
import { isDamage, ReplicaOpener } from "./replica_opener.ts";
import { ReplicaTalk } from "./replica_talk.ts";
import { RequestHandler } from "./request_handler.ts";
import { type Address, formatAddress, type Listener, type NodeRuntime } from "./runtime.ts";
import type { Shard, ShardHost } from "./shard.ts";
import { SnapshotReceiver } from "./snapshot_receiver.ts";
import { SnapshotSender } from "./snapshot_sender.ts";

/** How often a node that waits for others says so, in milliseconds. */
const FORMATION_NEWS_MS = 5_000;

/** How long a stopping node waits for others to take over what it leads, in milliseconds. */
const HAND_OVER_MS_MAX = 500;

/** With more than this waiting for a node that clients' requests are relayed to, clients wait. */
const RELAY_BYTES_MAX = 4 << 20;

/** How often a leader whose disk is nearly full tries to hand over, in milliseconds. */
const RELIEVE_MS = 1_000;

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
  #accepting: Promise<void> | undefined;
  #formation!: Formation;
  readonly #disk: DiskSpace;
  readonly #publishRoom = new PublishRoom();
  #opener!: ReplicaOpener;
  #joining!: Joining;
  #talk!: ReplicaTalk;
  /** The shards are open, and run. */
  #isReady = false;
  #peers!: PeerNetwork;
  readonly #snapshotSender: SnapshotSender;
  readonly #snapshotReceiver: SnapshotReceiver;
  #inbox!: RelayInbox;
  #outbox!: RelayOutbox;
  #internal!: InternalClient;
  #keeper!: CatalogKeeper;
  /** One for each shard. */
  readonly #scheduleKeepers: ScheduleKeeper[] = [];
  readonly #outboxKeepers: OutboxKeeper[] = [];
  readonly #growthKeepers: GrowthKeeper[] = [];
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
    this.#disk = new DiskSpace({
      files: runtime.files,
      path: config.dataDirectory,
      reserveBytes: config.diskReserveBytes ?? DISK_RESERVE_BYTES,
      clock: this.clock,
      log: this.log,
      changed: () => this.#diskChanged(),
    });
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
      for (const local of this.#shards) local.tick();
    });
    this.#every(CONNECTION_CHECK_MS, () => {
      for (const connection of [...this.#connections]) connection.checkAlive();
    });
    this.#every(DISK_CHECK_MS, () => this.#disk.check());
    this.#every(RELIEVE_MS, () => this.#relieve());
    if (this.#hasPeers) this.#every(JOIN_MS, () => this.#joining.check());
    this.#isReady = true;
    this.#disk.check();
    this.#talk.begin();
    for (const { shard } of this.#shards) shard.start();
    this.#accepting = this.#acceptClients(this.#clientListener!);
  }

  #diskChanged(): void {
    this.#publishRoom.note(this.nodeId, this.#disk.isLow);
    this.#talk.announce();
    if (!this.#disk.isLow) return;
    for (const { shard } of this.#shards) {
      try {
        shard.store.giveBackSpares();
      } catch (error) {
        this.fail(error as Error, shard);
      }
    }
  }

  /** A leader with hardly any room lets a node lead that has some, so that publishes go on. */
  #relieve(): void {
    if (!this.#disk.isLow || !this.#hasPeers) return;
    for (const { shard } of this.#shards) shard.handOver((node) => this.#publishRoom.isOn(node));
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
      () => this.#talk.announce(),
    );
    this.#opener = new ReplicaOpener(
      this.#config,
      this.#runtime,
      this.#directory,
      this,
      this.log,
      this.#disk.whenFull,
    );
    this.#connect();
    await this.#openShards(await this.#formed(signal));
  }

  /** Whether other nodes hold what this one does. */
  get #hasPeers(): boolean {
    return this.#config.cluster.length > 1;
  }

  /** Waits until it is known whether this node is one of those that the cluster begins with. */
  async #formed(signal: AbortSignal | undefined): Promise<boolean> {
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
      return await Promise.race([this.#formation.isFounder, late.promise]);
    } finally {
      this.clock.clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  async #openShards(isFounder: boolean): Promise<void> {
    const directory = this.#directory!;
    const { shards = 1 } = this.#config;
    for (let id = 0; id < shards; id++) {
      const shard = await this.#opener.open(id, isFounder);
      this.#shards.push(new LocalShard(shard, this.clock));
      const hasRoom = () =>
        !shard.full && this.#publishRoom.missing(shard.configuration).length === 0;
      this.#scheduleKeepers.push(new ScheduleKeeper(shard, hasRoom, this.clock, this.log));
      this.#outboxKeepers.push(
        new OutboxKeeper(shard, {
          client: this.#internal,
          shardCount: shards,
          clock: this.clock,
          log: this.log,
          fail: (error) => this.fail(error, shard),
        }),
      );
      const tell = (command: EncodableCommand) => this.#internal.submit(0, command);
      this.#growthKeepers.push(new GrowthKeeper(() => shard.machine, tell, this.clock, this.log));
      const { configuration, replica } = shard;
      if (!isVoter(configuration, replica) || directory.hasLost(id)) this.#joining.add(shard);
    }
    if (directory.meta.standing !== "member") await directory.setStanding("member");
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
        sendingUp: (to) => this.#talk.connected(to),
        received: (from, frame) => this.#receive(from, frame),
        sendingLost: (to) => {
          this.#endRelays(to);
          this.#snapshotSender.lost(to);
          for (const { shard } of this.#shards) shard.peerUnreachable(to);
        },
        receivingLost: (from) => {
          this.#formation.lost(from);
          this.#talk.lost(from);
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
      disk: this.#disk,
      room: this.#publishRoom,
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
    this.#talk = new ReplicaTalk({
      nodeId: this.nodeId,
      log: this.log,
      members: cluster.map((member) => member.id),
      shards: this.#shards,
      directory: this.#directory!,
      formation: this.#formation,
      joining: this.#joining,
      disk: this.#disk,
      room: this.#publishRoom,
      send: (to, parts) => this.#peers.sendRaft(to, parts),
      fail: (error, shard) => this.fail(error, shard),
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
    this.#disk.close();
    this.#clientListener?.close();
    for (const connection of [...this.#connections]) connection.close();
    if (this.#peers === undefined) this.#peerListener?.close();
    const peersClosed = this.#peers?.close();
    this.#keeper?.lead(false);
    for (const keeper of this.#scheduleKeepers) keeper.lead(false);
    for (const keeper of this.#outboxKeepers) keeper.lead(false);
    for (const keeper of this.#growthKeepers) keeper.lead(false);
    this.#internal?.close();
    this.#snapshotSender.close();
    this.#snapshotReceiver.close();
    for (const { shard } of this.#shards) await shard.close();
    this.#directory?.close();
    // Whoever starts again in this process finds the addresses free.
    await Promise.all([this.#accepting, peersClosed]);
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
      return this.#talk.heardStanding(from, decodePeerStanding(frame.payload));
    }
    // Whoever sends anything else has not noticed yet that this node starts anew.
    if (!this.#isReady) return;
    switch (frame.type) {
      case PeerFrameType.raft:
        return this.#receiveRaft(from, frame);
      case PeerFrameType.join:
        return this.#talk.heardJoin(from, this.#shardOf(frame), decodeReplicaFrame(frame.payload));
      case PeerFrameType.stale:
        if (this.#hasFailed) return;
        return this.#talk.heardStale(this.#shardOf(frame), decodeReplicaFrame(frame.payload));
      case PeerFrameType.forgot:
        return this.#talk.heardForgot(this.#shardOf(frame), decodeForgot(frame.payload));
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
    if (message.kind === "preVoteRequest" && this.#talk.toldStale(from, shard, message.from)) {
      return;
    }
    this.#talk.heard(shard, message);
    shard.step(
      message.kind === "appendRequest" && records.length > 0
        ? { ...message, entries: decodeRecords(records) }
        : message,
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
    if (shard.leading) return;
    this.#scheduleKeepers[shard.id]!.lead(false);
    this.#outboxKeepers[shard.id]!.lead(false);
    this.#growthKeepers[shard.id]!.lead(false);
    if (shard.id === 0) this.#keeper.lead(false);
  }

  termBegun(shard: Shard): void {
    this.#scheduleKeepers[shard.id]!.lead(true);
    this.#outboxKeepers[shard.id]!.lead(true);
    this.#growthKeepers[shard.id]!.lead(true);
    if (shard.id === 0) this.#keeper.lead(true);
  }

  carryOut(shard: Shard, effects: Effects): void {
    this.#shards[shard.id]!.carryOut(effects);
  }

  turnEnded(shard: Shard): void {
    this.#shards[shard.id]!.deliveries.flush();
    this.#scheduleKeepers[shard.id]!.check();
    this.#outboxKeepers[shard.id]!.check();
    this.#growthKeepers[shard.id]!.check();
    if (shard.id === 0) this.#keeper.check();
  }

  fail(error: Error, shard?: Shard): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.log.error("The node cannot go on", { error: error.message });
    if (shard === undefined || !this.#hasPeers || !isDamage(error)) return this.#fail(error);
    this.#opener.giveUp(shard).then(
      () => this.#fail(new ReplicaLostError(shard.id, error)),
      (failure) => this.#fail(failure),
    );
  }
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
