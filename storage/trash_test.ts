import { assert, assertEquals, assertRejects } from "@std/assert";
import { newDisk, randomFrom, settle, type TestClock } from "./_testing.ts";
import { StorageFailedError } from "./errors.ts";
import { readFull } from "./file_system.ts";
import { Trash } from "./trash.ts";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";

/** Files as long as this are cut by 100 bytes at a time. */
const FILE_BYTES = 400;

/** Files of these lengths, named `0`, `1` …, that survive anything, and an empty trash. */
async function filled(...lengths: number[]) {
  const { disk, clock } = newDisk();
  for (const [i, length] of lengths.entries()) {
    const file = disk.open(`${i}`, { write: true, createNew: true });
    file.writeSync(new Uint8Array(length).fill(1), 0);
    await clock.run(file.syncData());
    file.close();
  }
  await clock.run(disk.syncDirectory(""));
  return { disk, clock, trash: new Trash(disk, "", FILE_BYTES) };
}

/** What there is, with the lengths. */
function files(disk: SimulatedDisk): string[] {
  return disk.list("").map(({ name }) => `${name} ${disk.readFile(name).length}`);
}

/** What there was, from one step of the clock to the next, until nothing happens any more. */
async function watch(disk: SimulatedDisk, clock: TestClock): Promise<string[]> {
  const seen: string[] = [];
  do {
    await settle();
    const now = files(disk).join(", ");
    if (now !== seen.at(-1)) seen.push(now);
  } while (await clock.step());
  return seen;
}

Deno.test("Trash takes the names first, and then gives back space step by step, the oldest first", async () => {
  const { disk, clock, trash } = await filled(250, 90, 201);
  const discarded = trash.discard(["0", "1"]);
  assertEquals(files(disk), ["0.trash 250", "1.trash 90", "2 201"]);
  await clock.run(discarded);
  const later = trash.discard(["2"]);
  assertEquals(await watch(disk, clock), [
    "0.trash 200, 1.trash 90, 2.trash 201",
    "0.trash 100, 1.trash 90, 2.trash 201",
    "2.trash 200",
    "2.trash 100",
    "",
  ]);
  await later;
  await trash.emptied();
  assertEquals(disk.usedBytes, 0);
});

Deno.test("a file is whole until a crash cannot bring back its name", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const { disk, clock, trash } = await filled(350);
    trash.discard(["0"]).catch(() => {});
    for (let step = 0; step < seed % 6; step++) await clock.step();
    const found = files(disk.crash(randomFrom(seed)));
    const [first] = found;
    assert(found.length <= 1 && (first === "0 350" || !first?.startsWith("0 ")), first);
    seen.add(found.join());
  }
  const all = ["0 350", "0.trash 350", "0.trash 300", "0.trash 200", "0.trash 100", ""];
  assertEquals([...seen].sort(), all.sort());
});

Deno.test("Trash.discard() waits for one sync of the directory, and of nothing for none", async () => {
  const { disk, clock, trash } = await filled(10, 10);
  const { syncs } = disk.counts;
  await trash.discard([]);
  assertEquals(disk.counts.syncs, syncs);
  await clock.run(trash.discard(["1", "0"]));
  await trash.emptied();
  assertEquals([disk.counts.syncs, files(disk)], [syncs + 1, []]);
});

Deno.test("Trash.stop() waits for the step that is under way, and begins no other", async () => {
  const { disk, clock, trash } = await filled(350, 50, 60);
  await clock.run(trash.discard(["0", "1"]));
  await settle();
  const emptied = trash.emptied();
  let stopped = false;
  const stop = trash.stop().then(() => void (stopped = true));
  await settle();
  assertEquals([stopped, files(disk)[0]], [false, "0.trash 300"]);
  await clock.run(stop);
  await emptied;
  await clock.run(trash.discard(["2"]));
  await trash.emptied();
  assertEquals(files(disk), ["0.trash 300", "1.trash 50", "2.trash 60"]);
  assertEquals(await clock.step(), false);
});

Deno.test("Trash tells all who ask of a failure, and does nothing more", async () => {
  const { disk, clock, trash } = await filled(350, 50);
  await clock.run(trash.discard(["0"]));
  disk.failSyncs();
  await assertRejects(() => clock.run(trash.emptied()), StorageFailedError, "sync 0.trash");
  await clock.run(trash.discard(["1"]));
  await assertRejects(() => trash.emptied(), StorageFailedError);
  await trash.stop();
  assertEquals(files(disk), ["0.trash 200", "1.trash 50"]);
});

Deno.test("a machine that is off in the middle of freeing ends nothing but that", async () => {
  for (const steps of [0, 1, 2, 3]) {
    const { disk, clock, trash } = await filled(350);
    trash.discard(["0"]).catch(() => {});
    for (let step = 0; step < steps; step++) await clock.step();
    disk.kill();
    while (await clock.step());
  }
});

Deno.test("what somebody reads is removed as it is, and can be read to its end", async () => {
  const { disk, clock, trash } = await filled(350);
  const reader = disk.open("0", { read: true });
  reader.share();
  await clock.run(trash.discard(["0"]));
  await trash.emptied();
  assertEquals(files(disk), []);
  assertEquals(readFull(reader, new Uint8Array(400), 0), 350);
});

Deno.test("a file is removed at once where there is no room for another name", async () => {
  const { disk, clock, trash } = await filled(350);
  disk.rename = () => {
    throw Object.assign(new Error("No space left"), { code: "ENOSPC" });
  };
  await clock.run(trash.discard(["0"]));
  await trash.emptied();
  assertEquals(files(disk), []);
});
