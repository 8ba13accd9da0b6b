/**
 * Help, made from the commands' tables.
 *
 * @module
 */

import { flagForm, usageLine, variableName } from "./arguments.ts";
import type { Command } from "./command.ts";
import { exitCodeMeanings } from "./exit_codes.ts";
import type { Flag } from "./flags.ts";
import { visibleLength, wrap } from "./format.ts";
import type { Paint } from "./terminal.ts";

/** How wide help may be, and how it is marked up. */
export interface HelpStyle {
  readonly columns: number;
  readonly paint: Paint;
}

const indent = "  ";

/** Two columns: terms, and text that is broken within its own column. */
function glossary(pairs: readonly (readonly [string, string])[], width: number): string[] {
  const termWidth = Math.min(34, Math.max(...pairs.map(([term]) => visibleLength(term))));
  const textWidth = Math.max(30, width - indent.length - termWidth - 2);
  return pairs.flatMap(([term, text]) => {
    const lines = wrap(text, textWidth);
    const first = visibleLength(term) > termWidth ? [indent + term] : [];
    return [
      ...first,
      ...lines.map((line, i) => {
        const left = i === 0 && first.length === 0 ? term : "";
        const space = " ".repeat(termWidth - visibleLength(left));
        return `${indent}${left}${space}  ${line}`.trimEnd();
      }),
    ];
  });
}

function flagTerm(key: string, flag: Flag): string {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  return short + flagForm(key, flag);
}

function flagText(key: string, flag: Flag): string {
  const notes = [
    ...(flag.defaultText === "" ? [] : [`default ${flag.defaultText}`]),
    ...(flag.kind === "list" ? ["may be repeated"] : []),
    variableName(key),
  ];
  return `${flag.help} [${notes.join("; ")}]`;
}

/**
 * Writes the help of one command.
 *
 * @param command Its table.
 * @param style Width and marks.
 * @returns The lines.
 */
export function commandHelp(command: Command, style: HelpStyle): string[] {
  const { bold, cyan } = style.paint;
  const width = Math.min(100, style.columns);
  const lines = [
    `${bold(`flowmq ${command.name}`)}: ${command.summary}`,
    "",
    bold("Usage"),
    indent + usageLine(command),
  ];
  for (const paragraph of command.description) {
    lines.push("", ...wrap(paragraph, width));
  }
  if (command.positionals.length > 0) {
    lines.push("", bold("Arguments"));
    lines.push(...glossary(command.positionals.map(({ name, help }) => [name, help]), width));
  }
  const flags = Object.entries(command.flags);
  if (flags.length > 0) {
    lines.push("", bold("Flags"));
    lines.push(...glossary(
      flags.map(([key, flag]) => [flagTerm(key, flag), flagText(key, flag)]),
      width,
    ));
  }
  lines.push("", bold("Examples"));
  for (const { command: example, note } of command.examples) {
    lines.push(indent + cyan(example), ...wrap(note, width - 6).map((line) => `      ${line}`));
  }
  return lines;
}

/**
 * Writes the list of commands.
 *
 * @param commands Their tables, in the order they are shown; hidden ones are left out.
 * @param version The version of the program.
 * @param style Width and marks.
 * @returns The lines.
 */
export function generalHelp(
  commands: readonly Command[],
  version: string,
  style: HelpStyle,
): string[] {
  const { bold, cyan } = style.paint;
  const width = Math.min(100, style.columns);
  const shown = commands.filter((command) => command.hidden !== true);
  return [
    `${bold("flowmq")} ${version}: a replicated message queue in one executable`,
    "",
    bold("Usage"),
    `${indent}flowmq COMMAND [arguments] [flags]`,
    "",
    bold("Commands"),
    ...glossary(shown.map(({ name, summary }) => [name, summary]), width),
    "",
    bold("A first minute"),
    `${indent}${cyan("flowmq demo")}`,
    `      Three nodes, one killed, nothing lost: watch it.`,
    `${indent}${cyan("flowmq serve &")}`,
    `${indent}${cyan("echo hello | flowmq pub greetings")}`,
    `${indent}${cyan("flowmq sub greetings --count 1")}`,
    `      A node of your own, a message in, the message out.`,
    "",
    ...wrap(
      "flowmq COMMAND --help tells all about a command, flowmq help exit-codes what a script can " +
        "rely on. Every flag can also be set by the variable that its help names.",
      width,
    ),
  ];
}

/**
 * Writes the help of a group of commands such as `queue`.
 *
 * @param group The first word.
 * @param commands The commands that begin with it.
 * @param style Width and marks.
 * @returns The lines.
 */
export function groupHelp(
  group: string,
  commands: readonly Command[],
  style: HelpStyle,
): string[] {
  const { bold } = style.paint;
  return [
    bold("Usage"),
    `${indent}flowmq ${group} COMMAND [arguments] [flags]`,
    "",
    bold("Commands"),
    ...glossary(
      commands.map(({ name, summary }) => [name, summary]),
      Math.min(100, style.columns),
    ),
    "",
    `flowmq ${group} COMMAND --help tells all about one of them.`,
  ];
}

/**
 * Writes what each exit code means.
 *
 * @param style Width and marks.
 * @returns The lines.
 */
export function exitCodeHelp(style: HelpStyle): string[] {
  return [
    style.paint.bold("Exit codes"),
    ...glossary(
      exitCodeMeanings.map(([code, meaning]) => [String(code), meaning]),
      Math.min(100, style.columns),
    ),
  ];
}
