/**
 * One connection to one node: a hello, then requests and replies by number, and pushes.
 *
 * A connection knows nothing of queues. It ends once, for whatever reason: a closed socket, a malformed
 * frame, an error frame of the broker, or silence. Then everything that waits for a reply is told, in
 * the order in which it was sent, and nothing is ever sent on it again.
 *
 * @module
 */

import {
  clientProtocolVersion,
  type ClientRequest,
  decodeReply,
  encodeFrame,
  encodeRequest,
  type Frame,
  FrameWriter,
  readFrames,
  type ReplyOf,
  ReplyType,
  RequestType,
  type ServerReply,
  type Welcome,
} from "../wire/mod.ts";
import { type Address, formatAddress } from "./address.ts";
import { ConnectionLostError, errorOfReply, type FlowMQError } from "./errors.ts";
import { clientLimits, type ClientSettings } from "./options.ts";
import type { ByteStream, ClientRuntime } from "./runtime.ts";

/** A reply that is no error. */
type SuccessReply = Exclude<ServerReply, { kind: "error" }>;

/** Waits for one reply. */
export interface ReplyHandler {
  /** The reply has come. Where this throws, the connection ends, and `lost` is called as well. */
  replied(frame: Frame): void;
  /** The connection has ended before: the request may have been carried out. */
  lost(error: ConnectionLostError): void;
}

/** What a connection tells its owner. */
export interface ConnectionEvents {
  /** A frame that answers no request; what this throws ends the connection. */
  pushed(connection: Connection, frame: Frame): void;
  /** The connection has ended; everything that waited has been told. */
  ended(connection: Connection): void;
}

const emptyMap = new Uint8Array([0xa0]);

/** A request without an answer. */
interface Pending {
  readonly handler: ReplyHandler;
  readonly sentAtMs: number;
}

/** A connection that has said hello. */
export class Connection {
  /** Where it was dialled. */
  readonly address: Address;
  readonly #stream: ByteStream;
  readonly #writer: FrameWriter;
  readonly #runtime: ClientRuntime;
  readonly #events: ConnectionEvents;
  readonly #pending = new Map<number, Pending>();
  readonly #watchers = new Set<(error: FlowMQError) => void>();
  #welcome: Welcome | undefined;
  #correlationId = 0;
  #endedBy: FlowMQError | undefined;
  /** When something last came in, or when the first of what is pending was sent: the later of both. */
  #quietSinceMs: number;
  #pingedAtMs: number | undefined;
  /** When others were last asked because of an overdue answer. */
  #suspectedAtMs = 0;

  private constructor(
    stream: ByteStream,
    address: Address,
    runtime: ClientRuntime,
    events: ConnectionEvents,
  ) {
    this.address = address;
    this.#stream = stream;
    this.#runtime = runtime;
    this.#events = events;
    this.#quietSinceMs = runtime.clock.monotonic();
    this.#writer = new FrameWriter(stream, (error) => this.#end("writing failed", error));
  }

  /**
   * Dials a node and says hello.
   *
   * @param address Where to.
   * @param settings The client's.
   * @param runtime The world.
   * @param events What to tell the owner.
   * @param signal Gives up.
   * @returns A connection that can be used.
   * @throws {ConnectionLostError} when nobody answers there, or not in the right way.
   */
  static async open(
    address: Address,
    settings: ClientSettings,
    runtime: ClientRuntime,
    events: ConnectionEvents,
    signal: AbortSignal,
  ): Promise<Connection> {
    const attempt = new AbortController();
    const giveUp = () => attempt.abort(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    const timer = runtime.clock.setTimeout(
      () => attempt.abort(new ConnectionLostError("no answer in time")),
      clientLimits.dialTimeoutMs,
    );
    let connection: Connection | undefined;
    const endAttempt = () => connection?.close(attempt.signal.reason);
    try {
      const stream = await runtime.dialer.connect(address, attempt.signal);
      connection = new Connection(stream, address, runtime, events);
      attempt.signal.addEventListener("abort", endAttempt, { once: true });
      if (attempt.signal.aborted) endAttempt();
      void connection.#read();
      const reply = await connection.request({
        kind: "hello",
        protocol: clientProtocolVersion,
        clientName: settings.name,
      }, 0);
      connection.#welcome = expectReply(reply, "welcome");
      return connection;
    } catch (error) {
      connection?.close(error);
      const detail = error instanceof Error ? error.message : String(error);
      throw new ConnectionLostError(`Cannot connect to ${formatAddress(address)}: ${detail}`, {
        cause: error,
      });
    } finally {
      runtime.clock.clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      attempt.signal.removeEventListener("abort", endAttempt);
    }
  }

  /** What the node said about itself. */
  get welcome(): Welcome {
    return this.#welcome!;
  }

  /** Whether it has ended. */
  get isEnded(): boolean {
    return this.#endedBy !== undefined;
  }

  /** How many requests wait for a reply. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Gives a request its number, before its frame is sent.
   *
   * @param handler Told of the reply. Where the connection has ended it is told so in a microtask.
   * @returns The correlation id.
   */
  expect(handler: ReplyHandler): number {
    const endedBy = this.#endedBy;
    if (endedBy !== undefined) {
      queueMicrotask(() => handler.lost(endedBy));
      return 0;
    }
    const sentAtMs = this.#runtime.clock.monotonic();
    if (this.#pending.size === 0) this.#quietSinceMs = sentAtMs;
    do {
      this.#correlationId = (this.#correlationId + 1) >>> 0;
    } while (this.#correlationId === 0 || this.#pending.has(this.#correlationId));
    this.#pending.set(this.#correlationId, { handler, sentAtMs });
    return this.#correlationId;
  }

  /**
   * Sends a frame, in one part or two; see `FrameWriter.send`.
   *
   * @param head Not to be changed from now on.
   * @param body Not to be changed from now on.
   */
  send(head: Uint8Array, body?: Uint8Array): void {
    if (this.#endedBy === undefined) this.#writer.send(head, body);
  }

  /**
   * Sends a request and waits for its reply.
   *
   * @param request What to ask.
   * @param shard The shard that has to answer.
   * @param taken Gets the reply before anything is done about a frame that came behind it.
   * @returns The reply.
   * @throws {FlowMQError} when the reply is an error, or the connection ends before it comes.
   */
  request(
    request: ClientRequest,
    shard: number,
    taken?: (reply: SuccessReply) => void,
  ): Promise<SuccessReply> {
    return new Promise((resolve, reject) => {
      const correlationId = this.expect({
        replied: (frame) => {
          const reply = decodeReply(frame.type, frame.payload);
          if (reply.kind === "error") return reject(errorOfReply(reply));
          taken?.(reply);
          resolve(reply);
        },
        lost: reject,
      });
      this.send(encodeRequest(request, shard, correlationId));
    });
  }

  /**
   * Ends the connection.
   *
   * @param reason Why, for those who wait for a reply.
   */
  close(reason?: unknown): void {
    this.#end("it was closed", reason);
  }

  /** Waits until all that was sent has been handed to the system. */
  flushed(): Promise<void> {
    return this.#writer.flushed();
  }

  /**
   * Calls back when the connection ends, after everything that waits for a reply has been told.
   *
   * @param callback Called once, at once where it has ended already.
   * @returns For {@linkcode unwatch}.
   */
  whenEnded(callback: (error: FlowMQError) => void): (error: FlowMQError) => void {
    if (this.#endedBy !== undefined) callback(this.#endedBy);
    else this.#watchers.add(callback);
    return callback;
  }

  /** Takes back a callback of {@linkcode whenEnded}. */
  unwatch(callback: (error: FlowMQError) => void): void {
    this.#watchers.delete(callback);
  }

  /**
   * Looks after a connection that may have gone silent; called again and again.
   *
   * @param nowMs The monotonic time.
   * @param settings When to ask for a sign of life, and when to give up.
   * @returns Whether an answer is overdue, so that others should be asked who leads.
   */
  checkAlive(nowMs: number, settings: ClientSettings): boolean {
    const quietMs = nowMs - this.#quietSinceMs;
    if (this.#pingedAtMs !== undefined && nowMs - this.#pingedAtMs > settings.pingTimeoutMs) {
      this.#end(`no sign of life for ${Math.round(quietMs)} ms`);
      return false;
    }
    // A connection that owes answers is asked sooner: the ping tells a slow shard from a dead node.
    const quietMsMax = this.#pending.size > 0 ? clientLimits.stallMs : settings.pingIntervalMs;
    if (this.#pingedAtMs === undefined && quietMs > quietMsMax) this.#ping(nowMs);
    const [oldest] = this.#pending.values();
    if (oldest === undefined) return false;
    // Where nothing was asked for long, a ping that has just been sent is nothing to worry about.
    if (quietMs > clientLimits.stallMs) return nowMs - oldest.sentAtMs > clientLimits.stallMs;
    // It lives, but the shard that it leads, or relays to, may have gone elsewhere.
    return nowMs - Math.max(oldest.sentAtMs, this.#suspectedAtMs) > clientLimits.overdueMs &&
      this.#suspect(nowMs);
  }

  /** Once in a while is enough. */
  #suspect(nowMs: number): true {
    this.#suspectedAtMs = nowMs;
    return true;
  }

  #ping(nowMs: number): void {
    const correlationId = this.expect({ replied() {}, lost() {} });
    this.send(encodeFrame(RequestType.ping, 0, correlationId, emptyMap));
    this.#pingedAtMs = nowMs;
  }

  async #read(): Promise<void> {
    try {
      await readFrames(this.#stream, (frame) => this.#received(frame), {
        onChunkEnd: () => {
          this.#quietSinceMs = this.#runtime.clock.monotonic();
          this.#pingedAtMs = undefined;
        },
      });
      this.#end("the node closed it");
    } catch (error) {
      this.#end("reading failed", error);
    }
  }

  #received(frame: Frame): void {
    if (this.#endedBy !== undefined) return;
    const pending = this.#pending.get(frame.correlationId);
    if (pending !== undefined) {
      const { handler } = pending;
      this.#pending.delete(frame.correlationId);
      try {
        handler.replied(frame);
      } catch (error) {
        this.#end("a reply could not be read", error, handler);
      }
    } else if (frame.type === ReplyType.error) {
      const reply = decodeReply(frame.type, frame.payload) as ReplyOf<"error">;
      this.#end(reply.message, errorOfReply(reply));
    } else if (frame.correlationId === 0) {
      this.#events.pushed(this, frame);
    }
  }

  /** Ends it once; `first` is told before all others, which wait for a reply still. */
  #end(why: string, cause?: unknown, first?: ReplyHandler): void {
    if (this.#endedBy !== undefined) return;
    const detail = cause instanceof Error ? `${why}: ${cause.message}` : why;
    const error = new ConnectionLostError(
      `Lost the connection to ${formatAddress(this.address)}: ${detail}`,
      { maybeApplied: true, cause },
    );
    this.#endedBy = error;
    this.#stream.close();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    first?.lost(error);
    for (const { handler } of pending) handler.lost(error);
    for (const callback of [...this.#watchers]) callback(error);
    this.#events.ended(this);
  }
}

/**
 * Tells that a reply is of the kind its request asks for.
 *
 * @param reply Any.
 * @param kind What it has to be.
 * @returns The reply.
 * @throws {FlowMQError} when it is of another kind: the broker does not speak our protocol.
 */
export function expectReply<K extends ServerReply["kind"]>(
  reply: ServerReply,
  kind: K,
): ReplyOf<K> {
  if (reply.kind !== kind) {
    throw new ConnectionLostError(`Cannot go on as the broker answered ${reply.kind}, not ${kind}`);
  }
  return reply as ReplyOf<K>;
}
