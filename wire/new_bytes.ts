/**
 * Memory for small frames.
 *
 * Deno gives each `Uint8Array` memory outside of V8's heap, which costs a call of the allocator, an
 * entry in V8's tables, and work for the collector in the end. A view of memory that is there costs a
 * fifth of that. So small arrays share a block, one behind the other; each part is given out once, and
 * a block lives as long as any of its parts.
 *
 * @module
 */

const blockBytes = 16 * 1024;

/** Longer arrays have memory of their own: few of them would fill a block, and they are copied anyway. */
const sharedBytesMax = 1_024;

let block = new Uint8Array(0);
let used = 0;

/**
 * Makes an array of zeros.
 *
 * @param length How long, in bytes.
 * @returns The array; nothing else is where it is, but its `buffer` may have others beside it.
 */
export function newBytes(length: number): Uint8Array {
  if (length > sharedBytesMax) return new Uint8Array(length);
  if (used + length > block.length) {
    block = new Uint8Array(blockBytes);
    used = 0;
  }
  const start = used;
  used += length;
  return block.subarray(start, used);
}
