/**
 * The deliveries that a command settles:
 *
 * ```text
 *  u64 × count   offsets
 *  u32 × count   delivery counts
 * ```
 *
 * @module
 */

import { readU32, readU64, writeU32, writeU64 } from "./bytes.ts";

/** What one delivery takes. */
export const settleItemBytes = 12;

/** Deliveries, told by message and count. */
export interface SettleList {
  readonly offsets: readonly number[];
  readonly deliveryCounts: readonly number[];
}

/**
 * Writes a list.
 *
 * @param bytes Where to, with room for `settleItemBytes` a delivery.
 * @param start Where it begins.
 * @param list The deliveries.
 * @returns Where it ends.
 */
export function writeSettleList(
  bytes: Uint8Array,
  start: number,
  { offsets, deliveryCounts }: SettleList,
): number {
  const count = offsets.length;
  let at = start;
  for (let i = 0; i < count; i++, at += 8) writeU64(bytes, at, offsets[i]!);
  for (let i = 0; i < count; i++, at += 4) writeU32(bytes, at, deliveryCounts[i]!);
  return at;
}

/**
 * Reads a list.
 *
 * @param bytes Long enough.
 * @param start Where it begins.
 * @param count How many deliveries there are.
 * @returns The deliveries.
 * @throws {MalformedFrameError} when an offset is over 2^53 - 1.
 */
export function readSettleList(bytes: Uint8Array, start: number, count: number): SettleList {
  const offsets: number[] = [];
  const deliveryCounts: number[] = [];
  const countsStart = start + 8 * count;
  for (let i = 0; i < count; i++) {
    offsets.push(readU64(bytes, start + 8 * i));
    deliveryCounts.push(readU32(bytes, countsStart + 4 * i));
  }
  return { offsets, deliveryCounts };
}
