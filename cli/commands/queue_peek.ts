/**
 * `flowmq queue peek`.
 *
 * @module
 */

import type { PeekedMessage } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { choiceFlag, integerFlag, pastTimeFlag, switchFlag, textFlag } from "../flags.ts";
import { formatCount, formatMs } from "../format.ts";
import { bodyStart, formatState, messageRecord } from "../message_report.ts";

const lineEnd = Uint8Array.of(10);
const pageSizeMax = 1_000;
const encoder = new TextEncoder();

function longLine(message: PeekedMessage, nowMs: number): string {
  const { id, deliveryCount, publishedAtMs, key } = message;
  const facts = [
    id,
    formatState(message, nowMs),
    `${formatMs(Math.max(0, nowMs - publishedAtMs))} old`,
    ...(deliveryCount === 0 ? [] : [`delivered ${formatCount(deliveryCount)} ×`]),
    ...(key === undefined ? [] : [`key ${bodyStart(encoder.encode(key), 40)}`]),
  ];
  return `${facts.join(", ")}: ${bodyStart(message.body, 80)}`;
}

/** `flowmq queue peek`. */
export const queuePeek = defineCommand({
  name: "queue peek",
  summary: "Print messages without taking them",
  synonyms: ["peek", "queue look", "queue browse", "browse", "msg ls", "msg peek"],
  description: [
    "Prints each body and a line end, as flowmq sub does, oldest first over all partitions. Nothing " +
    "about the messages changes: they are not leased, and not counted as delivered.",
    "With --long each line tells id, state and age, and shows the beginning of the body. With --json " +
    "each line is an object with what flowmq sub --json prints and id, state, term, index, and lease, " +
    "dueAt or block where there is one.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: {
    count: integerFlag({ help: "Stop after this many messages.", minimum: 1, default: 10 }),
    state: choiceFlag(["any", "ready", "leased", "delayed"], {
      help: "Only messages that wait for a consumer, are with one, or wait for their time.",
      default: "any",
    }),
    key: textFlag({ help: "Only messages with this key." }),
    partition: integerFlag({ help: "Only messages of this partition.", minimum: 0 }),
    offset: integerFlag({
      help: "Only messages from this offset on, in each partition.",
      minimum: 0,
    }),
    from: pastTimeFlag({ help: "Only messages published at this time or later." }),
    to: pastTimeFlag({ help: "Only messages published before this time." }),
    long: switchFlag({ short: "l", help: "Print a line about each message." }),
    ...clientFlags,
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq queue peek mail", note: "The bodies of the ten oldest messages." },
    { command: "flowmq queue peek mail -l --state leased", note: "Who holds what." },
    {
      command: "flowmq queue peek mail --key table-7 --from 1h --count 100 --json",
      note: "What came for one key in the last hour.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const { count, state, key, partition, offset, from, to } = values;
    const nowMs = Date.now();
    const format = (message: PeekedMessage): Uint8Array[] => {
      if (values.json) return [encoder.encode(JSON.stringify(messageRecord(message)) + "\n")];
      if (values.long) return [encoder.encode(longLine(message, nowMs) + "\n")];
      return [message.body, lineEnd];
    };
    await withClient(values, terminal, "flowmq queue peek", async (client) => {
      const messages = client.queue(positionals[0]!).peek({
        pageSize: Math.min(count, pageSizeMax),
        ...(state === "any" ? {} : { state }),
        ...(key === undefined ? {} : { key }),
        ...(partition === undefined ? {} : { partition }),
        ...(offset === undefined ? {} : { offset }),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        signal: terminal.interrupted,
      });
      let shown = 0;
      for await (const message of messages) {
        for (const part of format(message)) await terminal.stdout.write(part);
        if (++shown === count) break;
      }
    });
    return ExitCode.ok;
  },
});
