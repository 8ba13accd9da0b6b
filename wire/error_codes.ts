/**
 * The stable error codes. Programs compare codes, people read messages; a code is never reused.
 *
 * What a code means for its request and its connection is told by {@linkcode isRetryable} and
 * {@linkcode endsConnection}; `docs/PROTOCOL.md` has the same table in prose.
 *
 * @module
 */

/** Number of each error, by name. */
export const ErrorCode = {
  /** The bytes of a frame are not what its type asks for. */
  malformedFrame: 1,
  /** A frame's length is over the limit. */
  frameTooLarge: 2,
  /** The protocol version of the hello is not spoken here. */
  unsupportedProtocol: 3,
  /** A connection began with something else than a hello. */
  helloExpected: 4,
  /** The request type is unknown to this version of the broker. */
  unknownRequest: 5,
  /** This node does not lead the shard; the error may name the leader. */
  notLeader: 10,
  /** Nobody is known to lead the shard at the moment. */
  noLeader: 11,
  /** The leader was deposed while the request was under way: it may have been applied. */
  leadershipLost: 12,
  /** Too much is waiting already. */
  overloaded: 13,
  /** The node is about to stop. */
  shuttingDown: 14,
  /** No answer in time. Made by the client: the request may have been applied. */
  requestTimeout: 15,
  /** The connection was lost. Made by the client: the request may have been applied. */
  connectionLost: 16,
  /** The client was closed before the request was answered. Made by the client. */
  clientClosed: 17,
  /** The disks of a majority are nearly full: messages can be consumed, and none published. */
  diskFull: 18,
  /** No queue of that name. */
  queueNotFound: 20,
  /** A queue of that name exists, with other settings. */
  queueExists: 21,
  /** A queue may not be called that. */
  queueNameInvalid: 22,
  /** A setting is out of its range. */
  settingsInvalid: 23,
  /** The shard has no such partition. */
  partitionNotFound: 24,
  /** Key, headers and body of a message are over the broker's limit. */
  messageTooLarge: 25,
  /** An argument is outside its range. */
  invalidArgument: 26,
  /** A limit of the cluster, such as the number of sessions, is reached. */
  limitReached: 27,
  /** A queue of that name is being deleted: try again when it has gone. */
  queueDeleting: 28,
  /** The queue has as many messages as it may: nothing more is taken until some are gone. */
  queueFull: 29,
  /** The session has timed out, was closed, or never was. */
  sessionNotFound: 30,
  /** The session has no such consumer. */
  consumerNotFound: 31,
  /** A batch came before the batches that precede it: resend from the oldest unconfirmed one. */
  sequenceGap: 32,
  /** A repeated batch is so old that its result is forgotten. */
  sequenceTooOld: 33,
  /** The session is in use by another connection. */
  sessionConflict: 34,
  /** The delivery is over: its lease expired or was returned. */
  leaseLost: 40,
  /** No message of that offset was ever published. */
  messageNotFound: 41,
  /** A consumer holds the message. */
  messageLeased: 42,
  /** The message is done with: acked, dead, expired, dropped or removed. */
  messageGone: 43,
  /** The queue keeps no history: what it is asked for is not remembered. */
  noHistory: 44,
  /** The queue has more partitions than the publisher knew: look it up, and choose again. */
  queueGrown: 45,
  /** The queue is getting more partitions: this has to wait until messages from before are gone. */
  queueGrowing: 46,
  /** The queue has no schedule of that id. */
  scheduleNotFound: 50,
  /** The queue has a schedule of that id that does something else. */
  scheduleExists: 51,
  /** A bug of the broker. */
  internal: 99,
} as const;

/** Name of an error, as it appears in an `error` frame. */
export type ErrorName = keyof typeof ErrorCode;

/** Number of an error. */
export type ErrorCode = (typeof ErrorCode)[ErrorName];

const names = new Map<number, ErrorName>(
  Object.entries(ErrorCode).map(([name, code]) => [code, name as ErrorName]),
);

const retryable: ReadonlySet<number> = new Set([
  ErrorCode.notLeader,
  ErrorCode.noLeader,
  ErrorCode.leadershipLost,
  ErrorCode.overloaded,
  ErrorCode.shuttingDown,
  ErrorCode.connectionLost,
  ErrorCode.diskFull,
  ErrorCode.queueDeleting,
  ErrorCode.queueFull,
  ErrorCode.sessionConflict,
]);

/**
 * The name of an error code.
 *
 * @param code A number from an `error` frame.
 * @returns The name, or `undefined` for a code this version does not know.
 */
export function errorName(code: number): ErrorName | undefined {
  return names.get(code);
}

/**
 * Tells whether the same request may succeed later, or on another node. A publish or settle may be
 * repeated after any of these, as it carries its own identity.
 *
 * @param code A number from an `error` frame.
 * @returns `true` when a client should try again on its own.
 */
export function isRetryable(code: number): boolean {
  return retryable.has(code);
}

/**
 * Tells whether the broker closes the connection after sending the error.
 *
 * @param code A number from an `error` frame.
 * @returns `true` for the errors of the connection itself.
 */
export function endsConnection(code: number): boolean {
  return code >= ErrorCode.malformedFrame && code <= ErrorCode.helloExpected;
}
