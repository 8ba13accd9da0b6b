/**
 * The sessions of a shard, and when something happens to them by itself.
 *
 * ```text
 *            open                lost connection, new leader
 *   (none) ───────▶ attached ───────────────────────────────▶ detached
 *                    ▲  ▲ attach                                │ │
 *                    │  └───────────────────────────────────────┘ │ time-out: leases return
 *                    │ attach                                     ▼
 *                    └───────────────────────────────────────── ended ───▶ (none)
 *                                                                     retention over
 * ```
 *
 * A close ends a session from anywhere, at once and altogether; that of a named producer, whose windows are
 * for its next life, becomes an ended one. Of an ended session
 * only the producer windows are left, so that a publisher that was away for long still finds out what was stored.
 *
 * @module
 */

import type { Consumer } from "./consumer.ts";
import { DeadlineHeap } from "./deadline_heap.ts";
import { invariant, unreachable } from "./invariant.ts";
import type { MachineLimits } from "./limits.ts";
import type { SessionSnapshot } from "./machine_snapshot.ts";
import { SettleWindow } from "./settle_window.ts";

/** Where a session is in its life. */
export type SessionState = "attached" | "detached" | "ended";

/** A session, for people and for the shell. */
export interface SessionInfo {
  readonly sessionId: number;
  readonly clientName: string;
  /** Under which name it publishes, where it has one. */
  readonly producer?: string;
  readonly timeoutMs: number;
  readonly state: SessionState;
  /** When a detached session ends, or an ended one is forgotten; none while attached. */
  readonly deadlineMs?: number;
  /** Its consumers, one for each partition they are attached to. */
  readonly consumers: number;
  /** The partitions it publishes to. */
  readonly producers: number;
}

/** One client's identity in this shard. Its fields belong to the files of this folder. */
export class Session {
  readonly id: number;
  readonly clientName: string;
  readonly timeoutMs: number;
  /** Under which name it publishes, where it has one. */
  readonly producer: string | undefined;
  state: SessionState = "attached";
  deadlineMs = 0;
  /** The log index of the command that opened or attached it last. */
  attachIndex: number;
  /** The acks that publish, as far as they may be repeated. */
  readonly settles = new SettleWindow();
  /** By partition, then by consumer id. */
  readonly #consumers = new Map<number, Map<number, Consumer>>();
  #consumerCount = 0;

  /**
   * Makes an attached session.
   *
   * @param id The log index of the command that opened it.
   * @param clientName For people.
   * @param timeoutMs How long it outlives its connection.
   * @param producer Under which name it publishes, where it has one.
   */
  constructor(id: number, clientName: string, timeoutMs: number, producer: string | undefined) {
    this.id = id;
    this.clientName = clientName;
    this.timeoutMs = timeoutMs;
    this.producer = producer;
    this.attachIndex = id;
  }

  /** How many consumers it has. */
  get consumerCount(): number {
    return this.#consumerCount;
  }

  /**
   * Finds a consumer.
   *
   * @param consumerId The client's name for it.
   * @param partitionId Where it takes from.
   * @returns The consumer, or `undefined`.
   */
  consumer(consumerId: number, partitionId: number): Consumer | undefined {
    return this.#consumers.get(partitionId)?.get(consumerId);
  }

  /**
   * Goes over its consumers.
   *
   * @returns An iterator; the consumer it is at may be removed.
   */
  *consumers(): IterableIterator<Consumer> {
    for (const ofPartition of this.#consumers.values()) yield* ofPartition.values();
  }

  /**
   * Adds a consumer.
   *
   * @param consumer One it does not have.
   */
  addConsumer(consumer: Consumer): void {
    let ofPartition = this.#consumers.get(consumer.partitionId);
    if (ofPartition === undefined) {
      ofPartition = new Map();
      this.#consumers.set(consumer.partitionId, ofPartition);
    }
    invariant(!ofPartition.has(consumer.consumerId), "A consumer is attached to a partition once");
    ofPartition.set(consumer.consumerId, consumer);
    this.#consumerCount++;
  }

  /**
   * Removes a consumer.
   *
   * @param consumer One it has.
   */
  removeConsumer(consumer: Consumer): void {
    const ofPartition = this.#consumers.get(consumer.partitionId);
    invariant(
      ofPartition?.get(consumer.consumerId) === consumer,
      "Only a consumer of the session is removed",
    );
    ofPartition.delete(consumer.consumerId);
    if (ofPartition.size === 0) this.#consumers.delete(consumer.partitionId);
    this.#consumerCount--;
  }

  /**
   * Describes the session.
   *
   * @param producers How many partitions it publishes to.
   * @returns Its state at this moment.
   */
  info(producers: number): SessionInfo {
    return {
      sessionId: this.id,
      clientName: this.clientName,
      ...(this.producer === undefined ? {} : { producer: this.producer }),
      timeoutMs: this.timeoutMs,
      state: this.state,
      ...(this.state === "attached" ? {} : { deadlineMs: this.deadlineMs }),
      consumers: this.#consumerCount,
      producers,
    };
  }
}

/** All sessions of a shard, in the order of their ids. */
export class SessionTable {
  readonly #limits: MachineLimits;
  /** Ids rise, so the order of insertion is the order of ids. */
  readonly #sessions = new Map<number, Session>();
  readonly #deadlines = new DeadlineHeap();
  /** The newest session of each named producer. Follows from the sessions. */
  readonly #named = new Map<string, Session>();

  /**
   * Makes an empty table.
   *
   * @param limits How many sessions there may be, and how long ended ones stay.
   */
  constructor(limits: MachineLimits) {
    this.#limits = limits;
  }

  /** How many sessions there are, ended ones included. */
  get size(): number {
    return this.#sessions.size;
  }

  /** When the next session ends or is forgotten, or `undefined` when none will. */
  get firstDeadlineMs(): number | undefined {
    return this.#deadlines.firstDeadlineMs;
  }

  /**
   * Finds a session.
   *
   * @param id Its id.
   * @returns The session, or `undefined`.
   */
  get(id: number): Session | undefined {
    return this.#sessions.get(id);
  }

  /**
   * Goes over the sessions in the order of their ids.
   *
   * @returns An iterator.
   */
  values(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /**
   * Opens a session.
   *
   * @param id The log index of the command.
   * @param clientName For people.
   * @param timeoutMs How long it outlives its connection.
   * @param producer Under which name it publishes, where it has one.
   * @returns The session, or `undefined` when the table is full.
   */
  open(
    id: number,
    clientName: string,
    timeoutMs: number,
    producer?: string,
  ): Session | undefined {
    if (this.#sessions.size >= this.#limits.sessions) return undefined;
    const session = new Session(id, clientName, timeoutMs, producer);
    this.#add(session);
    return session;
  }

  /**
   * Finds the session of a named producer.
   *
   * @param producer Its name.
   * @returns The session, or `undefined`.
   */
  named(producer: string): Session | undefined {
    return this.#named.get(producer);
  }

  /**
   * Notes that a session has a connection again.
   *
   * @param session A session in any state.
   * @param index The log index of the command.
   */
  attach(session: Session, index: number): void {
    session.attachIndex = index;
    session.state = "attached";
    session.deadlineMs = 0;
    this.#deadlines.delete(session.id);
  }

  /**
   * Starts the time-out of a session, or starts it anew. An ended session stays as it is.
   *
   * @param session A session in any state.
   * @param nowMs The time of the log.
   */
  detach(session: Session, nowMs: number): void {
    if (session.state === "ended") return;
    session.state = "detached";
    this.#schedule(session, nowMs + session.timeoutMs);
  }

  /**
   * Starts the retention of a session.
   *
   * @param session A session without consumers whose time-out has passed, or that was closed.
   * @param nowMs The time of the log.
   */
  end(session: Session, nowMs: number): void {
    invariant(session.consumerCount === 0, "An ended session has no consumers");
    session.state = "ended";
    const { producerRetentionMs, namedProducerRetentionMs } = this.#limits;
    const isNamed = session.producer !== undefined;
    this.#schedule(session, nowMs + (isNamed ? namedProducerRetentionMs : producerRetentionMs));
  }

  /**
   * Forgets a session altogether.
   *
   * @param session A session without consumers.
   */
  forget(session: Session): void {
    invariant(session.consumerCount === 0, "A forgotten session has no consumers");
    this.#deadlines.delete(session.id);
    this.#sessions.delete(session.id);
    const { producer } = session;
    if (producer !== undefined && this.#named.get(producer) === session) {
      this.#named.delete(producer);
    }
  }

  /**
   * Finds a session whose deadline has passed.
   *
   * @param nowMs The time of the log.
   * @returns The one due first, or `undefined`.
   */
  due(nowMs: number): Session | undefined {
    const deadlineMs = this.#deadlines.firstDeadlineMs;
    if (deadlineMs === undefined || deadlineMs > nowMs) return undefined;
    return this.#sessions.get(this.#deadlines.firstId!);
  }

  /**
   * Copies the sessions into plain data.
   *
   * @returns All of them, in the order of their ids.
   */
  capture(): SessionSnapshot[] {
    return Array.from(this.#sessions.values(), (session) => {
      const settles = session.settles.capture();
      return {
        sessionId: session.id,
        clientName: session.clientName,
        timeoutMs: session.timeoutMs,
        state: session.state,
        deadlineMs: session.deadlineMs,
        attachIndex: session.attachIndex,
        ...(session.producer === undefined ? {} : { producer: session.producer }),
        ...(settles === undefined ? {} : { settles }),
      };
    });
  }

  /**
   * Adds a session as it was in a snapshot, in the order of their ids.
   *
   * @param saved The session; the consumers are for the caller to add.
   */
  restore(saved: SessionSnapshot): void {
    const { sessionId, clientName, timeoutMs, producer } = saved;
    const session = new Session(sessionId, clientName, timeoutMs, producer);
    session.state = saved.state;
    session.attachIndex = saved.attachIndex;
    if (saved.settles !== undefined) session.settles.restore(saved.settles);
    if (saved.state !== "attached") this.#schedule(session, saved.deadlineMs);
    this.#add(session);
  }

  /** Checks every session against its state. */
  checkInvariants(): void {
    this.#deadlines.checkInvariants();
    let lastId = -1;
    let scheduled = 0;
    let named = 0;
    for (const session of this.#sessions.values()) {
      invariant(session.id > lastId, "Sessions are in the order of their ids");
      lastId = session.id;
      session.settles.checkInvariants();
      const { producer } = session;
      if (producer !== undefined) {
        invariant(
          this.#named.get(producer) === session,
          "Of a producer's name there is one session",
        );
        named++;
      }
      switch (session.state) {
        case "attached":
          invariant(session.deadlineMs === 0, "An attached session has no deadline");
          break;
        case "detached":
        case "ended":
          invariant(this.#deadlines.has(session.id), "A session that waits has a deadline");
          scheduled++;
          break;
        default:
          unreachable(session.state);
      }
    }
    invariant(scheduled === this.#deadlines.size, "Only sessions that wait have a deadline");
    invariant(named === this.#named.size, "A name belongs to a session");
  }

  #add(session: Session): void {
    this.#sessions.set(session.id, session);
    if (session.producer !== undefined) this.#named.set(session.producer, session);
  }

  #schedule(session: Session, deadlineMs: number): void {
    session.deadlineMs = deadlineMs;
    this.#deadlines.set(session.id, deadlineMs);
  }
}
