/**
 * Flags of the tools in this folder.
 *
 * @module
 */

/** The exit code of a tool that was called wrongly. */
const USAGE_EXIT_CODE = 2;

/**
 * Reads the flags that this process was started with, and ends it with a sentence where they are wrong.
 *
 * @param read Reads them; throws what is to be said.
 * @returns The flags.
 */
export function toolFlags<T>(read: (args: readonly string[]) => T): T {
  try {
    return read(Deno.args);
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(USAGE_EXIT_CODE);
  }
}
