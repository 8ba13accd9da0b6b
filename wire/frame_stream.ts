/**
 * Frames over a byte stream: a loop that reads, and a writer that gathers.
 *
 * The writer starts in a microtask: all that is sent in one turn of the event loop, and all that
 * comes while a write is under way, goes out together. Small parts are copied into one write, as a
 * system call costs more than the copy; a big part is written from where it is.
 *
 * @module
 */

import { type Frame, FrameParser, type FrameParserOptions } from "./frame.ts";

/** What {@linkcode readFrames} reads from. */
export interface FrameSource {
  /** Reads up to `buffer.length` bytes; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** What a {@linkcode FrameWriter} writes to. */
export interface FrameSink {
  /** Writes some bytes, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** What {@linkcode readFrames} does besides calling `onFrame`. */
export interface ReadFramesOptions extends FrameParserOptions {
  /**
   * Called after each read, when all frames it completed have been handed out: time to batch. Where
   * it returns a promise, nothing more is read until that resolves: back-pressure.
   */
  readonly onChunkEnd?: () => Promise<void> | undefined | void;
}

/**
 * Reads frames until the stream ends.
 *
 * @param source The stream.
 * @param onFrame Called for each frame, in order; what it throws ends the loop.
 * @param options Limits, and a callback after each read.
 * @returns When the stream has ended; a frame that was cut off by the end is dropped.
 * @throws {MalformedFrameError} when a length is out of its range, and whatever `read` or `onFrame`
 *   throws.
 */
export async function readFrames(
  source: FrameSource,
  onFrame: (frame: Frame) => void,
  options: ReadFramesOptions = {},
): Promise<void> {
  const parser = new FrameParser(onFrame, options);
  for (;;) {
    const count = await source.read(parser.space());
    if (count === null) return;
    parser.filled(count);
    const pause = options.onChunkEnd?.();
    if (pause !== undefined) await pause;
  }
}

const gatherBytesMax = 256 * 1024;
const gatherBytesFirst = 4 * 1024;

/** A part of this size or more is written from where it is. */
const bigPartBytes = 32 * 1024;

/** Sends frames in order; see the module comment. */
export class FrameWriter {
  readonly #sink: FrameSink;
  readonly #onFailed: ((error: unknown) => void) | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Where parts are gathered: grown when needed, used again after each write. */
  #scratch: Uint8Array | undefined;
  #running = false;
  #failed = false;
  #flushWaiters: (() => void)[] = [];

  /**
   * Makes a writer, which is the only one to write to `sink`.
   *
   * @param sink Where to.
   * @param onFailed Called once, when a write failed; from then on what is sent is dropped.
   */
  constructor(sink: FrameSink, onFailed?: (error: unknown) => void) {
    this.#sink = sink;
    this.#onFailed = onFailed;
  }

  /** How many bytes have been sent and not yet been taken by the stream. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether a write has failed. */
  get failed(): boolean {
    return this.#failed;
  }

  /**
   * Sends bytes: a whole frame, or the first part of one.
   *
   * @param head Not to be changed from now on.
   * @param body The rest of the frame, where it lies elsewhere. Not to be changed from now on.
   */
  send(head: Uint8Array, body?: Uint8Array): void {
    if (this.#failed) return;
    this.#waiting.push(head);
    this.#waitingBytes += head.length;
    if (body !== undefined) {
      this.#waiting.push(body);
      this.#waitingBytes += body.length;
    }
    if (!this.#running) {
      this.#running = true;
      queueMicrotask(() => void this.#run());
    }
  }

  /**
   * Waits until everything sent so far has been taken by the stream, or cannot be any more.
   *
   * @returns At once where nothing waits.
   */
  flushed(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#flushWaiters.push(resolve));
  }

  async #run(): Promise<void> {
    try {
      for (let bytes = this.#next(); bytes !== undefined; bytes = this.#next()) {
        for (let at = 0; at < bytes.length;) {
          at += await this.#sink.write(at === 0 ? bytes : bytes.subarray(at));
        }
        this.#waitingBytes -= bytes.length;
      }
    } catch (error) {
      this.#failed = true;
      this.#waiting = [];
      this.#waitingBytes = 0;
      this.#onFailed?.(error);
    }
    this.#running = false;
    const waiters = this.#flushWaiters;
    this.#flushWaiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Takes what goes out in the next write: good until the next call. `undefined` where nothing waits. */
  #next(): Uint8Array | undefined {
    let total = 0;
    let count = 0;
    for (const { length } of this.#waiting) {
      if (length >= bigPartBytes || total + length > gatherBytesMax) break;
      total += length;
      count++;
    }
    if (count <= 1) return this.#waiting.shift();
    const scratch = this.#scratchOf(total);
    let at = 0;
    for (const part of this.#waiting.splice(0, count)) {
      scratch.set(part, at);
      at += part.length;
    }
    return scratch.subarray(0, total);
  }

  #scratchOf(length: number): Uint8Array {
    let size = this.#scratch?.length ?? gatherBytesFirst;
    while (size < length) size *= 2;
    if (this.#scratch?.length !== size) this.#scratch = new Uint8Array(size);
    return this.#scratch;
  }
}
