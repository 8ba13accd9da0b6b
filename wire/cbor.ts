/**
 * CBOR (RFC 8949) as FlowMQ uses it: a plain subset, the same on every path.
 *
 * cbor-x knows far more than a protocol should accept: records and shared structures that define
 * readers on the fly, dates, sets, typed arrays, references. So bytes from outside are walked once
 * before cbor-x sees them, and only this passes: integers within the safe range, floats, byte and
 * text strings, arrays, maps with text keys, `false`, `true`, `null`, `undefined`; lengths that are
 * definite and fit into what is there; nesting up to 16. What passes means the same to everyone.
 *
 * This is the one place that names cbor-x.
 *
 * @module
 */

// Written out in full: a module imported by URL has no import map.
// deno-lint-ignore no-import-prefix
import { Decoder } from "npm:cbor-x@1.6.8/decode";
// deno-lint-ignore no-import-prefix
import { Encoder } from "npm:cbor-x@1.6.8/encode";
import { isUtf8, readU32 } from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";
import { cborDepthMax } from "./limits.ts";

/** A decoded map: what is in it has yet to be checked. */
export type CborMap = { readonly [key: string]: unknown };

// int64AsNumber is missing from the types of cbor-x: without it a u64 decodes to a bigint.
const settings = {
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  tagUint8Array: false,
  int64AsNumber: true,
};
const encoder = new Encoder(settings);
const decoder = new Decoder(settings);

const Major = {
  unsigned: 0,
  negative: 1,
  bytes: 2,
  text: 3,
  array: 4,
  map: 5,
  tag: 6,
  simple: 7,
} as const;

/**
 * Encodes plain data.
 *
 * @param value Numbers, strings, booleans, null, byte arrays, and arrays and objects of these.
 * @returns Bytes of their own.
 */
export function encodeCbor(value: unknown): Uint8Array {
  // cbor-x answers with a view of its pool, which a frame that waits to be sent would keep alive.
  return new Uint8Array(encoder.encode(value));
}

/**
 * Decodes one item that fills `bytes`.
 *
 * @param bytes From outside: nothing is assumed.
 * @returns Plain data; byte strings are views.
 * @throws {MalformedFrameError} when it is not one item of the subset.
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  const end = checkItem(bytes, 0, bytes.length, 0);
  if (end !== bytes.length) {
    throw new MalformedFrameError(`Cannot read CBOR with ${bytes.length - end} bytes behind it`);
  }
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new MalformedFrameError("Cannot read CBOR", undefined, { cause: error });
  }
}

/**
 * Decodes a map that fills `bytes`.
 *
 * @param bytes From outside: nothing is assumed.
 * @returns Its fields, each to be checked by whoever uses it.
 * @throws {MalformedFrameError} when it is not one map of the subset.
 */
export function decodeCborMap(bytes: Uint8Array): CborMap {
  if (bytes.length === 0 || bytes[0]! >> 5 !== Major.map) {
    throw new MalformedFrameError("Cannot read a payload that is not a CBOR map");
  }
  return decodeCbor(bytes) as CborMap;
}

/**
 * Checks that `bytes[start..end)` is a map of text to text, as the headers of a message are.
 *
 * @throws {MalformedFrameError} when it is something else.
 */
export function checkTextMap(bytes: Uint8Array, start: number, end: number): void {
  if (start >= end || bytes[start]! >> 5 !== Major.map) {
    throw new MalformedFrameError("Cannot read headers that are not a CBOR map");
  }
  const count = readArgument(bytes, start, end);
  let at = start + headBytes(bytes[start]!);
  if (count * 2 > end - at) throw tooLong("map", count);
  for (let i = 0; i < count * 2; i++) {
    if (at >= end || bytes[at]! >> 5 !== Major.text) {
      throw new MalformedFrameError("Cannot read headers that are not text");
    }
    if (i % 2 === 0) checkKey(bytes, at, end);
    at = checkItem(bytes, at, end, 1);
  }
  if (at !== end) throw new MalformedFrameError(`Cannot read ${end - at} bytes behind the headers`);
}

/** Walks one item; returns where it ends. */
function checkItem(bytes: Uint8Array, start: number, end: number, depth: number): number {
  if (start >= end) throw new MalformedFrameError("Cannot read CBOR that is cut off");
  const head = bytes[start]!;
  const major = head >> 5;
  if (major === Major.simple) return checkSimple(head, start, end);
  const argument = readArgument(bytes, start, end);
  let at = start + headBytes(head);
  switch (major) {
    case Major.unsigned:
      return at;
    case Major.negative:
      if (argument > 0xffff_ffff) {
        throw new MalformedFrameError("Cannot read a CBOR integer below -2^32");
      }
      return at;
    case Major.bytes:
      if (argument > end - at) throw tooLong("byte string", argument);
      return at + argument;
    case Major.text:
      if (argument > end - at) throw tooLong("text", argument);
      if (!isUtf8(bytes, at, at + argument)) {
        throw new MalformedFrameError("Cannot read CBOR text that is not UTF-8");
      }
      return at + argument;
    case Major.array:
      if (argument > end - at) throw tooLong("array", argument);
      checkDepth(depth);
      for (let i = 0; i < argument; i++) at = checkItem(bytes, at, end, depth + 1);
      return at;
    case Major.map:
      if (argument * 2 > end - at) throw tooLong("map", argument);
      checkDepth(depth);
      for (let i = 0; i < argument; i++) {
        checkKey(bytes, at, end);
        at = checkItem(bytes, at, end, depth + 1);
        at = checkItem(bytes, at, end, depth + 1);
      }
      return at;
    default:
      throw new MalformedFrameError(`Cannot read CBOR with tags: found tag ${argument}`);
  }
}

/** `false`, `true`, `null`, `undefined`, and floats of 2, 4 and 8 bytes. */
function checkSimple(head: number, start: number, end: number): number {
  const info = head & 31;
  const isFloat = info >= 25 && info <= 27;
  if (!isFloat && (info < 20 || info > 23)) {
    throw new MalformedFrameError(`Cannot read CBOR simple value ${info}`);
  }
  const next = start + headBytes(head);
  if (next > end) throw new MalformedFrameError("Cannot read CBOR that is cut off");
  return next;
}

/** The number in the head of an item: a value, a length or a count. */
function readArgument(bytes: Uint8Array, start: number, end: number): number {
  const info = bytes[start]! & 31;
  if (info < 24) return info;
  if (info > 27) throw new MalformedFrameError("Cannot read CBOR of indefinite length");
  if (start + headBytes(info) > end) {
    throw new MalformedFrameError("Cannot read CBOR that is cut off");
  }
  switch (info) {
    case 24:
      return bytes[start + 1]!;
    case 25:
      return (bytes[start + 1]! << 8) | bytes[start + 2]!;
    case 26:
      return readBigEndianU32(bytes, start + 1);
    default: {
      const value = readBigEndianU32(bytes, start + 1) * 0x1_0000_0000 +
        readBigEndianU32(bytes, start + 5);
      if (value > Number.MAX_SAFE_INTEGER) {
        throw new MalformedFrameError(`Cannot read a CBOR integer over 2^53 - 1: found ${value}`);
      }
      return value;
    }
  }
}

function readBigEndianU32(bytes: Uint8Array, offset: number): number {
  const value = readU32(bytes, offset);
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>>
    0;
}

/** Length of the head of an item: its first byte and the argument behind it. */
function headBytes(head: number): number {
  const info = head & 31;
  return info < 24 ? 1 : 1 + (1 << (info - 24));
}

/** A key is text, and not the one name that means something to a JavaScript object. */
function checkKey(bytes: Uint8Array, at: number, end: number): void {
  if (at >= end || bytes[at]! >> 5 !== Major.text) {
    throw new MalformedFrameError("Cannot read a CBOR map with keys that are not text");
  }
  if (readArgument(bytes, at, end) !== protoKey.length) return;
  const start = at + headBytes(bytes[at]!);
  if (start + protoKey.length > end) return;
  for (let i = 0; i < protoKey.length; i++) {
    if (bytes[start + i] !== protoKey.charCodeAt(i)) return;
  }
  throw new MalformedFrameError(`Cannot read a CBOR map with the key ${protoKey}`);
}

const protoKey = "__proto__";

function checkDepth(depth: number): void {
  if (depth >= cborDepthMax) {
    throw new MalformedFrameError(`Cannot read CBOR nested deeper than ${cborDepthMax}`);
  }
}

function tooLong(what: string, length: number): MalformedFrameError {
  return new MalformedFrameError(`Cannot read a CBOR ${what} of length ${length}: it is cut off`);
}
