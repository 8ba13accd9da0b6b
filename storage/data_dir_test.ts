import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { newDisk, randomFrom, settle } from "./_testing.ts";
import { DataDirectory } from "./data_dir.ts";
import {
  CorruptFileError,
  DataDirectoryLockedError,
  DataDirectoryMismatchError,
  StorageFailedError,
  UnsupportedFormatError,
} from "./errors.ts";
import { writeCheckedFile } from "./checked_file.ts";

const random = randomFrom(7);

Deno.test("DataDirectory.open() makes a directory, and knows it again", async () => {
  const { disk, clock } = newDisk();
  const open = () => clock.run(DataDirectory.open(disk, "a/b/data", { nodeId: 3, random }));
  const directory = await open();
  const { meta, salt } = directory;
  assertEquals([meta.nodeId, meta.clusterId], [3, null]);
  assert(/^[0-9a-f]{24}$/.test(meta.incarnation));
  assertEquals(directory.shardDirectory(2), "a/b/data/shard-2");
  directory.close();
  const again = await open();
  assertEquals(again.meta, meta);
  assertEquals(again.salt, salt);
  // All of it survives a power cut.
  const survivor = disk.crash(() => 0);
  assertEquals(
    (await clock.run(DataDirectory.open(survivor, "a/b/data", { nodeId: 3, random }))).meta,
    meta,
  );
});

Deno.test("DataDirectory.open() makes sure of names that a killed process could not sync", async () => {
  for (let steps = 0; steps < 8; steps++) {
    const { disk, clock } = newDisk();
    const options = { nodeId: 3, random };
    void DataDirectory.open(disk, "a/b/data", options);
    await settle();
    for (let step = 0; step < steps; step++) await clock.step();
    const restarted = disk.kill();
    const { meta } = await clock.run(DataDirectory.open(restarted, "a/b/data", options));
    const survivor = restarted.crash(() => 0);
    assertEquals((await clock.run(DataDirectory.open(survivor, "a/b/data", options))).meta, meta);
  }
});

Deno.test("DataDirectory.open() needs no permission above a directory that is there", async () => {
  const { disk, clock } = newDisk();
  disk.makeDirectory("a/mine");
  const syncDirectory = disk.syncDirectory.bind(disk);
  disk.syncDirectory = (path) => {
    return path === "a"
      ? Promise.reject(Object.assign(new Error("Permission denied"), { code: "EACCES" }))
      : syncDirectory(path);
  };
  (await clock.run(DataDirectory.open(disk, "a/mine/data", { nodeId: 3, random }))).close();
  (await clock.run(DataDirectory.open(disk, "a/mine/data", { nodeId: 3, random }))).close();
});

Deno.test("DataDirectory.open() gives another incarnation to a directory that was wiped", async () => {
  const incarnations = await Promise.all([1, 2].map(async () => {
    const { disk, clock } = newDisk();
    const { meta } = await clock.run(DataDirectory.open(disk, "data", { nodeId: 3, random }));
    return meta.incarnation;
  }));
  assertNotEquals(incarnations[0], incarnations[1]);
});

Deno.test("DataDirectory.open() lets one process in at a time, and names it", async () => {
  const { disk, clock } = newDisk();
  const options = { nodeId: 1, pid: 4242, random };
  const directory = await clock.run(DataDirectory.open(disk, "data", options));
  const error = await assertRejects(
    () => clock.run(DataDirectory.open(disk, "data", { ...options, pid: 1 })),
    DataDirectoryLockedError,
    "Cannot use data directory data as process 4242 is using it",
  );
  assertEquals((error as DataDirectoryLockedError).pid, 4242);
  directory.close();
  await clock.run(DataDirectory.open(disk, "data", options));
  // The end of the process frees it as well.
  await clock.run(DataDirectory.open(disk.kill(), "data", options));
});

Deno.test("DataDirectory.open() refuses the directory of another node or cluster", async () => {
  const { disk, clock } = newDisk();
  const open = (nodeId: number, clusterId?: string) => {
    return clock.run(DataDirectory.open(disk, "data", { nodeId, clusterId, random }));
  };
  (await open(1, "red")).close();
  await assertRejects(
    () => open(2, "red"),
    DataDirectoryMismatchError,
    "Cannot use directory data for node 2 as it belongs to node 1",
  );
  await assertRejects(
    () => open(1, "blue"),
    DataDirectoryMismatchError,
    "Cannot use directory data for cluster blue as it belongs to cluster red",
  );
  assertEquals((await open(1)).meta.clusterId, "red");
});

Deno.test("DataDirectory.setClusterId() notes the cluster once and for all", async () => {
  const { disk, clock } = newDisk();
  const directory = await clock.run(DataDirectory.open(disk, "data", { nodeId: 1, random }));
  const { incarnation } = directory.meta;
  await clock.run(directory.setClusterId("red"));
  await clock.run(directory.setClusterId("red"));
  await assertRejects(() => directory.setClusterId("blue"), DataDirectoryMismatchError);
  directory.close();
  const again = await clock.run(DataDirectory.open(disk, "data", { nodeId: 1, random }));
  assertEquals(again.meta, { nodeId: 1, clusterId: "red", incarnation });
});

Deno.test("DataDirectory.open() refuses a newer format, and a stranger's directory", async () => {
  const { disk, clock } = newDisk();
  disk.makeDirectory("newer");
  await clock.run(writeCheckedFile(disk, "newer/meta", "meta", 2, {}));
  await assertRejects(
    () => clock.run(DataDirectory.open(disk, "newer", { nodeId: 1, random })),
    UnsupportedFormatError,
    "newer/meta",
  );
  disk.makeDirectory("home/documents");
  await assertRejects(
    () => clock.run(DataDirectory.open(disk, "home", { nodeId: 1, random })),
    CorruptFileError,
    "missing in a directory that is not empty",
  );
});

Deno.test("DataDirectory.open() says what the file system says, and leaves no lock", async () => {
  const { disk, clock } = newDisk();
  disk.makeDirectory("data");
  disk.failSyncs();
  const open = () => clock.run(DataDirectory.open(disk, "data", { nodeId: 1, random }));
  await assertRejects(open, StorageFailedError, "Input/output error");
  (await open()).close();
});
