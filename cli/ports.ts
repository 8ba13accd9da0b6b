/**
 * TCP ports of this machine for the nodes of a local cluster.
 *
 * A port found free can be taken by another program before the node has it. That is rare, and the
 * node then says so; nothing here can prevent it.
 *
 * @module
 */

const loopback = "127.0.0.1";

/** The two ports of a node. */
export interface NodePorts {
  readonly client: number;
  readonly peer: number;
}

/**
 * Tells whether a port of the loopback address can be listened on.
 *
 * @param port The port.
 * @returns `false` where another program has it.
 */
export function isPortFree(port: number): boolean {
  try {
    Deno.listen({ hostname: loopback, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}

/** Below it are ports with a use of their own. */
const portMin = 10_000;

/** Where the system's range for outgoing connections begins, if it does not say. */
const outgoingPortMin = 32_768;

function outgoingRangeStart(): number {
  try {
    const text = Deno.readTextFileSync("/proc/sys/net/ipv4/ip_local_port_range");
    return Number(text.trim().split(/\s+/)[0]) || outgoingPortMin;
  } catch {
    return outgoingPortMin;
  }
}

/**
 * Finds a port for a listener that may be killed and started again. It lies below the range that
 * outgoing connections are served from: a port of that range could be given away while its node is
 * down, even to a peer that dials the dead node and would then reach itself.
 *
 * @returns A port of the loopback address that nobody listens on.
 */
export function freePort(): number {
  const end = Math.max(outgoingRangeStart(), portMin + 1_000);
  for (;;) {
    const port = portMin + Math.floor(Math.random() * (end - portMin));
    if (isPortFree(port)) return port;
  }
}

/**
 * Finds ports for a number of nodes, each as {@linkcode freePort} does.
 *
 * @param nodes How many nodes.
 * @returns Two ports for each, all different.
 */
export function freePorts(nodes: number): NodePorts[] {
  const ports = new Set<number>();
  while (ports.size < nodes * 2) ports.add(freePort());
  const all = [...ports];
  return Array.from({ length: nodes }, (_, i) => ({ client: all[2 * i]!, peer: all[2 * i + 1]! }));
}

/**
 * Finds ports that are easy to remember: node 1 gets `base` and `base + 2`, node 2 ten more, and so
 * on, leaving out tens that are not free.
 *
 * @param base Where to begin.
 * @param nodes How many nodes.
 * @param isFree Tells whether a port can be had.
 * @returns Two ports for each node, or `undefined` where the ports end before all have theirs.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(portsFrom(7400, 2, () => true), [
 *   { client: 7400, peer: 7402 },
 *   { client: 7410, peer: 7412 },
 * ]);
 * ```
 */
export function portsFrom(
  base: number,
  nodes: number,
  isFree: (port: number) => boolean = isPortFree,
): NodePorts[] | undefined {
  const found: NodePorts[] = [];
  for (let port = base; found.length < nodes && port + 2 <= 65_535; port += 10) {
    if (isFree(port) && isFree(port + 2)) found.push({ client: port, peer: port + 2 });
  }
  return found.length === nodes ? found : undefined;
}
