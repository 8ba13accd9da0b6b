/**
 * A client's identity in one shard, and the loop that keeps it attached.
 *
 * ```text
 *            acquire a connection
 *  ┌───────────────┴───────────────┐
 *  │ no id yet: openSession        │ has an id: attachSession
 *  │                               │   ├─ attaching: producers send, right behind it
 *  │                               │   └─ sessionNotFound: members are told, no id any more
 *  └───────────────┬───────────────┘
 *            ready: members send                   members: producers or consumers of partitions
 *                  │  connection lost, notLeader, sessionEnded …
 *            down: members wait, back to the top
 * ```
 *
 * What is published behind an attach goes into the log behind it, and asks nothing of it but that the
 * session is known: it need not wait for the answer. A consumer needs to be served over the connection,
 * which it is only once the attach is applied.
 *
 * Producers and consumers of a shard have a session each: a publisher that has to begin a new one must
 * not cost a consumer its leases.
 *
 * @module
 */

import { ErrorCode, type ProducerPosition } from "../wire/mod.ts";
import type { Cluster } from "./cluster.ts";
import { type Connection, expectReply } from "./connection.ts";
import { asFlowMQError, FlowMQError, NotLeaderError } from "./errors.ts";
import { clientLimits, type ClientSettings } from "./options.ts";
import type { ClientRuntime } from "./runtime.ts";
import { Backoff, sleep, untilAborted } from "./waiting.ts";

/** A producer or a consumer of one partition. */
export interface SessionMember {
  /** The session has an id and asks to be attached: what needs no answer to that may follow. */
  attaching(): void;
  /** The session is attached: send what is to be sent, again where it was sent over another connection. */
  ready(): void;
  /** The session is not attached any more, or could not be: nothing can be sent. */
  down(): void;
  /** The cluster has forgotten the session; a new one will be opened. */
  forgotten(error: FlowMQError): void;
}

/**
 * Numbers of the acks that publish, in one session. The cluster remembers what became of each until it
 * hears that the answer has arrived.
 */
export class SettleNumbers {
  #next = 0;
  readonly #unanswered = new Set<number>();

  /** All numbers below are answered, or given up. */
  get answeredBelow(): number {
    for (const oldest of this.#unanswered) return oldest;
    return this.#next;
  }

  /** Gives out the next number. */
  take(): number {
    this.#unanswered.add(this.#next);
    return this.#next++;
  }

  /** Notes that a number is answered, or given up. */
  answered(sequence: number): void {
    this.#unanswered.delete(sequence);
  }
}

/** An attempt to attach a session. */
interface Attempt {
  readonly connection: Connection;
  /** Whether the session has an id, so that publishes may follow. */
  readonly hasId: boolean;
  /** Aborted when nothing is expected of it any more. */
  readonly patience: AbortController;
}

/** A session in one shard; see the module comment. */
export class Session {
  /** The shard. */
  readonly shard: number;
  /** Numbers of the acks that publish. */
  readonly settles = new SettleNumbers();
  readonly #cluster: Cluster;
  readonly #settings: ClientSettings;
  readonly #runtime: ClientRuntime;
  readonly #producer: string | undefined;
  readonly #members = new Set<SessionMember>();
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  #id = 0;
  #term = 0;
  #connection: Connection | undefined;
  /** Ends the loop's wait while the session is ready. */
  #disturb: ((error: FlowMQError) => void) | undefined;
  #lastError: FlowMQError | undefined;
  /** Where it is being attached. */
  #attaching: Attempt | undefined;
  #isRunning = false;
  /** How far a named producer had come when it was opened, by partition. */
  #positions: readonly ProducerPosition[] = [];

  /**
   * Makes a session that is opened when it gets its first member.
   *
   * @param shard The shard.
   * @param cluster Gives connections.
   * @param settings The client's.
   * @param runtime The world.
   * @param producer Under which name it publishes, where it has one.
   */
  constructor(
    shard: number,
    cluster: Cluster,
    settings: ClientSettings,
    runtime: ClientRuntime,
    producer?: string,
  ) {
    this.shard = shard;
    this.#producer = producer;
    this.#cluster = cluster;
    this.#settings = settings;
    this.#runtime = runtime;
    this.#backoff = new Backoff({
      msMin: clientLimits.backoffMsMin,
      msMax: clientLimits.backoffMsMax,
      factor: clientLimits.backoffFactor,
    }, runtime.random);
  }

  /** The number that the shard gave it, 0 before that. */
  get id(): number {
    return this.#id;
  }

  /** The term of the leader that it was opened by, or attached to last. */
  get term(): number {
    return this.#term;
  }

  /** The connection it is attached to, while it is. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** The connection that publishes may be sent over: the one it is, or is just being, attached to. */
  get publishConnection(): Connection | undefined {
    const attempt = this.#attaching;
    if (attempt === undefined || !attempt.hasId) return this.#connection;
    return attempt.patience.signal.aborted ? undefined : attempt.connection;
  }

  /** Why it is not attached, where it is not: what went wrong last. */
  get lastError(): FlowMQError | undefined {
    return this.#connection === undefined ? this.#lastError : undefined;
  }

  /** The number of the next message of a named producer, when it was opened. */
  nextSequence(partitionId: number): number {
    return this.#positions.find((one) => one.partitionId === partitionId)?.nextSequence ?? 0;
  }

  /** How many members it has. */
  get memberCount(): number {
    return this.#members.size;
  }

  /** Adds a member; it is told when the session is ready, at once where it is. */
  add(member: SessionMember): void {
    this.#members.add(member);
    if (!this.#isRunning) {
      this.#isRunning = true;
      void this.#run();
    } else if (this.#connection !== undefined) {
      member.ready();
    } else if (this.publishConnection !== undefined) {
      member.attaching();
    }
  }

  /** Takes a member out. */
  remove(member: SessionMember): void {
    this.#members.delete(member);
  }

  /**
   * Takes a member's word that something is wrong with the session where it is attached: it is
   * attached anew, after a short pause.
   *
   * @param connection Where the error came from; ignored when the session has moved on already.
   * @param error What the broker said.
   */
  disturb(connection: Connection, error: FlowMQError): void {
    if (this.#connection === connection) this.#disturb?.(error);
  }

  /**
   * Takes the broker's word that it does not serve the session over a connection, or not any more. It may
   * come before it is known that the session is attached there, and then there is nothing yet to disturb.
   *
   * @param connection Where it was said.
   * @param error What the broker said.
   */
  detached(connection: Connection, error: FlowMQError): void {
    if (this.#attaching?.connection === connection) this.#attaching.patience.abort(error);
    this.disturb(connection, error);
  }

  /** Another node leads the shard now: goes there. */
  moved(leader: number): void {
    const connection = this.#connection ?? this.#attaching?.connection;
    if (connection === undefined || connection.welcome.nodeId === leader) return;
    const error = new NotLeaderError(`Node ${leader} leads shard ${this.shard} now`, leader);
    this.#attaching?.patience.abort(error);
    this.#disturb?.(error);
  }

  /**
   * Ends the session: the cluster gives back its leases and forgets its window.
   *
   * @param signal Gives up; the session times out by itself then.
   */
  async close(signal: AbortSignal): Promise<void> {
    const connection = this.#connection;
    const id = this.#id;
    this.#closing.abort();
    this.#connection = undefined;
    if (connection === undefined || id === 0 || signal.aborted) return;
    const closed = connection.request({ kind: "closeSession", sessionId: id }, this.shard);
    await Promise.race([
      // It times out by itself where this does not arrive.
      closed.catch(() => {}),
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
    ]);
  }

  async #run(): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, this.#cluster.closed]);
    while (!signal.aborted) {
      try {
        await this.#attach(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#consider(asFlowMQError(error));
        try {
          await sleep(this.#runtime.clock, this.#backoff.next(), signal);
        } catch {
          return;
        }
      }
    }
  }

  /** Finds a connection, opens, or attaches, the session there, and holds it; always throws. */
  async #attach(signal: AbortSignal): Promise<never> {
    const connection = await this.#cluster.acquire(this.shard, signal);
    const { clock } = this.#runtime;
    const patience = new AbortController();
    const timer = clock.setTimeout(() => {
      patience.abort(
        new FlowMQError(`Shard ${this.shard} does not answer`, { code: ErrorCode.noLeader }),
      );
    }, clientLimits.attachTimeoutMs);
    const either = AbortSignal.any([signal, patience.signal]);
    this.#attaching = { connection, hasId: this.#id !== 0, patience };
    try {
      const introduced = this.#introduce(this.#attaching);
      if (this.#attaching.hasId) { for (const member of [...this.#members]) member.attaching(); }
      await untilAborted(introduced, either);
      either.throwIfAborted();
    } catch (error) {
      for (const member of [...this.#members]) member.down();
      throw error;
    } finally {
      this.#attaching = undefined;
      clock.clearTimeout(timer);
    }
    return await this.#hold(connection, signal);
  }

  /** Says who we are on a connection. The answer counts at once: the next frame may be about it. */
  async #introduce({ connection, patience }: Attempt): Promise<void> {
    const id = this.#id;
    if (id !== 0) {
      const request = { kind: "attachSession", sessionId: id } as const;
      this.#term = expectReply(await connection.request(request, this.shard), "done").term;
      return;
    }
    const request = {
      kind: "openSession",
      timeoutMs: this.#settings.sessionTimeoutMs,
      clientName: this.#settings.name,
      ...(this.#producer === undefined ? {} : { producer: this.#producer }),
    } as const;
    await connection.request(request, this.shard, (reply) => {
      const opened = expectReply(reply, "sessionOpened");
      if (patience.signal.aborted) return;
      this.#id = opened.sessionId;
      this.#term = opened.term;
      this.#positions = opened.producers ?? [];
    });
  }

  /** Lets the members use the connection until it fails them; always throws. */
  async #hold(connection: Connection, signal: AbortSignal): Promise<never> {
    const failure = new Promise<FlowMQError>((resolve) => this.#disturb = resolve);
    this.#connection = connection;
    const watch = connection.whenEnded((error) => this.#disturb?.(error));
    const stop = () => this.#disturb?.(asFlowMQError(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
    this.#backoff.reset();
    for (const member of [...this.#members]) member.ready();
    const error = await failure;
    connection.unwatch(watch);
    signal.removeEventListener("abort", stop);
    this.#disturb = undefined;
    this.#connection = undefined;
    for (const member of [...this.#members]) member.down();
    throw error;
  }

  /** Learns from what went wrong. */
  #consider(error: FlowMQError): void {
    this.#lastError = error;
    if (error instanceof NotLeaderError) {
      this.#cluster.noteLeader(this.shard, error.leaderHint);
    } else if (error.code === ErrorCode.noLeader || error.code === ErrorCode.leadershipLost) {
      this.#cluster.noteLeader(this.shard, 0);
    } else if (error.code === ErrorCode.sessionNotFound && this.#id !== 0) {
      this.#id = 0;
      // Of a name there is one: who has taken it since must not be ended in turn.
      if (this.#producer !== undefined) this.#closing.abort();
      for (const member of [...this.#members]) member.forgotten(error);
    }
  }
}
