/**
 * `flowmq msg history`.
 *
 * @module
 */

import type { MessageHappening, MessageHistoryReport } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError } from "../failures.ts";
import { formatCount, formatMs, formatTable, oneLine } from "../format.ts";
import { checkMessageId, messageIdArgument } from "../message_argument.ts";

/** What happened, for people. */
const WORDS: Readonly<Record<MessageHappening["what"], string>> = {
  published: "published",
  leased: "delivered",
  acked: "acked",
  nacked: "nacked",
  rejected: "rejected",
  returned: "returned: its consumer ended",
  leaseExpired: "lease over",
  sessionTimedOut: "client lost",
  dead: "moved to the dead letters",
  expired: "expired",
  dropped: "dropped",
  removed: "removed by its id",
  purged: "purged with its queue",
  replayed: "replayed: a copy is on its way",
};

/** Who did it, for people: `mailer (session 12, consumer 1)`. */
function whoOf({ sessionId, consumerId, clientName = "" }: MessageHappening): string {
  if (sessionId === undefined) return "-";
  const name = clientName === "" ? "no name" : oneLine(clientName, 40);
  const consumer = consumerId === undefined ? "" : `, consumer ${consumerId}`;
  return `${name} (session ${sessionId}${consumer})`;
}

/** Why there is nothing to show. */
function absence({ id, queue, state, historyMs }: MessageHistoryReport): string {
  if (state === "unpublished") return `${id} is not published yet`;
  if (historyMs === 0) {
    return `queue ${queue} keeps no history: flowmq queue edit ${queue} --history 10m keeps what ` +
      "happens from then on";
  }
  return `nothing has happened to ${id} in the last ${formatMs(historyMs)}; it is ${state}`;
}

/** `flowmq msg history`. */
export const msgHistory = defineCommand({
  name: "msg history",
  summary: "Tell what happened to a message, also after it was acked",
  synonyms: ["msg log", "msg trace", "message history"],
  description: [
    "Queues remember for as long as they were told to: flowmq queue edit QUEUE --history 10m. The index " +
    "is that of the log entry by which it happened, in the shard of the partition. What happened before " +
    "the window, or before the history was switched on, is not known. Where nothing is known the exit " +
    "code is 4.",
  ],
  positionals: [messageIdArgument],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq msg history orders/0/17", note: "Who had it, when, and what they said." },
    {
      command: "flowmq msg history orders/0/17 --json | jq -r 'select(.what == \"acked\").client'",
      note: "Who acked it.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const id = checkMessageId(positionals[0]!);
    const report = await withClient(
      values,
      terminal,
      "flowmq msg history",
      (client) => client.messageHistory(id),
    );
    const { happenings, state, nowMs } = report;
    if (happenings.length === 0) throw new CommandError(absence(report), ExitCode.notFound);
    if (values.json) {
      for (const happening of happenings) {
        terminal.stdout.line(JSON.stringify(happeningRecord(id, happening)));
      }
      return ExitCode.ok;
    }
    const { paint } = terminal.stdout;
    const rows = happenings.map((happening) => [
      new Date(happening.atMs).toISOString(),
      `${formatMs(Math.max(0, nowMs - happening.atMs))} ago`,
      WORDS[happening.what] ?? happening.what,
      whoOf(happening),
      happening.deliveryCount === undefined ? "-" : `${formatCount(happening.deliveryCount)}.`,
      happening.detail === undefined ? "-" : oneLine(happening.detail, 60),
      String(happening.index),
    ]);
    const right = { align: "right" } as const;
    const table = formatTable(
      [
        { title: "when" },
        { title: "", ...right },
        { title: "what" },
        { title: "who" },
        { title: "delivery", ...right },
        { title: "why" },
        { title: "index", ...right },
      ],
      rows,
      paint.dim,
    );
    terminal.stdout.text([...table, "", `${id} is ${state} now`].join("\n") + "\n");
    return ExitCode.ok;
  },
});

/** Something that happened, as a JSON object. */
function happeningRecord(id: string, happening: MessageHappening): Record<string, unknown> {
  const { what, atMs, index, sessionId, clientName, ...rest } = happening;
  return {
    id,
    what,
    at: new Date(atMs).toISOString(),
    index,
    ...(clientName === undefined ? {} : { client: clientName }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...rest,
  };
}
