/**
 * What a log costs the processor, without a disk: append by a leader (encode), append by a follower
 * (check, and write the same bytes), and reading. Each round is 10 MiB or about a second's work of a
 * busy node.
 */

import type { Entry } from "../raft/types.ts";
import type { FileHandle, FileSystem } from "./file_system.ts";
import { decodeRecords } from "./record.ts";
import { SegmentedLog } from "./segmented_log.ts";

/** Files that take everything and keep nothing. */
const nullFiles: FileSystem = {
  open: (): FileHandle => ({
    writeSync: (bytes) => bytes.length,
    readSync: () => 0,
    truncateSync: () => {},
    truncate: () => Promise.resolve(),
    syncData: () => Promise.resolve(),
    size: () => 0,
    tryLock: () => Promise.resolve(true),
    share: () => true,
    close: () => {},
  }),
  list: () => [],
  makeDirectory: () => {},
  rename: () => {},
  remove: () => {},
  exists: () => true,
  readFile: () => new Uint8Array(),
  syncDirectory: () => Promise.resolve(),
  freeBytes: () => Infinity,
};

async function append(log: SegmentedLog, entries: readonly Entry[], perFlush: number) {
  for (let i = 0; i < entries.length; i += perFlush) {
    log.append(entries.slice(i, i + perFlush));
    await log.perform(log.takePlan());
  }
}

for (const [dataBytes, count] of [[8_240, 1_280], [300, 35_000]] as const) {
  const group = `${count} entries of ${dataBytes} bytes`;
  const data = Uint8Array.from({ length: dataBytes }, (_, i) => i * 17);
  const entries: Entry[] = Array.from({ length: count }, (_, i) => {
    return { index: i + 1, term: 1, kind: 0, data };
  });
  const log = await SegmentedLog.open(nullFiles, "x", { shard: 0, recentBytesMax: 1e9 });
  await append(log, entries, 8);
  const frames: Uint8Array[] = [];
  for (let at = 1; at <= count;) {
    const spans = log.records(at, count + 1, 65_536);
    const frame = new Uint8Array(spans.reduce((sum, span) => sum + span.length, 0));
    let end = 0;
    for (const span of spans) {
      frame.set(span, end);
      end += span.length;
    }
    frames.push(frame);
    at += decodeRecords(frame).length;
  }

  Deno.bench("a leader appends, 8 to a flush", { group }, async () => {
    const log = await SegmentedLog.open(nullFiles, "x", { shard: 0 });
    await append(log, entries, 8);
  });

  Deno.bench("a follower checks and appends, 64 KiB to a flush", { group }, async () => {
    const log = await SegmentedLog.open(nullFiles, "x", { shard: 0 });
    for (const frame of frames) {
      log.append(decodeRecords(frame));
      await log.perform(log.takePlan());
    }
  });

  const recordBytes = frames[0]!.length / decodeRecords(frames[0]!).length;
  Deno.bench("the records for a peer, 64 KiB at a time", { group }, () => {
    for (let at = 1; at <= count;) {
      for (const span of log.records(at, count + 1, 65_536)) at += span.length / recordBytes;
    }
  });

  Deno.bench("every entry, one by one", { group }, () => {
    for (let index = 1; index <= count; index++) log.entry(index);
  });
}
