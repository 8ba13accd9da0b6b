/**
 * A client as the shards of a node see it: something that frames can be sent to, and that may go away.
 * It is either a connection of this node or one of another node that relays.
 *
 * @module
 */

/** Where replies and deliveries for one client go. */
export interface ClientLink {
  /** For the log: the client's address, and the node that relays where there is one. */
  readonly name: string;
  /** Whether another node relays this client: its requests are never relayed again. */
  readonly relayed: boolean;
  readonly closed: boolean;
  /** Sends a complete frame, in one piece or two; drops it when the link is closed. */
  send(head: Uint8Array, body?: Uint8Array): void;
  /** Ends the link; the client finds another way. */
  close(): void;
  /** Bytes that wait to be sent. */
  readonly waitingBytes: number;
  /** Resolves when nothing waits any more. */
  drained(): Promise<void>;
}

/** How a session is served. */
interface Binding {
  readonly link: ClientLink;
  /** The log index of the command that attached it over this link. */
  readonly attachIndex: number;
}

/**
 * Which link serves each session of one shard. Only the leader keeps one, and only in memory: after a
 * change of leader the clients attach anew.
 */
export class SessionBindings {
  readonly #bindings = new Map<number, Binding>();
  readonly #sessionsOf = new Map<ClientLink, Set<number>>();

  link(sessionId: number): ClientLink | undefined {
    return this.#bindings.get(sessionId)?.link;
  }

  /** How many sessions are attached. */
  get size(): number {
    return this.#bindings.size;
  }

  /**
   * From now on the session is served over this link.
   *
   * @returns The link that served it before, if that was another one.
   */
  bind(sessionId: number, link: ClientLink, attachIndex: number): ClientLink | undefined {
    const previous = this.link(sessionId);
    this.release(sessionId);
    this.#bindings.set(sessionId, { link, attachIndex });
    let sessions = this.#sessionsOf.get(link);
    if (sessions === undefined) this.#sessionsOf.set(link, sessions = new Set());
    sessions.add(sessionId);
    return previous === link ? undefined : previous;
  }

  /** Forgets one session. */
  release(sessionId: number): void {
    const link = this.link(sessionId);
    if (link === undefined) return;
    this.#bindings.delete(sessionId);
    const sessions = this.#sessionsOf.get(link)!;
    sessions.delete(sessionId);
    if (sessions.size === 0) this.#sessionsOf.delete(link);
  }

  /** Forgets a link that closed. @returns The sessions it served, and what attached them. */
  releaseLink(link: ClientLink): { sessionId: number; attachIndex: number }[] {
    const sessions = [...this.#sessionsOf.get(link) ?? []].map((sessionId) => ({
      sessionId,
      attachIndex: this.#bindings.get(sessionId)!.attachIndex,
    }));
    for (const { sessionId } of sessions) this.#bindings.delete(sessionId);
    this.#sessionsOf.delete(link);
    return sessions;
  }

  /** Forgets everything. @returns The sessions and their links. */
  clear(): [sessionId: number, link: ClientLink][] {
    const all = [...this.#bindings].map(([id, { link }]): [number, ClientLink] => [id, link]);
    this.#bindings.clear();
    this.#sessionsOf.clear();
    return all;
  }
}
