/**
 * `flowmq sub`: messages to stdout.
 *
 * @module
 */

import type { Client, Delivery } from "../../mod.ts";
import { LeaseExpiredError } from "../../client/errors.ts";
import { clientLimits } from "../../client/options.ts";
import { QUEUE_SETTINGS } from "../../queue/mod.ts";
import { delayMsMax, prefetchMax } from "../../wire/limits.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { deliveryRecord } from "../delivery_record.ts";
import { DeliveryPrinter } from "../delivery_printer.ts";
import { describeError } from "../describe_error.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError, UsageError } from "../failures.ts";
import {
  durationFlag,
  type FlagValues,
  integerFlag,
  integersFlag,
  switchFlag,
  textFlag,
} from "../flags.ts";
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
  partitions: integersFlag({
    help: "Take from these partitions only, each named once. Others may take from the rest.",
    defaultText: "all, and those that the queue gets",
    minimum: 0,
    maximum: QUEUE_SETTINGS.partitions.max - 1,
  }),
  noAck: switchFlag({
    help: "Print without acking: all messages return to the queue when the command ends.",
  }),
  reject: textFlag({
    valueName: "REASON",
    help: "Reject each message for this reason: it goes to the dead-letter queue.",
  }),
  nack: textFlag({
    valueName: "REASON",
    help: "Give each message back for this reason: it comes again, later each time.",
  }),
  delay: durationFlag({
    help: "With --nack, how long until a message comes again.",
    maximumMs: delayMsMax,
  }),
  lease: durationFlag({
    help: "How long a message may be held before it goes to another consumer.",
    defaultText: "as the queue's settings say",
    minimumMs: clientLimits.leaseMsMin,
    maximumMs: clientLimits.leaseMsMax,
  }),
  ...clientFlags,
  json: jsonFlag,
};

/** What the queue is told about each message that is written. */
function settlerOf(
  { noAck, nack, reject, delay }: FlagValues<typeof flags>,
): ((delivery: Delivery) => Promise<unknown>) | undefined {
  const given = [
    noAck && "--no-ack",
    nack !== undefined && "--nack",
    reject !== undefined && "--reject",
  ]
    .filter((name) => name !== false);
  if (given.length > 1) throw new UsageError(`${given.join(" and ")} exclude each other`);
  if (delay !== undefined && nack === undefined) throw new UsageError("--delay needs --nack");
  if (noAck) return undefined;
  if (reject !== undefined) return (delivery) => delivery.reject(reject);
  if (nack === undefined) return (delivery) => delivery.ack();
  const options = { reason: nack, ...(delay === undefined ? {} : { delayMs: delay }) };
  return (delivery) => delivery.nack(options);
}

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

/** The partitions to take from, where they are named. */
function partitionsOf(values: FlagValues<typeof flags>): { partitions?: readonly number[] } {
  const { partitions } = values;
  if (partitions === undefined) return {};
  if (new Set(partitions).size < partitions.length) {
    throw new UsageError("--partitions names a partition twice");
  }
  return { partitions };
}

async function print(
  client: Client,
  queueName: string,
  values: FlagValues<typeof flags>,
  settle: ((delivery: Delivery) => Promise<unknown>) | undefined,
  terminal: Terminal,
): Promise<ExitCode> {
  const { countMax, prefetch } = limitsOf(values);
  const encoder = new TextEncoder();
  let late = 0;
  let settleFailure: unknown;
  const printer = new DeliveryPrinter<Delivery>({
    format: values.json
      ? (delivery) => [encoder.encode(JSON.stringify(deliveryRecord(delivery)) + "\n")]
      : (delivery) => [delivery.body, lineEnd],
    write: (bytes) => terminal.stdout.write(bytes),
    settle,
    onSettleFailed(error) {
      if (error instanceof LeaseExpiredError) late++;
      else settleFailure ??= error;
    },
  });

  const consumer = client.queue(queueName).consume({
    prefetch,
    drain: values.noWait,
    ...(values.lease === undefined ? {} : { leaseMs: values.lease }),
    ...partitionsOf(values),
  });
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
    // Leaving returns what is not settled, so everything printed has to be settled before.
    try {
      await Promise.race([printer.finish(), grace]);
    } finally {
      await Promise.race([consumer.close(), grace]);
    }
  }

  if (settleFailure !== undefined) {
    const { line, exitCode } = describeError(settleFailure);
    throw new CommandError(`some messages may come again: ${line}`, exitCode);
  }
  if (late > 0) {
    terminal.stderr.line(
      `${formatMany(late, "message")} took longer to write than the lease and may come ` +
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
    "With --json each line is an object with queue, partition, offset, key, headers, options, body, " +
    "deliveryCount and publishedAt; a body that is not UTF-8 is there as bodyBase64 instead.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags,
  examples: [
    { command: "flowmq sub logs", note: "Every message, as it comes." },
    { command: "flowmq sub logs --json | jq .headers", note: "With all that is known about it." },
    { command: "flowmq sub jobs --count 1 --no-wait", note: "One message, if there is one." },
    { command: "flowmq sub jobs --no-ack --no-wait", note: "Look, but do not take." },
    { command: "flowmq sub jobs --partitions 0,2", note: "From two of its partitions." },
    {
      command: "flowmq sub jobs --count 1 --reject 'no such user'",
      note: "Get a message out of the way that nobody can handle.",
    },
  ],

  run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const settle = settlerOf(values);
    return withClient(
      values,
      terminal,
      "flowmq sub",
      (client) => print(client, positionals[0]!, values, settle, terminal),
    );
  },
});
