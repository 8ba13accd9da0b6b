/**
 * From words on the command line to typed values, by a command's table.
 *
 * A value comes from the command line, else from the flag's variable `FLOWMQ_…`, else from the
 * table's default. Whatever is wrong throws a {@linkcode UsageError} with one line for a person.
 * `@std/cli/parse-args` does the splitting; it knows nothing of types, so it is used here only.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { closestWord } from "./edit_distance.ts";
import { UsageError } from "./failures.ts";
import type { Flag, Flags, FlagValues } from "./flags.ts";

/** An argument without a flag, such as the name of a queue. */
export interface Positional {
  /** In capitals, as help shows it. */
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** Whether the command does without it. */
  readonly optional?: boolean;
}

/** The part of a command's description that parsing needs. */
export interface ArgumentTable<F extends Flags> {
  /** The words that call the command, such as `queue add`. */
  readonly name: string;
  readonly positionals: readonly Positional[];
  readonly flags: F;
}

/** What a command is called with. */
export interface Arguments<F extends Flags> {
  readonly flags: FlagValues<F>;
  readonly positionals: readonly string[];
  /** The keys of the flags whose value is not the default: given, or in the environment. */
  readonly given: ReadonlySet<keyof F>;
}

/**
 * Says how a flag is written on the command line.
 *
 * @param key The flag's key in its table.
 * @returns For example `--message-bytes-max` for `messageBytesMax`.
 */
export function flagName(key: string): string {
  return "--" + key.replaceAll(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/**
 * Says how a flag is shown in help, with what follows it.
 *
 * @param key The flag's key in its table.
 * @param flag The flag.
 * @returns For example `--lease DURATION`, or `--[no-]dead-letter-expired`.
 */
export function flagForm(key: string, flag: Flag): string {
  switch (flag.kind) {
    case "switch":
      return flagName(key);
    case "toggle":
      return flagName(key).replace("--", "--[no-]");
    case "value":
    case "list":
      return `${flagName(key)} ${flag.valueName}`;
  }
}

/**
 * Says which variable of the environment stands for a flag.
 *
 * @param key The flag's key in its table.
 * @returns For example `FLOWMQ_MESSAGE_BYTES_MAX` for `messageBytesMax`.
 */
export function variableName(key: string): string {
  return "FLOWMQ_" + key.replaceAll(/[A-Z]/g, (letter) => "_" + letter).toUpperCase();
}

/** What `parseArgs` found, given a type. */
interface SplitArguments {
  /** By flag name without dashes; each use of a flag is one item. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  /** The first word that looks like a flag and is none. */
  readonly unknown: string | undefined;
}

/**
 * The one place that touches the untyped parser. Words are brought to a form that leaves it no
 * choice: `-s X` becomes `--server X`, and a switch gets its value, so that it never swallows the
 * word behind it. Two words and no equals sign, as the parser reads `--no-wait=true` as `--wait`.
 */
function split(words: readonly string[], flags: Flags): SplitArguments {
  const switches = new Set<string>();
  const switchedOff = new Map<string, string>();
  const longOfShort = new Map<string, string>();
  const names: string[] = [];
  for (const [key, flag] of Object.entries(flags)) {
    const name = flagName(key).slice(2);
    names.push(name);
    if (takesNoValue(flag)) switches.add(name);
    if (flag.kind === "toggle") switchedOff.set(`no-${name}`, name);
    if (flag.short !== undefined) longOfShort.set(flag.short, name);
  }

  const end = words.indexOf("--");
  const before = end < 0 ? words : words.slice(0, end);
  const normal = before.flatMap((word) => {
    const long = /^-[A-Za-z]/.test(word) ? longOfShort.get(word[1]!) : undefined;
    const full = long === undefined
      ? word
      : word.length === 2
      ? `--${long}`
      : `--${long}=${word.slice(2)}`;
    const { name = "", value = "true" } =
      /^--(?<name>[^=]+)(=(?<value>.*))?$/s.exec(full)?.groups ?? {};
    const off = switchedOff.get(name);
    if (off !== undefined) return [`--${off}`, String(!(truths[value] ?? true))];
    return switches.has(name) ? [`--${name}`, value] : [full];
  });

  let unknown: string | undefined;
  // Switches too are read as text: what stands behind "=" is checked here and not by the parser.
  const parsed = parseArgs([...normal, "--", ...(end < 0 ? [] : words.slice(end + 1))], {
    string: [...names, "_"],
    collect: names,
    unknown(word: string, key?: string): boolean {
      if (key === undefined) return true;
      unknown ??= word;
      return false;
    },
  }) as { _: string[] } & Record<string, string[]>;

  const values = new Map<string, readonly string[]>();
  for (const name of names) {
    const found = parsed[name];
    if (found !== undefined && found.length > 0) values.set(name, found);
  }
  return { values, positionals: parsed._.map(String), unknown };
}

/** Whether a flag says all by being there. */
function takesNoValue({ kind }: Flag): boolean {
  return kind === "switch" || kind === "toggle";
}

const truths: Readonly<Record<string, boolean>> = {
  "1": true,
  true: true,
  yes: true,
  on: true,
  "0": false,
  false: false,
  no: false,
  off: false,
};

function readValue(flag: Flag, texts: readonly string[], shown: string): unknown {
  const last = texts.at(-1)!;
  try {
    switch (flag.kind) {
      case "switch":
      case "toggle": {
        const truth = truths[last];
        if (truth === undefined) throw new SyntaxError("it is on or off: true or false");
        return truth;
      }
      case "value":
        return flag.parse(last);
      case "list":
        return texts.map((text) => flag.parse(text));
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UsageError(`cannot use ${shown} ${JSON.stringify(last)}: ${error.message}`);
  }
}

/**
 * Reads the arguments of a command.
 *
 * @param words What follows the command's name on the command line.
 * @param table The command's positionals and flags.
 * @param environment Looks a variable of the environment up.
 * @returns A value for every flag, and the positionals.
 * @throws {UsageError} If a flag is unknown or lacks its value, a value is not one the flag takes,
 * or there are too many or too few positionals.
 */
export function parseArguments<F extends Flags>(
  words: readonly string[],
  table: ArgumentTable<F>,
  environment: (name: string) => string | undefined,
): Arguments<F> {
  const { values, positionals, unknown } = split(words, table.flags);
  const seeHelp = `see flowmq ${table.name} --help`;

  const flags: Record<string, unknown> = {};
  const given = new Set<keyof F>();
  for (const [key, flag] of Object.entries(table.flags)) {
    const name = flagName(key);
    const texts = values.get(name.slice(2));
    if (texts !== undefined) {
      if (texts.at(-1) === "") {
        throw new UsageError(
          `${name} needs a value: ${
            flagForm(key, flag)
          } (or ${name}=… for one that starts with a dash)`,
        );
      }
      flags[key] = readValue(flag, texts, name);
      given.add(key);
      continue;
    }
    const variable = variableName(key);
    const text = environment(variable);
    if (text !== undefined && text !== "") {
      flags[key] = readValue(flag, [text], `the variable ${variable}`);
      given.add(key);
      continue;
    }
    flags[key] = flag.default;
  }

  if (unknown !== undefined) {
    const name = unknown.replace(/=.*$/s, "");
    const close = name.startsWith("--")
      ? closestWord(name, [...Object.keys(table.flags).map(flagName), "--help"])
      : undefined;
    throw new UsageError(
      `unknown flag ${name}` + (close === undefined ? "" : `; did you mean ${close}?`) +
        ` (${seeHelp}${
          positionals.length > 0 ? "; write -- before text that starts with a dash" : ""
        })`,
    );
  }
  const missing = table.positionals[positionals.length];
  if (missing !== undefined && missing.optional !== true) {
    throw new UsageError(`${missing.name} is missing: ${usageLine(table)} (${seeHelp})`);
  }
  const extra = positionals[table.positionals.length];
  if (extra !== undefined) {
    throw new UsageError(
      `unexpected argument ${JSON.stringify(extra)}: ${usageLine(table)} (${seeHelp})`,
    );
  }
  return { flags: flags as FlagValues<F>, positionals, given };
}

/**
 * Shows how a command is called.
 *
 * @param table The command's positionals and flags.
 * @returns One line, such as `flowmq pub QUEUE [BODY] [flags]`.
 */
export function usageLine(table: ArgumentTable<Flags>): string {
  const words = ["flowmq", table.name];
  for (const positional of table.positionals) {
    words.push(positional.optional === true ? `[${positional.name}]` : positional.name);
  }
  if (Object.keys(table.flags).length > 0) words.push("[flags]");
  return words.join(" ");
}
