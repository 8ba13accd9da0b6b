/**
 * What the client asks of the world around it: a clock, connections, and chance. `deno_runtime.ts` is
 * the real one; tests and the simulator bring their own.
 *
 * @module
 */

/** Names a timer. */
export type TimerId = number;

/** Time. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. */
  now(): number;
  /** Milliseconds since some moment, with fractions; never goes back. */
  monotonic(): number;
  /** Calls `callback` once, after `ms` milliseconds. */
  setTimeout(callback: () => void, ms: number): TimerId;
  /** Forgets a timer; nothing happens where it has fired already. */
  clearTimeout(id: TimerId): void;
}

/** A connection: bytes both ways, in order. */
export interface ByteStream {
  /** Reads up to `buffer.length` bytes; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends both directions; a read or write under way ends or rejects. May be called again. */
  close(): void;
  /** The other end, as `host:port`, for messages to people. */
  readonly remoteAddress: string;
}

/** Makes connections. */
export interface Dialer {
  /**
   * Opens a connection.
   *
   * @param address Where to.
   * @param signal Gives up.
   */
  connect(
    address: { readonly hostname: string; readonly port: number },
    signal?: AbortSignal,
  ): Promise<ByteStream>;
}

/** All of it. */
export interface ClientRuntime {
  /** Time. */
  readonly clock: Clock;
  /** Connections. */
  readonly dialer: Dialer;
  /** Chance: a number from 0 up to but not including 1. */
  readonly random: () => number;
}
