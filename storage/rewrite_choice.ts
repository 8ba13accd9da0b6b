/**
 * Which segments are worth being rewritten to what is alive in them.
 *
 * Two rules keep what is copied in proportion. A segment is rewritten when half of it is dead, so no
 * more is copied than becomes free. Small segments that lie side by side become one, but no segment
 * that is much larger than the others with it: so what is copied again and again grows by half each
 * time, and a lone message at the head of a long log costs one small file.
 *
 * How much of a segment is alive is an estimate, since nobody knows where each record is: within 64 KiB,
 * records count as equally long. A wrong guess costs one copy, after which records are known to be those
 * that were alive.
 *
 * @module
 */

import type { IndexSet } from "./index_set.ts";
import type { ArchivedSegment } from "./sparse_segment.ts";

/** A file costs at least this share of the longest one, however little is in it. */
const weightShareMin = 1 / 1024;

/** The most segments that become one at a time, so that a crash does not undo much. */
const groupMax = 16;

/** A segment of which nothing must be copied may have this share of what is copied with it. */
const heavyShare = 2 / 3;

/** A segment, and what is known of its worth. */
interface Candidate {
  readonly segment: ArchivedSegment;
  /** Half of it, or more, is dead. */
  readonly isDead: boolean;
  /** What would be copied of it, or counts as such. */
  readonly weight: number;
}

/** Goes over segments that lie side by side, and finds those that are to become one. */
export class RewriteChooser {
  readonly #bytesMax: number;
  #run: Candidate[] = [];
  #bytes = 0;

  /**
   * @param bytesMax How long a segment should be at most.
   */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Looks at the next segment.
   *
   * @param segment The segment, which goes on where the one before ends.
   * @param liveBytes How much of it is alive.
   * @returns Segments before it that are to become one, often none.
   */
  next(segment: ArchivedSegment, liveBytes: number): readonly ArchivedSegment[] {
    const isDead = liveBytes <= segment.bytes / 2;
    const isSmall = segment.sparse && liveBytes <= this.#bytesMax / 2;
    const isCandidate = isDead || isSmall;
    const isFull = this.#run.length === groupMax || this.#bytes + liveBytes > this.#bytesMax;
    const chosen = isFull || !isCandidate ? this.finish() : [];
    if (isCandidate) {
      // What is sparse and empty cannot become emptier.
      const isEmpty = segment.sparse && segment.records === 0;
      const weight = Math.max(weightShareMin * this.#bytesMax, liveBytes);
      this.#run.push({ segment, isDead: isDead && !isEmpty, weight });
      this.#bytes += liveBytes;
    }
    return chosen;
  }

  /** Comes to an end. @returns The last segments that are to become one, if any. */
  finish(): readonly ArchivedSegment[] {
    const chosen = choose(this.#run);
    this.#run = [];
    this.#bytes = 0;
    return chosen;
  }
}

function choose(run: readonly Candidate[]): readonly ArchivedSegment[] {
  let total = 0;
  for (const { weight } of run) total += weight;
  const heavy = run.findIndex(({ isDead, weight }) => !isDead && weight > total * heavyShare);
  if (heavy >= 0) {
    const before = choose(run.slice(0, heavy));
    return before.length > 0 ? before : choose(run.slice(heavy + 1));
  }
  const isWorth = run.length > 1 || run.some(({ isDead }) => isDead);
  return isWorth ? run.map(({ segment }) => segment) : [];
}

/**
 * Estimates how many bytes of a segment are alive.
 *
 * @param segment The segment.
 * @param live The entries that are needed.
 * @returns The bytes of their records.
 */
export function estimateLiveBytes(segment: ArchivedSegment, live: IndexSet): number {
  const { firstIndex, lastIndex, records, bytes, sparse, places } = segment;
  const count = live.countIn(firstIndex, lastIndex + 1);
  if (count === 0) return 0;
  if (count === records) return bytes;
  if (sparse) return bytes * count / records;
  let liveBytes = 0;
  for (const { nextIndex, position, endIndex, endPosition } of places.stretches(lastIndex, bytes)) {
    const share = live.countIn(nextIndex, endIndex) / (endIndex - nextIndex);
    liveBytes += share * (endPosition - position);
  }
  return liveBytes;
}
