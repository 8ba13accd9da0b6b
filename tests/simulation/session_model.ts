/**
 * The sessions of a shard as they must be: each lives to its time-out, and what its consumers hold comes
 * back when it ends.
 *
 * @module
 */

import type {
  AttachSessionCommand,
  DetachSessionCommand,
  OpenSessionCommand,
  Reply,
} from "../../queue/commands.ts";
import type { Entry } from "../../raft/mod.ts";
import type { ModelConsumer } from "./partition_model.ts";
import type { ProducerModel } from "./producer_model.ts";
import type { ShardHost } from "./shard_host.ts";

interface ModelSession {
  readonly timeoutMs: number;
  attached: boolean;
  /** The entry that opened or attached it last. */
  attachIndex: number;
  /** While detached: when it ends. */
  deadlineMs: number;
  ended: boolean;
}

/** All sessions. */
export class SessionModel {
  readonly #host: ShardHost;
  readonly #producers: ProducerModel;
  readonly #sessions = new Map<number, ModelSession>();

  constructor(host: ShardHost, producers: ProducerModel) {
    this.#host = host;
    this.#producers = producers;
  }

  isAttached(id: number): boolean {
    return this.#sessions.get(id)?.attached === true;
  }

  opened(entry: Entry, command: OpenSessionCommand, reply: Reply): void {
    if (reply.kind !== "sessionOpened" || reply.sessionId !== entry.index) {
      this.#host.violated("sessions are named after their entry", entry, JSON.stringify(reply));
    }
    const before = this.#producers.opened(entry, command, reply);
    if (before !== undefined) {
      this.#forget(before);
      this.#host.count("queue: producers that go on");
    }
    this.#sessions.set(entry.index, {
      timeoutMs: command.timeoutMs,
      attached: true,
      attachIndex: entry.index,
      deadlineMs: 0,
      ended: false,
    });
  }

  attached(entry: Entry, { sessionId }: AttachSessionCommand): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) {
      this.#host.violated("only known sessions are attached", entry, `${sessionId}`);
    }
    session.attached = true;
    session.attachIndex = entry.index;
    session.ended = false;
  }

  detached({ sessionId, attachIndex }: DetachSessionCommand): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.ended || session.attachIndex !== attachIndex) return;
    this.#detach(sessionId, session);
  }

  closed(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined || !this.#producers.isNamed(id)) return this.#forget(id);
    // Its numbers stay known.
    session.ended = true;
    this.#endConsumers(id, "closed");
  }

  /** Whoever leads now cannot know who is still there. */
  beginTerm(): void {
    for (const [id, session] of this.#sessions) if (!session.ended) this.#detach(id, session);
  }

  /** The machine says that sessions have ended. */
  timedOut(entry: Entry, id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined || session.ended || session.attached) {
      this.#host.violated("only detached sessions end", entry, `session ${id}`);
    }
    if (session.deadlineMs > this.#host.nowMs) {
      const early = session.deadlineMs - this.#host.nowMs;
      this.#host.violated("sessions live to their time-out", entry, `${id} is ${early} ms early`);
    }
    this.#host.count("queue: sessions timed out");
    session.ended = true;
    this.#endConsumers(id, "timedOut");
  }

  #forget(id: number): void {
    this.#sessions.delete(id);
    this.#endConsumers(id, "closed");
  }

  #detach(id: number, session: ModelSession): void {
    session.attached = false;
    session.deadlineMs = this.#host.nowMs + session.timeoutMs;
    for (const { consumers } of this.#host.partitions.values()) {
      for (const consumer of consumers.values()) {
        if (consumer.sessionId === id) consumer.attached = false;
      }
    }
  }

  #endConsumers(id: number, how: "closed" | "timedOut"): void {
    const isOurs = ({ sessionId }: ModelConsumer) => sessionId === id;
    for (const partition of this.#host.partitions.values()) {
      for (const consumer of [...partition.consumers.values().filter(isOurs)]) {
        partition.endConsumer(consumer, how);
      }
    }
  }
}
