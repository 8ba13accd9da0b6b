/**
 * Frames: how a stream of bytes is cut into messages. Pure: bytes in, frames out.
 *
 * ```text
 *  0  u32 length of what follows (8 + payload)
 *  4  u8  type
 *  5  u8  flags, 0
 *  6  u16 shard
 *  8  u32 correlationId, 0 for a push
 * 12  payload
 * ```
 *
 * {@linkcode FrameParser} hands out the space to read into. Its chunks are never written twice, so
 * the payload of a frame is a view that stays valid for ever and nobody has to copy it; the price is
 * that a small view kept for long keeps its whole chunk. Only the head of a frame that runs over the
 * end of its chunk is copied, into the next one.
 *
 * @module
 */

import { readU16, readU32, writeU16, writeU32 } from "./bytes.ts";
import { ErrorCode } from "./error_codes.ts";
import { MalformedFrameError } from "./errors.ts";
import { frameBytesMax } from "./limits.ts";
import { newBytes } from "./new_bytes.ts";

/** Bytes before the payload. */
export const frameHeaderBytes = 12;

/** What the length field counts besides the payload. */
const countedHeaderBytes = 8;

const chunkBytesDefault = 256 * 1024;

/** The first chunk is smaller: most connections never need more. */
const firstChunkBytes = 16 * 1024;

/** Less space than this is not worth a read: the next one goes into a new chunk. */
const spaceBytesMin = 4 * 1024;

/** One frame as it came in. */
export class Frame {
  /** What the frame is; see `client_messages.ts` and `peer_messages.ts`. */
  readonly type: number;
  /** The shard a request is for, 0 where it does not matter. */
  readonly shard: number;
  /** Joins a reply to its request; 0 for a push. */
  readonly correlationId: number;
  /** The content: a view that stays valid and that nobody may write to but its owner. */
  readonly payload: Uint8Array;

  /**
   * Makes a view of the frame at `bytes[start..end)`, which holds a whole one.
   *
   * @param bytes The chunk.
   * @param start Where the length field is.
   * @param end Where the payload ends.
   */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.type = bytes[start + 4]!;
    this.shard = readU16(bytes, start + 6);
    this.correlationId = readU32(bytes, start + 8);
    this.payload = bytes.subarray(start + frameHeaderBytes, end);
  }

  /** The whole frame, header included, as it came in: what a relay passes on. */
  get bytes(): Uint8Array {
    const { buffer, byteOffset, byteLength } = this.payload;
    return new Uint8Array(buffer, byteOffset - frameHeaderBytes, byteLength + frameHeaderBytes);
  }
}

/** Settings of a {@linkcode FrameParser}. */
export interface FrameParserOptions {
  /** The most a frame may hold behind its length field. @default {frameBytesMax} */
  readonly frameBytesMax?: number;
  /** How many bytes to ask memory for at once, but for the first time. @default {262144} */
  readonly chunkBytes?: number;
}

/**
 * Cuts a byte stream into frames.
 *
 * @example Usage
 * ```ts
 * import { encodeFrame, FrameParser } from "./frame.ts";
 *
 * const types: number[] = [];
 * const parser = new FrameParser((frame) => types.push(frame.type));
 * parser.push(encodeFrame(2, 0, 1));
 * if (types.length !== 1 || types[0] !== 2) throw new Error("no frame came out");
 * ```
 */
export class FrameParser {
  readonly #onFrame: (frame: Frame) => void;
  readonly #frameBytesMax: number;
  readonly #chunkBytes: number;
  #chunk: Uint8Array;
  /** Where the first byte is that is not yet part of a frame handed out. */
  #start = 0;
  #end = 0;

  /**
   * Makes a parser at the beginning of a stream.
   *
   * @param onFrame Called for each frame, in order.
   * @param options Limits.
   */
  constructor(onFrame: (frame: Frame) => void, options: FrameParserOptions = {}) {
    this.#onFrame = onFrame;
    this.#frameBytesMax = options.frameBytesMax ?? frameBytesMax;
    this.#chunkBytes = options.chunkBytes ?? chunkBytesDefault;
    this.#chunk = new Uint8Array(Math.min(this.#chunkBytes, firstChunkBytes));
  }

  /** Bytes that came in and are not yet a whole frame: not 0 at the end means a cut-off frame. */
  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /**
   * Where to read the next bytes to: never empty, valid until {@linkcode filled} is called.
   *
   * @returns A view to be filled from its beginning.
   */
  space(): Uint8Array {
    const pending = this.#end - this.#start;
    const wanted = pending < 4
      ? pending + spaceBytesMin
      : Math.max(4 + readU32(this.#chunk, this.#start), pending + 1);
    const tooShort = this.#start > 0 && this.#start + wanted > this.#chunk.length;
    if (tooShort || this.#end === this.#chunk.length) {
      // The claim of a length is not believed at once: memory grows with what really came in.
      const trusted = Math.max(this.#chunkBytes, pending * 4);
      const next = new Uint8Array(Math.max(this.#chunkBytes, Math.min(wanted, trusted)));
      next.set(this.#chunk.subarray(this.#start, this.#end));
      this.#chunk = next;
      this.#start = 0;
      this.#end = pending;
    }
    return this.#chunk.subarray(this.#end);
  }

  /**
   * Says that the first `count` bytes of {@linkcode space} were filled, and hands out what is whole.
   *
   * @param count How many bytes came in.
   * @throws {MalformedFrameError} when a length is out of its range; the parser is unusable then.
   */
  filled(count: number): void {
    this.#end += count;
    while (this.#end - this.#start >= 4) {
      const length = readU32(this.#chunk, this.#start);
      if (length < countedHeaderBytes) {
        throw new MalformedFrameError(`Cannot read a frame shorter than its header: ${length}`);
      }
      if (length > this.#frameBytesMax) {
        throw new MalformedFrameError(
          `Cannot read a frame over ${this.#frameBytesMax} bytes: its length is ${length}`,
          ErrorCode.frameTooLarge,
        );
      }
      const end = this.#start + 4 + length;
      if (end > this.#end) return;
      if (this.#chunk[this.#start + 5] !== 0) {
        throw new MalformedFrameError(
          `Cannot read a frame with unknown flags: ${this.#chunk[this.#start + 5]}`,
        );
      }
      const frame = new Frame(this.#chunk, this.#start, end);
      this.#start = end;
      this.#onFrame(frame);
    }
  }

  /**
   * Takes bytes that are somewhere else already, at the cost of a copy.
   *
   * @param bytes The next bytes of the stream.
   * @throws {MalformedFrameError} as {@linkcode filled} does.
   */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const space = this.space();
      const count = Math.min(space.length, bytes.length - at);
      space.set(bytes.subarray(at, at + count));
      at += count;
      this.filled(count);
    }
  }
}

/**
 * Writes the header of a frame.
 *
 * @param target Where to, at least 12 bytes behind `offset`.
 * @param offset Where the frame begins.
 * @param type What the frame is.
 * @param shard The shard it is about, or 0.
 * @param correlationId The request's number, or 0 for a push.
 * @param payloadBytes How long the payload is.
 */
export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  type: number,
  shard: number,
  correlationId: number,
  payloadBytes: number,
): void {
  writeU32(target, offset, countedHeaderBytes + payloadBytes);
  target[offset + 4] = type;
  target[offset + 5] = 0;
  writeU16(target, offset + 6, shard);
  writeU32(target, offset + 8, correlationId);
}

/**
 * Makes the header of a frame whose payload is sent beside it.
 *
 * @returns 12 bytes.
 */
export function encodeFrameHeader(
  type: number,
  shard: number,
  correlationId: number,
  payloadBytes: number,
): Uint8Array {
  const header = newBytes(frameHeaderBytes);
  writeFrameHeader(header, 0, type, shard, correlationId, payloadBytes);
  return header;
}

/**
 * Makes a whole frame, with a copy of the payload.
 *
 * @returns Header and payload.
 */
export function encodeFrame(
  type: number,
  shard: number,
  correlationId: number,
  payload?: Uint8Array,
): Uint8Array {
  const payloadBytes = payload === undefined ? 0 : payload.length;
  const frame = newBytes(frameHeaderBytes + payloadBytes);
  writeFrameHeader(frame, 0, type, shard, correlationId, payloadBytes);
  if (payload !== undefined) frame.set(payload, frameHeaderBytes);
  return frame;
}

/**
 * Reads a whole frame out of bytes that hold exactly one, such as a relayed one.
 *
 * @param bytes Header and payload; the frame is a view of them.
 * @returns The frame.
 * @throws {MalformedFrameError} when the bytes are not exactly one frame.
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length < frameHeaderBytes || readU32(bytes, 0) !== bytes.length - 4 || bytes[5] !== 0) {
    throw new MalformedFrameError(`Cannot read ${bytes.length} bytes as one frame`);
  }
  return new Frame(bytes, 0, bytes.length);
}
