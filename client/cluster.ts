/**
 * The cluster as a client sees it: which nodes there are, who leads which shard, and the connections.
 *
 * A request goes straight to the leader of its shard where that can be reached, and to any other node
 * otherwise, which relays it. What is known may be wrong at any time; a leader that refuses, a lost
 * connection, or a connection that owes an answer for too long makes the client ask anyone for the map
 * again. After a lost connection the other nodes are dialled all at once: the first to answer serves.
 *
 * @module
 */

import { type ClusterMetadata, type Frame, MalformedFrameError } from "../wire/mod.ts";
import { type Address, formatAddress, parseAddress } from "./address.ts";
import { Connection, expectReply } from "./connection.ts";
import { ClientClosedError, ConnectionLostError } from "./errors.ts";
import { clientLimits, type ClientSettings } from "./options.ts";
import type { ClientRuntime } from "./runtime.ts";
import { Backoff, ENOUGH, firstOf, sleep, untilAborted } from "./waiting.ts";

/** What is believed about a shard. */
interface LeaderBelief {
  /** The node, or 0. */
  leader: number;
  /** The last one that was known. */
  lastLeader: number;
  /** When it was known to lead: an older map does not count against this. */
  term: number;
}

/** Takes the pushes of all connections. */
export type PushListener = (connection: Connection, frame: Frame) => void;

/** Nodes, leaders and connections of one client. */
export class Cluster {
  readonly #settings: ClientSettings;
  readonly #runtime: ClientRuntime;
  readonly #onPush: PushListener;
  readonly #closing = new AbortController();
  /** Where to look for nodes: what the caller said, and what nodes said, by its text. */
  readonly #addresses = new Map<string, Address>();
  /** Where each node says that it takes clients. */
  readonly #nodeAddress = new Map<number, string>();
  readonly #leaders = new Map<number, LeaderBelief>();
  readonly #connections = new Map<number, Connection>();
  /** Addresses where a dial was not even refused; a refusal costs nothing and is not held against it. */
  readonly #hopelessUntilMs = new Map<string, number>();
  readonly #dials = new Map<string, Promise<Connection>>();
  #clusterId: string | undefined;
  #messageBytesMax = 0;
  #shardCount = 0;
  #onLeaderChange: ((shard: number, leader: number) => void) | undefined;
  #refreshing: Promise<void> | undefined;
  /** Its map last left a shard without a leader: it may be cut off from the others, so ask them. */
  #uninformed: Connection | undefined;

  /**
   * Makes a cluster that no node is known of but the given addresses.
   *
   * @param servers Where to begin.
   * @param settings The client's.
   * @param runtime The world.
   * @param onPush Takes the frames that answer no request.
   */
  constructor(
    servers: readonly Address[],
    settings: ClientSettings,
    runtime: ClientRuntime,
    onPush: PushListener,
  ) {
    this.#settings = settings;
    this.#runtime = runtime;
    this.#onPush = onPush;
    for (const server of servers) this.#addresses.set(formatAddress(server), server);
  }

  /** What key, headers and body of a message may add up to. */
  get messageBytesMax(): number {
    return this.#messageBytesMax;
  }

  /** How many shards there are. */
  get shardCount(): number {
    return this.#shardCount;
  }

  /** Aborted when the cluster is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Waits for a connection that can serve a shard: to its leader, or else to a node that relays.
   *
   * @param shard The shard.
   * @param signal Gives up.
   * @returns A connection that was alive a moment ago.
   * @throws {ClientClosedError} when the cluster is closed, and the signal's reason.
   */
  async acquire(shard: number, signal?: AbortSignal): Promise<Connection> {
    const backoff = this.#backoff();
    for (;;) {
      this.#closing.signal.throwIfAborted();
      signal?.throwIfAborted();
      const connection = await untilAborted(this.#find(shard), signal);
      if (connection !== undefined) return connection;
      await this.#pause(backoff, signal);
    }
  }

  /**
   * Waits for a connection to any node.
   *
   * @param signal Gives up.
   * @returns A connection that was alive a moment ago.
   * @throws {ConnectionLostError} when the signal is aborted; its cause says what was tried last.
   */
  async acquireAny(signal?: AbortSignal): Promise<Connection> {
    const backoff = this.#backoff();
    let lastError: unknown;
    for (;;) {
      this.#closing.signal.throwIfAborted();
      try {
        return this.#anyConnection() ?? await untilAborted(this.#dialAny(), signal);
      } catch (error) {
        // What a signal says is less than what the dial said.
        if (!signal?.aborted || lastError === undefined) lastError = error;
      }
      if (signal?.aborted) throw lastError;
      try {
        await this.#pause(backoff, signal);
      } catch (error) {
        throw this.#closing.signal.aborted ? error : lastError;
      }
    }
  }

  /**
   * Connects to the node at an address.
   *
   * @param address Where it takes clients.
   * @returns A connection that was alive a moment ago.
   * @throws {ConnectionLostError} when nobody answers there.
   */
  connectTo(address: Address): Promise<Connection> {
    for (const connection of this.#connections.values()) {
      if (formatAddress(connection.address) === formatAddress(address)) {
        return Promise.resolve(connection);
      }
    }
    return this.#dial(address);
  }

  /** Takes a broker's word that another node leads a shard, 0 for nobody. */
  noteLeader(shard: number, leader: number): void {
    const belief = this.#belief(shard);
    belief.leader = leader;
    if (leader !== 0) this.#noteChange(shard, belief);
  }

  /**
   * Calls back when a shard is found to have another leader than before.
   *
   * @param callback Gets the shard and the node that leads it now.
   */
  whenLeaderChanges(callback: (shard: number, leader: number) => void): void {
    this.#onLeaderChange = callback;
  }

  /**
   * Asks for the map of the cluster: one node, and another one whenever an answer takes long. A node that
   * has fallen silent does not keep others from saying so.
   *
   * @param avoid Not this one, where there is another.
   * @returns The map of whoever answers first.
   * @throws {ConnectionLostError} when nobody answers.
   */
  async metadata(avoid?: Connection): Promise<ClusterMetadata> {
    const asked = new Set(avoid === undefined ? [] : [avoid]);
    const answers: Promise<ClusterMetadata>[] = [];
    let next = this.#anyConnection(asked);
    while (next !== undefined) {
      asked.add(next);
      answers.push(this.#askFor(next));
      const map = await this.#inTime(Promise.any(answers), clientLimits.mapPatienceMs);
      if (map !== undefined) return map;
      next = this.#anyConnection(asked);
    }
    answers.push(this.#dialAny(asked).then((connection) => this.#askFor(connection)));
    try {
      return await Promise.any(answers);
    } catch (error) {
      throw error instanceof AggregateError ? error.errors.at(-1) : error;
    }
  }

  /** Asks a node for the map, and learns from it. */
  async #askFor(connection: Connection): Promise<ClusterMetadata> {
    const reply = expectReply(await connection.request({ kind: "metadata" }, 0), "metadataReply");
    this.#learn(reply);
    const { kind: _kind, ...map } = reply;
    if (map.shards.some(({ id }) => this.#leaderOf(id) === 0)) this.#uninformed = connection;
    else if (this.#uninformed === connection) this.#uninformed = undefined;
    return map;
  }

  /** What comes while one may wait for it; `undefined` where it takes longer, or fails. */
  async #inTime<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
    const patience = new AbortController();
    const late = sleep(this.#runtime.clock, ms, patience.signal).catch(() => {});
    try {
      return await Promise.race([promise.catch(() => undefined), late.then(() => undefined)]);
    } finally {
      patience.abort(ENOUGH);
    }
  }

  /** Looks after all connections; called again and again. */
  sweep(nowMs: number): void {
    for (const connection of [...this.#connections.values()]) {
      if (connection.checkAlive(nowMs, this.#settings)) void this.#suspect(connection);
    }
  }

  /** Waits until all that was sent has been handed to the system. */
  async flushed(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.flushed()));
  }

  /** Ends all connections. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    const reason = new ClientClosedError();
    this.#closing.abort(reason);
    for (const connection of [...this.#connections.values()]) connection.close(reason);
  }

  #backoff(): Backoff {
    const { backoffMsMin: msMin, backoffMsMax: msMax, backoffFactor: factor } = clientLimits;
    return new Backoff({ msMin, msMax, factor }, this.#runtime.random);
  }

  async #pause(backoff: Backoff, signal?: AbortSignal): Promise<void> {
    const closing = this.#closing.signal;
    const either = signal === undefined ? closing : AbortSignal.any([closing, signal]);
    await sleep(this.#runtime.clock, backoff.next(), either);
  }

  /** One attempt to find a connection for a shard. */
  async #find(shard: number): Promise<Connection | undefined> {
    if (this.#leaderOf(shard) === 0) await this.#refresh(this.#uninformed);
    const leader = this.#leaderOf(shard);
    if (leader === 0) return undefined;
    const direct = this.#connections.get(leader);
    if (direct !== undefined) return direct;
    const address = this.#nodeAddress.get(leader);
    if (address !== undefined && !this.#isHopeless(address)) {
      const dialled = await this.#tryDial(address);
      if (dialled instanceof Connection) return dialled;
      // The next map may know better.
      this.noteLeader(shard, 0);
      // No answer yet: the dial goes on, and meanwhile others may elect someone else. Nobody is asked to
      // relay to a node that may be dead, unless it was out of our reach before.
      if (dialled === "pending" && !this.#hopelessUntilMs.has(address)) return undefined;
    }
    // Out of our reach: anyone can relay.
    const relay = this.#anyConnection();
    // Where nobody is left, the question who leads makes all be dialled.
    if (relay === undefined) this.noteLeader(shard, 0);
    return relay;
  }

  /** Dials, but does not wait for long. */
  async #tryDial(address: string): Promise<Connection | "failed" | "pending"> {
    const { clock } = this.#runtime;
    const startMs = clock.monotonic();
    const dialled = this.#dial(parseAddress(address)).then((connection) => {
      this.#hopelessUntilMs.delete(address);
      return connection;
    }, () => {
      const nowMs = clock.monotonic();
      if (nowMs - startMs > clientLimits.stallMs) {
        this.#hopelessUntilMs.set(address, nowMs + clientLimits.hopelessMs);
      }
      return "failed" as const;
    });
    const patience = new AbortController();
    try {
      return await Promise.race([
        dialled,
        sleep(clock, clientLimits.dialPatienceMs, patience.signal).then(() => "pending" as const),
      ]);
    } finally {
      patience.abort(ENOUGH);
    }
  }

  /** Whether an address let a dial wait in vain a short while ago. */
  #isHopeless(address: string): boolean {
    const untilMs = this.#hopelessUntilMs.get(address);
    return untilMs !== undefined && this.#runtime.clock.monotonic() < untilMs;
  }

  #leaderOf(shard: number): number {
    return this.#leaders.get(shard)?.leader ?? 0;
  }

  /** Asks for the map; all who want it at the same time share one question. */
  async #refresh(avoid?: Connection): Promise<void> {
    this.#refreshing ??= this.#ask(avoid).finally(() => this.#refreshing = undefined);
    await this.#refreshing;
  }

  /**
   * Asks for the map: somebody else than `avoid`, or that one as well where nobody else says anything: it
   * may know more by now. Answers that come after its end are learned from, too. Never rejects.
   */
  async #ask(avoid: Connection | undefined): Promise<void> {
    const { mapPatienceMs, mapRoundMs } = clientLimits;
    if (avoid !== undefined) {
      const map = await this.#inTime(this.metadata(avoid), mapPatienceMs);
      if (map !== undefined) return;
    }
    await this.#inTime(this.metadata(), mapRoundMs);
  }

  /** A connection owes an answer: where others say that somebody else leads, it is given up. */
  async #suspect(connection: Connection): Promise<void> {
    const nodeId = connection.welcome.nodeId;
    const led = [...this.#leaders].filter(([, { leader }]) => leader === nodeId);
    await this.#refresh(connection);
    const isDeposed = led.some(([shard]) => {
      const leader = this.#leaderOf(shard);
      return leader !== nodeId && leader !== 0;
    });
    if (isDeposed) connection.close(new Error("it is silent, and another node leads"));
  }

  #learn(map: ClusterMetadata): void {
    for (const { id, address } of map.nodes) {
      if (address === null) continue;
      try {
        this.#addresses.set(address, parseAddress(address));
        this.#nodeAddress.set(id, address);
      } catch (error) {
        throw new MalformedFrameError(`Cannot use the address of node ${id}`, undefined, {
          cause: error,
        });
      }
    }
    for (const { id, leader, term } of map.shards) {
      const belief = this.#belief(id);
      // A node that knows no leader says nothing new, however high the term in which it looks for one.
      if (leader === 0 || term < belief.term) continue;
      belief.leader = leader;
      belief.term = term;
      this.#noteChange(id, belief);
    }
  }

  #belief(shard: number): LeaderBelief {
    let belief = this.#leaders.get(shard);
    if (belief === undefined) {
      belief = { leader: 0, lastLeader: 0, term: 0 };
      this.#leaders.set(shard, belief);
    }
    return belief;
  }

  #noteChange(shard: number, belief: LeaderBelief): void {
    if (belief.leader === belief.lastLeader) return;
    belief.lastLeader = belief.leader;
    this.#onLeaderChange?.(shard, belief.leader);
  }

  #anyConnection(avoid?: ReadonlySet<Connection>): Connection | undefined {
    const usable = [...this.#connections.values()].filter((one) => !avoid?.has(one));
    return usable[Math.floor(this.#runtime.random() * usable.length)];
  }

  /**
   * Dials all nodes that there is no connection to; the first to answer serves, the others stay. Once one
   * has failed, those that say nothing are not waited for long: whoever asks again finds their dials going
   * on, and the one that failed may be back.
   */
  async #dialAny(avoid: ReadonlySet<Connection> = new Set()): Promise<Connection> {
    const known = new Set(Array.from(avoid, ({ address }) => formatAddress(address)));
    const addresses = [...this.#addresses.values()]
      .filter((address) => !known.has(formatAddress(address)));
    const silent = new Set(addresses.map(formatAddress));
    const dials = addresses.map((address) =>
      this.connectTo(address).finally(() => silent.delete(formatAddress(address)))
    );
    try {
      return await firstOf(dials, this.#runtime.clock, clientLimits.dialPatienceMs);
    } catch (error) {
      const errors: Error[] = error instanceof AggregateError ? error.errors : [error];
      if (dials.length === 0) {
        throw new ConnectionLostError("Cannot connect as there is no other node");
      }
      if (dials.length === 1) throw errors[0];
      const reasons = [
        ...errors.map(({ message }) => message),
        ...Array.from(silent, (address) => `${address} has not answered yet`),
      ];
      throw new ConnectionLostError(`Cannot connect to any node: ${reasons.join("; ")}`);
    }
  }

  /** Dials an address, once at a time. */
  #dial(address: Address): Promise<Connection> {
    const text = formatAddress(address);
    let dial = this.#dials.get(text);
    if (dial === undefined) {
      dial = this.#open(address).finally(() => this.#dials.delete(text));
      this.#dials.set(text, dial);
    }
    return dial;
  }

  async #open(address: Address): Promise<Connection> {
    const connection = await Connection.open(address, this.#settings, this.#runtime, {
      pushed: this.#onPush,
      ended: (ended) => this.#ended(ended),
    }, this.#closing.signal);
    const { nodeId, clusterId, limits, shardCount } = connection.welcome;
    this.#clusterId ??= clusterId;
    if (clusterId !== this.#clusterId) {
      connection.close();
      throw new ConnectionLostError(
        `Cannot use node ${nodeId} at ${
          formatAddress(address)
        } as it belongs to another cluster: ` +
          `its cluster id is ${clusterId}, ours is ${this.#clusterId}`,
      );
    }
    const existing = this.#connections.get(nodeId);
    if (existing !== undefined && !existing.isEnded) {
      // The same node under two addresses.
      connection.close();
      return existing;
    }
    if (connection.isEnded) throw new ConnectionLostError("Lost the connection after the hello");
    this.#connections.set(nodeId, connection);
    this.#messageBytesMax = limits.messageBytesMax;
    this.#shardCount = shardCount;
    return connection;
  }

  #ended(connection: Connection): void {
    if (this.#uninformed === connection) this.#uninformed = undefined;
    for (const [nodeId, other] of this.#connections) {
      if (other !== connection) continue;
      this.#connections.delete(nodeId);
      // It may have died: let anyone say who leads now.
      for (const belief of this.#leaders.values()) {
        if (belief.leader === nodeId) belief.leader = 0;
      }
    }
  }
}
