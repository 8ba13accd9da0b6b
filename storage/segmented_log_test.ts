import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { Entry } from "../raft/types.ts";
import { entriesFrom, entryAt, LogRig, newDisk, plain, received } from "./_testing.ts";
import { CorruptFileError, CorruptRecordError, DataDirectoryMismatchError } from "./errors.ts";
import type { FileSystem } from "./file_system.ts";
import { InvariantError } from "./invariant.ts";
import { markBytes, recordBytes, recordDataBytesMax } from "./record.ts";
import { segmentHeaderBytes } from "./segment.ts";
import type { SegmentedLogOptions } from "./log_options.ts";
import { SegmentedLog } from "./segmented_log.ts";

const first = "log/00000000000000000001.seg";

class Rig extends LogRig {
  /** A log that was written, one flush for each list, and whose process then died. */
  async written(
    lists: readonly (readonly Entry[])[],
    options: Partial<SegmentedLogOptions> = {},
  ): Promise<void> {
    const log = await this.open(options);
    for (const entries of lists) await this.append(log, entries);
    this.disk = this.disk.kill();
  }

  names(): string[] {
    return this.disk.list("log").map(({ name }) => name);
  }

  cut(path: string, size: number): void {
    const file = this.disk.open(path, { write: true });
    file.truncateSync(size);
    file.close();
  }
}

function allOf(log: SegmentedLog): Entry[] {
  return log.lastIndex < log.firstIndex
    ? []
    : log.entries(log.firstIndex, log.lastIndex + 1, Infinity).map(plain);
}

Deno.test("SegmentedLog.open() makes an empty log of an empty directory, and no file", async () => {
  const rig = new Rig();
  const log = await rig.open();
  assertEquals([log.firstIndex, log.lastIndex, log.durableIndex, log.bytes], [1, 0, 0, 0]);
  assertEquals([log.term(0), log.term(1)], [0, undefined]);
  await rig.clock.run(log.close());
  assertEquals(rig.names(), []);
});

Deno.test("SegmentedLog.append() is seen at once, and durable after perform()", async () => {
  const rig = new Rig();
  const log = await rig.open();
  log.append(entriesFrom(1, 4));
  assertEquals([log.lastIndex, log.durableIndex], [3, 0]);
  assertEquals(allOf(log), entriesFrom(1, 4));
  await rig.clock.run(log.perform(log.takePlan()));
  assertEquals(log.durableIndex, 3);
  assertEquals(rig.disk.counts.syncs, 3); // the directory at open, the directory, the file
});

Deno.test("SegmentedLog writes what was appended between two flushes in one go", async () => {
  const rig = new Rig();
  const log = await rig.open();
  // The second small write in a row is followed by zeros.
  for (let index = 1; index <= 2; index++) await rig.append(log, [entryAt(index)]);
  const { writes, syncs } = rig.disk.counts;
  for (let index = 3; index < 100; index++) log.append([entryAt(index)]);
  await rig.clock.run(log.perform(log.takePlan()));
  assertEquals(rig.disk.counts.writes - writes, 1);
  assertEquals(rig.disk.counts.syncs - syncs, 1);
});

Deno.test("SegmentedLog writes a long run of received records from where it is", async () => {
  const rig = new Rig();
  const log = await rig.open();
  const run = received(entriesFrom(1, 41, 1, 1_000));
  await rig.append(log, run);
  assertEquals(allOf(log), run.map(plain));
  assertStrictEquals(log.entry(20).data.buffer, run[19]!.data.buffer);
  assertStrictEquals(log.records(1, 41, 1e9)[0]!.buffer, run[19]!.data.buffer);
  const short = received(entriesFrom(41, 44));
  await rig.append(log, short);
  assert(log.entry(42).data.buffer !== short[1]!.data.buffer);
  rig.disk = rig.disk.kill();
  assertEquals(allOf(await rig.open()), [...run, ...short].map(plain));
});

Deno.test("SegmentedLog.append() takes a gap, or a hole in the entries, for a bug", async () => {
  const rig = new Rig();
  const log = await rig.open();
  log.append(entriesFrom(1, 3));
  assertThrows(() => log.append([entryAt(4)]), InvariantError);
  assertThrows(() => log.append([entryAt(0)]), InvariantError);
  assertThrows(() => log.append([entryAt(3), entryAt(5)]), InvariantError);
});

Deno.test("SegmentedLog.append() refuses an entry over the limit", async () => {
  const log = await new Rig().open();
  const data = { length: recordDataBytesMax + 1 } as unknown as Uint8Array;
  assertThrows(() => log.append([{ ...entryAt(1), data }]), RangeError, "67108865");
  assertEquals(log.lastIndex, 0);
});

Deno.test("SegmentedLog begins a segment before one gets too long, and names it by its index", async () => {
  const rig = new Rig();
  const options = { segmentBytesMax: segmentHeaderBytes + 10 * recordBytes(20) };
  const log = await rig.open(options);
  await rig.append(log, entriesFrom(1, 26, 3));
  assertEquals(rig.names(), [
    "00000000000000000001.seg",
    "00000000000000000011.seg",
    "00000000000000000021.seg",
  ]);
  assertEquals(log.bytes, 3 * segmentHeaderBytes + 25 * recordBytes(20));
  assertEquals(rig.size(first), options.segmentBytesMax);
  await rig.append(log, [entryAt(26, 3, 5_000)]);
  assertEquals(rig.names().at(-1), "00000000000000000026.seg");
  rig.disk = rig.disk.kill();
  const again = await rig.open(options);
  assertEquals(allOf(again), [...entriesFrom(1, 26, 3), entryAt(26, 3, 5_000)]);
  assertEquals(again.durableIndex, 26);
});

Deno.test("SegmentedLog keeps recent entries within bounds and reads the others back", async () => {
  const rig = new Rig();
  const log = await rig.open({
    recentBytesMax: 10_000,
    loadedBytesMax: 20_000,
    readAheadBytes: 8_192,
    bufferBytes: 2_000,
  });
  for (let index = 1; index <= 300; index++) await rig.append(log, [entryAt(index, 1, 500)]);
  assert(log.memoryBytes <= 12_000, `${log.memoryBytes}`);
  for (const index of [1, 2, 150, 299, 300, 7, 1]) {
    assertEquals(plain(log.entry(index)), entryAt(index, 1, 500));
  }
  assertEquals(allOf(log), entriesFrom(1, 301, 1, 500));
  assert(log.memoryBytes <= 32_000, `${log.memoryBytes}`);
});

Deno.test("SegmentedLog keeps what is not durable in memory whatever the bounds", async () => {
  const rig = new Rig();
  const log = await rig.open({ recentBytesMax: 0, bufferBytes: 100 });
  log.append(entriesFrom(1, 50, 1, 500));
  assertEquals(allOf(log), entriesFrom(1, 50, 1, 500));
  assertEquals(rig.names(), []);
  await rig.clock.run(log.perform(log.takePlan()));
  assert(log.memoryBytes < 1_000);
});

Deno.test("SegmentedLog reads on where it read before", async () => {
  const rig = new Rig();
  await rig.written([entriesFrom(1, 2_001, 1, 500)]);
  const log = await rig.open({ readAheadBytes: 65_536 });
  let opened = 0;
  const { disk } = rig;
  const open = disk.open.bind(disk);
  disk.open = (path, options) => (opened++, open(path, options));
  assertEquals(log.entries(1, 2_001, Infinity).length, 2_000);
  // About as many reads as the file has chunks, not one each entry.
  assert(opened <= Math.ceil(rig.size(first) / 65_000) + 1, `${opened} reads`);
});

Deno.test("SegmentedLog reads a record that is longer than a chunk", async () => {
  const rig = new Rig();
  const entries = [entryAt(1), entryAt(2, 1, 100_000), entryAt(3), entryAt(4, 1, 9_000)];
  await rig.written([entries]);
  const log = await rig.open({ readAheadBytes: 4_096 });
  for (const entry of entries.toReversed()) assertEquals(plain(log.entry(entry.index)), entry);
});

Deno.test("SegmentedLog.records() stops at the bytes asked for, but not before one record", async () => {
  const rig = new Rig();
  const log = await rig.open();
  for (let index = 1; index <= 20; index++) await rig.append(log, [entryAt(index)]);
  const size = recordBytes(20);
  const lengthOf = (bytesMax: number, high = 21) => {
    return log.records(3, high, bytesMax).reduce((sum, span) => sum + span.length, 0);
  };
  assertEquals(lengthOf(0), size);
  assertEquals(lengthOf(size), size);
  assertEquals(lengthOf(5 * size - 1), 4 * size);
  assertEquals(lengthOf(5 * size), 5 * size);
  assertEquals(lengthOf(1e9), 18 * size);
  assertEquals(lengthOf(1e9, 5), 2 * size);
});

Deno.test("SegmentedLog.append() replaces a suffix that spans segments", async () => {
  const rig = new Rig();
  const options = { segmentBytesMax: 600, recentBytesMax: 0 };
  const log = await rig.open(options);
  await rig.append(log, entriesFrom(1, 41));
  assert(rig.names().length >= 3);
  await rig.append(log, entriesFrom(5, 8, 2));
  const expected = [...entriesFrom(1, 5), ...entriesFrom(5, 8, 2)];
  assertEquals(allOf(log), expected);
  assertEquals([log.lastIndex, log.durableIndex, log.term(4), log.term(5)], [7, 7, 1, 2]);
  rig.disk = rig.disk.kill();
  assertEquals(allOf(await rig.open(options)), expected);
});

Deno.test("SegmentedLog.append() can replace everything", async () => {
  const rig = new Rig();
  const log = await rig.open({ segmentBytesMax: 600 });
  await rig.append(log, entriesFrom(1, 41));
  await rig.append(log, [entryAt(1, 9)]);
  assertEquals(allOf(log), [entryAt(1, 9)]);
  assertEquals(rig.names(), ["00000000000000000001.seg"]);
});

Deno.test("SegmentedLog.durableIndex falls when durable entries are replaced", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.append(log, entriesFrom(1, 10));
  log.append(entriesFrom(10, 12));
  const plan = log.takePlan();
  log.append(entriesFrom(4, 6, 2));
  assertEquals(log.durableIndex, 3);
  await rig.clock.run(log.perform(plan));
  assertEquals(log.durableIndex, 3);
  await rig.clock.run(log.perform(log.takePlan()));
  assertEquals(log.durableIndex, 5);
});

Deno.test("SegmentedLog.open() cuts off a torn tail, wherever the tear is", async () => {
  const rig = new Rig();
  const options = { reserveBytes: 0 };
  await rig.written([entriesFrom(1, 4), entriesFrom(4, 6)], options);
  const whole = rig.disk.readFile(first);
  const recordEnds = [64, 120, 176, 232, 232 + 40 + 56, 232 + 40 + 112];
  assertEquals(whole.length, recordEnds.at(-1));
  for (let size = whole.length - 1; size >= 0; size--) {
    rig.cut(first, 0);
    const file = rig.disk.open(first, { write: true });
    file.writeSync(whole.subarray(0, size), 0);
    file.close();
    const log = await rig.open();
    const expected = size < 64 ? 0 : recordEnds.findLastIndex((end) => end <= size);
    assertEquals(allOf(log), entriesFrom(1, expected + 1), `size ${size}`);
    const isWhole = recordEnds.includes(size) || size === 232 + 40;
    assertEquals(log.tornTails.length, isWhole ? 0 : 1);
    if (!isWhole) {
      assertEquals(log.tornTails[0]!.index, expected + 1);
      assertEquals(log.tornTails[0]!.offset + log.tornTails[0]!.bytes, size);
    }
    await rig.append(log, [entryAt(expected + 1)]);
    await rig.clock.run(log.close());
    assertEquals(allOf(await rig.open()), entriesFrom(1, expected + 2));
  }
});

Deno.test("SegmentedLog.open() finds every flipped bit of a log that was closed", async () => {
  const rig = new Rig();
  const log = await rig.open({ segmentBytesMax: 200 });
  await rig.append(log, entriesFrom(1, 3));
  await rig.append(log, entriesFrom(3, 6));
  await rig.clock.run(log.close());
  const lastName = rig.names().at(-1)!;
  let flips = 0;
  for (const name of rig.names()) {
    const path = `log/${name}`;
    // The last mark has nothing behind it that would call it durable, and nobody needs it.
    const size = rig.size(path) - (name === lastName ? markBytes : 0);
    for (let offset = 0; offset < size; offset++) {
      rig.disk.flipBit(path, offset, offset % 8);
      const error = await assertRejects(() => rig.open());
      assert(error instanceof CorruptRecordError || error instanceof CorruptFileError, `${error}`);
      assertEquals(error.path, path);
      rig.disk.flipBit(path, offset, offset % 8);
      flips++;
    }
  }
  assert(flips > 400);
  assertEquals(allOf(await rig.open()), entriesFrom(1, 6));
});

Deno.test("SegmentedLog.open() names the record that is damaged", async () => {
  const rig = new Rig();
  await rig.written([entriesFrom(1, 4), entriesFrom(4, 6)]);
  rig.disk.flipBit(first, 64 + 56 + 40, 3);
  const error = await assertRejects(() => rig.open(), CorruptRecordError, "wrong checksum");
  assertEquals(
    [(error as CorruptRecordError).path, (error as CorruptRecordError).offset],
    [first, 64 + 56],
  );
  assertEquals((error as CorruptRecordError).index, 2);
});

Deno.test("SegmentedLog.open() says that a segment is missing", async () => {
  const rig = new Rig();
  await rig.written([entriesFrom(1, 41)], { segmentBytesMax: 600 });
  rig.disk.remove(`log/${rig.names()[1]}`);
  await assertRejects(() => rig.open(), CorruptFileError, "a segment is missing");
});

Deno.test("SegmentedLog.open() refuses the log of another shard", async () => {
  const rig = new Rig();
  await rig.written([entriesFrom(1, 4)]);
  await assertRejects(() => rig.open({ shard: 2 }), DataDirectoryMismatchError, "shard 1");
});

Deno.test("SegmentedLog.entry() finds damage that came after the log was opened", async () => {
  const rig = new Rig();
  await rig.written([entriesFrom(1, 4)]);
  const log = await rig.open();
  rig.disk.flipBit(first, 64 + 56, 3);
  assertEquals(plain(log.entry(1)), entryAt(1));
  assertThrows(() => log.entry(2), CorruptRecordError, "log index 2");
});

Deno.test("SegmentedLog.open() refuses settings that make no sense", async () => {
  const { disk } = newDisk();
  const open = (options: Partial<SegmentedLogOptions>) => {
    return SegmentedLog.open(disk as FileSystem, "log", { shard: 1, ...options });
  };
  await assertRejects(() => open({ segmentBytesMax: -1 }), RangeError, "segmentBytesMax");
  await assertRejects(() => open({ readAheadBytes: 10 }), RangeError, "4096");
});
