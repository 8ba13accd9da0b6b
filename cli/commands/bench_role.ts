/**
 * `flowmq bench-role`: a process of the bare pipeline that `flowmq bench --limit` measures against.
 * Not for people.
 *
 * @module
 */

import { runFollower, runLeader } from "../bench/pipeline_roles.ts";
import { defineCommand } from "../command.ts";
import type { ExitCode } from "../exit_codes.ts";
import { UsageError } from "../failures.ts";
import { parseInteger } from "../flag_values.ts";

/** `flowmq bench-role`. */
export const benchRole = defineCommand({
  name: "bench-role",
  summary: "Be a process of the bare pipeline",
  description: ["Started by flowmq bench --limit. Prints its port and serves until it is killed."],
  hidden: true,
  positionals: [
    { name: "ROLE", help: "leader or follower." },
    { name: "FILE", help: "Where it appends; emptied first." },
    { name: "PORT", help: "For the leader: the first follower's port.", optional: true },
    { name: "PORT", help: "For the leader: the second follower's port.", optional: true },
  ],
  flags: {},
  examples: [{ command: "flowmq bench-role follower ./follower-1", note: "A follower." }],

  async run({ positionals: [role, file, ...ports] }, terminal): Promise<ExitCode> {
    function tellPort(port: number): void {
      terminal.stdout.line(String(port));
    }
    // It must not outlive the program that started it.
    void (async () => {
      for await (const _ of terminal.stdin) { /* dropped */ }
      Deno.exit(0);
    })();
    if (role === "follower") return await runFollower(file!, tellPort);
    if (role !== "leader") throw new UsageError(`unknown role ${JSON.stringify(role)}`);
    const bounds = { minimum: 1, maximum: 65_535 };
    return await runLeader(file!, ports.map((port) => parseInteger(port, bounds)), tellPort);
  },
});
