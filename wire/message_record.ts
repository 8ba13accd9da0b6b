/**
 * One message as bytes, the same in a publish command, in the log, and in a deliver frame.
 *
 * ```text
 * u8 flags   1 key, 2 headers, 4 options; other bits 0
 * [u16 bytes, key: text] [u32 bytes, headers: CBOR map text → text] [options, see message_options.ts]
 * body
 * ```
 *
 * @module
 */

import type { MessageDetails } from "../queue/commands.ts";
import { decodeUtf8, isUtf8, readU16, readU32, utf8Length } from "./bytes.ts";
import { checkTextMap, decodeCborMap, encodeCbor } from "./cbor.ts";
import { MalformedFrameError } from "./errors.ts";
import {
  checkMessageOptions,
  type MessageOptions,
  messageOptionsEnd,
  readMessageOptions,
} from "./message_options.ts";

/** What the first byte of a record says is in it. */
export const RecordFlag = { key: 1, headers: 2, options: 4 } as const;

const allFlags = 7;

/** The headers of a message: names to values, both text. */
export type MessageHeaders = { readonly [name: string]: string };

/** A message as it is read out of a record. */
export interface Message {
  /** Decides the partition; messages of one key keep their order. */
  readonly key: string | undefined;
  /** Empty where the message has none. */
  readonly headers: MessageHeaders;
  /** What it asked for; empty where that was nothing. */
  readonly options: MessageOptions;
  /** A view of the record. */
  readonly body: Uint8Array;
}

const noHeaders: MessageHeaders = Object.freeze({});
const noOptions: MessageOptions = Object.freeze({});

/**
 * Encodes headers for `PublishBatch.add`.
 *
 * @param headers Names to values.
 * @returns The bytes.
 * @throws {TypeError} when a value is not text, or a name is `__proto__`.
 */
export function encodeHeaders(headers: MessageHeaders): Uint8Array {
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string") {
      throw new TypeError(`Cannot publish headers that are not text: ${name} is ${typeof value}`);
    }
    if (name === "__proto__") {
      throw new TypeError(
        "Cannot publish a header as its name is reserved: current value is __proto__",
      );
    }
  }
  return encodeCbor(headers);
}

/**
 * Reads the message record at `bytes[start..end)`.
 *
 * @param bytes A publish command, or the payload of a deliver frame.
 * @param start Where the record begins.
 * @param end Where it ends.
 * @returns Key, headers, options and a view of the body.
 * @throws {MalformedFrameError} when the record is not one.
 */
export function decodeMessage(bytes: Uint8Array, start: number, end: number): Message {
  const bodyStart = findBody(bytes, start, end);
  const flags = bytes[start]!;
  const body = bytes.subarray(bodyStart, end);
  if (flags === 0) return { key: undefined, headers: noHeaders, options: noOptions, body };
  let at = start + 1;
  let key: string | undefined;
  if ((flags & RecordFlag.key) !== 0) {
    const keyEnd = at + 2 + readU16(bytes, at);
    key = decodeUtf8(bytes.subarray(at + 2, keyEnd));
    at = keyEnd;
  }
  let headers = noHeaders;
  if ((flags & RecordFlag.headers) !== 0) {
    const headersEnd = at + 4 + readU32(bytes, at);
    checkTextMap(bytes, at + 4, headersEnd);
    headers = decodeCborMap(bytes.subarray(at + 4, headersEnd)) as MessageHeaders;
    at = headersEnd;
  }
  const options = (flags & RecordFlag.options) === 0 ? noOptions : readMessageOptions(bytes, at);
  return { key, headers, options, body };
}

/**
 * Reads what the message whose record begins at `start` asks of its queue.
 *
 * @param bytes A publish command that was checked.
 * @param start Where the record begins.
 * @returns Its key and its options.
 */
export function readMessageDetails(bytes: Uint8Array, start: number): MessageDetails {
  const flags = bytes[start]!;
  let at = start + 1;
  let key: string | undefined;
  if ((flags & RecordFlag.key) !== 0) {
    const keyEnd = at + 2 + readU16(bytes, at);
    key = decodeUtf8(bytes.subarray(at + 2, keyEnd));
    at = keyEnd;
  }
  if ((flags & RecordFlag.headers) !== 0) at += 4 + readU32(bytes, at);
  const options = (flags & RecordFlag.options) === 0 ? noOptions : readMessageOptions(bytes, at);
  return key === undefined ? options : { key, ...options };
}

/**
 * Where the body of the record at `bytes[start..end)` begins; it ends at `end`.
 *
 * @throws {MalformedFrameError} when the lengths in the record do not fit into it.
 */
export function findBody(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end || end > bytes.length) {
    throw new MalformedFrameError(`Cannot read a message of ${end - start} bytes`);
  }
  const flags = bytes[start]!;
  if (flags === 0) return start + 1;
  if ((flags & ~allFlags) !== 0) {
    throw new MalformedFrameError(`Cannot read a message with unknown flags: ${flags}`);
  }
  const at = skipKeyAndHeaders(bytes, start, end);
  return (flags & RecordFlag.options) === 0 ? at : messageOptionsEnd(bytes, at, end);
}

/** Where the options begin, or the body where there are none. */
function skipKeyAndHeaders(bytes: Uint8Array, start: number, end: number): number {
  const flags = bytes[start]!;
  let at = start + 1;
  if ((flags & RecordFlag.key) !== 0) {
    if (at + 2 > end) throw cutOff();
    at += 2 + readU16(bytes, at);
  }
  if ((flags & RecordFlag.headers) !== 0) {
    if (at + 4 > end) throw cutOff();
    at += 4 + readU32(bytes, at);
  }
  if (at > end) throw cutOff();
  return at;
}

function cutOff(): MalformedFrameError {
  return new MalformedFrameError("Cannot read a message whose key or headers are cut off");
}

/**
 * Checks key, headers and options of a record that has some: every length, every text, every range.
 *
 * @throws {MalformedFrameError} when one of them is not what it should be.
 */
export function checkMessage(bytes: Uint8Array, start: number, end: number): void {
  const bodyStart = findBody(bytes, start, end);
  const flags = bytes[start]!;
  let at = start + 1;
  if ((flags & RecordFlag.key) !== 0) {
    const keyEnd = at + 2 + readU16(bytes, at);
    if (!isUtf8(bytes, at + 2, keyEnd)) {
      throw new MalformedFrameError("Cannot read a message whose key is not UTF-8");
    }
    at = keyEnd;
  }
  if ((flags & RecordFlag.headers) !== 0) {
    const headersEnd = at + 4 + readU32(bytes, at);
    checkTextMap(bytes, at + 4, headersEnd);
    at = headersEnd;
  }
  if ((flags & RecordFlag.options) !== 0) checkMessageOptions(bytes, at, bodyStart);
}

/** What counts against the limit of a message: key, headers and body, without options and framing. */
export function messageContentBytes(bytes: Uint8Array, start: number, end: number): number {
  const flags = bytes[start]!;
  let framing = 1;
  if ((flags & RecordFlag.key) !== 0) framing += 2;
  if ((flags & RecordFlag.headers) !== 0) framing += 4;
  if ((flags & RecordFlag.options) !== 0) {
    const at = skipKeyAndHeaders(bytes, start, end);
    framing += messageOptionsEnd(bytes, at, end) - at;
  }
  return end - start - framing;
}

/**
 * What a message counts against the limit, before it is laid out.
 *
 * @param body Text counts as UTF-8.
 * @param key Counts as UTF-8.
 * @param headers From {@linkcode encodeHeaders}.
 * @param enough Text need not be counted exactly where its upper bound is not over this.
 * @returns Key, headers and body in bytes, or an upper bound that is not over `enough`.
 */
export function measureMessage(
  body: string | Uint8Array,
  key: string | undefined,
  headers: Uint8Array | undefined,
  enough: number,
): number {
  const fixed = (headers === undefined ? 0 : headers.length) +
    (typeof body === "string" ? 0 : body.length);
  const units = (typeof body === "string" ? body.length : 0) + (key === undefined ? 0 : key.length);
  if (fixed + 3 * units <= enough) return fixed + 3 * units;
  return fixed + (typeof body === "string" ? utf8Length(body) : 0) +
    (key === undefined ? 0 : utf8Length(key));
}
