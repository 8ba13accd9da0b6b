/**
 * Every limit of the wire in one place, and the proof that they agree.
 *
 * A receiver checks a length against these before it allocates anything; a sender keeps to them, so
 * that a frame over a limit is always a broken or hostile peer.
 *
 * @module
 */

/** The most a client frame may hold behind its length field. */
export const frameBytesMax = 16 * 1024 * 1024;

/** The most that the state of a shard may take in a snapshot from another broker. */
export const snapshotStateBytesMax = 1024 * 1024 * 1024;

/** The most a frame between brokers may hold: a whole client frame, relayed, and its envelope. */
export const peerFrameBytesMax = frameBytesMax + 64 * 1024;

/** What key, headers and body of one message may add up to where the broker is not told otherwise. */
export const messageBytesMaxDefault = 1024 * 1024;

/** The most messages in one publish command. */
export const batchCountMax = 65_536;

/** The most offsets in one settle command. */
export const settleCountMax = 65_536;

/** The longest queue name, in bytes of UTF-8. */
export const nameBytesMax = 255;

/** The longest key of a message, in bytes of UTF-8: its length is a u16. */
export const keyBytesMax = 65_535;

/** The longest delay, and the longest time to live, of a message: ten years. */
export const delayMsMax = 10 * 365 * 24 * 60 * 60 * 1000;

/** The highest priority of a message. */
export const priorityMax = 9;

/** The longest text by which a message is unique, in bytes of UTF-8: it is kept in memory. */
export const uniqueBytesMax = 1_024;

/** The longest reason of a nack or a rejection, in bytes of UTF-8. */
export const reasonBytesMax = 1_024;

/** The most messages a consumer may hold of one partition. */
export const prefetchMax = 65_536;

/** The deepest nesting of arrays and maps in a structured payload. */
export const cborDepthMax = 16;

/** What a broker promises to accept; part of its welcome. */
export interface WireLimits {
  /** See {@linkcode frameBytesMax}. */
  readonly frameBytesMax: number;
  /** What key, headers and body of one message may add up to. */
  readonly messageBytesMax: number;
  /** See {@linkcode batchCountMax}. */
  readonly batchCountMax: number;
}

/** The limits of a broker that was told nothing else. */
export const defaultLimits: WireLimits = {
  frameBytesMax,
  messageBytesMax: messageBytesMaxDefault,
  batchCountMax,
};
