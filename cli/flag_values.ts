/**
 * Values as people write them on a command line: numbers, durations, sizes, clusters.
 *
 * Each reader throws a `SyntaxError` whose message continues "cannot use --flag VALUE: ".
 *
 * @module
 */

import type { ClusterMember } from "../broker/config.ts";
import { formatAddress, parseAddress } from "./address.ts";

/** Bounds of a whole number. */
export interface IntegerBounds {
  /** The smallest value allowed. */
  readonly minimum: number;
  /**
   * The largest value allowed.
   *
   * @default {Number.MAX_SAFE_INTEGER}
   */
  readonly maximum?: number;
}

/**
 * Reads a whole number within bounds. Underscores and commas may group the digits.
 *
 * @param text What a person wrote.
 * @param bounds What is allowed.
 * @returns The number.
 * @throws {SyntaxError} If it is no whole number, or out of bounds.
 */
export function parseInteger(text: string, bounds: IntegerBounds): number {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = bounds;
  const number = /^\d{1,3}(,\d{3})+$|^\d[\d_]*$/.test(text)
    ? Number(text.replaceAll(/[_,]/g, ""))
    : NaN;
  if (!Number.isSafeInteger(number) || number < minimum || number > maximum) {
    const range = maximum === Number.MAX_SAFE_INTEGER
      ? `of ${minimum} or more`
      : `from ${minimum} to ${maximum}`;
    throw new SyntaxError(`it takes a whole number ${range}`);
  }
  return number;
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads a duration such as `500ms`, `2.5s`, `10m`, `1h30m`.
 *
 * @param text What a person wrote.
 * @returns Milliseconds, a whole number.
 * @throws {SyntaxError} If it is no duration, or has no unit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseDuration("1m30s"), 90_000);
 * ```
 */
export function parseDuration(text: string): number {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    throw new SyntaxError("it takes a duration with its unit, such as 500ms, 10s or 2m");
  }
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    ms += Number(number) * durationUnits[unit!]!;
  }
  if (ms > Number.MAX_SAFE_INTEGER) throw new SyntaxError("it takes a shorter duration");
  return Math.round(ms);
}

/**
 * Writes a duration as {@linkcode parseDuration} reads it.
 *
 * @param ms Milliseconds, a whole number.
 * @returns The number with the largest unit of which it is a multiple.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(writeDuration(30_000), "30s");
 * assertEquals(writeDuration(90_000), "90s");
 * ```
 */
export function writeDuration(ms: number): string {
  const units = Object.entries(durationUnits).reverse();
  const [unit, unitMs] = units.find(([, one]) => ms > 0 && ms % one === 0) ?? ["ms", 1];
  return `${ms / unitMs}${unit}`;
}

/**
 * Reads a time such as `2027-01-31T18:00`, `2027-01-31 18:00:30.5`, `2027-01-31T18:00Z`, `2027-01-31`,
 * or `18:00`, which is the next one. Where no zone is given, it is that of this machine.
 *
 * @param text What a person wrote.
 * @param now The time.
 * @returns The time.
 * @throws {SyntaxError} If it is no time.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseTime("2027-01-31T18:00+01:00"), new Date("2027-01-31T17:00:00Z"));
 * ```
 */
export function parseTime(text: string, now = new Date()): Date {
  const match =
    /^(?:(\d{4})-(\d\d)-(\d\d)(?:[T ](?=\d)|$))?(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?$/
      .exec(text);
  const [, year, month, day, clock, zone] = match ?? [];
  const time = year === undefined
    ? timeToday(clock, zone, now)
    : new Date(`${year}-${month}-${day}T${clock ?? "00:00"}${zone ?? ""}`);
  // A day that a month does not have would be taken for one of the next month.
  const isDay = year === undefined ||
    new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  if (Number.isNaN(time.getTime()) || !isDay) {
    throw new SyntaxError("it takes a time, such as 2027-01-31T18:00, 2027-01-31T18:00Z or 18:00");
  }
  return time;
}

/** The next time that a clock on the wall shows this. */
function timeToday(clock: string | undefined, zone: string | undefined, now: Date): Date {
  if (clock === undefined || zone !== undefined) return new Date(NaN);
  const dayAt = (days: number) => {
    const [hours, minutes, seconds = 0] = clock.split(":").map(Number);
    if (hours! > 23 || minutes! > 59 || seconds >= 60) return new Date(NaN);
    const day = now.getDate() + days;
    return new Date(now.getFullYear(), now.getMonth(), day, hours, minutes, 0, seconds * 1_000);
  };
  const today = dayAt(0);
  return today > now ? today : dayAt(1);
}

/**
 * Reads a moment: a date and time as of ISO 8601, or how long ago it was.
 *
 * @param text What a person wrote. A time without a zone is that of this machine.
 * @param nowMs The time now, in milliseconds since the epoch.
 * @returns Milliseconds since the epoch.
 * @throws {SyntaxError} If it is no moment.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parsePastTime("1m", 100_000), 40_000);
 * assertEquals(parsePastTime("1970-01-01T00:01Z", 100_000), 60_000);
 * ```
 */
export function parsePastTime(text: string, nowMs: number): number {
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  if (Number.isSafeInteger(ms) && ms >= 0) return ms;
  try {
    return Math.max(0, nowMs - parseDuration(text));
  } catch {
    throw new SyntaxError("it takes a time such as 2026-01-31T12:00Z, or 10m for 10 minutes ago");
  }
}

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
};

/**
 * Reads a number of bytes such as `4096`, `64KiB`, `1MiB`, `10MB`.
 *
 * @param text What a person wrote.
 * @returns Bytes, a whole number.
 * @throws {SyntaxError} If it is no size.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseSize("64KiB"), 65_536);
 * ```
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s?(B|kB|MB|GB|KiB|MiB|GiB)?$/.exec(text);
  const bytes = match === null ? NaN : Number(match[1]) * sizeUnits[match[2] ?? ""]!;
  if (!Number.isSafeInteger(Math.round(bytes))) {
    throw new SyntaxError("it takes a number of bytes, such as 4096, 64KiB or 1MiB");
  }
  return Math.round(bytes);
}

/**
 * Reads `1=HOST:PORT,2=HOST:PORT,…`.
 *
 * @param text What a person wrote.
 * @returns The members in the order of their ids.
 * @throws {SyntaxError} If an id or an address is wrong, or is there twice.
 */
export function parseCluster(text: string): ClusterMember[] {
  const members = text.split(",").map((part): ClusterMember => {
    const match = /^(\d+)=(.+)$/.exec(part.trim());
    if (match === null) {
      throw new SyntaxError(`${JSON.stringify(part)} is not of the form ID=HOST:PORT`);
    }
    const address = parseAddress(match[2]!);
    if (address.port === 0) {
      throw new SyntaxError(`${JSON.stringify(part)} needs a fixed port: it is 0`);
    }
    const id = Number(match[1]);
    if (id < 1 || id > 65_535) {
      throw new SyntaxError(`node ids go from 1 to 65535: current value is ${match[1]}`);
    }
    return { id, peerAddress: address };
  });
  members.sort((a, b) => a.id - b.id);
  for (const [i, member] of members.entries()) {
    for (const other of members.slice(0, i)) {
      if (other.id === member.id) throw new SyntaxError(`node ${member.id} is there twice`);
      const address = formatAddress(member.peerAddress);
      if (formatAddress(other.peerAddress) === address) {
        throw new SyntaxError(`${address} is there twice`);
      }
    }
  }
  return members;
}
