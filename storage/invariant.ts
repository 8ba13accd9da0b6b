/**
 * Stops a process that has a bug, before it writes another byte.
 *
 * @module
 */

/** A bug: something that the code around it makes sure of is not so. */
export class InvariantError extends Error {
  override name = "InvariantError";
}

/**
 * Makes sure of what must be so.
 *
 * @param condition What must be so.
 * @param message What it means when it is not.
 * @throws {InvariantError} when it is not so.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 *
 * invariant(1 < 2, "numbers are in order");
 * assertThrows(() => invariant(2 < 1, "numbers are in order"), InvariantError);
 * ```
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(`Broken invariant: ${message}`);
}
