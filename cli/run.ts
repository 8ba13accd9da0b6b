/**
 * From the words of the command line to an exit code: finds the command, reads its arguments, runs
 * it, and turns whatever it throws into one line on stderr.
 *
 * @module
 */

import { parseArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands/mod.ts";
import { describeError } from "./describe_error.ts";
import { closestWord } from "./edit_distance.ts";
import { ExitCode } from "./exit_codes.ts";
import { UsageError } from "./failures.ts";
import { commandHelp, exitCodeHelp, generalHelp, groupHelp } from "./help.ts";
import type { Terminal } from "./terminal.ts";
import { version } from "../broker/version.ts";

/** What the words call. */
type Target =
  | { readonly kind: "command"; readonly command: Command; readonly rest: readonly string[] }
  | { readonly kind: "group"; readonly group: string; readonly commands: readonly Command[] };

/** The command with these words, or the group that they name. */
function findTarget(words: readonly string[]): Target {
  for (const command of commands) {
    const length = command.name.split(" ").length;
    if (words.slice(0, length).join(" ") === command.name) {
      return { kind: "command", command, rest: words.slice(length) };
    }
  }
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const group = commands.filter((command) => command.name.startsWith(name + " "));
    if (group.length === 0) continue;
    const next = words[length] ?? "";
    if (next !== "" && !isHelpWord(next)) throw new UsageError(unknownIn(group, name, next));
    return { kind: "group", group: name, commands: group };
  }
  throw new UsageError(unknownWord(words[0] ?? ""));
}

function unknownIn(group: readonly Command[], first: string, second: string): string {
  const known = group.flatMap((command) => [command.name, ...(command.synonyms ?? [])]);
  const close = closestWord(second, known.map((name) => name.replace(`${first} `, "")));
  const meant = group.find((command) =>
    command.name === `${first} ${close}` || command.synonyms?.includes(`${first} ${close}`)
  );
  return `unknown command ${JSON.stringify(`${first} ${second}`)}; ` +
    (meant === undefined ? `see flowmq ${first} --help` : `did you mean flowmq ${meant.name}?`);
}

function unknownWord(word: string): string {
  if (word.startsWith("-")) {
    return `unknown flag ${word} before a command: the command comes first (see flowmq --help)`;
  }
  const shown = commands.filter((command) => command.hidden !== true);
  const known = shown.flatMap((command) => [
    command.name.split(" ")[0]!,
    ...(command.synonyms ?? []),
  ]);
  const close = closestWord(word, known);
  const meant = shown.find((command) => command.synonyms?.includes(close ?? ""))?.name ?? close;
  return `unknown command ${JSON.stringify(word)}; ` +
    (meant === undefined ? "flowmq --help lists them all" : `did you mean flowmq ${meant}?`);
}

function isHelpWord(word: string): boolean {
  return word === "--help" || word === "-h";
}

function showHelp(words: readonly string[], terminal: Terminal): void {
  const style = { columns: terminal.stdout.columns, paint: terminal.stdout.paint };
  const lines = words.length === 0
    ? generalHelp(commands, version, style)
    : words[0] === "exit-codes"
    ? exitCodeHelp(style)
    : targetHelp(findTarget(words), style);
  terminal.stdout.text(lines.join("\n") + "\n");
}

function targetHelp(target: Target, style: Parameters<typeof generalHelp>[2]): string[] {
  return target.kind === "command"
    ? commandHelp(target.command, style)
    : groupHelp(target.group, target.commands, style);
}

async function dispatch(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [first] = words;
  if (first === undefined || isHelpWord(first)) {
    showHelp([], terminal);
    return ExitCode.ok;
  }
  if (first === "help") {
    showHelp(words.slice(1).filter((word) => !isHelpWord(word)), terminal);
    return ExitCode.ok;
  }
  const target = findTarget(first === "--version" || first === "-V" ? ["version"] : words);
  if (target.kind === "group") {
    showHelp(target.group.split(" "), terminal);
    return ExitCode.ok;
  }
  const { command, rest } = target;
  const end = rest.indexOf("--");
  if (rest.slice(0, end < 0 ? rest.length : end).some(isHelpWord)) {
    showHelp(command.name.split(" "), terminal);
    return ExitCode.ok;
  }
  const args = parseArguments(rest, command, (name) => terminal.environment(name));
  return await command.run(args, terminal);
}

/**
 * Runs the program.
 *
 * @param words The command line, without the name of the program.
 * @param terminal The world.
 * @returns The exit code; every failure has been told on stderr.
 */
export async function run(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    return await dispatch(words, terminal);
  } catch (error) {
    // Whoever read our output has had enough: `flowmq queue ls | head -1`.
    if (error instanceof Deno.errors.BrokenPipe) return ExitCode.ok;
    if (terminal.interrupted.aborted && isAbort(error)) return ExitCode.interrupted;
    const { line, exitCode } = describeError(error);
    const { bold, red } = terminal.stderr.paint;
    terminal.stderr.line(`${bold("flowmq:")} ${red(line)}`);
    if (terminal.environment("FLOWMQ_STACK") === "1" && error instanceof Error) {
      terminal.stderr.line(error.stack ?? "");
    }
    return exitCode;
  }
}

/** Whether something was given up because it should be, and not because it went wrong. */
function isAbort(error: unknown): boolean {
  if (error instanceof SuppressedError) return isAbort(error.suppressed);
  return error instanceof DOMException && error.name === "AbortError";
}
