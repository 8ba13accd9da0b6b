import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { newDisk, randomFrom, settle } from "../../storage/_testing.ts";
import { errorCode } from "../../storage/file_system.ts";
import type { SimulatedDisk } from "./disk.ts";

const create = { read: true, write: true, create: true };

function write(disk: SimulatedDisk, path: string, bytes: Uint8Array, position = 0) {
  const file = disk.open(path, create);
  assertEquals(file.writeSync(bytes, position), bytes.length);
  return file;
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

Deno.test("SimulatedDisk reads what was written, before any sync", () => {
  const { disk } = newDisk();
  const file = write(disk, "x", filled(10, 1));
  file.writeSync(filled(4, 2), 8);
  assertEquals(file.size(), 12);
  assertEquals([...disk.readFile("x").subarray(7)], [1, 2, 2, 2, 2]);
  file.truncateSync(9);
  file.truncateSync(11);
  assertEquals([...disk.readFile("x").subarray(7)], [1, 2, 0, 0]);
  file.truncate(8);
  assertEquals([...disk.readFile("x").subarray(7)], [1]);
});

Deno.test("SimulatedDisk keeps over a crash what was synced, and its name", async () => {
  const { disk, clock } = newDisk();
  const file = write(disk, "x", filled(5_000, 1));
  await clock.run(file.syncData());
  await clock.run(disk.syncDirectory(""));
  file.writeSync(filled(5_000, 2), 2_000);
  file.truncateSync(100);
  assertEquals(disk.crash(() => 0).readFile("x"), filled(5_000, 1));
});

Deno.test("SimulatedDisk loses over a crash any part of what was not synced", async () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const { disk, clock } = newDisk();
    const file = write(disk, "x", filled(2_048, 1));
    await clock.run(file.syncData());
    await clock.run(disk.syncDirectory(""));
    file.writeSync(filled(2_048, 2), 1_024);
    const survivor = disk.crash(randomFrom(seed));
    const bytes = survivor.readFile("x");
    assertEquals(bytes.subarray(0, 1_024), filled(1_024, 1));
    assert(bytes.every((byte, i) => byte === 1 && i < 2_048 || byte === 2 || i >= 2_048));
    outcomes.add([...bytes].filter((_, i) => i % 512 === 0).join(""));
  }
  // Nothing, everything, and any of the four sectors.
  assert(outcomes.has("1111") && outcomes.has("112222"));
  assert(
    outcomes.has("1121") && outcomes.has("1112") && outcomes.has("111102"),
    [...outcomes].join(),
  );
});

Deno.test("SimulatedDisk loses names that were not synced, each on its own", async () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const { disk, clock } = newDisk();
    for (const name of ["a", "b"]) await clock.run(write(disk, name, filled(1, 1)).syncData());
    await clock.run(disk.syncDirectory(""));
    disk.remove("a");
    disk.rename("b", "c");
    write(disk, "d", filled(1, 1));
    const names = disk.crash(randomFrom(seed)).list("").map(({ name }) => name);
    outcomes.add(names.join(""));
  }
  // Whatever happens, the renamed file has one of its names.
  const expected = ["ab", "abd", "ac", "acd", "b", "bd", "c", "cd"];
  assertEquals([...outcomes].sort(), expected);
});

Deno.test("SimulatedDisk makes durable what was written before a sync began, not after", async () => {
  const { disk, clock } = newDisk();
  const file = write(disk, "x", filled(512, 1));
  const sync = file.syncData();
  file.writeSync(filled(512, 2), 512);
  await clock.run(sync);
  await clock.run(disk.syncDirectory(""));
  assertEquals(disk.crash(() => 0).readFile("x"), filled(512, 1));
});

Deno.test("SimulatedDisk loses what a failed sync was to keep, though it can be read", async () => {
  const { disk, clock } = newDisk();
  await clock.run(disk.syncDirectory(""));
  const file = write(disk, "x", filled(512, 1));
  await clock.run(disk.syncDirectory(""));
  disk.failSyncs();
  const error = await assertRejects(() => clock.run(file.syncData()));
  assertEquals(errorCode(error), "EIO");
  await clock.run(file.syncData());
  assertEquals(disk.readFile("x"), filled(512, 1));
  assertEquals(disk.crash(() => 0.99).readFile("x").length, 0);
});

Deno.test("SimulatedDisk keeps what was written and synced after a failed sync, and only that", async () => {
  const { disk, clock } = newDisk();
  const file = write(disk, "x", filled(1_000, 1));
  await clock.run(file.syncData());
  await clock.run(disk.syncDirectory(""));
  file.writeSync(filled(1_000, 2), 500);
  disk.failSyncs();
  await assertRejects(() => clock.run(file.syncData()));
  file.writeSync(filled(100, 3), 600);
  file.writeSync(filled(100, 4), 2_000);
  await clock.run(file.syncData());
  file.writeSync(filled(100, 5), 0);
  const expected = new Uint8Array(2_100);
  expected.set(filled(1_000, 1));
  expected.set(filled(100, 3), 600);
  expected.set(filled(100, 4), 2_000);
  assertEquals(
    disk.readFile("x").subarray(490, 510),
    new Uint8Array([...filled(10, 1), ...filled(10, 2)]),
  );
  assertEquals(disk.crash(() => 0).readFile("x"), expected);
});

Deno.test("SimulatedDisk takes what fits and then says that it is full", () => {
  const { disk } = newDisk({ capacityBytes: 100 });
  const file = disk.open("x", create);
  assertEquals(file.writeSync(filled(80, 1), 0), 80);
  assertEquals(file.writeSync(filled(80, 2), 40), 60);
  assertEquals(errorCode(assertThrows(() => file.writeSync(filled(1, 3), 100))), "ENOSPC");
  assertEquals(file.writeSync(filled(50, 3), 0), 50);
  disk.capacityBytes = 200;
  assertEquals(file.writeSync(filled(50, 3), 100), 50);
  disk.remove("x");
  assertEquals(disk.usedBytes, 0);
});

Deno.test("SimulatedDisk.kill() ends handles, locks and syncs, and loses nothing", async () => {
  const { disk, clock } = newDisk();
  const file = write(disk, "x", filled(700, 1));
  assert(await file.tryLock());
  assert(!await disk.open("x", create).tryLock());
  let synced = false;
  file.syncData().then(() => void (synced = true));
  const next = disk.kill();
  while (await clock.step()) await settle();
  assert(!synced);
  assertEquals(errorCode(assertThrows(() => file.writeSync(filled(1, 1), 0))), "EIO");
  assertEquals(next.readFile("x"), filled(700, 1));
  assert(await next.open("x", create).tryLock());
  // What was not synced still is not: the next power cut takes it.
  assert(!next.crash(() => 0).exists("x"));
});

Deno.test("SimulatedDisk lets nobody take a file that is being read", async () => {
  const { disk } = newDisk();
  const file = write(disk, "x", filled(700, 1));
  const readers = [disk.open("x", create), disk.open("x", create)];
  for (const reader of readers) assert(reader.share());
  assert(!await file.tryLock());
  readers[0]!.close();
  assert(!await file.tryLock());
  readers[1]!.close();
  assert(await file.tryLock());
  assert(!disk.open("x", create).share());
});

Deno.test("SimulatedDisk writes less than asked for when it is told to", () => {
  const { disk } = newDisk({ shortWriteChance: 1 });
  const file = disk.open("x", create);
  const count = file.writeSync(filled(100, 1), 0);
  assert(count > 0 && count < 100);
  assertEquals(file.size(), count);
});

Deno.test("SimulatedDisk says what a system would say", () => {
  const { disk } = newDisk();
  const code = (call: () => unknown) => errorCode(assertThrows(call));
  assertEquals(code(() => disk.open("x", { read: true })), "ENOENT");
  assertEquals(code(() => disk.open("no/x", create)), "ENOENT");
  assertEquals(code(() => disk.remove("x")), "ENOENT");
  assertEquals(code(() => disk.rename("x", "y")), "ENOENT");
  disk.makeDirectory("d/e");
  assertEquals(code(() => disk.remove("d")), "ENOTEMPTY");
  assertEquals(code(() => disk.open("d", create)), "EISDIR");
  const file = disk.open("d/x", { write: true, createNew: true });
  assertEquals(code(() => disk.open("d/x", { write: true, createNew: true })), "EEXIST");
  assertEquals(code(() => file.readSync(new Uint8Array(1), 0)), "EBADF");
  file.close();
  assertEquals(code(() => file.writeSync(new Uint8Array(1), 0)), "EBADF");
  assertEquals(disk.list("d"), [
    { name: "e", isDirectory: true },
    { name: "x", isDirectory: false },
  ]);
});
