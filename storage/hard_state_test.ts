import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";
import { newDisk, randomFrom, type TestClock } from "./_testing.ts";
import { crc32cRange } from "./crc32c.ts";
import {
  CorruptFileError,
  DataDirectoryMismatchError,
  DiskFullError,
  UnsupportedFormatError,
} from "./errors.ts";
import { HardStateFiles, readHardState } from "./hard_state.ts";
import { writeU32 } from "./record.ts";

const paths = ["d/hard-state-a", "d/hard-state-b"] as const;

async function written(
  terms: number,
): Promise<{ disk: SimulatedDisk; clock: TestClock; state: HardStateFiles }> {
  const { disk, clock } = newDisk();
  disk.makeDirectory("d");
  await clock.run(disk.syncDirectory(""));
  const state = await clock.run(HardStateFiles.open(disk, "d", 4, true));
  for (let term = 1; term <= terms; term++) {
    await clock.run(state.write({ term, vote: term + 10, commit: term + 100 }));
  }
  return { disk, clock, state };
}

Deno.test("HardStateFiles begins with term 0, and remembers what was written", async () => {
  const { disk, clock, state } = await written(0);
  assertEquals(state.current, { term: 0, vote: 0, commit: 0 });
  await clock.run(state.write({ term: 8, vote: 2, commit: 77 }));
  state.close();
  const again = await clock.run(HardStateFiles.open(disk, "d", 4, false));
  assertEquals(again.current, { term: 8, vote: 2, commit: 77 });
});

Deno.test("HardStateFiles survives any damage to one of its files", async () => {
  for (const path of paths) {
    for (let byte = 0; byte < 4096 + 64; byte += byte === 63 ? 4096 - 63 : 1) {
      const { disk, clock } = await written(2);
      if (byte < disk.readFile(path).length) disk.flipBit(path, byte, byte % 8);
      const state = await clock.run(HardStateFiles.open(disk, "d", 4, false));
      assertEquals(state.current, { term: 2, vote: 12, commit: 102 });
      // The third generation is in the second slot: the first is that of the start.
      assertEquals(state.mended, byte >= 4096 ? path : undefined);
    }
    const { disk, clock } = await written(2);
    disk.remove(path);
    const state = await clock.run(HardStateFiles.open(disk, "d", 4, false));
    assertEquals(state.current, { term: 2, vote: 12, commit: 102 });
    // And mends it.
    disk.remove(paths.find((other) => other !== path)!);
    assertEquals(readHardState(disk, "d")?.term, 2);
  }
});

Deno.test("HardStateFiles holds the old or the new state after a crash, never less", async () => {
  const seen = new Map<number, number>();
  for (let seed = 0; seed < 300; seed++) {
    const { disk, clock, state } = await written(5);
    const writing = state.write({ term: 6, vote: 16, commit: 106 });
    const answered = seed % 3 === 0;
    if (answered) await clock.run(writing);
    const survivor = disk.crash(randomFrom(seed));
    const again = await clock.run(HardStateFiles.open(survivor, "d", 4, false));
    const { term, vote } = again.current;
    assertEquals(vote, term + 10);
    assert(term === 6 || term === 5 && !answered, `term ${term}`);
    seen.set(term, (seen.get(term) ?? 0) + 1);
  }
  assert(seen.get(5)! > 20 && seen.get(6)! > 20);
});

Deno.test("HardStateFiles.open() does not guess when both files are damaged or gone", async () => {
  const { disk } = await written(2);
  for (const path of paths) for (const at of [20, 4096 + 20]) disk.flipBit(path, at, 0);
  await assertRejects(() => HardStateFiles.open(disk, "d", 4, true), CorruptFileError, "readable");
  for (const path of paths) disk.remove(path);
  await assertRejects(() => HardStateFiles.open(disk, "d", 4, false), CorruptFileError);
});

Deno.test("HardStateFiles.open() leaves the generation before alone", async () => {
  const { disk, clock, state } = await written(4);
  state.close();
  const before = paths.map((path) => disk.readFile(path));
  disk.flipBit(paths[1], 4096 + 20, 0);
  // Term 4 is generation 5, in the second slot.
  (await clock.run(HardStateFiles.open(disk, "d", 4, false))).close();
  assertEquals(paths.map((path) => disk.readFile(path)), before);
});

Deno.test("HardStateFiles.open() refuses the files of another shard and of a newer format", async () => {
  const { disk } = await written(1);
  await assertRejects(
    () => HardStateFiles.open(disk, "d", 3, false),
    DataDirectoryMismatchError,
    "for shard 3 as it belongs to shard 4",
  );
  const bytes = disk.readFile(paths[0]).slice(0, 64);
  writeU32(bytes, 4, 2);
  writeU32(bytes, 60, crc32cRange(bytes, 0, 60));
  disk.open(paths[0], { write: true }).writeSync(bytes, 0);
  assertThrows(() => readHardState(disk, "d"), UnsupportedFormatError);
});

Deno.test("HardStateFiles.open() says which file a full disk has no room for", async () => {
  const { disk, clock } = newDisk({ capacityBytes: 10 });
  disk.makeDirectory("d");
  const error = await assertRejects(
    () => clock.run(HardStateFiles.open(disk, "d", 0, true)),
    DiskFullError,
  );
  assertEquals([error.path, error.message.match(/Cannot write/g)?.length], [paths[0], 1]);
});

Deno.test("readHardState() finds nothing where there is nothing", () => {
  const { disk } = newDisk();
  disk.makeDirectory("d");
  assertEquals(readHardState(disk, "d"), undefined);
});
