/**
 * Which partition a key belongs to. Part of the protocol: all clients, in all languages, agree.
 *
 * @module
 */

import { encodeUtf8 } from "../wire/mod.ts";

const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/**
 * FNV-1a, 32 bits, over the UTF-8 of a key.
 *
 * @param key Any text.
 * @returns A u32.
 */
export function hashKey(key: string): number {
  let hash = offsetBasis;
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    if (unit >= 0x80) return hashBytes(encodeUtf8(key));
    hash = Math.imul(hash ^ unit, prime);
  }
  return hash >>> 0;
}

function hashBytes(bytes: Uint8Array): number {
  let hash = offsetBasis;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, prime);
  return hash >>> 0;
}

/**
 * The partition of a key.
 *
 * @param key Any text.
 * @param partitionCount How many partitions the queue has.
 * @returns The partition's number, from 0.
 */
export function partitionOfKey(key: string, partitionCount: number): number {
  return hashKey(key) % partitionCount;
}
