/**
 * `flowmq pub`: messages from the command line, or from a pipe.
 *
 * @module
 */

import { toBytes } from "@std/streams";
import {
  formatMessageId,
  MessageTooLargeError,
  type NamedProducer,
  type PublishMessageOptions,
  type Queue,
  type Receipt,
} from "../../mod.ts";
import { delayMsMax, frameBytesMax, priorityMax } from "../../wire/limits.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { describeError } from "../describe_error.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError, UsageError } from "../failures.ts";
import {
  durationFlag,
  type FlagValues,
  headersFlag,
  integerFlag,
  switchFlag,
  textFlag,
  timeFlag,
} from "../flags.ts";
import { formatBytes, formatCount, formatMany, formatMs } from "../format.ts";
import { LineTooLongError, readLines } from "../lines.ts";
import { ProgressLine } from "../progress.ts";
import { PublishWindow } from "../publish_window.ts";
import { Stoppable } from "../stoppable.ts";
import type { Terminal } from "../terminal.ts";
import { aborted, interruptGrace } from "../waiting.ts";

/** Enough to keep three nodes busy, little enough for any machine's memory. */
const windowLimits = { messagesMax: 16_384, bytesMax: 8 * 1024 * 1024 };

const flags = {
  key: textFlag({
    help: "Messages with the same key go to the same partition, so they keep their order.",
  }),
  header: headersFlag({ short: "H", help: "A header of every message." }),
  delay: durationFlag({
    help: "Nobody gets a message before so much time has passed.",
    maximumMs: delayMsMax,
  }),
  at: timeFlag({ help: "Nobody gets a message before this time." }),
  ttl: durationFlag({
    help: "A message expires after so much time, if nobody holds it then.",
    minimumMs: 1,
    maximumMs: delayMsMax,
  }),
  priority: integerFlag({
    help: "From 0 to 9: messages of a higher priority are delivered first.",
    minimum: 0,
    maximum: priorityMax,
  }),
  unique: textFlag({
    help:
      "Not again until acked: while a message with this text is in the queue, its place is the answer.",
  }),
  lines: switchFlag({ help: "Each line of stdin is a message: so it is where no BODY is given." }),
  whole: switchFlag({ help: "All of stdin is one message, byte by byte." }),
  producer: textFlag({
    valueName: "NAME",
    help: "Publish as this producer, whose messages are numbered, in one partition.",
  }),
  sequence: integerFlag({
    help: "With --producer, the number of the first message: those that are stored are left out.",
    defaultText: "the next one",
    minimum: 0,
  }),
  partition: integerFlag({
    help: "With --producer, the partition that it publishes to.",
    defaultText: "0",
    minimum: 0,
  }),
  noCreate: switchFlag({ help: "Do not make the queue if it does not exist." }),
  ...clientFlags,
  json: jsonFlag,
};

/** Where bodies come from, and what one is called in messages to people. */
interface Source {
  readonly bodies: AsyncIterable<Uint8Array>;
  readonly noun: "message" | "line";
}

function publishOptions(values: FlagValues<typeof flags>): PublishMessageOptions {
  const { key, header, delay, at, ttl, priority, unique, noCreate } = values;
  if (delay !== undefined && at !== undefined) {
    throw new UsageError("--delay and --at exclude each other");
  }
  for (const name of ["sequence", "partition"] as const) {
    if (values[name] !== undefined && values.producer === undefined) {
      throw new UsageError(`--${name} needs --producer`);
    }
  }
  return {
    ...(key === undefined ? {} : { key }),
    ...(header.length === 0 ? {} : { headers: Object.fromEntries(header) }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(at === undefined ? {} : { at }),
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
    ...(priority === undefined ? {} : { priority }),
    ...(unique === undefined ? {} : { unique }),
    create: !noCreate,
  };
}

/** A receipt, and the number that a named producer gave the message; of an older one only that. */
type Numbered = Partial<Receipt> & { readonly sequence?: number };

async function openProducer(
  queue: Queue,
  { producer, partition = 0, noCreate }: FlagValues<typeof flags>,
): Promise<NamedProducer | undefined> {
  if (producer === undefined) return undefined;
  return await queue.producer(producer, { partition, create: !noCreate });
}

/** Gives the messages of a named producer their numbers; `undefined` where there is none. */
function numbered(
  producer: NamedProducer | undefined,
  first: number | undefined,
): (body: Uint8Array, options: PublishMessageOptions) => Promise<Numbered> | undefined {
  if (producer === undefined) return () => undefined;
  let next = first ?? producer.nextSequence;
  return async (body, options) => {
    const sequence = next++;
    return { sequence, ...await producer.publish(body, { ...options, sequence }) };
  };
}

async function* single(body: Uint8Array | Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await body;
}

function sourceOf(
  body: string | undefined,
  values: { readonly lines: boolean; readonly whole: boolean },
  terminal: Terminal,
): Source {
  if (values.lines && values.whole) throw new UsageError("--lines and --whole exclude each other");
  if (body !== undefined) {
    if (values.lines || values.whole) {
      throw new UsageError(
        `${values.lines ? "--lines" : "--whole"} reads stdin: leave BODY ` +
          `${JSON.stringify(body)} out`,
      );
    }
    return { bodies: single(new TextEncoder().encode(body)), noun: "message" };
  }
  if (values.whole) {
    return { bodies: single(toBytes(terminal.stdin) as Promise<Uint8Array>), noun: "message" };
  }
  if (terminal.stdinIsTerminal) {
    terminal.stderr.line(terminal.stderr.paint.dim("One message a line; Ctrl-D ends."));
  }
  return { bodies: readLines(terminal.stdin, frameBytesMax), noun: "line" };
}

/** Says which message was refused and why: `line 17: …`. */
function describeFailure(
  failure: { readonly number: number; readonly error: unknown },
  source: Source,
): { line: string; exitCode: ExitCode } {
  const where = source.noun === "line" ? `line ${failure.number}` : "the message";
  const { error } = failure;
  if (error instanceof MessageTooLargeError) {
    return {
      line:
        `${where} has ${formatCount(error.bytes)} bytes with key and headers, the server takes ` +
        `up to ${formatCount(error.bytesMax)} (flowmq serve --message-bytes-max)`,
      exitCode: ExitCode.refused,
    };
  }
  const { line, exitCode } = describeError(error);
  return { line: `${where} was not confirmed: ${line}`, exitCode };
}

/** `flowmq pub`. */
export const pub = defineCommand({
  name: "pub",
  summary: "Publish messages: an argument, the lines of a pipe, or a whole file",
  synonyms: ["publish", "send", "put", "push", "produce"],
  description: [
    "Without BODY each line of stdin becomes a message, as soon as it is there; a line ends with " +
    "\\n or \\r\\n. Ends when every message is confirmed, which means that it is on the disks of a " +
    "majority of the nodes. The first message that cannot be confirmed ends the command, with an " +
    "exit code that says so; how many were confirmed is always told.",
  ],
  positionals: [
    { name: "QUEUE", help: "The queue; it is made if it does not exist." },
    { name: "BODY", help: "The message. Without it, messages come from stdin.", optional: true },
  ],
  flags,
  examples: [
    { command: "flowmq pub greetings 'hello world'", note: "One message." },
    { command: "tail -f app.log | flowmq pub logs", note: "Each line as it is written." },
    {
      command: "flowmq pub images --whole -H type:image/png < photo.png",
      note: "A file as one message, with a header.",
    },
    { command: "flowmq pub mails 'Your coffee is cold' --delay 10m", note: "Not yet." },
    {
      command: "flowmq pub reports monthly --at 2027-01-01T06:00 --unique monthly",
      note: "At a time, here where no zone is given; and once, however often this is run.",
    },
    {
      command: "flowmq pub orders --producer import-7 --sequence 0 < orders.txt",
      note: "Each line exactly once, also when this is run again after a crash.",
    },
    { command: "flowmq pub numbers -- -5", note: "A body that starts with a dash." },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const [queueName, body] = positionals;
    const source = sourceOf(body, values, terminal);
    const options = publishOptions(values);
    return await withClient(values, terminal, "flowmq pub", async (client) => {
      const queue = client.queue(queueName!);
      await using producer = await openProducer(queue, values);
      const next = numbered(producer, values.sequence);
      const startedAt = performance.now();
      using progress = new ProgressLine(terminal.stderr);
      let known = 0;
      let lastId: string | undefined;
      const window = new PublishWindow<Numbered>(
        (message) => next(message, options) ?? queue.publish(message, options),
        windowLimits,
        (number, receipt) => {
          const { partition, offset } = receipt;
          const isPlaced = partition !== undefined && offset !== undefined;
          if (!isPlaced) known++;
          lastId = isPlaced ? formatMessageId({ queue: queueName!, partition, offset }) : undefined;
          if (values.json) {
            const record = { message: number, id: lastId, queue: queueName, ...receipt };
            terminal.stdout.line(JSON.stringify(record));
          }
          progress.update(() => {
            const seconds = (performance.now() - startedAt) / 1_000;
            return `${formatMany(window.confirmed, "message")} confirmed, ` +
              `${formatBytes(window.confirmedBytes)}, ` +
              `${formatCount(window.confirmed / seconds)} a second`;
          });
        },
      );

      const bodies = new Stoppable(source.bodies);
      const grace = interruptGrace(terminal.interrupted);
      void aborted(terminal.interrupted).then(() => bodies.stop());
      let tooLong: LineTooLongError | undefined;
      try {
        for await (const message of bodies) {
          const room = window.add(message);
          if (room !== undefined) await Promise.race([room, grace]);
          if (window.firstFailure !== undefined) break;
        }
      } catch (error) {
        if (!(error instanceof LineTooLongError)) throw error;
        tooLong = error;
      }
      await Promise.race([window.settled(), grace]);
      progress.clear();

      const ms = performance.now() - startedAt;
      const confirmed = `${formatMany(window.confirmed, "message")} confirmed`;
      if (window.firstFailure !== undefined) {
        const { line, exitCode } = describeFailure(window.firstFailure, source);
        throw new CommandError(
          window.published === 1
            ? line
            : `${confirmed}, ${formatCount(window.failed)} not confirmed: ${line}`,
          exitCode,
        );
      }
      if (tooLong !== undefined) {
        throw new CommandError(
          `${confirmed}; line ${tooLong.lineNumber} has more than ` +
            `${formatCount(frameBytesMax)} bytes, and no server takes that`,
          ExitCode.refused,
        );
      }
      if (window.confirmed < window.published) {
        throw new CommandError(
          `${confirmed}, ${formatCount(window.published - window.confirmed)} on their way: their ` +
            "fate is unknown",
          ExitCode.interrupted,
        );
      }
      if (!values.json) {
        const where = window.confirmed === 1 && lastId !== undefined
          ? `as ${lastId}`
          : `by queue ${queueName}`;
        const before = known === 0 ? "" : `, ${formatCount(known)} of them stored before`;
        terminal.stderr.line(
          `${confirmed} ${where}: ${formatBytes(window.confirmedBytes)} in ` +
            `${formatMs(ms)}, ${formatCount(window.confirmed / (ms / 1_000))} a second${before}`,
        );
      }
      return terminal.interrupted.aborted ? ExitCode.interrupted : ExitCode.ok;
    });
  },
});
