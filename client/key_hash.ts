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
 * The partition of a key. A queue that gets more partitions keeps its keys where they are, but for those
 * that go to the new ones: no key ever changes from one old partition to another. Each partition has as
 * many as any other.
 *
 * The way there, from partition to partition, is that of a jump consistent hash (Lamping and Veach,
 * arXiv:1406.2294), with another source of numbers that look random: one a step, made of the hash.
 *
 * @param key Any text.
 * @param partitionCount How many partitions the queue has.
 * @returns The partition's number, from 0.
 */
export function partitionOfKey(key: string, partitionCount: number): number {
  if (partitionCount === 1) return 0;
  let mixed = hashKey(key);
  let partition = 0;
  for (;;) {
    mixed = mix(mixed);
    // A quotient below 2^10 of numbers below 2^43: doubles are as good as whole numbers.
    const next = Math.floor((partition + 1) * 0x1_0000_0000 / (mixed + 1));
    if (next >= partitionCount) return partition;
    partition = next;
  }
}

/** Goes from a u32 to the next one that looks random. */
function mix(previous: number): number {
  let mixed = (previous + 0x9e37_79b9) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
