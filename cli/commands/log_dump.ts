/**
 * `flowmq log dump`.
 *
 * @module
 */

import { defineCommand } from "../command.ts";
import { jsonFlag } from "../common_flags.ts";
import { type DataView, openDataView } from "../data_view.ts";
import { bodyOf } from "../delivery_record.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError } from "../failures.ts";
import { textFlag } from "../flags.ts";
import { oneLine } from "../format.ts";
import { type LoggedMessage, LoggedMessages } from "../logged_messages.ts";
import type { Terminal } from "../terminal.ts";

/** How much is written at once. */
const writeBytes = 64 * 1024;

function jsonLine(message: LoggedMessage, shard: number): string {
  const { queue, partition, offset, fate, key, headers, options, body, publishedAtMs } = message;
  const { index, term, path, byte } = message;
  return JSON.stringify({
    queue,
    partition,
    offset,
    state: fate,
    key: key ?? null,
    headers,
    options,
    ...bodyOf(body),
    publishedAt: new Date(publishedAtMs).toISOString(),
    shard,
    index,
    term,
    file: path,
    byte,
  });
}

const titles = "     offset  state         index  queue/partition   key       body";

function textLine(message: LoggedMessage, columns: number): string {
  const { queue, partition, offset, fate, key, body, index } = message;
  const name = queue === null ? "?" : `${oneLine(queue, 48)}/${partition}`;
  const shown = bodyOf(body).body ?? `(${body.length} bytes)`;
  const line = [
    String(offset ?? "-").padStart(11),
    fate.padEnd(9),
    String(index).padStart(8),
    name.padEnd(16),
    (key === undefined ? "-" : oneLine(key, 48)).padEnd(8),
    shown,
  ].join("  ");
  return oneLine(line, columns);
}

/** Collects lines, so that a long list is not as many writes. */
class LineWriter {
  readonly #terminal: Terminal;
  #text = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  async line(text: string): Promise<void> {
    this.#text += text + "\n";
    if (this.#text.length < writeBytes) return;
    await this.flush();
    this.#terminal.interrupted.throwIfAborted();
  }

  async flush(): Promise<void> {
    await this.#terminal.stdout.write(new TextEncoder().encode(this.#text));
    this.#text = "";
  }
}

async function dump(
  { files, directory, shards }: DataView,
  queue: string | undefined,
  json: boolean,
  terminal: Terminal,
): Promise<void> {
  const { columns, isTerminal, paint } = terminal.stdout;
  const out = new LineWriter(terminal);
  if (!json) await out.line(paint.dim(titles));
  let isKnown = queue === undefined;
  for (const shard of shards) {
    const messages = new LoggedMessages(files, `${directory}/shard-${shard}`, shard);
    for (const message of messages.read(queue)) {
      const width = isTerminal ? columns : Infinity;
      await out.line(json ? jsonLine(message, shard) : textLine(message, width));
    }
    isKnown ||= messages.queues.has(queue!);
  }
  if (!isKnown) {
    throw new CommandError(
      `there is no queue ${
        JSON.stringify(queue)
      } in ${directory}: without --queue, flowmq log dump ` +
        "shows all that is there",
      ExitCode.notFound,
    );
  }
  await out.flush();
}

/** `flowmq log dump`. */
export const logDump = defineCommand({
  name: "log dump",
  summary: "Print the messages in the log of a node, from its data directory",
  synonyms: ["dump", "log cat", "log print", "log export", "export"],
  description: [
    "Reads the files; the node may be running or stopped. Nothing is written, and no lock is taken. " +
    "Messages come in the order of the log, those of one shard after those of another.",
    "The state of a message is ready, leased or acked; duplicate for the repetition of a publish; " +
    "refused where the queue did not take it; gone where it was acked, or its queue deleted, so long " +
    "ago that nothing else is known of it. What no longer is in the log is not shown. On a node of a " +
    "cluster, the last entries may be ones that are not committed yet.",
    "With --json each line is an object with queue, partition, offset, state, key, headers, options, " +
    "body, publishedAt, shard, index, term, file and byte, the last two of the record; a body that is not " +
    "UTF-8 is there as bodyBase64 instead.",
  ],
  positionals: [{ name: "DIR", help: "The data directory of a node." }],
  flags: {
    queue: textFlag({ valueName: "QUEUE", help: "Only the messages of this queue." }),
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq log dump ./flowmq-data", note: "All messages." },
    {
      command:
        "flowmq log dump ./flowmq-data --queue mail --json | jq 'select(.state != \"acked\")'",
      note: "What is not done with.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    using view = openDataView(positionals[0]!);
    await dump(view, values.queue, values.json, terminal);
    return ExitCode.ok;
  },
});
