/**
 * What a command is: a description that parsing, validation and help are made from, and a function.
 *
 * @module
 */

import type { Arguments, ArgumentTable } from "./arguments.ts";
import type { ExitCode } from "./exit_codes.ts";
import type { Flags } from "./flags.ts";
import type { Terminal } from "./terminal.ts";

/** One way to call a command, shown by its help. */
export interface Example {
  /** As it is typed. */
  readonly command: string;
  /** What it does. */
  readonly note: string;
}

/** The table of a command. */
export interface Command<F extends Flags = Flags> extends ArgumentTable<F> {
  /** One line for the list of commands: what it does, without a final period. */
  readonly summary: string;
  /** Paragraphs for its own help. */
  readonly description: readonly string[];
  readonly examples: readonly Example[];
  /** Other words people may try; they are suggested, not accepted. */
  readonly synonyms?: readonly string[];
  /** Not in the list of commands: for the program itself. */
  readonly hidden?: boolean;
  /** Does the work. Failures that are expected throw; see `describe_error.ts`. */
  run(args: Arguments<F>, terminal: Terminal): Promise<ExitCode>;
}

/**
 * Makes a command: gives the table its type, so that `run` sees a value of the right type for every
 * flag.
 *
 * @param command The table.
 * @returns The same table.
 */
export function defineCommand<const F extends Flags>(command: Command<F>): Command<F> {
  return command;
}
