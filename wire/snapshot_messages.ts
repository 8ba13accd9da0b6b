/**
 * How a snapshot, with the log that it needs, goes from one broker to another: as a stream of chunks
 * beside everything else, of which only a few are on their way at a time.
 *
 * ```text
 * snapshotBegin    0 u64 transfer | 8 u64 neededIndex | 16 u64 entries | 24 u64 stateBytes
 *                 32 u32 stateCrc | 36 u32 0 | 40 a Raft message of kind 9, its snapshot empty
 * snapshotChunk    0 u64 transfer | 8 u64 position | 16 a piece of the state, or log records
 * snapshotAck      0 u64 transfer | 8 u64 position
 * snapshotAbort    0 u64 transfer
 * ```
 *
 * The stream is the state of the machine, `stateBytes` long, and then the records of those entries that
 * the state refers to, from `neededIndex` to the snapshot's index at most. What else there is of the log
 * is not sent: so the stream is the same from every node that has the snapshot. A position counts the
 * bytes of the state and then the entries: with a state of 1,000 bytes, position 1,002 is that of the
 * third entry that is sent. A chunk lies on one side only.
 *
 * The receiver answers a begin with the position that it wants first: not 0 if it has a part of the very
 * same stream from before. It acks every chunk with the position behind it, and all of it with the last
 * position; or it says that it wants no more of it.
 *
 * The shard is in the frame's header. Whoever sends chooses the number of a transfer.
 *
 * @module
 */

import type { InstallSnapshot } from "../raft/messages.ts";
import { concatBytes, readU32, readU64, writeU32, writeU64 } from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";
import { encodeFrame, frameHeaderBytes, writeFrameHeader } from "./frame.ts";
import { snapshotStateBytesMax } from "./limits.ts";
import { decodeRaftMessage, encodeRaftMessage, PeerFrameType } from "./peer_messages.ts";

/** The first frame of a transfer. */
export interface SnapshotBegin {
  readonly transfer: number;
  /** The first entry that comes with the snapshot; one behind its index where none does. */
  readonly neededIndex: number;
  /** How many entries come. */
  readonly entries: number;
  /** How long the state is. */
  readonly stateBytes: number;
  /** Its CRC-32C. */
  readonly stateCrc: number;
  /** What the receiver's core is given when all has arrived. */
  readonly message: InstallSnapshot;
}

/** A piece of what is transferred. */
export interface SnapshotChunk {
  readonly transfer: number;
  readonly position: number;
  /** A view of the payload. */
  readonly bytes: Uint8Array;
}

/** How far a transfer has got. */
export interface SnapshotAck {
  readonly transfer: number;
  readonly position: number;
}

const beginHeadBytes = 40;
const chunkHeadBytes = 16;

/**
 * Makes the frame that begins a transfer.
 *
 * @param shard The shard.
 * @param begin What is to come.
 * @returns The whole frame.
 */
export function encodeSnapshotBegin(shard: number, begin: SnapshotBegin): Uint8Array {
  const head = new Uint8Array(beginHeadBytes);
  writeU64(head, 0, begin.transfer);
  writeU64(head, 8, begin.neededIndex);
  writeU64(head, 16, begin.entries);
  writeU64(head, 24, begin.stateBytes);
  writeU32(head, 32, begin.stateCrc);
  const message = encodeRaftMessage(shard, begin.message).subarray(frameHeaderBytes);
  return encodeFrame(PeerFrameType.snapshotBegin, shard, 0, concatBytes([head, message]));
}

/**
 * Reads the beginning of a transfer.
 *
 * @param payload The frame's payload.
 * @throws {MalformedFrameError} when it is something else, or is of no use.
 */
export function decodeSnapshotBegin(payload: Uint8Array): SnapshotBegin {
  checkLength(payload, beginHeadBytes);
  const { message } = decodeRaftMessage(payload.subarray(beginHeadBytes));
  const begin = {
    transfer: readU64(payload, 0),
    neededIndex: readU64(payload, 8),
    entries: readU64(payload, 16),
    stateBytes: readU64(payload, 24),
    stateCrc: readU32(payload, 32),
  };
  if (message.kind !== "installSnapshot") {
    throw new MalformedFrameError(`Cannot take a snapshot from a Raft message ${message.kind}`);
  }
  const { index } = message.snapshot.metadata;
  if (begin.neededIndex < 1 || begin.neededIndex > index + 1) {
    throw new MalformedFrameError(
      `Cannot take a snapshot of entry ${index} that needs the log from ${begin.neededIndex}`,
    );
  }
  const range = index + 1 - begin.neededIndex;
  if (begin.entries > range || (begin.entries === 0) !== (range === 0)) {
    throw new MalformedFrameError(
      `Cannot take ${begin.entries} of the ${range} entries with a snapshot`,
    );
  }
  if (begin.stateBytes > snapshotStateBytesMax) {
    throw new MalformedFrameError(`Cannot take a snapshot of ${begin.stateBytes} bytes`);
  }
  return { ...begin, message };
}

/**
 * Makes the head of the frame of a chunk; its bytes are sent right behind it.
 *
 * @param shard The shard.
 * @param at Which transfer, and where in it.
 * @param bytes How many bytes follow.
 * @returns The frame up to the bytes.
 */
export function encodeSnapshotChunkHead(
  shard: number,
  at: SnapshotAck,
  bytes: number,
): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + chunkHeadBytes);
  writeFrameHeader(frame, 0, PeerFrameType.snapshotChunk, shard, 0, chunkHeadBytes + bytes);
  writeU64(frame, frameHeaderBytes, at.transfer);
  writeU64(frame, frameHeaderBytes + 8, at.position);
  return frame;
}

/**
 * Reads a chunk.
 *
 * @param payload The frame's payload.
 * @throws {MalformedFrameError} when it is too short.
 */
export function decodeSnapshotChunk(payload: Uint8Array): SnapshotChunk {
  return { ...decodeSnapshotAck(payload), bytes: payload.subarray(chunkHeadBytes) };
}

/**
 * Makes the frame that says how far a transfer has got.
 *
 * @param shard The shard.
 * @param ack Which transfer, and how far.
 * @returns The whole frame.
 */
export function encodeSnapshotAck(shard: number, ack: SnapshotAck): Uint8Array {
  const payload = new Uint8Array(chunkHeadBytes);
  writeU64(payload, 0, ack.transfer);
  writeU64(payload, 8, ack.position);
  return encodeFrame(PeerFrameType.snapshotAck, shard, 0, payload);
}

/**
 * Reads how far a transfer has got.
 *
 * @param payload The frame's payload.
 * @throws {MalformedFrameError} when it is too short.
 */
export function decodeSnapshotAck(payload: Uint8Array): SnapshotAck {
  checkLength(payload, chunkHeadBytes);
  return { transfer: readU64(payload, 0), position: readU64(payload, 8) };
}

/**
 * Makes the frame of a receiver that wants no more of a transfer.
 *
 * @param shard The shard.
 * @param transfer Which one.
 * @returns The whole frame.
 */
export function encodeSnapshotAbort(shard: number, transfer: number): Uint8Array {
  const payload = new Uint8Array(8);
  writeU64(payload, 0, transfer);
  return encodeFrame(PeerFrameType.snapshotAbort, shard, 0, payload);
}

/**
 * Reads which transfer is not wanted.
 *
 * @param payload The frame's payload.
 * @throws {MalformedFrameError} when it is too short.
 */
export function decodeSnapshotAbort(payload: Uint8Array): number {
  checkLength(payload, 8);
  return readU64(payload, 0);
}

function checkLength(payload: Uint8Array, bytes: number): void {
  if (payload.length >= bytes) return;
  throw new MalformedFrameError(`Cannot read a frame of a snapshot of ${payload.length} bytes`);
}
