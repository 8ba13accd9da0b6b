import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { newDisk, randomFrom } from "./_testing.ts";
import { readCheckedFile, writeCheckedFile } from "./checked_file.ts";
import { CorruptFileError, StorageFailedError, UnsupportedFormatError } from "./errors.ts";

Deno.test("readCheckedFile() gives back what writeCheckedFile() was given", async () => {
  const { disk, clock } = newDisk();
  assertEquals(readCheckedFile(disk, "meta", "meta", 2), undefined);
  await clock.run(writeCheckedFile(disk, "meta", "meta", 2, { name: "größer" }));
  assertEquals(readCheckedFile(disk, "meta", "meta", 2), { name: "größer" });
  await clock.run(writeCheckedFile(disk, "meta", "meta", 2, { n: 1 }));
  assertEquals(readCheckedFile(disk, "meta", "meta", 2), { n: 1 });
  assertEquals(disk.list("").map(({ name }) => name), ["meta"]);
});

Deno.test("readCheckedFile() finds every flipped bit", async () => {
  const { disk, clock } = newDisk();
  await clock.run(writeCheckedFile(disk, "meta", "meta", 2, { clusterId: "c", nodeId: 3 }));
  const size = disk.readFile("meta").length;
  for (let bit = 0; bit < size * 8; bit++) {
    disk.flipBit("meta", bit >> 3, bit & 7);
    // A flipped version number does not pass for a newer format.
    assertThrows(() => readCheckedFile(disk, "meta", "meta", 2), CorruptFileError);
    disk.flipBit("meta", bit >> 3, bit & 7);
  }
});

Deno.test("readCheckedFile() refuses another kind of file and a newer format", async () => {
  const { disk, clock } = newDisk();
  await clock.run(writeCheckedFile(disk, "x", "meta", 3, {}));
  assertThrows(() => readCheckedFile(disk, "x", "configuration", 3), CorruptFileError);
  assertThrows(() => readCheckedFile(disk, "x", "meta", 2), UnsupportedFormatError, "version 3");
});

Deno.test("writeCheckedFile() leaves the old or the new content after a crash", async () => {
  const seen = new Set<unknown>();
  for (let seed = 0; seed < 200; seed++) {
    const { disk, clock } = newDisk();
    await clock.run(writeCheckedFile(disk, "meta", "meta", 2, "old"));
    const writing = writeCheckedFile(disk, "meta", "meta", 2, "new, and longer than the old one");
    for (let step = 0; step < seed % 4; step++) await clock.step();
    if (seed % 4 === 3) await clock.run(writing);
    const content = readCheckedFile(disk.crash(randomFrom(seed)), "meta", "meta", 2);
    assert(content === "old" && seed % 4 < 3 || content === "new, and longer than the old one");
    seen.add(content);
  }
  assertEquals(seen.size, 2);
});

Deno.test("writeCheckedFile() fails with the reason when a sync fails", async () => {
  const { disk, clock } = newDisk();
  disk.failSyncs();
  await assertRejects(
    () => clock.run(writeCheckedFile(disk, "meta", "meta", 2, {})),
    StorageFailedError,
    "Cannot write meta: Input/output error",
  );
});
