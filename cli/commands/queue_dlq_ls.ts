/**
 * `flowmq queue dlq ls`.
 *
 * @module
 */

import type { DeadLetter } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { integerFlag } from "../flags.ts";
import { formatTable, oneLine } from "../format.ts";

const decoder = new TextDecoder();

/** `flowmq queue dlq ls`. */
export const queueDlqLs = defineCommand({
  name: "queue dlq ls",
  summary: "List the messages of a queue that died, with the reason",
  synonyms: ["queue dlq list", "queue dlq", "dlq"],
  description: [
    "Messages that died are in the queue QUEUE.dead, which is an ordinary queue. The oldest come first. " +
    "They are not taken: nothing about them changes.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue that they were in." }],
  flags: {
    ...clientFlags,
    limit: integerFlag({ help: "The most to list.", default: 100, minimum: 1 }),
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq queue dlq ls mail", note: "A table." },
    { command: "flowmq queue dlq ls mail --json | jq -r .reason | sort | uniq -c", note: "Why." },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const letters = await withClient(
      values,
      terminal,
      "flowmq queue dlq ls",
      (client) => client.queue(name).deadLetters({ limit: values.limit }),
    );
    if (values.json) {
      for (const letter of letters) terminal.stdout.line(JSON.stringify(recordOf(letter)));
      return ExitCode.ok;
    }
    if (letters.length === 0) {
      terminal.stderr.line(`no message of queue ${name} has died`);
      return ExitCode.ok;
    }
    const lines = formatTable(
      [
        { title: "offset", align: "right" },
        { title: "message" },
        { title: "reason" },
        { title: "deliveries", align: "right" },
        { title: "died" },
        { title: "detail" },
        { title: "body" },
      ],
      letters.map((letter) => {
        const { message = "-", reason = "-", deliveries = "-", died = "-", detail = "-", body } =
          recordOf(letter);
        return [
          String(letter.offset),
          oneLine(message, 48),
          reason,
          String(deliveries),
          died,
          oneLine(detail, 40),
          oneLine(body, 40),
        ];
      }),
      terminal.stdout.paint.dim,
    );
    terminal.stdout.text(lines.join("\n") + "\n");
    return ExitCode.ok;
  },
});

/** A dead letter as a program reads it. */
interface DeadLetterRecord {
  readonly offset: number;
  readonly message?: string;
  readonly reason?: string;
  readonly deliveries?: number;
  readonly died?: string;
  readonly detail?: string;
  readonly key: string | undefined;
  readonly headers: DeadLetter["headers"];
  readonly body: string;
}

function recordOf({ offset, death, key, headers, body }: DeadLetter): DeadLetterRecord {
  return {
    offset,
    ...(death === undefined ? {} : {
      message: `${death.queue}/${death.partition}/${death.offset}`,
      reason: death.reason,
      deliveries: death.deliveryCount,
      died: new Date(death.atMs).toISOString(),
      ...(death.detail === undefined ? {} : { detail: death.detail }),
    }),
    key,
    headers,
    body: decoder.decode(body),
  };
}
