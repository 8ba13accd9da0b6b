/**
 * Checks that stay on in production. A broken invariant is a bug: the process stops before the damage
 * is written anywhere.
 *
 * @module
 */

/** Thrown when something that cannot happen has happened. Not meant to be caught. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Stops when a condition that must hold does not.
 *
 * @param condition What must be true.
 * @param message What it means that it is not.
 * @throws {InvariantError} when the condition is falsy.
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/**
 * Ends a `switch` over a union: the compiler proves that nothing gets here.
 *
 * @param value What no case matched.
 * @throws {InvariantError} always.
 */
export function unreachable(value: never): never {
  throw new InvariantError(`No case for ${JSON.stringify(value)}`);
}
