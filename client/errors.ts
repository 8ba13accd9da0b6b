/**
 * The errors a caller may want to tell apart. Compare `code`, or use `instanceof`; the message is for
 * people. `maybeApplied` answers the question that matters after a failure: is it sure that nothing
 * happened?
 *
 * @module
 */

import { ErrorCode, type ErrorReply } from "../wire/mod.ts";
import type { Delivery } from "./delivery.ts";

/** What is known about a failure besides its message. */
export interface FlowMQErrorOptions {
  /** See the table of error codes in docs/PROTOCOL.md. */
  readonly code: number;
  /** Whether the request may have been carried out all the same. @default {false} */
  readonly maybeApplied?: boolean;
  /** What led to it. */
  readonly cause?: unknown;
}

/** Something that was asked of the cluster did not work. */
export class FlowMQError extends Error {
  /** A stable number; see the table of error codes in docs/PROTOCOL.md. */
  readonly code: number;
  /** `false`: surely nothing happened. `true`: it may have been carried out. */
  readonly maybeApplied: boolean;

  /**
   * Makes the error.
   *
   * @param message For people.
   * @param options For programs.
   */
  constructor(message: string, options: FlowMQErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FlowMQError";
    this.code = options.code;
    this.maybeApplied = options.maybeApplied ?? false;
  }
}

/** No queue has that name. */
export class QueueNotFoundError extends FlowMQError {
  /** The name. */
  readonly queue: string;

  /**
   * Makes the error.
   *
   * @param queue The name.
   * @param options A cause, and why the queue was not made, for people.
   */
  constructor(
    queue: string,
    { detail, ...options }: { readonly cause?: unknown; readonly detail?: string } = {},
  ) {
    super(
      `Cannot find queue ${JSON.stringify(queue)}${detail === undefined ? "" : `, ${detail}`}`,
      {
        code: ErrorCode.queueNotFound,
        ...options,
      },
    );
    this.name = "QueueNotFoundError";
    this.queue = queue;
  }
}

/** No answer came in time. */
export class RequestTimeoutError extends FlowMQError {
  /** How long was waited. */
  readonly timeoutMs: number;

  /**
   * Makes the error.
   *
   * @param what What was asked for, as in "publish to queue orders".
   * @param timeoutMs How long was waited.
   * @param options Whether it may have been carried out, and a cause.
   */
  constructor(
    what: string,
    timeoutMs: number,
    options: { readonly maybeApplied: boolean; readonly cause?: unknown },
  ) {
    super(`Cannot ${what} within ${timeoutMs} ms`, { code: ErrorCode.requestTimeout, ...options });
    this.name = "RequestTimeoutError";
    this.timeoutMs = timeoutMs;
  }
}

/** The connection was lost, or none could be made. */
export class ConnectionLostError extends FlowMQError {
  /**
   * Makes the error.
   *
   * @param message For people.
   * @param options Whether the request may have been carried out, and a cause.
   */
  constructor(
    message: string,
    options: { readonly maybeApplied?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { code: ErrorCode.connectionLost, ...options });
    this.name = "ConnectionLostError";
  }
}

/** The node that was asked does not lead the shard. Clients go on to the leader by themselves. */
export class NotLeaderError extends FlowMQError {
  /** The node that leads, or 0 where that is not known. */
  readonly leaderHint: number;

  /**
   * Makes the error.
   *
   * @param message For people.
   * @param leaderHint The node that leads, or 0.
   */
  constructor(message: string, leaderHint: number) {
    super(message, { code: ErrorCode.notLeader });
    this.name = "NotLeaderError";
    this.leaderHint = leaderHint;
  }
}

/** The delivery is over: its lease expired or was returned, and the message goes to someone else. */
export class LeaseExpiredError extends FlowMQError {
  /** The queue. */
  readonly queue: string;
  /** The partition, from 0. */
  readonly partition: number;
  /** The message. */
  readonly offset: number;

  /**
   * Makes the error.
   *
   * @param queue The queue.
   * @param partition The partition, from 0.
   * @param offset The message.
   * @param options Whether the ack may have been carried out, and a cause.
   */
  constructor(
    queue: string,
    partition: number,
    offset: number,
    options: { readonly maybeApplied?: boolean; readonly cause?: unknown } = {},
  ) {
    super(
      `Cannot settle message ${offset} of queue ${
        JSON.stringify(queue)
      }, partition ${partition}, ` +
        `as its lease is over`,
      { code: ErrorCode.leaseLost, ...options },
    );
    this.name = "LeaseExpiredError";
    this.queue = queue;
    this.partition = partition;
    this.offset = offset;
  }
}

/** Key, headers and body of a message are more than the broker takes. */
export class MessageTooLargeError extends FlowMQError {
  /** What they add up to. */
  readonly bytes: number;
  /** The limit. */
  readonly bytesMax: number;

  /**
   * Makes the error.
   *
   * @param bytes What key, headers and body add up to.
   * @param bytesMax The limit.
   */
  constructor(bytes: number, bytesMax: number) {
    super(`Cannot publish a message over ${bytesMax} bytes: its size is ${bytes}`, {
      code: ErrorCode.messageTooLarge,
    });
    this.name = "MessageTooLargeError";
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/** The client was closed while, or before, something was asked of it. */
export class ClientClosedError extends FlowMQError {
  /**
   * Makes the error.
   *
   * @param options Whether the request may have been carried out.
   */
  constructor(options: { readonly maybeApplied?: boolean } = {}) {
    super("Cannot go on as the client is closed", { code: ErrorCode.clientClosed, ...options });
    this.name = "ClientClosedError";
  }
}

/**
 * The error of a broker's reply.
 *
 * @param reply What the broker said.
 * @returns The class that fits.
 */
export function errorOfReply(reply: ErrorReply): FlowMQError {
  if (reply.code === ErrorCode.notLeader) {
    return new NotLeaderError(reply.message, reply.leader ?? 0);
  }
  return new FlowMQError(reply.message, { code: reply.code, maybeApplied: reply.maybeApplied });
}

/**
 * An error that is to be given to one more caller as it is, or anything else made one.
 *
 * @param error Whatever was thrown.
 * @returns A FlowMQError.
 */
export function asFlowMQError(error: unknown): FlowMQError {
  if (error instanceof FlowMQError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ConnectionLostError(message, { cause: error });
}

/** Some messages of a batch were not settled. */
export class BatchSettleError extends FlowMQError {
  /** The messages, each with the error that its own `ack()` would have thrown. */
  readonly failures: ReadonlyMap<Delivery, FlowMQError>;

  /**
   * Makes the error.
   *
   * @param failures At least one message, with its error.
   * @param count How many messages the batch has.
   */
  constructor(failures: ReadonlyMap<Delivery, FlowMQError>, count: number) {
    const [first] = failures.values();
    const maybeApplied = [...failures.values()].some((error) => error.maybeApplied);
    super(
      `Cannot settle ${failures.size} of ${count} messages, the first of them: ${first!.message}`,
      {
        code: first!.code,
        maybeApplied,
        cause: first,
      },
    );
    this.name = "BatchSettleError";
    this.failures = failures;
  }
}
