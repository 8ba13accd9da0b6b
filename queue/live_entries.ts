/**
 * Which entries of the log hold a message that is not acked, is on its way to another queue, or may be
 * brought back, read out of the parts of a snapshot.
 *
 * The bodies of messages are nowhere but in the log, so these are the entries that must stay, and the
 * only ones that anybody will ever ask for: what else is acked never comes back.
 *
 * @module
 */

import type { BatchRun, OffsetRuns, PartitionPart, SnapshotPart } from "./machine_snapshot.ts";
import { offsetRanges } from "./offset_set.ts";
import { StepReader } from "./step_codec.ts";

/** What has come of a partition. */
interface PartitionSoFar {
  readonly partition: PartitionPart;
  readonly runs: BatchRun[];
  /** Messages that are leased, ready again or delayed. */
  readonly known: Float64Array[];
  /** What is not fresh above `freshOffset`. */
  readonly passed: OffsetRuns[];
  /** What was acked, and is kept by the history. */
  readonly replayable: OffsetRuns[];
  /** What was acked, and is being brought back. */
  readonly replaying: OffsetRuns[];
}

/** Goes along with the parts of a snapshot. */
export class LiveEntries {
  readonly #found: (entryIndex: number) => void;
  #current: PartitionSoFar | undefined;
  /** What is left to do of the partitions that are whole. */
  #work: Generator<void>[] = [];

  /**
   * @param found Takes the index of each entry that is alive, in no order, some of them more than once.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { ShardMachine } from "./machine.ts";
   *
   * const found: number[] = [];
   * const live = new LiveEntries((index) => found.push(index));
   * for (const part of new ShardMachine({ shard: 0 }).capture().parts()) live.take(part);
   * while (live.step());
   * assertEquals(found, []);
   * ```
   */
  constructor(found: (entryIndex: number) => void) {
    this.#found = found;
  }

  /**
   * Takes the next part.
   *
   * @param part The part.
   */
  take(part: SnapshotPart): void {
    switch (part.kind) {
      case "partition":
        this.#endPartition();
        this.#current = {
          partition: part,
          runs: [],
          known: [],
          passed: [],
          replayable: [],
          replaying: [],
        };
        return;
      case "transfers":
        for (const { entryIndex } of part.transfers) this.#found(entryIndex);
        return;
      case "batches":
        this.#current?.runs.push(part);
        return;
      case "leases":
      case "returned":
      case "delayed":
      case "keyed":
        this.#current?.known.push(part.offset);
        return;
      case "passed":
        this.#current?.passed.push(part);
        return;
      case "replayable":
      case "replaying":
        this.#current?.[part.kind].push(part);
        return;
      case "end":
        this.end();
    }
  }

  /** Says that no more parts come. */
  end(): void {
    this.#endPartition();
  }

  /**
   * Does a millisecond's work.
   *
   * @returns Whether there was any.
   */
  step(): boolean {
    const work = this.#work[0];
    if (work === undefined) return false;
    if (work.next().done) this.#work.shift();
    return true;
  }

  #endPartition(): void {
    if (this.#current !== undefined) this.#work.push(this.#search(this.#current));
    this.#current = undefined;
  }

  /** Stops after each run of batches. */
  *#search(
    { partition, runs, known, passed, replayable, replaying }: PartitionSoFar,
  ): Generator<void> {
    const { freshOffset, nextOffset } = partition;
    const offsets = sorted(known);
    let next = 0;
    const notFresh = rangesIn(passed);
    let range = notFresh.next();
    const kept = [new RangeCursor(replayable), new RangeCursor(replaying)];
    let lastOffset = -1;
    let lastIndex = 0;
    /** The batch before ends here, and another one may begin. */
    const pass = (offset: number, entryIndex: number) => {
      while (next < offsets.length && offsets[next]! < lastOffset) next++;
      const holdsKnown = next < offsets.length && offsets[next]! < offset;
      let fresh = Math.max(lastOffset, freshOffset);
      while (!range.done && range.value[0] <= fresh) {
        fresh = Math.max(fresh, range.value[1]);
        if (fresh > offset) break;
        range = notFresh.next();
      }
      const isKept = kept.some((ranges) => ranges.meets(lastOffset, offset));
      if (lastOffset >= 0 && (fresh < offset || holdsKnown || isKept)) this.#found(lastIndex);
      lastOffset = offset;
      lastIndex = entryIndex;
    };
    for (const run of runs) {
      let { firstOffset, entryIndex } = run;
      pass(firstOffset, entryIndex);
      const reader = new StepReader(run.steps);
      while (reader.next()) {
        for (let left = reader.count; left > 0; left--) {
          firstOffset += reader.offsetStep;
          entryIndex += reader.indexStep;
          pass(firstOffset, entryIndex);
        }
      }
      yield;
    }
    pass(nextOffset, 0);
  }
}

/** Ranges of offsets that are gone through once. */
class RangeCursor {
  readonly #ranges: Iterator<readonly [start: number, end: number]>;
  #range: readonly [start: number, end: number] | undefined;

  constructor(parts: readonly OffsetRuns[]) {
    this.#ranges = rangesIn(parts);
    this.#next();
  }

  /**
   * Tells whether some offset from `start` on, and below `end`, is in a range. Neither falls from one call
   * to the next.
   */
  meets(start: number, end: number): boolean {
    while (this.#range !== undefined && this.#range[1] <= start) this.#next();
    return this.#range !== undefined && this.#range[0] < end;
  }

  #next(): void {
    const { done, value } = this.#ranges.next();
    this.#range = done ? undefined : value;
  }
}

function* rangesIn(parts: readonly OffsetRuns[]) {
  for (const runs of parts) yield* offsetRanges(runs);
}

function sorted(parts: readonly Float64Array[]): Float64Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Float64Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all.sort();
}
