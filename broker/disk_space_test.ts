import { assertEquals, assertRejects } from "@std/assert";
import { ManualClock } from "../client/_testing.ts";
import { newDisk, settle } from "../storage/_testing.ts";
import { DiskFullError } from "../storage/mod.ts";
import { DISK_CHECK_MS, DiskSpace } from "./disk_space.ts";

/** A disk with room for so much, watched with a reserve of 1,000 bytes. */
function watch(freeBytes: number) {
  const { disk } = newDisk();
  const clock = new ManualClock();
  disk.capacityBytes = freeBytes;
  const lines: string[] = [];
  const line = (message: string) => void lines.push(message);
  const log = { debug: line, info: line, warn: line, error: line };
  let changes = 0;
  const space = new DiskSpace({
    files: disk,
    path: "data",
    reserveBytes: 1_000,
    clock,
    log,
    changed: () => changes++,
  });
  return { disk, clock, space, lines, changes: () => changes };
}

const full = new DiskFullError("write", "data/x", undefined);

Deno.test("a disk is low below the reserve, and not any more with a little above it", () => {
  const { disk, space, lines, changes } = watch(1_000);
  space.check();
  assertEquals([space.isLow, space.freeBytes, changes()], [false, 1_000, 0]);
  disk.capacityBytes = 999;
  space.check();
  assertEquals([space.isLow, changes()], [true, 1]);
  disk.capacityBytes = 1_249;
  space.check();
  assertEquals([space.isLow, changes()], [true, 1]);
  disk.capacityBytes = 1_250;
  space.check();
  assertEquals([space.isLow, changes()], [false, 2]);
  assertEquals(lines, ["The disk is nearly full", "The disk has room again"]);
});

Deno.test("a write that found the disk full is tried again after a while", async () => {
  const { clock, space, lines } = watch(0);
  let tries = 0;
  for (const _ of [1, 2]) void space.whenFull(full).then(() => tries++);
  await settle();
  assertEquals(tries, 0);
  await clock.advance(DISK_CHECK_MS);
  assertEquals(tries, 2);
  assertEquals(lines, ["The disk is full: writing waits for room"]);
});

Deno.test("a node that stops waits for no room", async () => {
  const { space } = watch(0);
  const waiting = space.whenFull(full);
  space.close();
  await assertRejects(() => waiting, DiskFullError);
  await assertRejects(() => space.whenFull(full), DiskFullError);
});
