/**
 * Everything a node needs of the world outside: time, chance, sockets and files. The executable passes
 * Deno's; the simulator passes a virtual clock, network and disk, and runs the same code.
 *
 * @module
 */

import type { ByteStream, ClientRuntime } from "../client/runtime.ts";
import type { FileSystem } from "../storage/file_system.ts";

/** A host and a TCP port. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
}

/** A listening socket. */
export interface Listener {
  /** The address bound, with the port chosen by the system where 0 was asked for. */
  readonly address: Address;
  /**
   * The next connection, or `null` once the listener is closed. Rejects where one could not be taken;
   * the listener goes on.
   */
  accept(): Promise<ByteStream | null>;
  /** Takes no more connections. May be called again. */
  close(): void;
}

/** The world, as a node sees it. */
export interface NodeRuntime extends ClientRuntime {
  listen(address: Address): Listener;
  readonly files: FileSystem;
  /** Noted in the lock of the data directory, so that whoever finds it locked knows by whom. */
  readonly processId: number;
  /** Bytes of memory the process holds, for the status page. */
  memoryBytes(): number;
}

/** Writes an address as people type it: `127.0.0.1:7400`, `[::1]:7400`. */
export function formatAddress(address: Address): string {
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  return `${host}:${address.port}`;
}

/**
 * Reads `HOST:PORT` or `[IPV6]:PORT`.
 *
 * @throws {TypeError} If the text has another form, or the port is not 0 to 65,535.
 */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text);
  const port = match ? Number(match[3]) : NaN;
  if (!match || port > 65_535) {
    throw new TypeError(
      `Cannot read an address as it must look like 127.0.0.1:7400: current value is "${text}"`,
    );
  }
  return { hostname: match[1] ?? match[2]!, port };
}
