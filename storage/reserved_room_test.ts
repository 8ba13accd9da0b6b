import { assertEquals, assertRejects } from "@std/assert";
import { entriesFrom, entryAt, LogRig, plain } from "./_testing.ts";
import { CorruptRecordError, DiskFullError } from "./errors.ts";
import type { SegmentedLog } from "./segmented_log.ts";
import { verifyLog } from "./verify_log.ts";

const reserveBytes = 1_000;
const first = "log/00000000000000000001.seg";
/** The record of `entryAt()`, and a mark. */
const recordBytes = 56;
const markBytes = 40;
const headerBytes = 64;

class Rig extends LogRig {
  constructor() {
    super({ reserveBytes });
  }

  add(log: SegmentedLog, low: number, high = low + 1, dataBytes = 20): Promise<void> {
    return this.append(log, entriesFrom(low, high, 1, dataBytes));
  }

  /** What is said of the log as it lies there. */
  verify(): string[] {
    const { findings } = verifyLog(this.disk, "log", 1, 5);
    return findings.map(({ kind, reason }) => `${kind}: ${reason}`);
  }
}

function allOf(log: SegmentedLog): number[] {
  return log.entries(log.firstIndex, log.lastIndex + 1, Infinity).map(plain).map((one) =>
    one.index
  );
}

Deno.test("a second small write reserves room, and those behind it make the file no longer", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.add(log, 1);
  assertEquals(rig.size(first), log.bytes);
  await rig.add(log, 2);
  const size = log.bytes + reserveBytes;
  assertEquals(rig.size(first), size);
  const { writes } = rig.disk.counts;
  for (let index = 3; index <= 6; index++) await rig.add(log, index);
  assertEquals(rig.disk.counts.writes - writes, 4);
  assertEquals(rig.size(first), size);
  // The room is used up once in a while.
  for (let index = 7; index <= 20; index++) await rig.add(log, index);
  const used = headerBytes + 20 * recordBytes + 19 * markBytes;
  assertEquals(rig.size(first) > used && rig.size(first) <= used + reserveBytes, true);
});

Deno.test("a long write reserves nothing, nor does a small one behind it", async () => {
  const rig = new Rig();
  const log = await rig.open();
  for (let index = 1; index <= 6; index++) {
    await rig.add(log, index, index + 1, index % 2 === 0 ? 20 : 20_000);
    assertEquals(rig.size(first), log.bytes);
  }
});

Deno.test("what is reserved is not called torn when the process dies, and goes at the next start", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.add(log, 1);
  await rig.add(log, 2);
  rig.disk = rig.disk.kill();
  assertEquals(rig.size(first) > log.bytes, true);
  assertEquals(rig.verify(), []);
  const again = await rig.open({ reserveBytes: 0 });
  assertEquals([again.tornTails, allOf(again)], [[], [1, 2]]);
  assertEquals(rig.size(first), again.bytes);
});

Deno.test("a tail that is torn within what is reserved is cut off", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.add(log, 1);
  await rig.add(log, 2);
  const end = log.bytes;
  await rig.add(log, 3);
  rig.disk = rig.disk.kill();
  // The sectors of the third group were not written.
  const file = rig.disk.open(first, { write: true });
  file.writeSync(new Uint8Array(recordBytes), end);
  file.close();
  assertEquals(rig.verify(), [
    `remark: torn: wrong checksum; ${rig.size(first) - end} bytes go at the next start`,
  ]);
  const again = await rig.open();
  assertEquals(again.tornTails.map(({ offset, index }) => [offset, index]), [[end, 3]]);
  assertEquals(allOf(again), [1, 2]);
});

Deno.test("a record that was durable is damage, though what is reserved lies behind it", async () => {
  const rig = new Rig();
  const log = await rig.open();
  for (let index = 1; index <= 3; index++) await rig.add(log, index);
  rig.disk = rig.disk.kill();
  rig.disk.flipBit(first, headerBytes + recordBytes + markBytes, 0);
  await assertRejects(() => rig.open(), CorruptRecordError);
});

Deno.test("an orderly end, and the next segment, leave nothing reserved", async () => {
  const rig = new Rig();
  const log = await rig.open({ segmentBytesMax: 300 });
  for (let index = 1; index <= 6; index++) await rig.add(log, index);
  await rig.clock.run(log.close());
  const sizes = log.segments.map(({ path, bytes }) => [path, bytes]);
  assertEquals(sizes.map(([path]) => [path, rig.size(`${path}`)]), sizes);
  assertEquals(sizes.length > 1, true);
});

Deno.test("a power cut while the next segment is made leaves the one before it as it should be", async () => {
  for (let steps = 1; steps <= 8; steps++) {
    const rig = new Rig();
    const log = await rig.open({ segmentBytesMax: 300 });
    await rig.clock.run(rig.disk.syncDirectory(""));
    for (let index = 1; index <= 2; index++) await rig.add(log, index);
    log.append(entriesFrom(3, 6));
    void log.perform(log.takePlan());
    for (let i = 0; i < steps; i++) await rig.clock.step();
    rig.disk = rig.disk.crash(() => 0.99);
    const again = await rig.open();
    assertEquals(allOf(again).slice(0, 2), [1, 2], `${steps} steps`);
  }
});

Deno.test("a suffix is cut with what is reserved behind it", async () => {
  const rig = new Rig();
  const log = await rig.open();
  await rig.add(log, 1, 4);
  await rig.add(log, 2, 3);
  rig.disk = rig.disk.kill();
  const again = await rig.open();
  assertEquals([again.tornTails, allOf(again)], [[], [1, 2]]);
});

Deno.test("a full disk reserves nothing, and fails those only who have something to write", async () => {
  const rig = new Rig();
  const log = await rig.open();
  for (let index = 1; index <= 2; index++) await rig.add(log, index);
  rig.disk.capacityBytes = rig.disk.usedBytes;
  // There is room for these, which was reserved.
  for (let index = 3; index <= 12; index++) await rig.add(log, index);
  log.append([entryAt(13)]);
  await assertRejects(() => rig.clock.run(log.perform(log.takePlan())), DiskFullError);
  rig.disk.capacityBytes = Infinity;
  rig.disk = rig.disk.kill();
  const again = await rig.open();
  assertEquals(allOf(again), Array.from({ length: 12 }, (_, i) => i + 1));
});
