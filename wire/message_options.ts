/**
 * What a message asks of its queue beside being delivered, as bytes of its record.
 *
 * ```text
 * u8 fields     1 delay, 2 at, 4 ttl, 8 priority, 16 unique; other bits 0
 * then those that there are, in this order:
 * u64 delayMs | u64 atMs | u64 ttlMs | u8 priority | u16 bytes, unique: text
 * ```
 *
 * A message that asks for nothing has no such bytes.
 *
 * @module
 */

import {
  decodeUtf8,
  encodeUtf8,
  isUtf8,
  readU16,
  readU64,
  utf8Length,
  writeU16,
  writeU64,
} from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";
import { delayMsMax, priorityMax, uniqueBytesMax } from "./limits.ts";

const Field = { delay: 1, at: 2, ttl: 4, priority: 8, unique: 16 } as const;
const allFields = 31;

/** What a message asks of its queue. Whatever is absent was not asked for. */
export interface MessageOptions {
  /** Nobody gets it before so long after it was published; not together with `atMs`. */
  readonly delayMs?: number;
  /** Nobody gets it before this time, in milliseconds since the epoch. */
  readonly atMs?: number;
  /** It expires so long after it was published. */
  readonly ttlMs?: number;
  /** From 0 to 9: those of a higher one go first. */
  readonly priority?: number;
  /** Not stored as long as an earlier message with the same text waits or is held. */
  readonly unique?: string;
}

/**
 * Encodes options for `PublishBatch.add`. What says the same as its absence is left out.
 *
 * @param options What is asked for.
 * @returns The bytes, or `undefined` where nothing is.
 * @throws {TypeError} when `unique` is not text, or there is both a delay and a time.
 * @throws {RangeError} when one is out of its range.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeMessageOptions({ priority: 9 }), new Uint8Array([8, 9]));
 * assertEquals(encodeMessageOptions({ priority: 0 }), undefined);
 * ```
 */
export function encodeMessageOptions(options: MessageOptions): Uint8Array | undefined {
  const { delayMs = 0, atMs = 0, ttlMs = 0, priority = 0, unique } = options;
  checkOption("delayMs", delayMs, 0, delayMsMax);
  checkOption("atMs", atMs, 0, Number.MAX_SAFE_INTEGER);
  if (options.ttlMs !== undefined) checkOption("ttlMs", ttlMs, 1, delayMsMax);
  checkOption("priority", priority, 0, priorityMax);
  const uniqueBytes = unique === undefined ? 0 : checkUnique(unique);
  if (options.delayMs !== undefined && options.atMs !== undefined) {
    throw new TypeError("Cannot publish a message with both a delay and a time");
  }
  const fields = (delayMs > 0 ? Field.delay : 0) | (atMs > 0 ? Field.at : 0) |
    (ttlMs > 0 ? Field.ttl : 0) | (priority > 0 ? Field.priority : 0) |
    (unique === undefined ? 0 : Field.unique);
  if (fields === 0) return undefined;
  const bytes = new Uint8Array(fixedBytes(fields) + uniqueBytes);
  bytes[0] = fields;
  let at = 1;
  for (const ms of [delayMs, atMs, ttlMs]) {
    if (ms === 0) continue;
    writeU64(bytes, at, ms);
    at += 8;
  }
  if (priority > 0) bytes[at++] = priority;
  if (unique !== undefined) {
    writeU16(bytes, at, uniqueBytes);
    bytes.set(encodeUtf8(unique), at + 2);
  }
  return bytes;
}

function checkOption(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot publish a message whose ${name} is not a whole number from ${min} to ${max}: ` +
      `current value is ${value}`,
  );
}

function checkUnique(unique: string): number {
  if (typeof unique !== "string") {
    throw new TypeError(
      `Cannot publish a message whose unique key is not text: current value is ${typeof unique}`,
    );
  }
  const bytes = utf8Length(unique);
  if (bytes === 0 || bytes > uniqueBytesMax) {
    throw new RangeError(
      `Cannot publish a message whose unique key has not 1 to ${uniqueBytesMax} bytes: ` +
        `current length is ${bytes}`,
    );
  }
  return bytes;
}

/** How long the options with these fields are, but for the text of `unique`. */
function fixedBytes(fields: number): number {
  return 1 + ((fields & Field.delay) !== 0 ? 8 : 0) + ((fields & Field.at) !== 0 ? 8 : 0) +
    ((fields & Field.ttl) !== 0 ? 8 : 0) + ((fields & Field.priority) !== 0 ? 1 : 0) +
    ((fields & Field.unique) !== 0 ? 2 : 0);
}

/**
 * Where the options that begin at `start` end.
 *
 * @throws {MalformedFrameError} when they have unknown fields, or are not over by `end`.
 */
export function messageOptionsEnd(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) throw cutOff();
  const fields = bytes[start]!;
  if (fields === 0 || (fields & ~allFields) !== 0) {
    throw new MalformedFrameError(`Cannot read message options with the fields ${fields}`);
  }
  let at = start + fixedBytes(fields);
  if (at > end) throw cutOff();
  if ((fields & Field.unique) !== 0) at += readU16(bytes, at - 2);
  if (at > end) throw cutOff();
  return at;
}

function cutOff(): MalformedFrameError {
  return new MalformedFrameError("Cannot read a message whose options are cut off");
}

/**
 * Checks the options that fill `bytes[start..end)`: that each is in its range.
 *
 * @param bytes From outside.
 * @param start Where they begin.
 * @param end From {@linkcode messageOptionsEnd}.
 * @throws {MalformedFrameError} when one is not.
 */
export function checkMessageOptions(bytes: Uint8Array, start: number, end: number): void {
  const fields = bytes[start]!;
  if ((fields & Field.delay) !== 0 && (fields & Field.at) !== 0) {
    throw new MalformedFrameError("Cannot publish a message with both a delay and a time");
  }
  if ((fields & Field.unique) !== 0) {
    const textStart = start + fixedBytes(fields);
    if (!isUtf8(bytes, textStart, end)) {
      throw new MalformedFrameError("Cannot read a message whose unique key is not UTF-8");
    }
    if (textStart === end || end - textStart > uniqueBytesMax) {
      throw new MalformedFrameError(
        `Cannot publish a message with a unique key of ${end - textStart} bytes`,
      );
    }
  }
  const { delayMs = 1, ttlMs = 1, priority = 1 } = readMessageOptions(bytes, start);
  if (delayMs < 1 || delayMs > delayMsMax || ttlMs < 1 || ttlMs > delayMsMax) {
    throw new MalformedFrameError(
      `Cannot publish a message with a delay or a time to live outside 1 to ${delayMsMax} ms`,
    );
  }
  if (priority < 1 || priority > priorityMax) {
    throw new MalformedFrameError(`Cannot publish a message with the priority ${priority}`);
  }
}

/**
 * Reads the options that begin at `start`.
 *
 * @param bytes Checked by {@linkcode messageOptionsEnd}.
 * @param start Where they begin.
 * @returns What is asked for.
 */
export function readMessageOptions(bytes: Uint8Array, start: number): MessageOptions {
  const fields = bytes[start]!;
  const options: { -readonly [K in keyof MessageOptions]: MessageOptions[K] } = {};
  let at = start + 1;
  if ((fields & Field.delay) !== 0) {
    options.delayMs = readU64(bytes, at);
    at += 8;
  }
  if ((fields & Field.at) !== 0) {
    options.atMs = readU64(bytes, at);
    at += 8;
  }
  if ((fields & Field.ttl) !== 0) {
    options.ttlMs = readU64(bytes, at);
    at += 8;
  }
  if ((fields & Field.priority) !== 0) options.priority = bytes[at++]!;
  if ((fields & Field.unique) !== 0) {
    options.unique = decodeUtf8(bytes.subarray(at + 2, at + 2 + readU16(bytes, at)));
  }
  return options;
}
