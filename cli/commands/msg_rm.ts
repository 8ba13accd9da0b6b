/**
 * `flowmq msg rm`.
 *
 * @module
 */

import type { Removal } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { checkMessageId, messageIdArgument } from "../message_argument.ts";

const sentences: Readonly<Record<Removal, (id: string) => string>> = {
  removed: (id) => `removed ${id}`,
  gone: (id) => `${id} is gone already: it was acked, or came to another end`,
  unknown: (id) => `${id} is gone: by this command, whose answer was lost, or before it`,
};

/** `flowmq msg rm`. */
export const msgRm = defineCommand({
  name: "msg rm",
  summary: "Remove one message that waits: what was published with a delay is called off",
  synonyms: ["msg remove", "msg delete", "msg del", "msg cancel", "message rm"],
  description: [
    "The message is not delivered any more, and is counted as purged. A message that a consumer holds " +
    "stays: the exit code is 5 then. One that is gone already is fine; the answer says so, and with " +
    "--json its removal is removed, gone, or unknown where an answer was lost on the way.",
  ],
  positionals: [messageIdArgument],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq msg rm mails/0/17", note: "Call off a message." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const id = checkMessageId(positionals[0]!);
    const removal = await withClient(
      values,
      terminal,
      "flowmq msg rm",
      (client) => client.removeMessage(id),
    );
    terminal.stdout.line(
      values.json ? JSON.stringify({ id, removal }) : sentences[removal](id),
    );
    return ExitCode.ok;
  },
});
