/**
 * The sessions of a client: for each shard one for its producers and one for its consumers.
 *
 * @module
 */

import type { Cluster } from "./cluster.ts";
import type { ClientSettings } from "./options.ts";
import type { ClientRuntime } from "./runtime.ts";
import { Session } from "./session.ts";

/** What a session is for. */
export type SessionPurpose = "producers" | "consumers";

/** Hands out sessions, and ends those that nobody needs any more. */
export class SessionPool {
  readonly #cluster: Cluster;
  readonly #settings: ClientSettings;
  readonly #runtime: ClientRuntime;
  readonly #current = {
    producers: new Map<number, Session>(),
    consumers: new Map<number, Session>(),
  };
  /** Of named producers, and replaced ones with members that still have something to bring to an end. */
  readonly #others = new Set<Session>();

  /**
   * Makes an empty pool.
   *
   * @param cluster Gives connections.
   * @param settings The client's.
   * @param runtime The world.
   */
  constructor(cluster: Cluster, settings: ClientSettings, runtime: ClientRuntime) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#runtime = runtime;
    cluster.whenLeaderChanges((shard, leader) => {
      for (const session of this.#all()) if (session.shard === shard) session.moved(leader);
    });
  }

  /** The session of a shard for new members. */
  get(shard: number, purpose: SessionPurpose): Session {
    const sessions = this.#current[purpose];
    let session = sessions.get(shard);
    if (session === undefined) {
      session = new Session(shard, this.#cluster, this.#settings, this.#runtime);
      sessions.set(shard, session);
    }
    return session;
  }

  /**
   * A session of its own for a named producer; it ends when it has no members any more.
   *
   * @param shard The shard.
   * @param producer The name.
   */
  open(shard: number, producer: string): Session {
    const session = new Session(shard, this.#cluster, this.#settings, this.#runtime, producer);
    this.#others.add(session);
    return session;
  }

  /** New members get another session than this one; its members may bring their work to an end. */
  replace(session: Session): void {
    const sessions = this.#current.producers;
    if (sessions.get(session.shard) !== session) return;
    sessions.delete(session.shard);
    this.#others.add(session);
  }

  /** The session with a number in a shard, where this client has it. */
  find(shard: number, id: number): Session | undefined {
    for (const session of this.#all()) {
      if (session.shard === shard && session.id === id) return session;
    }
    return undefined;
  }

  /** Ends other sessions than the current ones that have no members; called again and again. */
  sweep(signal: AbortSignal): void {
    for (const session of this.#others) {
      if (session.memberCount > 0) continue;
      this.#others.delete(session);
      void session.close(signal);
    }
  }

  /**
   * Ends all sessions.
   *
   * @param signal Gives up waiting for the cluster's word.
   */
  async close(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#all()].map((session) => session.close(signal)));
  }

  *#all(): Generator<Session> {
    yield* this.#current.producers.values();
    yield* this.#current.consumers.values();
    yield* this.#others;
  }
}
