/**
 * Copies of bytes that share large blocks of memory: asking for a typed array of its own costs more than
 * copying the few hundred bytes that most packets and disk writes have.
 *
 * @module
 */

const slabBytes = 256 << 10;

/** Copies of this size or more get memory of their own. */
const bigBytes = 16 << 10;

let slab = new Uint8Array(slabBytes);
let used = 0;

/** Copies `bytes` to where nothing else writes. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length >= bigBytes) return bytes.slice();
  if (used + length > slabBytes) {
    slab = new Uint8Array(slabBytes);
    used = 0;
  }
  const copy = slab.subarray(used, used + length);
  copy.set(bytes);
  used += length;
  return copy;
}
