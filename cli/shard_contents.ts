/**
 * What the directory of a shard holds, and how much of it is still of use.
 *
 * @module
 */

import { LogReplay } from "../broker/log_replay.ts";
import { MessageStates } from "../broker/message_states.ts";
import {
  type FileSystem,
  inspectShard,
  readShardRecords,
  type ShardSummary,
} from "../storage/mod.ts";

/** One file of the log. */
export interface SegmentContents {
  readonly path: string;
  readonly firstIndex: number;
  /** `firstIndex - 1` where it is empty. */
  readonly lastIndex: number;
  /** Whether it holds, of its range, only the records that were still needed when it was written. */
  readonly sparse: boolean;
  readonly records: number;
  /** The terms of its first and its last record, `null` where it has none. */
  readonly terms: readonly [number, number] | null;
  readonly bytes: number;
  /** Bytes of records with a message that is not acked; all others are dead, or soon will be. */
  readonly liveBytes: number;
}

/** What a shard holds. */
export interface ShardContents extends Omit<ShardSummary, "segments"> {
  readonly shard: number;
  readonly segments: readonly SegmentContents[];
  /** Messages that wait, and that are with consumers, at the end of the log. */
  readonly ready: number;
  readonly leased: number;
}

/** What is counted of a segment. */
interface Count {
  records: number;
  firstTerm: number;
  lastTerm: number;
  liveBytes: number;
}

/**
 * Reads all of a shard.
 *
 * @param files Where it is.
 * @param directory Its directory.
 * @param shard Its number.
 * @returns What it holds.
 * @throws {CorruptRecordError} when a record is damaged.
 * @throws {CorruptFileError} when a file is damaged or missing.
 */
export function shardContents(files: FileSystem, directory: string, shard: number): ShardContents {
  const summary = inspectShard(files, directory);
  const machine = new LogReplay(files, directory, shard).finish();
  const live = new MessageStates(machine).liveEntries();
  const counts = countRecords(files, directory, live);
  const stats = machine.partitions().map((id) => machine.stats(id)!);
  return {
    ...summary,
    shard,
    segments: summary.segments.map(({ path, firstIndex, lastIndex, bytes, sparse }) => {
      const count = counts.get(path);
      return {
        path,
        firstIndex,
        lastIndex,
        sparse,
        records: count?.records ?? 0,
        terms: count === undefined ? null : [count.firstTerm, count.lastTerm],
        bytes,
        liveBytes: count?.liveBytes ?? 0,
      };
    }),
    ready: stats.reduce((sum, { ready }) => sum + ready, 0),
    leased: stats.reduce((sum, { leased }) => sum + leased, 0),
  };
}

/** Goes over all records; `live` has the indexes of those with a message that is not acked, ascending. */
function countRecords(
  files: FileSystem,
  directory: string,
  live: Float64Array,
): ReadonlyMap<string, Count> {
  const counts = new Map<string, Count>();
  let next = 0;
  for (const { path, entry } of readShardRecords(files, directory)) {
    const { index, term, start, end } = entry;
    let count = counts.get(path);
    if (count === undefined) {
      count = { records: 0, firstTerm: term, lastTerm: term, liveBytes: 0 };
      counts.set(path, count);
    }
    count.records++;
    count.lastTerm = term;
    while (next < live.length && live[next]! < index) next++;
    if (live[next] === index) count.liveBytes += end - start;
  }
  return counts;
}
