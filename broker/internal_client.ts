/**
 * The node as a client of its own cluster: proposes commands in shards wherever they are led, over the
 * same path as any client's requests.
 *
 * @module
 */

import {
  decodeCborMap,
  decodeFrame,
  type EncodableCommand,
  encodeCbor,
  encodeCommand,
  encodeFrame,
  type Frame,
} from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { ClientLink } from "./client_link.ts";

/** Frame types that only nodes use among themselves, inside relays. */
export const InternalFrameType = {
  /** Request: a command, to be proposed in the frame's shard. */
  command: 90,
  /** Reply, once it is applied: a CBOR map with `refused`, the machine's reason, or without. */
  commandReply: 190,
} as const;

/** Makes the reply to an internal command. */
export function encodeCommandReply(correlationId: number, refused: string | undefined): Uint8Array {
  const payload = encodeCbor(refused === undefined ? {} : { refused });
  return encodeFrame(InternalFrameType.commandReply, 0, correlationId, payload);
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly timer: TimerId;
}

/** How long a shard may take before the caller tries again, in milliseconds. */
const TIMEOUT_MS = 5_000;

/** Sends commands that only the cluster itself may send. */
export class InternalClient implements ClientLink {
  readonly name = "this node";
  readonly relayed = false;
  readonly closed = false;
  readonly waitingBytes = 0;
  readonly #handle: (link: ClientLink, frame: Frame) => void;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #correlationId = 0;

  /** @param handle Serves or relays a request, like those of clients. */
  constructor(handle: (link: ClientLink, frame: Frame) => void, clock: Clock) {
    this.#handle = handle;
    this.#clock = clock;
  }

  /**
   * Proposes a command in a shard.
   *
   * @returns Once the command is committed and applied.
   * @throws {Error} If it was refused, or its fate is unknown: it must be one that can be repeated.
   */
  submit(shardId: number, command: EncodableCommand): Promise<void> {
    return new Promise((resolve, reject) => {
      const id = this.#correlationId = this.#correlationId % 0xffff_ffff + 1;
      const timer = this.#clock.setTimeout(
        () => this.#fail(id, `No answer from shard ${shardId}`),
        TIMEOUT_MS,
      );
      this.#waiting.set(id, { resolve, reject, timer });
      const bytes = encodeFrame(InternalFrameType.command, shardId, id, encodeCommand(command));
      this.#handle(this, decodeFrame(bytes));
    });
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  /** An answer to one of our requests. */
  send(head: Uint8Array): void {
    const frame = decodeFrame(head);
    const waiting = this.#waiting.get(frame.correlationId);
    if (waiting === undefined) return;
    if (frame.type !== InternalFrameType.commandReply) {
      return this.#fail(frame.correlationId, "The shard is not available");
    }
    const { refused } = decodeCborMap(frame.payload);
    if (refused !== undefined) return this.#fail(frame.correlationId, String(refused));
    this.#waiting.delete(frame.correlationId);
    this.#clock.clearTimeout(waiting.timer);
    waiting.resolve();
  }

  /** A relay broke, or the node stops: whatever waits has to be tried again. */
  close(): void {
    for (const id of [...this.#waiting.keys()]) this.#fail(id, "The connection was lost");
  }

  #fail(id: number, message: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    this.#clock.clearTimeout(waiting.timer);
    waiting.reject(new Error(message));
  }
}
