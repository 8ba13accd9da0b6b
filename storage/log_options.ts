/**
 * The settings of a log.
 *
 * @module
 */

import type { DiskFullError } from "./errors.ts";

/** The least that is worth a read. */
const readAheadBytesMin = 4096;

/** Settings of a {@linkcode SegmentedLog}. */
export interface SegmentedLogOptions {
  /** The shard, noted in each segment. */
  readonly shard: number;
  /**
   * Begin a new segment before one gets longer than this.
   *
   * @default {67108864}
   */
  readonly segmentBytesMax?: number;
  /**
   * Memory for the newest entries.
   *
   * @default {33554432}
   */
  readonly recentBytesMax?: number;
  /**
   * Memory for entries that were read from files.
   *
   * @default {8388608}
   */
  readonly loadedBytesMax?: number;
  /**
   * How much to read of a file at once.
   *
   * @default {1048576}
   */
  readonly readAheadBytes?: number;
  /**
   * How much memory to take at once for encoding.
   *
   * @default {262144}
   */
  readonly bufferBytes?: number;
  /**
   * How much room to reserve in the newest segment for small writes; 0 for none.
   *
   * @default {262144}
   */
  readonly reserveBytes?: number;
  /**
   * How many segments to keep that are not needed any more, to write them again; 0 for none.
   *
   * @default {2}
   */
  readonly sparesMax?: number;
  /**
   * A secret of the node, a 32-bit number, for the marks in the segments.
   *
   * @default {0}
   */
  readonly salt?: number;
  /**
   * Called when a write finds the disk full. Nothing is lost then, and nothing was answered: the write
   * is tried again when what this returns resolves, and fails when it rejects.
   *
   * @default {rejects with the error}
   */
  readonly whenFull?: WhenFull;
}

/** See {@linkcode SegmentedLogOptions.whenFull}. */
export type WhenFull = (error: DiskFullError) => Promise<void>;

const giveUp: WhenFull = (error) => Promise.reject(error);

/**
 * Fills in what is left to us, and checks all of it.
 *
 * @param options The settings.
 * @returns All settings.
 * @throws {RangeError} when one makes no sense.
 */
export function completeOptions(options: SegmentedLogOptions): Required<SegmentedLogOptions> {
  const { whenFull = giveUp, ...sizes } = options;
  const complete = {
    segmentBytesMax: 64 * 1024 * 1024,
    recentBytesMax: 32 * 1024 * 1024,
    loadedBytesMax: 8 * 1024 * 1024,
    readAheadBytes: 1024 * 1024,
    bufferBytes: 256 * 1024,
    reserveBytes: 256 * 1024,
    sparesMax: 2,
    salt: 0,
    ...sizes,
  };
  for (const [name, value] of Object.entries(complete)) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot open a log as ${name} is no count: current value is ${value}`);
    }
  }
  if (complete.readAheadBytes < readAheadBytesMin) {
    throw new RangeError(
      `Cannot open a log as readAheadBytes is less than ${readAheadBytesMin}: ` +
        `current value is ${complete.readAheadBytes}`,
    );
  }
  return { ...complete, whenFull };
}
