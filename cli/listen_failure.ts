/**
 * Why a node could not listen on an address, and which flag to change.
 *
 * @module
 */

import type { ListenError } from "../broker/mod.ts";
import { type Address, formatAddress } from "./address.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError } from "./failures.ts";

/** An address and the flag it came from. */
export interface ListenTarget {
  readonly flag: string;
  readonly address: Address;
}

function reasonOf({ cause, message }: ListenError): string {
  if (cause instanceof Deno.errors.AddrInUse) return "it is in use by another program";
  if (cause instanceof Deno.errors.AddrNotAvailable) return "it is no address of this machine";
  if (cause instanceof Deno.errors.PermissionDenied) return "there is no permission";
  return cause instanceof Error ? cause.message : message;
}

/**
 * Says what to do about an address that a node cannot listen on.
 *
 * @param error What starting the node threw.
 * @param targets Where it wanted to listen.
 * @returns The failure to tell about.
 */
export function listenFailure(
  error: ListenError,
  targets: readonly ListenTarget[],
): CommandError {
  const flag = targets.find(({ address }) => address === error.address)!.flag;
  return new CommandError(
    `cannot listen on ${formatAddress(error.address)} as ${reasonOf(error)}: ` +
      `choose another with ${flag}`,
    ExitCode.addressInUse,
    { cause: error },
  );
}
