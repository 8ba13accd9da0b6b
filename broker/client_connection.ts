/**
 * One client's connection to this node: reads its frames, says hello, hands requests on, and ends it
 * when the client breaks the protocol.
 *
 * @module
 */

import {
  clientProtocolVersion,
  decodeRequest,
  encodeError,
  encodeReply,
  ErrorCode,
  type Frame,
  FrameWriter,
  MalformedFrameError,
  readFrames,
  type Welcome,
} from "../wire/mod.ts";
import type { ByteStream, Clock } from "../client/runtime.ts";
import type { ClientLink } from "./client_link.ts";
import type { Logger } from "./logger.ts";

/** What the node does with a connection. */
export interface ConnectionEvents {
  /** A request, after the hello. */
  request(link: ClientLink, frame: Frame): void;
  /** Waits until the node has room for more work; called after each read. */
  room(): Promise<void> | undefined;
  /** The connection has gone. */
  closed(link: ClientLink): void;
}

/** A connection that is owed this much stops being read until the client has taken some of it. */
const WAITING_BYTES_MAX = 8 << 20;

/** How long a connection may take for its hello, in milliseconds. */
const HELLO_MS_MAX = 10_000;

/**
 * A connection from which nothing is heard for this long is given up: clients ping far more often, so
 * the machine at the other end has gone without a word.
 */
const SILENCE_MS_MAX = 30_000;

/** A connection of a client. */
export class ClientConnection implements ClientLink {
  readonly name: string;
  readonly relayed = false;
  readonly #stream: ByteStream;
  readonly #writer: FrameWriter;
  readonly #welcome: Welcome;
  readonly #events: ConnectionEvents;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** When something was last heard, or `Infinity` while back-pressure keeps us from listening. */
  #heardAtMs: number;
  /** What the client was owed when it was last looked at. */
  #owedBytes = 0;
  #greeted = false;
  #closed = false;

  constructor(
    stream: ByteStream,
    welcome: Welcome,
    events: ConnectionEvents,
    clock: Clock,
    log: Logger,
  ) {
    this.name = stream.remoteAddress;
    this.#stream = stream;
    this.#welcome = welcome;
    this.#events = events;
    this.#clock = clock;
    this.#log = log;
    this.#heardAtMs = clock.monotonic();
    this.#writer = new FrameWriter(stream, () => this.close());
  }

  get closed(): boolean {
    return this.#closed;
  }

  get waitingBytes(): number {
    return this.#writer.waitingBytes;
  }

  drained(): Promise<void> {
    return this.#writer.flushed();
  }

  send(head: Uint8Array, body?: Uint8Array): void {
    if (!this.#closed) this.#writer.send(head, body);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.close();
    this.#events.closed(this);
  }

  /** Closes the connection if its client is late with its hello, or has fallen silent. */
  checkAlive(): void {
    const nowMs = this.#clock.monotonic();
    const { waitingBytes } = this.#writer;
    // A slow client is a living one as long as it takes something of what it is owed.
    if (waitingBytes < this.#owedBytes) this.#heardAtMs = Math.max(this.#heardAtMs, nowMs);
    this.#owedBytes = waitingBytes;
    const silentMs = nowMs - this.#heardAtMs;
    if (silentMs > (this.#greeted ? SILENCE_MS_MAX : HELLO_MS_MAX)) this.close();
  }

  /** Serves the connection until it ends. Never rejects. */
  async run(): Promise<void> {
    try {
      await readFrames(this.#stream, (frame) => this.#receive(frame), {
        frameBytesMax: this.#welcome.limits.frameBytesMax,
        onChunkEnd: () => this.#listenAgain(),
      });
    } catch (error) {
      await this.#refuse(error);
    }
    this.close();
  }

  #receive(frame: Frame): void {
    if (this.#closed) return;
    if (this.#greeted) return this.#events.request(this, frame);
    const hello = decodeRequest(frame.type, frame.payload);
    if (hello?.kind !== "hello") {
      throw new MalformedFrameError(
        `The first frame must be a hello: it is of type ${frame.type}`,
        ErrorCode.helloExpected,
      );
    }
    if (hello.protocol !== clientProtocolVersion) {
      throw new MalformedFrameError(
        `Protocol ${hello.protocol} is not spoken here, only ${clientProtocolVersion}`,
        ErrorCode.unsupportedProtocol,
      );
    }
    this.#greeted = true;
    this.send(encodeReply({ kind: "welcome", ...this.#welcome }, 0, frame.correlationId));
  }

  #listenAgain(): Promise<void> | undefined {
    this.#heardAtMs = this.#clock.monotonic();
    // A client that takes nothing of what it is owed for too long has fallen silent, too.
    if (this.#writer.waitingBytes > WAITING_BYTES_MAX) {
      return this.#writer.flushed().then(() => this.#waitForRoom());
    }
    return this.#waitForRoom();
  }

  #waitForRoom(): Promise<void> | undefined {
    const pause = this.#events.room();
    if (pause === undefined) return undefined;
    this.#heardAtMs = Infinity;
    return pause.then(() => {
      this.#heardAtMs = this.#clock.monotonic();
    });
  }

  /** Tells the client why the connection ends, where it is the client's doing. */
  async #refuse(error: unknown): Promise<void> {
    if (this.#closed) return;
    if (!(error instanceof MalformedFrameError)) {
      this.#log.debug("Lost a client's connection", { client: this.name, error: String(error) });
      return;
    }
    this.#log.warn("Closed a client's connection", { client: this.name, error: error.message });
    const { code, message } = error;
    this.send(encodeError({ code, message, maybeApplied: false }, 0, 0));
    await this.#writer.flushed();
  }
}
