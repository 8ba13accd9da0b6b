/**
 * Percentiles of many latencies in little memory.
 *
 * Values fall into buckets whose width grows with the value, so that each is known to within one
 * part in 64 from one microsecond up to hours.
 *
 * @module
 */

const subBuckets = 64;
/** Doublings beyond the first 64 microseconds, up to 38 hours. */
const doublings = 31;

/** Counts of values by size. */
export class Histogram {
  readonly #counts = new Float64Array((doublings + 1) * subBuckets);
  #count = 0;
  #sum = 0;
  #max = 0;

  /** How many values were recorded. */
  get count(): number {
    return this.#count;
  }

  /** The largest value, exactly; 0 where there is none. */
  get maxMs(): number {
    return this.#max;
  }

  /** The mean, exactly; 0 where there is no value. */
  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /**
   * Records a latency.
   *
   * @param ms Milliseconds; below 0 counts as 0, since two clocks may disagree a little.
   */
  record(ms: number): void {
    const value = Math.max(0, ms);
    this.#counts[bucketOf(value)]!++;
    this.#count++;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  /**
   * Adds everything another histogram holds.
   *
   * @param other Stays as it is.
   */
  add(other: Histogram): void {
    for (const [bucket, count] of other.#counts.entries()) this.#counts[bucket]! += count;
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#max = Math.max(this.#max, other.#max);
  }

  /**
   * Tells the value that a share of all values do not exceed.
   *
   * @param share For example 0.99.
   * @returns Milliseconds, at most one part in 64 too large; 0 where there is no value.
   *
   * @example
   * ```ts
   * import { assertAlmostEquals } from "@std/assert";
   *
   * const histogram = new Histogram();
   * for (let ms = 1; ms <= 100; ms++) histogram.record(ms);
   * assertAlmostEquals(histogram.percentileMs(0.5), 50, 1);
   * ```
   */
  percentileMs(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return Math.min(upperEnd(bucket), this.#max);
    }
    return 0;
  }
}

/** Buckets of one microsecond up to 64, then 64 to each doubling. */
function bucketOf(ms: number): number {
  const microseconds = Math.ceil(ms * 1_000);
  if (microseconds < subBuckets) return microseconds;
  const exponent = Math.min(doublings - 1, 31 - Math.clz32(microseconds / subBuckets));
  const inDoubling = Math.floor(microseconds / (1 << exponent)) - subBuckets;
  return (exponent + 1) * subBuckets + Math.min(subBuckets - 1, inDoubling);
}

/** The largest value, in milliseconds, that falls into a bucket. */
function upperEnd(bucket: number): number {
  if (bucket < subBuckets) return bucket / 1_000;
  const exponent = Math.floor(bucket / subBuckets) - 1;
  return (((bucket % subBuckets) + subBuckets + 1) * 2 ** exponent - 1) / 1_000;
}
