/**
 * `flowmq demo`: the product in one minute.
 *
 * @module
 */

import { frameBytesMax } from "../../wire/limits.ts";
import { defineCommand } from "../command.ts";
import { jsonFlag } from "../common_flags.ts";
import { DemoNarrator } from "../demo_narrator.ts";
import { playDemo, silence } from "../demo_run.ts";
import { licenceLines } from "../demo_text.ts";
import { ExitCode } from "../exit_codes.ts";
import { CommandError } from "../failures.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { readLines } from "../lines.ts";

const linesDefault = 20_000;
/** How long publishing takes where no rate is given: long enough to watch. */
const secondsDefault = 8;

/** Reads the text; each line is a message. */
async function readText(path: string): Promise<Uint8Array[]> {
  let file;
  try {
    file = await Deno.open(path);
    const lines = await Array.fromAsync(readLines(file.readable, frameBytesMax));
    if (lines.length === 0) throw new CommandError(`${path} has no lines`);
    return lines;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new CommandError(`cannot read ${path}: ${reason}`, ExitCode.failed, { cause: error });
  }
}

/** As many bodies as asked for, from the beginning again where the text ends. */
function repeated(lines: readonly Uint8Array[], count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => lines[i % lines.length]!);
}

/** `flowmq demo`. */
export const demo = defineCommand({
  name: "demo",
  summary: "Watch three nodes lose their leader, and no message",
  synonyms: ["example", "try", "tour"],
  description: [
    "Starts nodes on this machine, publishes a text line by line, lets two consumers share it, kills " +
    "the leader with SIGKILL in the middle, starts it again, and checks every message. All of it is " +
    "real: processes, sockets, synced files in a temporary directory that is removed in the end, unless " +
    "something went wrong.",
    "The exit code is 0 only if no confirmed message was lost, no acked message came again, and nothing " +
    "failed or stood still on the way.",
  ],
  positionals: [],
  flags: {
    file: textFlag({ valueName: "FILE", help: "The text; without it, the licence of FlowMQ." }),
    lines: integerFlag({
      help: "How many messages; the text is repeated or cut.",
      defaultText: `all lines of FILE, or ${linesDefault}`,
      minimum: 100,
      maximum: 50_000_000,
    }),
    nodes: integerFlag({ help: "How many nodes.", minimum: 3, maximum: 9, default: 3 }),
    rate: integerFlag({
      help: "How many messages are published in a second.",
      defaultText: `so that it takes ${secondsDefault} seconds`,
      minimum: 100,
    }),
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq demo", note: "The licence, 20,000 lines of it." },
    { command: "flowmq demo --file access.log --rate 20000", note: "A text of your own, faster." },
    { command: "flowmq demo --json", note: "Only the verdict, for a script." },
  ],

  async run({ flags: values }, terminal): Promise<ExitCode> {
    const { file } = values;
    const text = file === undefined
      ? licenceLines.map((line) => new TextEncoder().encode(line))
      : await readText(file);
    const count = values.lines ?? (file === undefined ? linesDefault : Math.max(100, text.length));
    const narrator = new DemoNarrator(
      terminal.stdout,
      count,
      file === undefined ? "lines of the MIT licence" : `lines of ${file}`,
    );
    if (!values.json) narrator.begin(values.nodes);
    const result = await playDemo(
      {
        bodies: repeated(text, count),
        nodes: values.nodes,
        ratePerSecond: values.rate ?? Math.max(2_000, Math.ceil(count / secondsDefault)),
        signal: terminal.interrupted,
      },
      values.json ? silence : narrator,
    );
    if (values.json) terminal.stdout.line(JSON.stringify(result));
    else narrator.end(result);
    const isGood = result.verdict.ok && result.failure === undefined;
    return isGood ? ExitCode.ok : ExitCode.failed;
  },
});
