/**
 * Addresses for nodes that are started again and again: on Linux every address of 127.0.0.0/8 is this
 * machine's, so that no other program has taken their ports meanwhile.
 *
 * @module
 */

import type { NodePorts } from "../../cli/ports.ts";

/** An address of this machine that hardly anybody else uses. */
export function ownLoopback(): string {
  const byte = (): number => 1 + Math.floor(Math.random() * 254);
  return `127.${byte()}.${byte()}.${byte()}`;
}

/** Hosts and ports for the nodes of a cluster. */
export function ownPlaces(nodes: number): { hosts: string[]; ports: NodePorts[] } {
  return {
    hosts: Array.from({ length: nodes }, ownLoopback),
    ports: Array.from({ length: nodes }, () => ({ client: 7400, peer: 7402 })),
  };
}
