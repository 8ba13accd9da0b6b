/**
 * Addresses for nodes that are started again and again: on Linux every address of 127.0.0.0/8 is this
 * machine's, so that no other program has taken their ports meanwhile. Elsewhere ports that are free now
 * have to do.
 *
 * @module
 */

import { freePorts, type NodePorts } from "../cli/ports.ts";

/** Hosts and ports for the nodes of a cluster. */
export interface Places {
  readonly hosts: readonly string[];
  readonly ports: readonly NodePorts[];
}

/**
 * Finds places for nodes.
 *
 * @param nodes How many.
 * @returns Places that hardly anybody else uses.
 */
export function ownPlaces(nodes: number): Places {
  const each = Array.from({ length: nodes });
  if (Deno.build.os !== "linux") {
    return { hosts: each.map(() => "127.0.0.1"), ports: freePorts(nodes) };
  }
  return { hosts: each.map(ownHost), ports: each.map(() => ({ client: 7400, peer: 7402 })) };
}

/** An address of this machine that hardly anybody else uses. */
export function ownHost(): string {
  const byte = (): number => 1 + Math.floor(Math.random() * 254);
  return `127.${byte()}.${byte()}.${byte()}`;
}
