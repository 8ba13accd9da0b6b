/**
 * Which process of this machine serves an address, where the system tells (`/proc` on Linux).
 *
 * @module
 */

import { parseAddress } from "./address.ts";

/** The state of a socket that listens, as `/proc/net/tcp` writes it. */
const listening = "0A";

/** All addresses of this machine, in that table. */
const anyIPv4 = "00000000";

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
    // All of 127.0.0.0/8 is this machine, though its interface names one address only.
    const isLocal = local.has(hostname) || /^127\.\d+\.\d+\.\d+$/.test(hostname);
    const pid = isLocal ? processListeningOn(hostname, port) : undefined;
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

function processListeningOn(hostname: string, port: number): number | undefined {
  const inodes = listeningInodes(hostname, port);
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

/** The kernel's numbers of the sockets that listen on a port of an address, or of all addresses. */
function listeningInodes(hostname: string, port: number): Set<string> {
  const inodes = new Set<string>();
  const wanted = hexOfIPv4(hostname);
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    let table;
    try {
      table = Deno.readTextFileSync(file);
    } catch {
      continue; // not Linux, or without that protocol
    }
    for (const line of table.split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (local === undefined || state !== listening || inode === undefined) continue;
      const [at, hexPort] = local.split(":");
      const isThere = wanted === undefined || at!.length > 8 || at === wanted || at === anyIPv4;
      if (isThere && parseInt(hexPort!, 16) === port) inodes.add(inode);
    }
  }
  return inodes;
}

/** An IPv4 address as the kernel's table has it, `undefined` for a name or another kind of address. */
function hexOfIPv4(hostname: string): string | undefined {
  const bytes = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(hostname)?.slice(1).reverse();
  return bytes?.map((byte) => Number(byte).toString(16).padStart(2, "0").toUpperCase()).join("");
}

/** What a directory holds; nothing where it has gone, or is another user's. */
function entriesOf(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}
