/**
 * `flowmq msg get`.
 *
 * @module
 */

import type { MessageReport } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError } from "../failures.ts";
import { formatBytes, formatCount, formatMs, formatTable } from "../format.ts";
import { checkMessageId, messageIdArgument } from "../message_argument.ts";
import { formatState, messageRecord } from "../message_report.ts";

const lineEnd = Uint8Array.of(10);

/** Why there is nothing to show of a message. */
function absence({ id, state, nextOffset }: MessageReport): string {
  return state === "unpublished"
    ? `${id} is not published yet: the next message of its partition gets offset ${nextOffset}`
    : `${id} is gone: it was acked, or came to another end`;
}

/** `flowmq msg get`. */
export const msgGet = defineCommand({
  name: "msg get",
  summary: "Show one message, with its state, without taking it",
  synonyms: ["msg show", "msg info", "message get", "msg cat"],
  description: [
    "What is known of the message comes first, then an empty line and the body. A message that was " +
    "acked, or came to another end, is gone: the exit code is 4 then. One that was acked and that the " +
    "history of its queue keeps is shown, too.",
  ],
  positionals: [messageIdArgument],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq msg get orders/0/17", note: "The message with offset 17 of partition 0." },
    { command: "flowmq msg get orders/0/17 --json | jq -r .body", note: "Its body only." },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const id = checkMessageId(positionals[0]!);
    const report = await withClient(
      values,
      terminal,
      "flowmq msg get",
      (client) => client.message(id),
    );
    const { message, nowMs } = report;
    if (message === undefined) throw new CommandError(absence(report), ExitCode.notFound);
    if (values.json) {
      terminal.stdout.line(JSON.stringify(messageRecord(message)));
      return ExitCode.ok;
    }
    const { paint } = terminal.stdout;
    const { deliveryCount, publishedAt, publishedAtMs, key, headers, body, term, index } = message;
    const age = formatMs(Math.max(0, nowMs - publishedAtMs));
    const rows = [
      ["state", formatState(message, nowMs)],
      ["published", `${publishedAt.toISOString()}, ${age} ago`],
      ["delivered", `${formatCount(deliveryCount)} ×`],
      ...(key === undefined ? [] : [["key", JSON.stringify(key)]]),
      ...Object.entries(headers).map(([name, value]) => [
        `header ${JSON.stringify(name)}`,
        JSON.stringify(value),
      ]),
      ["body", formatBytes(body.length)],
      ["log entry", `term ${formatCount(term)}, index ${formatCount(index)}`],
    ];
    const facts = formatTable([{ title: "message" }, { title: id }], rows, paint.bold);
    terminal.stdout.text(facts.join("\n") + "\n\n");
    await terminal.stdout.write(body);
    await terminal.stdout.write(lineEnd);
    return ExitCode.ok;
  },
});
