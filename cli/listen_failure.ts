/**
 * Which address a node could not listen on, and why: the system's own error names neither.
 *
 * @module
 */

import { type Address, formatAddress } from "./address.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError } from "./failures.ts";

/** An address and the flag it came from. */
export interface ListenTarget {
  readonly flag: string;
  readonly address: Address;
}

function whyNot(address: Address): string | undefined {
  try {
    Deno.listen({ hostname: address.hostname, port: address.port }).close();
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return "it is in use by another program";
    if (error instanceof Deno.errors.AddrNotAvailable) return "it is no address of this machine";
    if (error instanceof Deno.errors.PermissionDenied) return "there is no permission";
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Finds the address that a node cannot listen on.
 *
 * @param targets Where it wanted to listen.
 * @returns The failure to tell about, or `undefined` where all of them work.
 */
export function listenFailure(targets: readonly ListenTarget[]): CommandError | undefined {
  for (const { flag, address } of targets) {
    const reason = whyNot(address);
    if (reason !== undefined) {
      return new CommandError(
        `cannot listen on ${formatAddress(address)} as ${reason}: choose another with ${flag}`,
        ExitCode.addressInUse,
      );
    }
  }
  return undefined;
}
