/**
 * The `deliver` push: messages on their way to one consumer of one partition.
 *
 * ```text
 *  0 u32 consumerId | 4 u32 partitionId | 8 u32 count | 12 u32 term of the leader, its lower half
 * then for each message:
 *  0 u64 offset | 8 u32 deliveryCount | 12 u32 messageBytes | 16 u64 term | 24 u64 index
 * 32 u64 publishedAtMs | 40 the message record, as in publish_batch.ts
 * ```
 *
 * The term of the leader lets a consumer tell what a deposed leader sends that does not know it yet: by
 * then another may have taken the ack of the very message.
 *
 * @module
 */

import { readU32, readU64, writeU32, writeU64 } from "./bytes.ts";
import { PushType } from "./client_messages.ts";
import { MalformedFrameError } from "./errors.ts";
import { frameHeaderBytes, writeFrameHeader } from "./frame.ts";

const deliverHeadBytes = 16;
const deliveryHeadBytes = 40;

/** What is taken at once for messages that are still to come. */
const reservedBytesMax = 1 << 20;
const noBytes = new Uint8Array(0);
const two32 = 0x1_0000_0000;

/** Whom a deliver frame is for, and who sends it. */
export interface DeliverTarget {
  /** The shard of the partition. */
  readonly shard: number;
  /** The term of the leader that sends it. */
  readonly term: number;
  /** The consumer, as its client calls it. */
  readonly consumerId: number;
  /** The partition. */
  readonly partitionId: number;
}

/**
 * Builds a deliver frame: each message is copied once, from the entry it was published in.
 *
 * @example Usage
 * ```ts
 * import { DeliverBuilder } from "./deliver_frame.ts";
 *
 * const builder = new DeliverBuilder({ shard: 0, term: 2, consumerId: 1, partitionId: 3 });
 * builder.add(17, 1, 2, 100, 1_700_000_000_000, new Uint8Array([0, 65]), 0, 2);
 * const frame = builder.finish();
 * if (frame.length !== 12 + 16 + 40 + 2) throw new Error("not the layout");
 * ```
 */
export class DeliverBuilder {
  readonly #target: DeliverTarget;
  readonly #countLikely: number;
  #frame: Uint8Array = noBytes;
  #length = frameHeaderBytes + deliverHeadBytes;
  #count = 0;

  /**
   * Begins a frame.
   *
   * @param target Whom it is for, and who sends it.
   * @param countLikely How many messages will follow: there is room for them at once, if they are as long
   *   as the first, and less than a megabyte.
   */
  constructor(target: DeliverTarget, countLikely = 1) {
    this.#target = target;
    this.#countLikely = countLikely;
  }

  /** How many messages it holds. */
  get count(): number {
    return this.#count;
  }

  /** How long the frame is by now. */
  get byteLength(): number {
    return this.#length;
  }

  /**
   * Adds the message whose record is `source[start..end)`.
   *
   * @param offset Its place in the partition.
   * @param deliveryCount Which delivery of it this is, from 1.
   * @param term Of the entry it was published in.
   * @param index Of the entry it was published in.
   * @param publishedAtMs The leader's time of that entry.
   * @param source A publish command.
   * @param start Where the record begins.
   * @param end Where it ends.
   */
  add(
    offset: number,
    deliveryCount: number,
    term: number,
    index: number,
    publishedAtMs: number,
    source: Uint8Array,
    start: number,
    end: number,
  ): void {
    const at = this.#length;
    this.#length = at + deliveryHeadBytes + end - start;
    if (this.#length > this.#frame.length) this.#grow(this.#length - at);
    const frame = this.#frame;
    writeU64(frame, at, offset);
    writeU32(frame, at + 8, deliveryCount);
    writeU32(frame, at + 12, end - start);
    writeU64(frame, at + 16, term);
    writeU64(frame, at + 24, index);
    writeU64(frame, at + 32, publishedAtMs);
    copyBytes(source, start, end, frame, at + deliveryHeadBytes);
    this.#count++;
  }

  /**
   * Completes the frame; the builder is used up.
   *
   * @returns The whole frame.
   */
  finish(): Uint8Array {
    if (this.#count === 0) this.#grow(0);
    const frame = this.#frame;
    const { shard, term, consumerId, partitionId } = this.#target;
    writeFrameHeader(frame, 0, PushType.deliver, shard, 0, this.#length - frameHeaderBytes);
    writeU32(frame, frameHeaderBytes, consumerId);
    writeU32(frame, frameHeaderBytes + 4, partitionId);
    writeU32(frame, frameHeaderBytes + 8, this.#count);
    writeU32(frame, frameHeaderBytes + 12, term % two32);
    return frame.subarray(0, this.#length);
  }

  /** Makes room for a delivery of this size, and for those that are likely to follow. */
  #grow(deliveryBytes: number): void {
    const likelyBytes = deliveryBytes * Math.max(0, this.#countLikely - 1 - this.#count);
    const reserved = Math.min(Math.max(likelyBytes, this.#frame.length), reservedBytesMax);
    const larger = new Uint8Array(this.#length + reserved);
    larger.set(this.#frame);
    this.#frame = larger;
  }
}

/** Below this a loop beats the view and the call that `set` needs. */
const loopBytesMax = 48;

function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): void {
  if (end - start > loopBytesMax) {
    target.set(source.subarray(start, end), at);
  } else {
    for (let i = start, j = at; i < end; i++, j++) target[j] = source[i]!;
  }
}

/** Takes one delivery out of a deliver frame; its record is `payload[start..end)`. */
export type DeliveryVisitor = (
  offset: number,
  deliveryCount: number,
  term: number,
  index: number,
  publishedAtMs: number,
  start: number,
  end: number,
) => void;

/** The consumer that a deliver frame is for. */
export function deliverConsumerId(payload: Uint8Array): number {
  return readU32(payload, 0);
}

/** The partition that a deliver frame is from. */
export function deliverPartitionId(payload: Uint8Array): number {
  return readU32(payload, 4);
}

/**
 * Tells whether a deliver frame comes from a leader that has been succeeded.
 *
 * @param payload The frame's payload.
 * @param term A term in which the shard is known to have had a leader.
 * @returns Whether the sender led in an earlier one.
 */
export function isDeliveredBefore(payload: Uint8Array, term: number): boolean {
  return readU32(payload, 12) < term % two32;
}

/**
 * Checks the head of a deliver frame.
 *
 * @param payload The frame's payload.
 * @returns How many deliveries it says it holds.
 * @throws {MalformedFrameError} when it is cut off.
 */
export function deliverCount(payload: Uint8Array): number {
  if (payload.length < deliverHeadBytes) {
    throw new MalformedFrameError(`Cannot read a deliver frame of ${payload.length} bytes`);
  }
  return readU32(payload, 8);
}

/**
 * Goes through the deliveries of a frame, without an object for any of them.
 *
 * @param payload The frame's payload.
 * @param visit Called for each delivery, in order.
 * @throws {MalformedFrameError} when a delivery is cut off, or something is behind the last one.
 */
export function visitDeliveries(payload: Uint8Array, visit: DeliveryVisitor): void {
  const count = deliverCount(payload);
  let at = deliverHeadBytes;
  for (let i = 0; i < count; i++) {
    const start = at + deliveryHeadBytes;
    const end = start > payload.length ? start : start + readU32(payload, at + 12);
    if (end > payload.length || start === end) {
      throw new MalformedFrameError(`Cannot read delivery ${i} of ${count}: it is cut off`);
    }
    visit(
      readU64(payload, at),
      readU32(payload, at + 8),
      readU64(payload, at + 16),
      readU64(payload, at + 24),
      readU64(payload, at + 32),
      start,
      end,
    );
    at = end;
  }
  if (at !== payload.length) {
    throw new MalformedFrameError(`Cannot read ${payload.length - at} bytes behind the deliveries`);
  }
}
