/**
 * The one line a node prints on stdout when it serves. People read it; launchers of nodes parse it,
 * since with port 0 only the node knows where it listens.
 *
 * @module
 */

/** What the line says. */
export interface ReadyLine {
  readonly version: string;
  readonly nodeId: number;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly dataDirectory: string;
}

/**
 * Writes the line.
 *
 * @param ready What it shall say.
 * @returns The line, without its end.
 */
export function formatReadyLine(ready: ReadyLine): string {
  return `flowmq ${ready.version} ready: node ${ready.nodeId}, clients ${ready.clientAddress}, ` +
    `peers ${ready.peerAddress}, data ${ready.dataDirectory}`;
}

/**
 * Reads the line.
 *
 * @param line A line of a node's stdout.
 * @returns What it says, or `undefined` if it is another line.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const ready = {
 *   version: "0.1.0",
 *   nodeId: 1,
 *   clientAddress: "[::1]:7400",
 *   peerAddress: "[::1]:7402",
 *   dataDirectory: "/srv/my data",
 * };
 * assertEquals(parseReadyLine(formatReadyLine(ready)), ready);
 * ```
 */
export function parseReadyLine(line: string): ReadyLine | undefined {
  const match = /^flowmq (\S+) ready: node (\d+), clients (\S+), peers (\S+), data (.+)$/.exec(
    line,
  );
  if (match === null) return undefined;
  return {
    version: match[1]!,
    nodeId: Number(match[2]),
    clientAddress: match[3]!,
    peerAddress: match[4]!,
    dataDirectory: match[5]!,
  };
}
