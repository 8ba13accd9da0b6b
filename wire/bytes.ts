/**
 * Little-endian numbers and UTF-8 in byte arrays.
 *
 * Plain index arithmetic instead of `DataView`: no view object per array, and as fast in hot loops.
 * The readers check no bounds; a decoder checks the length of what it reads once, up front.
 *
 * @module
 */

import { MalformedFrameError } from "./errors.ts";

const two32 = 0x1_0000_0000;
const safeHighMax = 0x1f_ffff;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** No bytes at all. */
export const emptyBytes: Uint8Array = new Uint8Array(0);

/** Reads the u16 at `offset`. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! | (bytes[offset + 1]! << 8);
}

/** Reads the u32 at `offset`. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) |
    (bytes[offset + 3]! << 24)) >>> 0;
}

/**
 * Reads the u64 at `offset`.
 *
 * @throws {MalformedFrameError} when it is over `Number.MAX_SAFE_INTEGER`.
 */
export function readU64(bytes: Uint8Array, offset: number): number {
  const high = readU32(bytes, offset + 4);
  if (high > safeHighMax) {
    throw new MalformedFrameError(`Cannot read a u64 over 2^53 - 1: its high half is ${high}`);
  }
  return high * two32 + readU32(bytes, offset);
}

/** Writes a u16 at `offset`. */
export function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

/** Writes a u32 at `offset`. */
export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

/** Writes a non-negative safe integer as u64 at `offset`. */
export function writeU64(bytes: Uint8Array, offset: number, value: number): void {
  writeU32(bytes, offset, value % two32);
  writeU32(bytes, offset + 4, Math.floor(value / two32));
}

/** Encodes text as UTF-8 into bytes of its own. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Encodes text as UTF-8 at `offset`; the caller leaves room for three bytes a code unit.
 *
 * @returns How many bytes were written.
 */
export function encodeUtf8Into(text: string, bytes: Uint8Array, offset: number): number {
  return encoder.encodeInto(text, bytes.subarray(offset)).written;
}

/** How many bytes text takes as UTF-8. Lone surrogates count as the replacement character. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length += 1;
    } else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      length += 2; // four bytes for two code units
      i++;
    } else {
      length += 2;
    }
  }
  return length;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

/**
 * Decodes UTF-8, strictly.
 *
 * @throws {MalformedFrameError} when the bytes are not UTF-8.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new MalformedFrameError("Cannot decode text as its bytes are not UTF-8", undefined, {
      cause: error,
    });
  }
}

/** Tells whether `bytes[start..end)` is UTF-8, without making a string of it. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at++]!;
    if (lead < 0x80) continue;
    const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || at + more > end) return false;
    // Only the first continuation byte has a range of its own: overlong forms, surrogates, 0x10ffff.
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    const first = bytes[at]!;
    if (first < low || first > high) return false;
    for (let i = 1; i < more; i++) {
      if ((bytes[at + i]! & 0xc0) !== 0x80) return false;
    }
    at += more;
  }
  return true;
}

/** Joins byte arrays into one of their own. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
