/**
 * Failures a command expects: one line for a person, and an exit code for a script.
 *
 * @module
 */

import { ExitCode } from "./exit_codes.ts";

/** Ends a command with one line on stderr and an exit code; never with a stack trace. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  /** The exit code of the process. */
  readonly exitCode: ExitCode;

  /**
   * Makes a failure.
   *
   * @param message What happened, with which value, and what to do: one line, no final period.
   * @param exitCode What the process says to its caller.
   * @param options The error behind it, if there is one.
   */
  constructor(message: string, exitCode: ExitCode = ExitCode.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command line itself is wrong. */
export class UsageError extends CommandError {
  override readonly name: string = "UsageError";

  /**
   * Makes a failure with the exit code for wrong usage.
   *
   * @param message What is wrong, with which value, and what to do.
   */
  constructor(message: string) {
    super(message, ExitCode.usage);
  }
}
