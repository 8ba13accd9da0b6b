/**
 * Which process of this machine serves an address, where the system tells (`/proc` on Linux).
 *
 * @module
 */

import { parseAddress } from "./address.ts";

/** The state of a socket that listens, as `/proc/net/tcp` writes it. */
const listening = "0A";

/**
 * Finds the processes that listen on addresses.
 *
 * @param addresses `HOST:PORT`, as clients connect to them.
 * @returns A process for each address, or `undefined` if any of them is on another machine, or
 * cannot be seen.
 */
export function processesListeningOn(addresses: readonly string[]): number[] | undefined {
  const local = new Set(["localhost", ...ownHosts()]);
  const pids: number[] = [];
  for (const address of addresses) {
    const { hostname, port } = parseAddress(address);
    const pid = local.has(hostname) ? processListeningOn(port) : undefined;
    if (pid === undefined) return undefined;
    pids.push(pid);
  }
  return pids;
}

function ownHosts(): string[] {
  try {
    return Deno.networkInterfaces().map(({ address }) => address);
  } catch {
    return [];
  }
}

function processListeningOn(port: number): number | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  for (const { name } of entriesOf("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    for (const descriptor of entriesOf(`/proc/${name}/fd`)) {
      try {
        const link = Deno.readLinkSync(`/proc/${name}/fd/${descriptor.name}`);
        const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
        if (inode !== undefined && inodes.has(inode)) return Number(name);
      } catch {
        // Closed a moment ago.
      }
    }
  }
  return undefined;
}

/** The kernel's numbers of the sockets that listen on a port. */
function listeningInodes(port: number): Set<string> {
  const inodes = new Set<string>();
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    let table;
    try {
      table = Deno.readTextFileSync(file);
    } catch {
      continue; // not Linux, or without that protocol
    }
    for (const line of table.split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      const isPort = local !== undefined && parseInt(local.split(":")[1]!, 16) === port;
      if (isPort && state === listening && inode !== undefined) inodes.add(inode);
    }
  }
  return inodes;
}

/** What a directory holds; nothing where it has gone, or is another user's. */
function entriesOf(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}
