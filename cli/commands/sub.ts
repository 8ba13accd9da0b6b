/**
 * `flowmq sub`: messages to stdout.
 *
 * @module
 */

import type { Client, Delivery } from "../../mod.ts";
import { LeaseExpiredError } from "../../client/errors.ts";
import { prefetchMax } from "../../wire/limits.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { deliveryRecord } from "../delivery_record.ts";
import { DeliveryPrinter } from "../delivery_printer.ts";
import { describeError } from "../describe_error.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError } from "../failures.ts";
import { type FlagValues, integerFlag, switchFlag } from "../flags.ts";
import { formatCount, formatMany } from "../format.ts";
import { Stoppable } from "../stoppable.ts";
import type { Terminal } from "../terminal.ts";
import { aborted, interruptGrace } from "../waiting.ts";

const lineEnd = Uint8Array.of(10);
const prefetchDefault = 256;

const flags = {
  count: integerFlag({ help: "Stop after this many messages.", minimum: 1 }),
  noWait: switchFlag({ help: "Stop when the queue has nothing ready." }),
  prefetch: integerFlag({
    help: "How many messages may be on their way to this command and not acked yet.",
    defaultText: `${prefetchDefault}, with --no-ack ${prefetchMax}`,
    minimum: 1,
    maximum: prefetchMax,
  }),
  noAck: switchFlag({
    help: "Print without acking: all messages return to the queue when the command ends.",
  }),
  ...clientFlags,
  json: jsonFlag,
};

/** How many messages to take at most, and how many at once. */
function limitsOf(values: FlagValues<typeof flags>): { countMax: number; prefetch: number } {
  const wanted = values.prefetch ?? (values.noAck ? prefetchMax : prefetchDefault);
  const countMax = values.count ?? Infinity;
  // What is never acked is held to the end: there is no more than the server lets one hold.
  return {
    countMax: values.noAck ? Math.min(countMax, wanted) : countMax,
    prefetch: Math.min(wanted, countMax),
  };
}

async function print(
  client: Client,
  queueName: string,
  values: FlagValues<typeof flags>,
  terminal: Terminal,
): Promise<ExitCode> {
  const { countMax, prefetch } = limitsOf(values);
  const encoder = new TextEncoder();
  let late = 0;
  let ackFailure: unknown;
  const printer = new DeliveryPrinter<Delivery>({
    format: values.json
      ? (delivery) => [encoder.encode(JSON.stringify(deliveryRecord(delivery)) + "\n")]
      : (delivery) => [delivery.body, lineEnd],
    write: (bytes) => terminal.stdout.write(bytes),
    ack: !values.noAck,
    onAckFailed(error) {
      if (error instanceof LeaseExpiredError) late++;
      else ackFailure ??= error;
    },
  });

  const consumer = client.queue(queueName).consume({ prefetch, drain: values.noWait });
  const deliveries = new Stoppable(consumer);
  void Promise.race([aborted(terminal.interrupted), printer.broken]).then(() => deliveries.stop());
  const grace = interruptGrace(terminal.interrupted);
  let taken = 0;
  try {
    while (taken < countMax) {
      const next = await deliveries.next();
      if (next.done) break;
      taken++;
      printer.print(next.value);
    }
  } finally {
    // Leaving returns what is not acked, so everything printed has to be acked before.
    try {
      await Promise.race([printer.finish(), grace]);
    } finally {
      await Promise.race([consumer.close(), grace]);
    }
  }

  if (ackFailure !== undefined) {
    const { line, exitCode } = describeError(ackFailure);
    throw new CommandError(`some messages may come again: ${line}`, exitCode);
  }
  if (late > 0) {
    terminal.stderr.line(
      `${formatMany(late, "message")} took longer to write than the queue's lease and may come ` +
        "again: a lower --prefetch helps",
    );
  }
  if (values.noAck && taken === prefetch && taken !== values.count) {
    terminal.stderr.line(
      `stopped after ${formatCount(taken)} messages, as many as can be held without acking`,
    );
  }
  const short = values.count !== undefined && taken < values.count;
  return terminal.interrupted.aborted && short ? ExitCode.interrupted : ExitCode.ok;
}

/** `flowmq sub`. */
export const sub = defineCommand({
  name: "sub",
  summary: "Print messages as they come, and ack each one once it is written",
  synonyms: ["subscribe", "consume", "receive", "get", "pull", "read", "recv"],
  description: [
    "Prints each body and a line end, until Ctrl-C. A message is acked only after its bytes were " +
    "written; whatever was not written when the command ends, or the pipe behind it closes, goes to " +
    "another consumer. Several subs of one queue share its messages, one by one in turn.",
    "With --json each line is an object with queue, partition, offset, key, headers, body, " +
    "deliveryCount and publishedAt; a body that is not UTF-8 is there as bodyBase64 instead.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags,
  examples: [
    { command: "flowmq sub logs", note: "Every message, as it comes." },
    { command: "flowmq sub logs --json | jq .headers", note: "With all that is known about it." },
    { command: "flowmq sub jobs --count 1 --no-wait", note: "One message, if there is one." },
    { command: "flowmq sub jobs --no-ack --no-wait", note: "Look, but do not take." },
  ],

  run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    return withClient(
      values,
      terminal,
      "flowmq sub",
      (client) => print(client, positionals[0]!, values, terminal),
    );
  },
});
