/**
 * `flowmq queue replay`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { UsageError } from "../failures.ts";
import { pastTimeFlag } from "../flags.ts";
import { formatMany } from "../format.ts";

/** `flowmq queue replay`. */
export const queueReplay = defineCommand({
  name: "queue replay",
  summary: "Put messages back that were acked since some time",
  synonyms: ["queue rewind", "replay", "queue restore"],
  description: [
    "The queue must remember: flowmq queue edit QUEUE --history 10m. Messages come back as new ones, " +
    "behind those that are there, each in the partition that it was in and in the order in which they " +
    "were published; the header flowmq-replayed-from tells the id that each had. Each comes back once, " +
    "whatever fails on the way. Said again, the command brings back what was acked since.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: {
    since: pastTimeFlag({ help: "Messages that were acked at this time or later." }),
    ...clientFlags,
    json: jsonFlag,
  },
  examples: [
    {
      command: "flowmq queue replay orders --since 10m",
      note: "What the new release has acked, for the old one to do over.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const { since } = values;
    if (since === undefined) throw new UsageError("--since is missing: such as --since 10m");
    const { count, sinceMs } = await withClient(
      values,
      terminal,
      "flowmq queue replay",
      (client) => client.queue(name).replay({ since }),
    );
    const remembersSince = new Date(sinceMs).toISOString();
    if (values.json) {
      terminal.stdout.line(JSON.stringify({ name, replayed: count, remembersSince }));
      return ExitCode.ok;
    }
    terminal.stdout.line(`${formatMany(count, "message")} on the way back into queue ${name}`);
    if (sinceMs > since) {
      terminal.stderr.line(
        `queue ${name} remembers since ${remembersSince}: what was acked before stays acked`,
      );
    }
    return ExitCode.ok;
  },
});
