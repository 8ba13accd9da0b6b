/**
 * `flowmq version`.
 *
 * @module
 */

import { version as programVersion } from "../../broker/version.ts";
import { defineCommand } from "../command.ts";
import { jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

/** `flowmq version`. */
export const version = defineCommand({
  name: "version",
  summary: "Print the version",
  description: ["flowmq --version does the same."],
  positionals: [],
  flags: { json: jsonFlag },
  examples: [{ command: "flowmq version", note: "One line." }],

  run({ flags }, terminal): Promise<ExitCode> {
    const { v8, deno } = Deno.version;
    const { target } = Deno.build;
    terminal.stdout.line(
      flags.json
        ? JSON.stringify({ version: programVersion, deno, v8, target })
        : `flowmq ${programVersion} (deno ${deno}, ${target})`,
    );
    return Promise.resolve(ExitCode.ok);
  },
});
