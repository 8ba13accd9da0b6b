/**
 * The failure to listen on an address: the system's own error does not name it.
 *
 * @module
 */

import { type Address, formatAddress, type Listener, type NodeRuntime } from "./runtime.ts";

/** An address cannot be had; the cause is what the system said. */
export class ListenError extends Error {
  override name = "ListenError";
  /** Where the node was to listen. */
  readonly address: Address;

  /**
   * @param address Where the node was to listen.
   * @param cause What the system said.
   */
  constructor(address: Address, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`Cannot listen on ${formatAddress(address)}: ${reason}`, { cause });
    this.address = address;
  }
}

/**
 * Listens on an address.
 *
 * @param runtime The world.
 * @param address Where.
 * @returns The listener.
 * @throws {ListenError} If the address cannot be had.
 */
export function listenOn(runtime: NodeRuntime, address: Address): Listener {
  try {
    return runtime.listen(address);
  } catch (error) {
    throw new ListenError(address, error);
  }
}
