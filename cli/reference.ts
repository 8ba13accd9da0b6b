/**
 * Writes `docs/CLI.md` from the commands' tables:
 *
 * ```sh
 * deno run -A cli/reference.ts > docs/CLI.md && deno fmt docs/CLI.md
 * ```
 *
 * A test compares the file with the tables, so it is never out of date.
 *
 * @module
 */

import { flagForm, usageLine, variableName } from "./arguments.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands/mod.ts";
import { exitCodeMeanings } from "./exit_codes.ts";

const introduction = `\
# The command line

<!-- Written by cli/reference.ts from the commands' tables: change those, then run it again. -->

\`flowmq COMMAND --help\` says the same in the terminal. What holds for every command:

- A flag's value comes from the command line, else from its variable, else from the default. A switch
  is set by a variable that says \`1\`, \`true\`, \`yes\` or \`on\`.
- \`--flag value\` and \`--flag=value\` mean the same; a value that starts with a dash needs the second
  form. Everything behind \`--\` is text.
- Durations have a unit: \`500ms\`, \`10s\`, \`2m\`, \`1h30m\`. Sizes may have one: \`4096\`, \`64KiB\`, \`1MiB\`,
  \`10MB\`.
- Times are like \`2027-01-31T18:00\`, with \`Z\` or \`+01:00\` behind it where it is not that of this
  machine, or \`18:00\`, which is the next one.
- Addresses are \`HOST:PORT\`; an IPv6 host stands in brackets: \`[::1]:7400\`. In \`--server\` the port may
  be left out: it is 7400.
- Results go to stdout, everything else to stderr. With \`--json\` a result is one JSON object a line.
- Colours and progress are for terminals only; \`NO_COLOR=1\` switches colours off there as well.
- A failure is one line on stderr that begins with \`flowmq:\`, and an exit code. \`FLOWMQ_STACK=1\` adds
  where in the program it happened.
- The first Ctrl-C asks a command to end in good order, the second ends it at once.
`;

function escaped(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function flagRows(command: Command): string[][] {
  return Object.entries(command.flags).map(([key, flag]) => {
    const short = flag.short === undefined ? "" : `, -${flag.short}`;
    return [
      `\`${escaped(flagForm(key, flag).replace(/(?= |$)/, short))}\``,
      escaped(flag.help) + (flag.kind === "list" ? " May be repeated." : ""),
      flag.defaultText === "" ? "" : escaped(flag.defaultText),
      `\`${variableName(key)}\``,
    ];
  });
}

function section(command: Command): string {
  const parts = [
    `## flowmq ${command.name}`,
    `${command.summary}.`,
    "```text\n" + usageLine(command) + "\n```",
    ...command.description.map(escapedProse),
  ];
  if (command.positionals.length > 0) {
    parts.push(table(
      ["argument", "meaning"],
      command.positionals.map(({ name, help }) => [`\`${name}\``, escaped(help)]),
    ));
  }
  const flags = flagRows(command);
  if (flags.length > 0) parts.push(table(["flag", "meaning", "default", "variable"], flags));
  const examples = command.examples.map(({ command: example, note }) => `# ${note}\n${example}`);
  parts.push("```sh\n" + examples.join("\n\n") + "\n```");
  return parts.join("\n\n");
}

/** Backslashes of `\n` would vanish in Markdown. */
function escapedProse(text: string): string {
  return text.replaceAll("\\", "\\\\");
}

/**
 * Writes the reference.
 *
 * @returns The text of `docs/CLI.md`, not yet laid out by the formatter.
 */
export function reference(): string {
  const exitCodes = table(
    ["exit code", "meaning"],
    exitCodeMeanings.map(([code, meaning]) => [String(code), meaning]),
  );
  return [
    introduction.trimEnd(),
    `## Exit codes\n\n${exitCodes}`,
    ...commands.filter((command) => command.hidden !== true).map(section),
  ].join("\n\n") + "\n";
}

if (import.meta.main) console.log(reference().trimEnd());
