/**
 * What partitions hold on disk: for people who ask where their space went.
 *
 * @module
 */

import { type ArchivedSegment, estimateLiveBytes } from "../storage/mod.ts";
import type { SnapshotPart } from "../queue/mod.ts";
import { commandTimestampMs, type PartitionStorage } from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";
import { gatherLiveSet } from "./live_set.ts";
import type { Shard } from "./shard.ts";
import { Slices } from "./slices.ts";

/**
 * Looks at what partitions hold. All of it is as of the call, and counted afterwards.
 *
 * @param shard Their shard.
 * @param partitionIds The partitions; those that the shard does not have are left out.
 * @param clock Gives others their turn.
 * @returns What each of them holds.
 * @throws {CorruptRecordError} at once, when the oldest message of one is damaged.
 */
export function partitionStorage(
  shard: Shard,
  partitionIds: readonly number[],
  clock: Clock,
): Promise<PartitionStorage[]> {
  const { machine, store } = shard;
  const { segments } = store;
  const captured = partitionIds.map((partitionId) => {
    const index = machine.oldestEntryIndex(partitionId);
    const oldestAtMs = index === undefined ? 0 : commandTimestampMs(store.entry(index).data);
    const parts = machine.capturePartition(partitionId);
    const hasHistory = machine.historyReport(partitionId) !== undefined;
    const aliveParts = hasHistory ? machine.capturePartition(partitionId) : undefined;
    return { partitionId, parts, aliveParts, oldestAtMs };
  });
  const measureAll = async () => {
    const slices = new Slices(clock);
    const found: PartitionStorage[] = [];
    for (const { partitionId, parts, aliveParts, oldestAtMs } of captured) {
      if (parts === undefined) continue;
      const all = await measure(parts, segments, slices);
      if (aliveParts === undefined) {
        found.push({ partitionId, oldestAtMs, ...all, historyRecords: 0, historyBytes: 0 });
        continue;
      }
      const alive = await measure(aliveParts.filter(isOfTheLiving), segments, slices);
      const historyRecords = all.records - alive.records;
      const historyBytes = Math.max(0, all.bytes - alive.bytes);
      found.push({ partitionId, oldestAtMs, ...all, historyRecords, historyBytes });
    }
    return found;
  };
  return measureAll();
}

/** What is only kept so that it can be brought back is left out. */
function isOfTheLiving({ kind }: SnapshotPart): boolean {
  return kind !== "replayable" && kind !== "replaying";
}

async function measure(
  parts: Iterable<SnapshotPart>,
  files: readonly ArchivedSegment[],
  slices: Slices,
): Promise<Pick<PartitionStorage, "records" | "bytes" | "segments" | "segmentBytes">> {
  const live = await gatherLiveSet(parts, slices);
  let [bytes, segments, segmentBytes] = [0, 0, 0];
  for (const file of files) {
    const liveBytes = estimateLiveBytes(file, live);
    await slices.step();
    if (liveBytes === 0) continue;
    bytes += liveBytes;
    segments++;
    segmentBytes += file.bytes;
  }
  return { records: live.size, bytes: Math.round(bytes), segments, segmentBytes };
}
