/**
 * Checks that stay on in production: a core that finds itself in an impossible state stops before it
 * writes or sends another byte.
 *
 * @module
 */

/** A bug in this program: something that cannot be was found to be. */
export class InvariantError extends Error {
  /** @param message What was found. */
  constructor(message: string) {
    super(message);
    this.name = "InvariantError";
  }
}

/**
 * Stops the caller when a condition that the code relies on does not hold.
 *
 * @param condition What must be true.
 * @param message What it means that it is not; a function where building the text costs something.
 * @throws {InvariantError} when the condition is false.
 *
 * @example Checking an order
 * ```ts
 * import { assertThrows } from "@std/assert";
 *
 * invariant(1 < 2, "numbers are ordered");
 * assertThrows(() => invariant(2 < 1, "numbers are not ordered"), InvariantError);
 * ```
 */
export function invariant(
  condition: boolean,
  message: string | (() => string),
): asserts condition {
  if (condition) return;
  throw new InvariantError(typeof message === "string" ? message : message());
}

/**
 * Ends a `switch` over a union: the compiler refuses a forgotten case, and a value from outside the
 * type stops the program.
 *
 * @param value What no case took.
 * @param what The name of the union, for the message.
 * @returns Never.
 * @throws {InvariantError} always.
 */
export function unreachable(value: never, what: string): never {
  throw new InvariantError(`Unknown ${what}: ${JSON.stringify(value)}`);
}
