/**
 * The executable: `flowmq COMMAND …`. Everything it can do is in `cli/`.
 *
 * @module
 */

import { ExitCode } from "./cli/exit_codes.ts";
import { run } from "./cli/run.ts";
import { processTerminal } from "./cli/terminal.ts";

if (import.meta.main) {
  const terminal = processTerminal(() => Deno.exit(ExitCode.interrupted));
  Deno.exit(await run(Deno.args, terminal));
}
