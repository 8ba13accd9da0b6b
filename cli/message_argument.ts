/**
 * The id of a message as an argument of a command.
 *
 * @module
 */

import { parseMessageId } from "../mod.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError } from "./failures.ts";

/** The argument of commands about one message. */
export const messageIdArgument = {
  name: "ID",
  help: "QUEUE/PARTITION/OFFSET, as flowmq pub and flowmq queue peek --long tell it.",
} as const;

/**
 * Checks the id of a message.
 *
 * @param id What a person wrote.
 * @returns The id.
 * @throws {CommandError} If it is none.
 */
export function checkMessageId(id: string): string {
  if (parseMessageId(id) !== undefined) return id;
  throw new CommandError(
    `${JSON.stringify(id)} is no message: it takes QUEUE/PARTITION/OFFSET, such as orders/0/17`,
    ExitCode.usage,
  );
}
