/**
 * The 16 bytes in front of every command in the Raft log.
 *
 * ```text
 *  0  u8  kind
 *  1  u8  layout version (1)
 *  2  u16 reserved, 0
 *  4  u32 partitionId, 0 where there is none
 *  8  u64 timestampMs, 0 from a client; stamped in place by the leader before it proposes
 * ```
 *
 * A change of a layout raises the version; the reader of the old one stays next to the new one.
 *
 * @module
 */

import { readU32, readU64, writeU64 } from "./bytes.ts";

/** Bytes before the body of a command. */
export const commandHeaderBytes = 16;

/** The layout version that is written. */
export const commandLayoutVersion = 1;

/** The first byte of a command. Part of the disk format: a number is never used again. */
export const CommandKindCode = {
  publish: 1,
  settle: 2,
  openSession: 3,
  attachSession: 4,
  detachSession: 5,
  closeSession: 6,
  attachConsumer: 7,
  detachConsumer: 8,
  beginTerm: 9,
  tick: 10,
  createPartition: 11,
  deletePartition: 12,
  createQueue: 13,
  deleteQueue: 14,
  partitionSettled: 15,
  editQueue: 16,
  updatePartition: 17,
  purgePartition: 18,
  settleAndPublish: 20,
  transfer: 21,
  transferDone: 22,
  removeMessage: 24,
  addSchedule: 30,
  removeSchedule: 31,
  pauseSchedule: 32,
  resumeSchedule: 33,
  fireSchedule: 34,
  replay: 45,
} as const;

/** A number of {@linkcode CommandKindCode}. */
export type CommandKindCode = (typeof CommandKindCode)[keyof typeof CommandKindCode];

/** The partition a command is about, or 0. */
export function commandPartitionId(command: Uint8Array): number {
  return readU32(command, 4);
}

/** When the leader proposed a command, in milliseconds since the epoch. */
export function commandTimestampMs(command: Uint8Array): number {
  return readU64(command, 8);
}

/**
 * Writes the leader's time into a command, in place.
 *
 * @param command Not yet proposed.
 * @param timestampMs Milliseconds since the epoch.
 */
export function stampCommand(command: Uint8Array, timestampMs: number): void {
  writeU64(command, 8, timestampMs);
}
