/**
 * `deno task compile`: makes the stand-alone executable `dist/flowmq`.
 *
 * `deno compile` downloads a runtime base from Deno's release server. Where that is out of reach, a
 * script beside the checkout that brings its own base takes the same arguments.
 *
 * @module
 */

import { v8Flags } from "./memory.ts";

const substitute = new URL("../../shared/deno-compile/deno-compile", import.meta.url).pathname;
const entry = new URL("../main.ts", import.meta.url).pathname;
const output = new URL("../dist/flowmq", import.meta.url).pathname;

const hasSubstitute = await Deno.stat(substitute).then((info) => info.isFile, () => false);
const command = new Deno.Command(hasSubstitute ? substitute : Deno.execPath(), {
  args: [
    ...(hasSubstitute ? [] : ["compile"]),
    "--allow-all",
    v8Flags,
    "--output",
    output,
    entry,
  ],
  cwd: new URL("..", import.meta.url).pathname,
});
const { success } = await command.spawn().status;
if (!success) Deno.exit(1);
const { size } = await Deno.stat(output);
console.log(`dist/flowmq is ready: ${(size / 2 ** 20).toFixed(0)} MiB`);
