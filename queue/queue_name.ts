/**
 * Which names a queue may have, and what else people give a name to.
 *
 * @module
 */

import { COMMAND_BOUNDS } from "./limits.ts";

// deno-lint-ignore no-control-regex
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Says what is wrong with the name of a queue.
 *
 * @param name The name.
 * @returns A sentence, or `undefined` when the name is fine.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(queueNameProblem("orders/eu"), undefined);
 * assertEquals(queueNameProblem(""), "A queue name must have 1 to 255 bytes of UTF-8: this one has 0");
 * ```
 */
export function queueNameProblem(name: unknown): string | undefined {
  return nameProblem("A queue name", name);
}

/**
 * Says what is wrong with a name.
 *
 * @param what What it names, as a sentence begins.
 * @param name The name.
 * @returns A sentence, or `undefined` when the name is fine.
 */
export function nameProblem(what: string, name: unknown): string | undefined {
  if (typeof name !== "string") return `${what} must be a text`;
  const bytes = utf8Length(name);
  if (bytes < 1 || bytes > COMMAND_BOUNDS.queueNameBytesMax) {
    return `${what} must have 1 to ${COMMAND_BOUNDS.queueNameBytesMax} bytes of UTF-8: ` +
      `this one has ${bytes}`;
  }
  if (!name.isWellFormed()) return `${what} must be well-formed Unicode`;
  if (CONTROL_CHARACTER.test(name)) return `${what} must not have control characters`;
  return undefined;
}

/**
 * Measures a text.
 *
 * @param text Well-formed or not.
 * @returns Its length in bytes of UTF-8.
 */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}
