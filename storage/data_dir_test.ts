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

Deno.test("DataDirectory.open() refuses a newer format, and a stranger's directory", async () => {
  const { disk, clock } = newDisk();
  disk.makeDirectory("newer");
  await clock.run(writeCheckedFile(disk, "newer/meta", "meta", 3, {}));
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

Deno.test("DataDirectory.setStanding() survives a power cut, with whom the cluster began", async () => {
  const { disk, clock } = newDisk();
  const options = { nodeId: 1, random };
  const directory = await clock.run(DataDirectory.open(disk, "data", options));
  assertEquals(directory.meta.standing, "blank");
  const founders = { 1: directory.meta.incarnation, 2: "b" };
  await clock.run(directory.setStanding("founding", founders));
  await clock.run(directory.setNewestReplica(4_097));
  await clock.run(directory.setStanding("member"));
  const again = await clock.run(DataDirectory.open(disk.crash(() => 0), "data", options));
  assertEquals(again.meta, directory.meta);
  const { standing, newestReplica } = again.meta;
  assertEquals([standing, again.meta.founders, newestReplica], ["member", founders, 4_097]);
});

Deno.test("DataDirectory.open() takes a directory of version 1 for that of a member", async () => {
  const { disk, clock } = newDisk();
  disk.makeDirectory("data");
  const old = { nodeId: 1, clusterId: null, incarnation: "abc" };
  await clock.run(writeCheckedFile(disk, "data/meta", "meta", 2, old));
  const { meta } = await clock.run(DataDirectory.open(disk, "data", { nodeId: 1, random }));
  assertEquals(meta, { ...old, standing: "member" });
});

/** A directory with two shards, the first of which holds a file. */
async function directoryWithShards() {
  const { disk, clock } = newDisk();
  const options = { nodeId: 1, random, replaceable: true };
  const directory = await clock.run(DataDirectory.open(disk, "data", options));
  await clock.run(directory.setStanding("member"));
  for (const shard of [0, 1]) disk.makeDirectory(directory.shardDirectory(shard));
  disk.open("data/shard-0/first", { write: true, create: true }).close();
  for (const path of ["data", "data/shard-0"]) await clock.run(disk.syncDirectory(path));
  return { disk, clock, options, directory };
}

Deno.test("DataDirectory.giveUp() keeps the first copy, and discardLost() removes it", async () => {
  const { disk, clock, directory } = await directoryWithShards();
  await clock.run(directory.giveUp(0));
  assertEquals([directory.hasShard(0), directory.hasLost(0), directory.hasLost(1)], [
    false,
    true,
    false,
  ]);
  disk.makeDirectory("data/shard-0/log-1");
  await clock.run(directory.giveUp(0));
  const survivor = disk.crash(() => 0);
  assertEquals(survivor.list("data/lost-shard-0").map(({ name }) => name), ["first"]);
  assertEquals(survivor.exists("data/shard-0"), false);
});

Deno.test("DataDirectory.discardLost() removes what was given up, and minds where there is nothing", async () => {
  const { disk, clock, directory } = await directoryWithShards();
  await clock.run(directory.giveUp(0));
  await clock.run(directory.discardLost(0));
  await clock.run(directory.discardLost(0));
  assertEquals(disk.crash(() => 0).exists("data/lost-shard-0"), false);
});

Deno.test("DataDirectory.open() gives up all shards when the meta file is damaged", async () => {
  const { disk, clock, options, directory } = await directoryWithShards();
  directory.close();
  disk.flipBit("data/meta", 40, 2);
  await assertRejects(
    () => clock.run(DataDirectory.open(disk, "data", { ...options, replaceable: false })),
    CorruptFileError,
  );
  assertEquals(disk.exists("data/shard-0/first"), true);
  const again = await clock.run(DataDirectory.open(disk, "data", options));
  assertEquals(again.damage?.path, "data/meta");
  assertEquals(again.meta.standing, "lost");
  assertNotEquals(again.meta.incarnation, directory.meta.incarnation);
  assertEquals(disk.crash(() => 0).exists("data/lost-shard-0/first"), true);
});

Deno.test("DataDirectory.open() replaces a damaged meta file beside replicas that were given up before", async () => {
  const { disk, clock, options, directory } = await directoryWithShards();
  for (const shard of [0, 1]) await clock.run(directory.giveUp(shard));
  directory.close();
  disk.flipBit("data/meta", 3, 2);
  const again = await clock.run(DataDirectory.open(disk, "data", options));
  assertEquals(again.meta.standing, "lost");
});

Deno.test("DataDirectory keeps changes apart that are made at the same time", async () => {
  const { disk, clock } = newDisk();
  const options = { nodeId: 1, random };
  const directory = await clock.run(DataDirectory.open(disk, "data", options));
  const changes = [
    directory.setNewestReplica(4_097),
    directory.setStanding("member"),
    directory.setNewestReplica(8_193),
    // Heard of late: what was newer stays so, else a name would be given twice.
    directory.setNewestReplica(4_097),
  ];
  await clock.run(Promise.all(changes));
  const { meta } = await clock.run(DataDirectory.open(disk.crash(() => 0), "data", options));
  assertEquals([meta.standing, meta.newestReplica], ["member", 8_193]);
});

Deno.test("DataDirectory.open() says what the file system says, and leaves no lock", async () => {
  const { disk, clock } = newDisk();
  disk.makeDirectory("data");
  disk.failSyncs();
  const open = () => clock.run(DataDirectory.open(disk, "data", { nodeId: 1, random }));
  await assertRejects(open, StorageFailedError, "Input/output error");
  (await open()).close();
});
