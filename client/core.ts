/**
 * What all parts of a client share: the cluster, the sessions, the catalog as far as it is known, one
 * timer, and the way to ask something until it is answered.
 *
 * @module
 */

import {
  type ClientRequest,
  type ConsumerEnded,
  decodeConsumerEnded,
  decodeDrained,
  decodeQueueGrown,
  decodeSessionEnded,
  deliverConsumerId,
  deliverCount,
  type Drained,
  ErrorCode,
  type Frame,
  isRetryable,
  PushType,
  type QueueGrown,
  type QueueInfo,
  type QueueSettings,
  type ReplyOf,
  type ServerReply,
} from "../wire/mod.ts";
import type { Address } from "./address.ts";
import { Cluster } from "./cluster.ts";
import { type Connection, expectReply } from "./connection.ts";
import {
  asFlowMQError,
  ClientClosedError,
  FlowMQError,
  NotLeaderError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";
import { clientLimits, type ClientSettings } from "./options.ts";
import type { ClientRuntime, TimerId } from "./runtime.ts";
import { SessionPool } from "./session_pool.ts";
import { Backoff, sleep, untilAborted } from "./waiting.ts";

/** How long to wait for something, and who may end the wait. */
export interface WaitOptions {
  /** Gives up waiting; what was asked for may be carried out all the same. */
  readonly signal?: AbortSignal;
  /** How long it may take. @default {the client's requestTimeoutMs} */
  readonly timeoutMs?: number;
}

/** Takes the pushes for one consumer of a partition. */
export interface PushTarget {
  /** Messages have come. */
  delivered(payload: Uint8Array): void;
  /** Nothing more is ready for it. */
  drained(drained: Drained): void;
  /** The cluster has ended it. */
  ended(ended: ConsumerEnded): void;
  /** Its queue has got more partitions. */
  grown(grown: QueueGrown): void;
}

/** Looked after by the sweep. */
export interface Sweepable {
  /** Called again and again. */
  sweep(nowMs: number): void;
}

/** Ends with the client. */
export interface Closeable {
  /** Brings what is under way to an end. */
  close(): Promise<void>;
  /** Ends at once. */
  abandon(): void;
}

/** See the module comment. */
export class ClientCore {
  readonly settings: ClientSettings;
  readonly runtime: ClientRuntime;
  readonly cluster: Cluster;
  readonly sessions: SessionPool;
  /** Consumers that have not been closed. */
  readonly consumers: Set<Closeable> = new Set();
  readonly #sweepables = new Set<Sweepable>();
  readonly #pushTargets = new Map<number, PushTarget>();
  readonly #queues = new Map<string, { readonly info: QueueInfo; readonly atMs: number }>();
  #nextConsumerId = 1;
  #sweepTimer: TimerId | undefined;

  /**
   * Makes the core of a client; nothing is dialled yet.
   *
   * @param servers Where to begin.
   * @param settings The client's.
   * @param runtime The world.
   */
  constructor(servers: readonly Address[], settings: ClientSettings, runtime: ClientRuntime) {
    this.settings = settings;
    this.runtime = runtime;
    this.cluster = new Cluster(servers, settings, runtime, (connection, frame) => {
      this.#pushed(connection, frame);
    });
    this.sessions = new SessionPool(this.cluster, settings, runtime);
    this.#scheduleSweep();
  }

  /** The monotonic time. */
  get nowMs(): number {
    return this.runtime.clock.monotonic();
  }

  /** Whether the client has been closed. */
  get isClosed(): boolean {
    return this.cluster.closed.aborted;
  }

  /** Adds something to look after. */
  watch(sweepable: Sweepable): void {
    this.#sweepables.add(sweepable);
  }

  /** Looks after it no longer. */
  unwatch(sweepable: Sweepable): void {
    this.#sweepables.delete(sweepable);
  }

  /** Gives a consumer of a partition its number, which is never used again in this client. */
  register(target: PushTarget): number {
    const consumerId = this.#nextConsumerId++;
    this.#pushTargets.set(consumerId, target);
    return consumerId;
  }

  /** From now on what comes for the consumer is dropped. */
  unregister(consumerId: number): void {
    this.#pushTargets.delete(consumerId);
  }

  /**
   * Asks a shard until it answers: retries what can be retried, on whichever node leads.
   *
   * @param what For messages, as in "create queue orders".
   * @param request What to ask.
   * @param shard The shard that has to answer.
   * @param kind The kind of the reply.
   * @param options How long to wait.
   * @returns The reply.
   * @throws {FlowMQError} when the answer is an error, or none comes in time.
   */
  async call<K extends ServerReply["kind"]>(
    what: string,
    request: ClientRequest,
    shard: number,
    kind: K,
    options: WaitOptions = {},
  ): Promise<ReplyOf<K>> {
    const timeoutMs = options.timeoutMs ?? this.settings.requestTimeoutMs;
    const { signal, done } = this.#deadline(timeoutMs, options.signal);
    const backoff = this.#backoff();
    let maybeApplied = false;
    let lastError: FlowMQError | undefined;
    try {
      for (;;) {
        try {
          const connection = await this.cluster.acquire(shard, signal);
          const reply = await untilAborted(connection.request(request, shard), signal);
          return expectReply(reply, kind);
        } catch (error) {
          // A request under way when time is up may have arrived.
          if (signal.aborted) throw error;
          lastError = asFlowMQError(error);
          if (!isRetryable(lastError.code)) throw withDoubt(lastError, maybeApplied);
          maybeApplied ||= lastError.maybeApplied;
          this.#learn(shard, lastError);
        }
        await sleep(this.runtime.clock, backoff.next(), signal);
      }
    } catch (error) {
      if (error !== timedOut) throw error;
      throw new RequestTimeoutError(what, timeoutMs, {
        maybeApplied: changesSomething(request),
        cause: lastError,
      });
    } finally {
      done();
    }
  }

  /**
   * Finds a queue.
   *
   * @param name The queue's name.
   * @param options How long to wait.
   * @returns The catalog's record, perhaps not the newest.
   * @throws {QueueNotFoundError} when there is no such queue.
   */
  async findQueue(name: string, options: WaitOptions = {}): Promise<QueueInfo> {
    return this.#queues.get(name)?.info ?? await this.refreshQueue(name, options);
  }

  /** As {@linkcode findQueue}, but asks the cluster in any case. */
  async refreshQueue(name: string, options: WaitOptions = {}): Promise<QueueInfo> {
    const what = `find queue ${JSON.stringify(name)}`;
    try {
      const { queue } = await this.call(
        what,
        { kind: "findQueue", name },
        0,
        "queueReply",
        options,
      );
      if (queue.state === "deleting") throw new QueueNotFoundError(name);
      // One that is still being made is ready when the answer to another createQueue comes.
      if (queue.state === "creating") return await this.createQueue(name, {}, true, options);
      this.#remember(queue);
      return queue;
    } catch (error) {
      throw asQueueError(error, name);
    }
  }

  /** Finds a queue, or makes it with the default settings. */
  async findOrCreateQueue(name: string, options: WaitOptions = {}): Promise<QueueInfo> {
    try {
      return await this.findQueue(name, options);
    } catch (error) {
      if (!(error instanceof QueueNotFoundError)) throw error;
      return await this.createQueue(name, {}, true, options);
    }
  }

  /** Makes a queue, or takes the one there is. */
  async createQueue(
    name: string,
    settings: Partial<QueueSettings>,
    acceptExisting: boolean,
    options: WaitOptions = {},
  ): Promise<QueueInfo> {
    try {
      const { queue } = await this.call(
        `create queue ${JSON.stringify(name)}`,
        { kind: "createQueue", name, settings, acceptExisting },
        0,
        "queueReply",
        options,
      );
      this.#remember(queue);
      return queue;
    } catch (error) {
      const isForbidden = error instanceof FlowMQError && error.code === ErrorCode.queueNotFound;
      if (!isForbidden) throw error;
      const detail = "and the cluster makes none on first use";
      throw new QueueNotFoundError(name, { cause: error, detail });
    }
  }

  /** Changes settings of a queue, pauses or resumes it. */
  async editQueue(
    name: string,
    change: { readonly settings?: Partial<QueueSettings>; readonly paused?: boolean },
    options: WaitOptions = {},
  ): Promise<QueueInfo> {
    try {
      const { queue } = await this.call(
        `change queue ${JSON.stringify(name)}`,
        { kind: "editQueue", name, settings: {}, ...change },
        0,
        "queueReply",
        options,
      );
      this.#remember(queue);
      return queue;
    } catch (error) {
      throw asQueueError(error, name);
    }
  }

  /**
   * What was known of a queue may not be true any more.
   *
   * @param name The queue's name.
   * @param ageMs Only what was learnt longer ago.
   */
  forgetQueue(name: string, ageMs = 0): void {
    const known = this.#queues.get(name);
    if (known !== undefined && this.nowMs - known.atMs >= ageMs) this.#queues.delete(name);
  }

  #remember(info: QueueInfo): void {
    this.#queues.set(info.name, { info, atMs: this.nowMs });
  }

  /** Stops looking after anything, and ends all connections. */
  close(): void {
    if (this.#sweepTimer !== undefined) this.runtime.clock.clearTimeout(this.#sweepTimer);
    this.#sweepTimer = undefined;
    this.cluster.close();
  }

  /**
   * A signal that is aborted when time is up.
   *
   * @param ms How much time there is.
   * @param signal Another reason to end.
   * @returns The signal, and what to call when it is not needed any more.
   */
  #deadline(ms: number, signal?: AbortSignal): { signal: AbortSignal; done: () => void } {
    const controller = new AbortController();
    const timer = this.runtime.clock.setTimeout(() => controller.abort(timedOut), ms);
    const signals = [controller.signal, this.cluster.closed];
    if (signal !== undefined) signals.push(signal);
    return {
      signal: AbortSignal.any(signals),
      done: () => this.runtime.clock.clearTimeout(timer),
    };
  }

  #backoff(): Backoff {
    const { backoffMsMin: msMin, backoffMsMax: msMax, backoffFactor: factor } = clientLimits;
    return new Backoff({ msMin, msMax, factor }, this.runtime.random);
  }

  #learn(shard: number, error: FlowMQError): void {
    if (error instanceof NotLeaderError) this.cluster.noteLeader(shard, error.leaderHint);
    else if (error.code === ErrorCode.noLeader) this.cluster.noteLeader(shard, 0);
  }

  #pushed(connection: Connection, frame: Frame): void {
    switch (frame.type) {
      case PushType.deliver:
        deliverCount(frame.payload);
        this.#pushTargets.get(deliverConsumerId(frame.payload))?.delivered(frame.payload);
        return;
      case PushType.drained: {
        const drained = decodeDrained(frame.payload);
        this.#pushTargets.get(drained.consumerId)?.drained(drained);
        return;
      }
      case PushType.consumerEnded: {
        const ended = decodeConsumerEnded(frame.payload);
        this.#pushTargets.get(ended.consumerId)?.ended(ended);
        return;
      }
      case PushType.queueGrown: {
        const grown = decodeQueueGrown(frame.payload);
        this.#pushTargets.get(grown.consumerId)?.grown(grown);
        return;
      }
      case PushType.sessionEnded: {
        const { sessionId, reason } = decodeSessionEnded(frame.payload);
        this.sessions.find(frame.shard, sessionId)?.detached(
          connection,
          new FlowMQError(`The session has ended: ${reason}`, { code: ErrorCode.noLeader }),
        );
        return;
      }
      default:
        // A later broker may say more than we know: a push that is not understood changes nothing.
    }
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.runtime.clock.setTimeout(() => {
      // Before the work: it may be the last that a client waits for that is being closed.
      this.#scheduleSweep();
      const nowMs = this.nowMs;
      this.cluster.sweep(nowMs);
      for (const sweepable of [...this.#sweepables]) sweepable.sweep(nowMs);
      this.sessions.sweep(this.cluster.closed);
    }, clientLimits.sweepIntervalMs);
  }
}

/** The reason of a signal whose time is up. */
const timedOut = new Error("Time is up");

const readingKinds: ReadonlySet<ClientRequest["kind"]> = new Set([
  "hello",
  "ping",
  "metadata",
  "nodeStatus",
  "findQueue",
  "listQueues",
  "queueStats",
  "queueStorage",
  "listSchedules",
  "peek",
  "findMessage",
  "messageHistory",
  "inspect",
]);

function changesSomething(request: ClientRequest): boolean {
  return !readingKinds.has(request.kind);
}

/** An error after an attempt whose fate is unknown leaves the whole request in doubt. */
function withDoubt(error: FlowMQError, maybeApplied: boolean): FlowMQError {
  if (!maybeApplied || error.maybeApplied) return error;
  return new FlowMQError(error.message, { code: error.code, maybeApplied: true, cause: error });
}

/** The error of a request about a queue, with the class that callers look for. */
export function asQueueError(error: unknown, name: string): unknown {
  const isMissing = error instanceof FlowMQError && error.code === ErrorCode.queueNotFound &&
    !(error instanceof QueueNotFoundError);
  return isMissing ? new QueueNotFoundError(name, { cause: error }) : error;
}

/** Throws when a client has been closed. */
export function checkOpen(core: ClientCore): void {
  if (core.isClosed) throw new ClientClosedError();
}
