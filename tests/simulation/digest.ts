/**
 * A digest of bytes for telling entries apart: two FNV-1a lanes in one safe integer. It is the checkers'
 * own, so that a mistake in the storage layer's checksum cannot hide one in the data.
 *
 * @module
 */

/** Digests bytes to a number below 2^53. */
export function digestOf(bytes: Uint8Array): number {
  let a = 0x811c9dc5 | 0;
  let b = bytes.length | 0;
  const end = bytes.length - bytes.length % 4;
  for (let i = 0; i < bytes.length; i += i < end ? 4 : 1) {
    const word = i < end
      ? bytes[i]! | bytes[i + 1]! << 8 | bytes[i + 2]! << 16 | bytes[i + 3]! << 24
      : bytes[i]!;
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ word, 0x5bd1e995) + a | 0;
    b ^= b >>> 15;
  }
  return (a >>> 0) * 2 ** 21 + (b >>> 11);
}
