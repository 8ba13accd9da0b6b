/**
 * The kinds of flags a command can have. A flag is data: its help text, its default, and how to
 * read its value. Its name comes from its key in the command's table: `messageBytesMax` is
 * `--message-bytes-max` on the command line and `FLOWMQ_MESSAGE_BYTES_MAX` in the environment.
 *
 * @module
 */

import type { ClusterMember } from "../broker/config.ts";
import { defaultPort } from "../client/address.ts";
import { type Address, formatAddress, parseAddress } from "./address.ts";
import {
  type IntegerBounds,
  parseCluster,
  parseDuration,
  parseInteger,
  parsePastTime,
  parseSize,
  parseTime,
} from "./flag_values.ts";

/** What every kind of flag has. */
interface FlagBase<T> {
  /** One or two sentences for people. */
  readonly help: string;
  /** One letter: `s` makes `-s` mean the same. */
  readonly short?: string;
  /** The value where none is given. */
  readonly default: T;
  /** How help shows the default; empty where there is nothing worth showing. */
  readonly defaultText: string;
}

/** A flag that is on or off and takes no value. */
export interface SwitchFlag extends FlagBase<boolean> {
  readonly kind: "switch";
}

/** A flag that is on as `--name`, off as `--no-name`, and neither where it is not given. */
export interface ToggleFlag extends FlagBase<boolean | undefined> {
  readonly kind: "toggle";
}

/** A flag with a value. */
export interface ValueFlag<T> extends FlagBase<T> {
  readonly kind: "value";
  /** What help calls the value, in capitals. */
  readonly valueName: string;
  /** Reads the value; throws an error whose message says why it cannot be one. */
  parse(text: string): T;
}

/** A flag that may be given several times. */
export interface ListFlag<T> extends FlagBase<readonly T[]> {
  readonly kind: "list";
  /** What help calls one value, in capitals. */
  readonly valueName: string;
  /** Reads one value; throws an error whose message says why it cannot be one. */
  parse(text: string): T;
}

/** Any flag. */
// deno-lint-ignore no-explicit-any
export type Flag = SwitchFlag | ToggleFlag | ValueFlag<any> | ListFlag<any>;

/** The flags of a command by key. */
export type Flags = Readonly<Record<string, Flag>>;

/** The values of a table of flags. */
export type FlagValues<F extends Flags> = { readonly [K in keyof F]: F[K]["default"] };

/** What the makers of flags take beside the kind's own settings. */
export interface FlagOptions {
  /** One or two sentences for people. */
  readonly help: string;
  /** One letter: `s` makes `-s` mean the same. */
  readonly short?: string;
  /** What help calls the value; each kind has a word of its own. */
  readonly valueName?: string;
  /** How help shows the default, where the value itself would not say it. */
  readonly defaultText?: string;
}

function value<T>(
  options: FlagOptions,
  valueName: string,
  fallback: T,
  defaultText: string,
  parse: (text: string) => T,
): ValueFlag<T> {
  return {
    kind: "value",
    help: options.help,
    ...(options.short === undefined ? {} : { short: options.short }),
    valueName: options.valueName ?? valueName,
    default: fallback,
    defaultText: options.defaultText ?? defaultText,
    parse,
  };
}

/**
 * Makes a flag that is off until it is given.
 *
 * @param options Help and short form.
 * @returns The flag.
 */
export function switchFlag(options: FlagOptions): SwitchFlag {
  return {
    kind: "switch",
    help: options.help,
    ...(options.short === undefined ? {} : { short: options.short }),
    default: false,
    defaultText: options.defaultText ?? "",
  };
}

/**
 * Makes a flag that says yes, as `--name`, or no, as `--no-name`.
 *
 * @param options Help and short form.
 * @returns The flag; `undefined` where it is not given.
 */
export function toggleFlag(options: FlagOptions): ToggleFlag {
  return {
    kind: "toggle",
    help: options.help,
    ...(options.short === undefined ? {} : { short: options.short }),
    default: undefined,
    defaultText: options.defaultText ?? "",
  };
}

/**
 * Makes a flag that takes any text.
 *
 * @param options Help, short form, and the default: without one the value may be `undefined`.
 * @returns The flag.
 */
export function textFlag(options: FlagOptions & { default: string }): ValueFlag<string>;
export function textFlag(options: FlagOptions): ValueFlag<string | undefined>;
export function textFlag(
  options: FlagOptions & { default?: string },
): ValueFlag<string> | ValueFlag<string | undefined> {
  return value<string | undefined>(
    options,
    "TEXT",
    options.default,
    options.default ?? "",
    (text) => text,
  );
}

/**
 * Makes a flag that takes one of a few words.
 *
 * @param choices The words.
 * @param options Help, short form and the default.
 * @returns The flag.
 */
export function choiceFlag<const C extends string>(
  choices: readonly C[],
  options: FlagOptions & { default: NoInfer<C> },
): ValueFlag<C> {
  return value<C>(options, choices.join("|"), options.default, options.default, (text) => {
    const choice = choices.find((one) => one === text);
    if (choice === undefined) throw new SyntaxError(`it takes ${choices.join(" or ")}`);
    return choice;
  });
}

/**
 * Makes a flag that takes one of a few words and may be left out.
 *
 * @param choices The words.
 * @param options Help and short form.
 * @returns The flag; `undefined` where it is not given.
 */
export function optionalChoiceFlag<const C extends string>(
  choices: readonly C[],
  options: FlagOptions,
): ValueFlag<C | undefined> {
  const { parse } = choiceFlag<string>(choices, { ...options, default: choices[0]! });
  return value<C | undefined>(
    options,
    choices.join("|"),
    undefined,
    "",
    (text) => parse(text) as C,
  );
}

/**
 * Makes a flag that takes some of a few words, with commas between them.
 *
 * @param choices The words.
 * @param options Help and short form.
 * @returns The flag; none of the words where it is not given.
 */
export function choicesFlag<const C extends string>(
  choices: readonly C[],
  options: FlagOptions,
): ValueFlag<readonly C[]> {
  return value<readonly C[]>(
    options,
    choices.join(","),
    [],
    "",
    (text) =>
      text.split(",").map((word) => {
        const choice = choices.find((one) => one === word.trim());
        if (choice === undefined) {
          throw new SyntaxError(
            `it takes one or more of ${choices.join(", ")}, with commas between`,
          );
        }
        return choice;
      }),
  );
}

/**
 * Makes a flag that takes whole numbers, with commas between them.
 *
 * @param options Help, short form, and the bounds of each.
 * @returns The flag; `undefined` where it is not given.
 */
export function integersFlag(
  options: FlagOptions & IntegerBounds,
): ValueFlag<readonly number[] | undefined> {
  return value<readonly number[] | undefined>(
    options,
    "N,…",
    undefined,
    "",
    (text) => text.split(",").map((part) => parseInteger(part.trim(), options)),
  );
}

/**
 * Makes a flag that takes a whole number.
 *
 * @param options Help, short form, bounds, and the default: without one it may be `undefined`.
 * @returns The flag.
 */
export function integerFlag(
  options: FlagOptions & IntegerBounds & { default: number },
): ValueFlag<number>;
export function integerFlag(options: FlagOptions & IntegerBounds): ValueFlag<number | undefined>;
export function integerFlag(
  options: FlagOptions & IntegerBounds & { default?: number },
): ValueFlag<number> | ValueFlag<number | undefined> {
  return value<number | undefined>(
    options,
    "N",
    options.default,
    options.default === undefined ? "" : String(options.default),
    (text) => parseInteger(text, options),
  );
}

/**
 * Makes a flag that takes a duration, in milliseconds.
 *
 * @param options Help, short form, bounds in milliseconds, and the default as it is written:
 * without one it may be `undefined`.
 * @returns The flag.
 */
export function durationFlag(
  options: FlagOptions & { default: string; minimumMs?: number; maximumMs?: number },
): ValueFlag<number>;
export function durationFlag(
  options: FlagOptions & { minimumMs?: number; maximumMs?: number },
): ValueFlag<number | undefined>;
export function durationFlag(
  options: FlagOptions & { default?: string; minimumMs?: number; maximumMs?: number },
): ValueFlag<number> | ValueFlag<number | undefined> {
  const { minimumMs = 0, maximumMs = Number.MAX_SAFE_INTEGER } = options;
  return value<number | undefined>(
    options,
    "DURATION",
    options.default === undefined ? undefined : parseDuration(options.default),
    options.default ?? "",
    (text) => {
      const ms = parseDuration(text);
      if (ms < minimumMs) throw new SyntaxError(`it takes ${minimumMs} ms or more`);
      if (ms > maximumMs) throw new SyntaxError(`it takes ${maximumMs} ms or less`);
      return ms;
    },
  );
}

/**
 * Makes a flag that takes a time.
 *
 * @param options Help and short form.
 * @returns The flag; `undefined` where it is not given.
 */
export function timeFlag(options: FlagOptions): ValueFlag<Date | undefined> {
  return value<Date | undefined>(options, "TIME", undefined, "", parseTime);
}

/**
 * Makes a flag that takes a moment in the past, and may be left out.
 *
 * @param options Help and short form.
 * @returns The flag; its value is in milliseconds since the epoch.
 */
export function pastTimeFlag(options: FlagOptions): ValueFlag<number | undefined> {
  return value<number | undefined>(
    {
      ...options,
      help: `${options.help} A time such as 2026-01-31T12:00Z, or 10m for 10 minutes ago.`,
    },
    "TIME",
    undefined,
    "",
    (text) => parsePastTime(text, Date.now()),
  );
}

/**
 * Makes a flag that takes a number of bytes.
 *
 * @param options Help, short form, bounds in bytes, and the default as it is written.
 * @returns The flag.
 */
export function sizeFlag(
  options: FlagOptions & { default: string; minimum: number; maximum: number },
): ValueFlag<number> {
  return value(
    options,
    "SIZE",
    parseSize(options.default),
    options.default,
    (text) => sizeWithin(text, options),
  );
}

/**
 * Makes a flag that takes a number of bytes, and is `undefined` when it is not given.
 *
 * @param options Help, short form, bounds in bytes, and what it says about the default.
 * @returns The flag.
 */
export function optionalSizeFlag(
  options: FlagOptions & { defaultText: string; minimum: number; maximum: number },
): ValueFlag<number | undefined> {
  return value(
    options,
    "SIZE",
    undefined,
    options.defaultText,
    (text) => sizeWithin(text, options),
  );
}

function sizeWithin(text: string, bounds: { minimum: number; maximum: number }): number {
  const bytes = parseSize(text);
  if (bytes >= bounds.minimum && bytes <= bounds.maximum) return bytes;
  throw new SyntaxError(`it takes ${bounds.minimum} to ${bounds.maximum} bytes`);
}

/**
 * Makes a flag that takes `HOST:PORT`.
 *
 * @param options Help, short form, the default as it is written, and whether port 0 is allowed.
 * @returns The flag.
 */
export function addressFlag(
  options: FlagOptions & { default: string; allowPortZero: boolean },
): ValueFlag<Address> {
  return value(options, "HOST:PORT", parseAddress(options.default), options.default, (text) => {
    const address = parseAddress(text);
    if (address.port === 0 && !options.allowPortZero) {
      throw new SyntaxError(`${JSON.stringify(text)} is not an address to reach: its port is 0`);
    }
    return address;
  });
}

/**
 * Makes a flag that takes `HOST:PORT` and may be left out.
 *
 * @param options Help and short form.
 * @returns The flag; `undefined` where it is not given.
 */
export function optionalAddressFlag(options: FlagOptions): ValueFlag<Address | undefined> {
  return value<Address | undefined>(options, "HOST:PORT", undefined, "", (text) => {
    const address = parseAddress(text);
    if (address.port !== 0) return address;
    throw new SyntaxError(`${JSON.stringify(text)} is not an address to reach: its port is 0`);
  });
}

/**
 * Makes a flag that takes a path and may be left out.
 *
 * @param options Help, short form and the name of the value.
 * @returns The flag; `undefined` where it is not given.
 */
export function optionalPathFlag(options: FlagOptions): ValueFlag<string | undefined> {
  return value<string | undefined>(options, "FILE", undefined, "", (text) => text);
}

/** Whether the port is left out: `example.org`, `[::1]`. */
function isHostOnly(text: string): boolean {
  return /^([^\s:[\]]+|\[[0-9a-fA-F:.]+\])$/.test(text);
}

/**
 * Makes a flag that takes one or more addresses with commas between them.
 *
 * @param options Help, short form and the default as it is written.
 * @returns The flag; its value has the addresses as they are written.
 */
export function serversFlag(
  options: FlagOptions & { default: string },
): ValueFlag<readonly string[]> {
  function parse(text: string): string[] {
    return text.split(",").map((one) => {
      const host = one.trim();
      const address = parseAddress(isHostOnly(host) ? `${host}:${defaultPort}` : host);
      if (address.port === 0) {
        throw new SyntaxError(`${JSON.stringify(one)} is not an address to reach: its port is 0`);
      }
      return formatAddress(address);
    });
  }
  return value<readonly string[]>(
    options,
    "HOST:PORT[,…]",
    parse(options.default),
    options.default,
    parse,
  );
}

/**
 * Makes a flag that takes the members of a cluster.
 *
 * @param options Help and short form.
 * @returns The flag; `undefined` stands for a cluster of this node alone.
 */
export function clusterFlag(
  options: FlagOptions,
): ValueFlag<readonly ClusterMember[] | undefined> {
  return value<readonly ClusterMember[] | undefined>(
    options,
    "ID=HOST:PORT,…",
    undefined,
    "",
    parseCluster,
  );
}

/**
 * Makes a flag of `NAME:VALUE` pairs that may be given several times.
 *
 * @param options Help and short form.
 * @returns The flag.
 */
export function headersFlag(options: FlagOptions): ListFlag<readonly [string, string]> {
  return {
    kind: "list",
    help: options.help,
    ...(options.short === undefined ? {} : { short: options.short }),
    valueName: options.valueName ?? "NAME:VALUE",
    default: [],
    defaultText: "",
    parse(text: string): readonly [string, string] {
      const colon = text.indexOf(":");
      if (colon < 1) throw new SyntaxError("it takes NAME:VALUE");
      return [text.slice(0, colon).trim(), text.slice(colon + 1).trimStart()];
    },
  };
}
