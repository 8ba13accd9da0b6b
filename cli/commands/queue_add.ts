/**
 * `flowmq queue add`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { describeSettings, givenSettings, settingFlags } from "../queue_settings.ts";

/** `flowmq queue add`. */
export const queueAdd = defineCommand({
  name: "queue add",
  summary: "Make a queue",
  synonyms: ["queue create", "queue new", "queue make"],
  description: [
    "A queue that exists with the same settings is fine; with other settings it is refused.",
  ],
  positionals: [{ name: "QUEUE", help: "Up to 255 bytes of UTF-8 without control characters." }],
  flags: {
    ...settingFlags,
    ...clientFlags,
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq queue add mail", note: "A queue with the usual settings." },
    {
      command: "flowmq queue add video --partitions 8 --lease 10m",
      note: "For long work by many consumers.",
    },
    {
      command: "flowmq queue add orders --order key",
      note: "One message of each key at a time, in order.",
    },
    {
      command: "flowmq queue add calls --key-rate 10 --key-concurrency 2",
      note: "No key gets more than that, and none waits for another.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const { settings, partitions } = await withClient(
      values,
      terminal,
      "flowmq queue add",
      (client) => client.createQueue(name, givenSettings(values)),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, settings, partitions })
        : `queue ${name} is ready: ${describeSettings(settings)}`,
    );
    return ExitCode.ok;
  },
});
