import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { entriesFrom, plain, randomFrom, soloConfiguration } from "./_testing.ts";
import { DataDirectory } from "./data_dir.ts";
import { denoFileSystem } from "./deno_file_system.ts";
import { DataDirectoryLockedError } from "./errors.ts";
import { errorCode, readFull, writeAll } from "./file_system.ts";
import { ShardStore } from "./shard_store.ts";

const files = denoFileSystem();

function withDirectory(name: string, body: (path: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const path = Deno.makeTempDirSync({ prefix: "flowmq-test-" });
    try {
      await body(path);
    } finally {
      Deno.removeSync(path, { recursive: true });
    }
  });
}

withDirectory("denoFileSystem() reads and writes at positions", async (path) => {
  const file = files.open(`${path}/x`, { read: true, write: true, createNew: true });
  writeAll(file, new Uint8Array([1, 2, 3, 4, 5]), 0);
  assertEquals(file.writeSync(new Uint8Array([9]), 1), 1);
  writeAll(file, new Uint8Array([7]), 7);
  await file.syncData();
  assertEquals(file.size(), 8);
  const buffer = new Uint8Array(3);
  assertEquals(readFull(file, buffer, 1), 3);
  assertEquals([...buffer], [9, 3, 4]);
  assertEquals(file.readSync(buffer, 8), 0);
  file.truncateSync(2);
  assertEquals(readFull(file, buffer, 0), 2);
  writeAll(file, new Uint8Array([8]), 2);
  assertEquals([...files.readFile(`${path}/x`)], [1, 9, 8]);
  await file.truncate(1);
  file.close();
  assertEquals([...files.readFile(`${path}/x`)], [1]);
});

withDirectory("denoFileSystem() lets nobody take a file that is being read", async (path) => {
  const open = () => files.open(`${path}/x`, { read: true, write: true, create: true });
  const [reader, other, taker] = [open(), open(), open()];
  assert(reader.share() && other.share());
  other.close();
  assertEquals(await taker.tryLock(), Deno.build.os === "windows");
  reader.close();
  assert(await taker.tryLock());
  const late = open();
  assertEquals(late.share(), Deno.build.os === "windows");
  late.close();
  taker.close();
});

withDirectory("denoFileSystem() makes, lists, renames and removes names", async (path) => {
  files.makeDirectory(`${path}/b/c`);
  files.makeDirectory(`${path}/b/c`);
  files.open(`${path}/z`, { write: true, create: true }).close();
  files.rename(`${path}/z`, `${path}/a`);
  await files.syncDirectory(path);
  assertEquals(files.list(path), [
    { name: "a", isDirectory: false },
    { name: "b", isDirectory: true },
  ]);
  assert(files.exists(`${path}/b`) && files.exists(`${path}/a`) && !files.exists(`${path}/z`));
  files.remove(`${path}/a`);
  assert(!files.exists(`${path}/a`));
});

withDirectory("denoFileSystem() throws errors with the system's code", (path) => {
  const code = (call: () => unknown) => errorCode(assertThrows(call));
  assertEquals(code(() => files.open(`${path}/x`, { read: true })), "ENOENT");
  assertEquals(code(() => files.remove(`${path}/x`)), "ENOENT");
  files.open(`${path}/x`, { write: true, create: true }).close();
  assertEquals(code(() => files.open(`${path}/x`, { write: true, createNew: true })), "EEXIST");
  return Promise.resolve();
});

Deno.test({
  name: "denoFileSystem() says ENOSPC where a disk is full",
  ignore: Deno.build.os !== "linux",
  fn() {
    const file = files.open("/dev/full", { write: true });
    assertEquals(errorCode(assertThrows(() => file.writeSync(new Uint8Array(1), 0))), "ENOSPC");
    file.close();
  },
});

withDirectory("DataDirectory and ShardStore work on a real disk", async (path) => {
  const options = { nodeId: 1, clusterId: "c", pid: Deno.pid, random: randomFrom(1) };
  const directory = await DataDirectory.open(files, `${path}/data`, options);
  await assertRejects(
    () => DataDirectory.open(files, `${path}/data`, options),
    DataDirectoryLockedError,
    `process ${Deno.pid}`,
  );
  const open = () => {
    return ShardStore.open(files, directory.shardDirectory(0), {
      shard: 0,
      replica: 1,
      configuration: soloConfiguration,
      segmentBytesMax: 20_000,
      recentBytesMax: 0,
      salt: directory.salt,
    });
  };
  const store = await open();
  const entries = entriesFrom(1, 201, 1, 1_000);
  const calls = [store.persist({ term: 1, vote: 1, commit: 0 }, [])];
  for (const entry of entries) calls.push(store.persist(undefined, [entry]));
  await Promise.all(calls);
  assert(store.segmentCount > 5);
  await store.persist({ term: 2, vote: 0, commit: 0 }, entriesFrom(100, 102, 2));
  await store.close();
  const again = await open();
  const expected = [...entries.slice(0, 99), ...entriesFrom(100, 102, 2)];
  assertEquals(again.entries(1, 102, Infinity).map(plain), expected);
  await again.close();
  directory.close();
  (await DataDirectory.open(files, `${path}/data`, options)).close();
});
