/**
 * Server addresses as people write them.
 *
 * @module
 */

/** A host and a TCP port. */
export interface Address {
  /** A name or an IP address. */
  readonly hostname: string;
  /** From 1 to 65,535. */
  readonly port: number;
}

/** The port of a broker that was told nothing else. */
export const defaultPort = 7400;

/**
 * Reads `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
 *
 * @param text What someone wrote; the port is 7400 where it is left out.
 * @returns Host and port.
 * @throws {TypeError} when the text has another form, or the port is out of range.
 *
 * @example Usage
 * ```ts
 * import { parseAddress } from "./address.ts";
 *
 * const { hostname, port } = parseAddress("[::1]:7410");
 * if (hostname !== "::1" || port !== 7410) throw new Error("misread");
 * ```
 */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:\s[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw new TypeError(
      `Cannot read a server address as it must look like 127.0.0.1:7400: current value is "${text}"`,
    );
  }
  return { hostname: match[1] ?? match[2]!, port };
}

/**
 * Writes an address in the form that {@linkcode parseAddress} reads.
 *
 * @param address Host and port.
 * @returns `HOST:PORT`.
 */
export function formatAddress(address: Address): string {
  const isIpv6 = address.hostname.includes(":");
  return `${isIpv6 ? `[${address.hostname}]` : address.hostname}:${address.port}`;
}

/**
 * Reads the servers given to `connect()`.
 *
 * @param servers One address, several separated by commas, or a list.
 * @returns At least one.
 * @throws {TypeError} when there is none, or one cannot be read.
 */
export function parseServers(servers: string | readonly string[]): Address[] {
  const texts = typeof servers === "string" ? servers.split(",") : servers;
  const addresses = texts.filter((text) => text.trim() !== "").map(parseAddress);
  if (addresses.length === 0) {
    throw new TypeError(`Cannot connect as no server was named: current value is "${servers}"`);
  }
  return addresses;
}
