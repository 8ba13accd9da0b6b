/**
 * CRC-32C (Castagnoli), the checksum of records and files.
 *
 * The work is done by a small WebAssembly module (`crc32c.wat`), embedded as text. It reads its own
 * memory only, so the bytes are copied there first, a chunk at a time that stays in the processor's
 * cache; for a few bytes that costs more than it saves, and a table in plain JavaScript is used.
 *
 * @module
 */

import { crc32cWasm } from "./crc32c_wasm.ts";

/** Where the module expects its input, and how much of it at once. */
const inputOffset = 0x10000;
const inputBytesMax = 0x10000;

/** Up to here plain JavaScript is faster than the call and the copy. Measured: `crc32c_bench.ts`. */
const plainBytesMax = 24;

/** From here on folding is faster than tables alone; it needs 1,056. Measured likewise. */
const foldedBytesMin = 1792;

interface Crc32cExports {
  readonly memory: WebAssembly.Memory;
  readonly crc32c: (crc: number, at: number, length: number) => number;
  readonly crc32cFolded: (crc: number, at: number, length: number) => number;
}

const wasm = new WebAssembly.Instance(
  new WebAssembly.Module(Uint8Array.from(atob(crc32cWasm), (char) => char.charCodeAt(0))),
).exports as unknown as Crc32cExports;

const input = new Uint8Array(wasm.memory.buffer, inputOffset, inputBytesMax);

/** The checksum of each single byte, as the module made it: the first of its tables. */
const table = new Int32Array(wasm.memory.buffer, 0, 256).slice();

/**
 * The CRC-32C of some bytes.
 *
 * @param bytes The bytes.
 * @param seed The checksum of what came before them, to get the checksum of both together.
 * @returns The checksum, an unsigned 32-bit integer.
 *
 * @example In parts
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new TextEncoder().encode("123456789");
 * assertEquals(crc32c(bytes), 0xe3069283);
 * assertEquals(crc32c(bytes.subarray(4), crc32c(bytes.subarray(0, 4))), 0xe3069283);
 * ```
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return crc32cRange(bytes, 0, bytes.length, seed);
}

/**
 * The CRC-32C of a part of some bytes. Spares the caller a view where the part is small.
 *
 * @param bytes The bytes.
 * @param start Where the part begins.
 * @param end Where the part ends.
 * @param seed The checksum of what came before it.
 * @returns The checksum, an unsigned 32-bit integer.
 */
export function crc32cRange(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  if (end - start <= plainBytesMax) return crc32cPlain(bytes, start, end, seed);
  let crc = seed;
  for (let at = start; at < end;) {
    const next = Math.min(at + inputBytesMax, end);
    input.set(at === 0 && next === bytes.length ? bytes : bytes.subarray(at, next));
    crc = next - at < foldedBytesMin
      ? wasm.crc32c(crc, inputOffset, next - at)
      : wasm.crc32cFolded(crc, inputOffset, next - at);
    at = next;
  }
  return crc >>> 0;
}

/** The same, byte by byte in JavaScript. */
function crc32cPlain(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let crc = ~seed;
  for (let i = start; i < end; i++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 255] as number);
  }
  return ~crc >>> 0;
}
