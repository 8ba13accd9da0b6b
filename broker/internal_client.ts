/**
 * The node as a client of its own cluster: asks shards wherever they are led, over the same path as any
 * client's requests.
 *
 * @module
 */

import type { QueueInfo } from "../queue/mod.ts";
import {
  decodeCborMap,
  decodeFrame,
  decodeReply,
  type EncodableCommand,
  encodeCbor,
  encodeCommand,
  encodeFrame,
  encodeRequest,
  ErrorCode,
  type Frame,
} from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { ClientLink } from "./client_link.ts";

/** Frame types that only nodes use among themselves, inside relays. */
export const InternalFrameType = {
  /** Request: a command, to be proposed in the frame's shard. */
  command: 90,
  /**
   * Reply, once it is applied: a CBOR map with `refused`, the machine's reason, or without; for a
   * transfer with `takenId`.
   */
  commandReply: 190,
} as const;

/** What became of an internal command. */
export interface CommandAnswer {
  /** Why the machine refused it. */
  readonly refused?: string;
  /** How far the target has come, for a transfer. */
  readonly takenId?: number;
}

/** Makes the reply to an internal command. */
export function encodeCommandReply(correlationId: number, answer: CommandAnswer): Uint8Array {
  return encodeFrame(InternalFrameType.commandReply, 0, correlationId, encodeCbor(answer));
}

interface Waiting {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly timer: TimerId;
}

/** How long a shard may take before the caller tries again, in milliseconds. */
const TIMEOUT_MS = 5_000;

/** Sends what only the cluster itself may send. */
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
  async submit(shardId: number, command: EncodableCommand): Promise<void> {
    await this.#propose(shardId, encodeCommand(command));
  }

  /**
   * Proposes a transfer in the shard of its partition.
   *
   * @param command Its bytes.
   * @returns How far the partition has come with the outbox of the transfer.
   * @throws {Error} If it was refused, or its fate is unknown.
   */
  async transfer(shardId: number, command: Uint8Array): Promise<number> {
    const { takenId } = await this.#propose(shardId, command);
    if (takenId === undefined) {
      throw new Error(`Shard ${shardId} took a transfer for another command`);
    }
    return takenId;
  }

  /**
   * Looks a queue up in the catalog.
   *
   * @returns Its newest record, once it is ready; `undefined` when there is no such queue.
   * @throws {Error} If the catalog is not available.
   */
  async findQueue(name: string): Promise<QueueInfo | undefined> {
    const frame = await this.#ask(0, (id) => encodeRequest({ kind: "findQueue", name }, 0, id));
    const reply = decodeReply(frame.type, frame.payload);
    if (reply.kind === "queueReply") return reply.queue;
    if (reply.kind === "error" && reply.code === ErrorCode.queueNotFound) return undefined;
    throw new Error(reply.kind === "error" ? reply.message : `The catalog answers ${reply.kind}`);
  }

  async #propose(shardId: number, command: Uint8Array): Promise<CommandAnswer> {
    const frame = await this.#ask(
      shardId,
      (id) => encodeFrame(InternalFrameType.command, shardId, id, command),
    );
    if (frame.type !== InternalFrameType.commandReply) {
      throw new Error(`Shard ${shardId} is not available`);
    }
    const answer = decodeCborMap(frame.payload) as CommandAnswer;
    if (answer.refused !== undefined) throw new Error(answer.refused);
    return answer;
  }

  /** Sends a request. @returns The answer, which may be an error. */
  #ask(shardId: number, encode: (correlationId: number) => Uint8Array): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const id = this.#correlationId = this.#correlationId % 0xffff_ffff + 1;
      const timer = this.#clock.setTimeout(
        () => this.#fail(id, `No answer from shard ${shardId}`),
        TIMEOUT_MS,
      );
      this.#waiting.set(id, { resolve, reject, timer });
      this.#handle(this, decodeFrame(encode(id)));
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
    this.#waiting.delete(frame.correlationId);
    this.#clock.clearTimeout(waiting.timer);
    waiting.resolve(frame);
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
