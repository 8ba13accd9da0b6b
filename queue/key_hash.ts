/**
 * What a partition knows a key by: a number, as the machine keeps no texts.
 *
 * Of a million keys, two have the same number with a chance of 1 in 18,000. They share a turn and a
 * limit then, and are one after the other where order is by key: slower, and never wrong.
 *
 * @module
 */

/** What messages without a key have. No key has it. */
export const NO_KEY = 0;

/**
 * Hashes a key.
 *
 * @param key The key.
 * @returns A whole number from 1 to 2^53 - 1.
 *
 * @example
 * ```ts
 * import { assertNotEquals } from "@std/assert";
 *
 * assertNotEquals(hashKey("tenant-1"), hashKey("tenant-2"));
 * ```
 */
export function hashKey(key: string): number {
  let a = 0x2545_f491;
  let b = 0x6c07_8965;
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x9e37_79b1);
    b = Math.imul(b ^ unit, 0x5f35_6495);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85eb_ca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2_ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85eb_ca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2_ae35);
  return (b & 0x1f_ffff) * 0x1_0000_0000 + (a >>> 0) || 1;
}
