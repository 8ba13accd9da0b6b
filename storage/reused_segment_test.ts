import { assert, assertEquals, assertRejects } from "@std/assert";
import { entriesFrom, entryAt, LogRig, plain, randomFrom } from "./_testing.ts";
import { CorruptRecordError, DiskFullError } from "./errors.ts";
import { ReadOnlyView } from "./read_only_view.ts";
import { encodeRecords, writeU32 } from "./record.ts";
import { decodeSegmentHeader } from "./segment.ts";
import type { SegmentedLog } from "./segmented_log.ts";
import { verifyLog } from "./verify_log.ts";

const segmentBytesMax = 500;
const headerBytes = 64;
const markBytes = 40;
/** The record of `entryAt()`. */
const recordBytes = 56;

class Rig extends LogRig {
  constructor(options = {}) {
    super({ segmentBytesMax, reserveBytes: 0, ...options });
  }

  /** Entries one by one, each in a group of its own. */
  async addUpTo(log: SegmentedLog, last: number): Promise<void> {
    for (let index = log.lastIndex + 1; index <= last; index++) {
      await this.append(log, [entryAt(index)]);
    }
  }

  async drop(log: SegmentedLog, lastIndex: number): Promise<void> {
    log.truncatePrefix(lastIndex);
    await this.clock.run(log.perform(log.takePlan()));
    await this.clock.run(log.trash.emptied());
  }

  /** A log that goes on in a segment which was its first one before. */
  async reused(last = 11): Promise<SegmentedLog> {
    const log = await this.open();
    await this.addUpTo(log, 6);
    await this.drop(log, 5);
    await this.addUpTo(log, last);
    return log;
  }

  /** The same with segments of 4,000 bytes: the one from 140 on is written into the first. */
  async longReused(last = 140): Promise<SegmentedLog> {
    const log = await this.open();
    await this.append(log, entriesFrom(1, 71));
    await this.append(log, [entryAt(71)]);
    await this.drop(log, 70);
    await this.append(log, entriesFrom(72, 140));
    await this.append(log, entriesFrom(140, last + 1));
    assertEquals(this.files(), ["71.seg", "140.seg"]);
    await this.clock.run(this.disk.syncDirectory(""));
    return log;
  }

  /** Puts other bytes into a file. */
  overwrite(path: string, position: number, bytes: Uint8Array): void {
    const file = this.disk.open(path, { write: true });
    file.writeSync(bytes, position);
    file.close();
  }

  files(): string[] {
    return this.disk.list("log").map(({ name }) => name.replace(/^0+/, ""));
  }

  newest(): string {
    return `log/${this.disk.list("log").findLast(({ name }) => name.endsWith(".seg"))!.name}`;
  }
}

function allOf(log: SegmentedLog): number[] {
  const { firstIndex, lastIndex } = log;
  const entries = log.entries(firstIndex, lastIndex + 1, 1e9);
  assertEquals(entries.map(plain), entriesFrom(firstIndex, lastIndex + 1));
  return entries.map(({ index }) => index);
}

Deno.test("a segment that is not needed any more becomes the next one, and takes no more room", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.addUpTo(log, 6);
  assertEquals(rig.files(), ["1.seg", "6.seg"]);
  await rig.drop(log, 5);
  assertEquals(rig.files(), ["1.seg.trash", "6.seg"]);
  await rig.addUpTo(log, 10);
  const used = rig.disk.usedBytes;
  await rig.addUpTo(log, 11);
  assertEquals(rig.files(), ["6.seg", "11.seg"]);
  assertEquals(rig.disk.usedBytes, used);
  assertEquals(allOf(log), [6, 7, 8, 9, 10, 11]);
});

Deno.test("a log ends where it ends, whatever its file held before", async () => {
  // Of the same length, so that an old mark or record stands right behind each new one.
  for (let last = 11; last <= 15; last++) {
    const rig = new Rig();
    await rig.reused(last);
    rig.disk = rig.disk.kill();
    assertEquals(verifyLog(rig.disk, "log", 1, 5).findings, []);
    const again = await rig.open();
    assertEquals([again.tornTails, allOf(again).at(-1)], [[], last]);
    await rig.addUpTo(again, last + 1);
    rig.disk = rig.disk.kill();
    assertEquals(allOf(await rig.open()).at(-1), last + 1);
  }
});

Deno.test("what a file held before is no part of the log, even if it looks like its next record", async () => {
  // Right behind the newest record, and where the next one would be with a mark in front of it.
  for (const gap of [0, markBytes]) {
    const rig = new Rig();
    const log = await rig.open();
    // The segment from 8 on is written into the first.
    const forged = encodeRecords([entryAt(9)]);
    const end = headerBytes + recordBytes + gap;
    const data = new Uint8Array(300);
    data.set(forged, end - headerBytes - 32);
    await rig.append(log, [{ index: 1, term: 1, kind: 0, data }]);
    await rig.addUpTo(log, 3);
    await rig.drop(log, 2);
    await rig.addUpTo(log, 8);
    const path = rig.newest();
    const bytes = rig.disk.readFile(path);
    assertEquals([path.slice(-6), bytes.slice(end, end + recordBytes)], ["08.seg", forged]);
    rig.disk = rig.disk.kill();
    assertEquals((await rig.open()).lastIndex, 8);
  }
});

Deno.test("of a torn group nothing is taken, and what is written in its place is found", async () => {
  let torn = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = randomFrom(seed);
    const rig = new Rig({ segmentBytesMax: 4_000 });
    let current = await rig.longReused();
    let promised = current.lastIndex;
    for (let life = 0; life < 3; life++) {
      current.append(entriesFrom(promised + 1, promised + 12));
      void current.perform(current.takePlan()).catch(() => {});
      rig.disk = rig.disk.crash(random);
      current = await rig.open();
      assert(current.lastIndex >= promised, `seed ${seed}: ${promised}, ${current.lastIndex}`);
      assert([promised, promised + 11].includes(current.lastIndex));
      if (current.lastIndex === promised) torn++;
      await rig.append(current, [entryAt(current.lastIndex + 1)]);
      promised = current.lastIndex;
      rig.disk = rig.disk.crash(random);
      current = await rig.open();
      assertEquals(allOf(current).at(-1), promised);
    }
  }
  assert(torn > 100, `${torn}`);
});

Deno.test("a torn group is not made whole by what looks like a record of it", async () => {
  const rig = new Rig();
  const log = await rig.reused(10);
  await rig.append(log, entriesFrom(11, 13));
  const path = rig.newest();
  rig.disk = rig.disk.kill();
  const forged = encodeRecords([{ ...entryAt(12), data: new Uint8Array(20) }]);
  rig.overwrite(path, headerBytes + recordBytes, forged);
  assertEquals(allOf(await rig.open()).at(-1), 10);
});

Deno.test("a torn head of a record may say any length", async () => {
  for (const length of [0x7fff_ffff, 0x8000_0000, 0xc1d2_e3f4, 0xffff_ffff, 1_000, 3]) {
    const rig = new Rig();
    const log = await rig.reused(10);
    await rig.append(log, entriesFrom(11, 13));
    const path = rig.newest();
    rig.disk = rig.disk.kill();
    const torn = new Uint8Array(4);
    writeU32(torn, 0, length);
    rig.overwrite(path, headerBytes + recordBytes + 4, torn);
    assertEquals(allOf(await rig.open()).at(-1), 10);
  }
});

Deno.test("a durable record with any bit of its length flipped is damage", async () => {
  const rig = new Rig();
  await rig.reused(14);
  const path = rig.newest();
  rig.disk = rig.disk.kill();
  for (let bit = 0; bit < 32; bit++) {
    rig.disk.flipBit(path, headerBytes + 4 + (bit >> 3), bit & 7);
    await assertRejects(() => rig.open(), CorruptRecordError);
    rig.disk.flipBit(path, headerBytes + 4 + (bit >> 3), bit & 7);
  }
  assertEquals(allOf(await rig.open()).at(-1), 14);
});

Deno.test("a suffix of a log in such a file is replaced, and a crash leaves it as it was or shorter", async () => {
  const ends = new Set<number>();
  for (let steps = 0; steps < 9; steps++) {
    for (let seed = 0; seed < 10; seed++) {
      const rig = new Rig({ segmentBytesMax: 4_000 });
      const log = await rig.longReused(150);
      log.append(entriesFrom(146, 148, 2));
      void log.perform(log.takePlan()).catch(() => {});
      for (let step = 0; step < steps; step++) await rig.clock.step();
      rig.disk = rig.disk.crash(randomFrom(steps * 10 + seed));
      const again = await rig.open();
      ends.add(again.lastIndex);
      assert(again.lastIndex >= 145);
      const terms = again.entries(146, again.lastIndex + 1, 1e9).map(({ term }) => term);
      assert(new Set(terms).size <= 1, `${terms}`);
      assertEquals(again.entries(71, 146, 1e9).map(plain), entriesFrom(71, 146));
      await rig.clock.run(again.close());
      assertEquals((await rig.open()).lastIndex, again.lastIndex);
    }
  }
  assertEquals([...ends].sort(), [145, 147, 150]);
});

Deno.test("a file that was cut holds nothing of what it was before", async () => {
  const rig = new Rig({ segmentBytesMax: 4_000 });
  const log = await rig.longReused(150);
  const path = rig.newest();
  const head = () => decodeSegmentHeader(rig.disk.readFile(path), path)!;
  assert(head().firstGroup !== undefined);
  assert(rig.size(path) > 3_000);
  await rig.append(log, [entryAt(146, 2)]);
  assertEquals(head().firstGroup, undefined);
  assertEquals(rig.size(path), headerBytes + 7 * recordBytes + markBytes);
});

Deno.test("damage in such a file is found where a mark speaks of it, and is nobody's old record", async () => {
  const rig = new Rig();
  await rig.reused(14);
  const path = rig.newest();
  rig.disk = rig.disk.kill();
  for (let at = headerBytes; at < headerBytes + 2 * recordBytes + markBytes; at += 5) {
    rig.disk.flipBit(path, at, at % 8);
    const error = await assertRejects(() => rig.open(), CorruptRecordError);
    assertEquals((error as CorruptRecordError).path, path);
    const { findings } = verifyLog(rig.disk, "log", 1, 5);
    assertEquals(findings.map(({ kind }) => kind), ["damage"]);
    rig.disk.flipBit(path, at, at % 8);
  }
  assertEquals(allOf(await rig.open()).at(-1), 14);
});

Deno.test("whoever looks at a running node sees zeros in place of old records", async () => {
  const rig = new Rig();
  const log = await rig.reused(12);
  const path = rig.newest();
  const end = headerBytes + 2 * recordBytes + markBytes;
  using view = new ReadOnlyView(rig.disk, "log");
  await rig.addUpTo(log, 14);
  const bytes = view.readFile(path);
  assertEquals(bytes.subarray(0, end), rig.disk.readFile(path).subarray(0, end));
  assert(bytes.length > end && bytes.subarray(end).every((byte) => byte === 0));
  const { findings, extent } = verifyLog(view, "log", 1, 5);
  assertEquals([findings, extent?.lastIndex], [[], 12]);
});

Deno.test("an orderly end leaves nothing behind the last record", async () => {
  const rig = new Rig();
  const log = await rig.reused(12);
  await rig.clock.run(log.close());
  assertEquals(rig.size(rig.newest()), headerBytes + 2 * (recordBytes + markBytes));
  assertEquals(allOf(await rig.open()).at(-1), 12);
});

Deno.test("no more spare segments are kept than was asked for", async () => {
  for (const sparesMax of [0, 1, 2]) {
    const rig = new Rig({ sparesMax });
    const log = await rig.open();
    await rig.addUpTo(log, 21);
    await rig.drop(log, 20);
    assertEquals(rig.files().filter((name) => name.endsWith(".trash")).length, sparesMax);
  }
});

Deno.test("a segment that somebody reads is not written again", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.addUpTo(log, 6);
  using view = new ReadOnlyView(rig.disk, "log");
  const before = view.readFile("log/00000000000000000001.seg");
  await rig.drop(log, 5);
  assertEquals(rig.files(), ["6.seg"]);
  await rig.addUpTo(log, 20);
  assertEquals(view.readFile("log/00000000000000000001.seg"), before);
});

Deno.test("spare segments are given back where the disk is getting full", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.addUpTo(log, 11);
  // There is room, but not for many more.
  rig.disk.capacityBytes = rig.disk.usedBytes + 3_000;
  await rig.drop(log, 5);
  assertEquals(rig.files(), ["6.seg", "11.seg"]);
  rig.disk.capacityBytes = Infinity;
  await rig.drop(log, 10);
  assertEquals(rig.files(), ["6.seg.trash", "11.seg"]);
  rig.disk.capacityBytes = rig.disk.usedBytes;
  log.append([entryAt(12)]);
  await assertRejects(() => rig.clock.run(log.perform(log.takePlan())), DiskFullError);
  assertEquals(rig.files(), ["11.seg"]);
});
