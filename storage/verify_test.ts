import { assert, assertEquals } from "@std/assert";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";
import { entriesFrom, newDisk, soloConfiguration } from "./_testing.ts";
import { DataDirectory } from "./data_dir.ts";
import type { Finding } from "./findings.ts";
import { IndexSet } from "./index_set.ts";
import { ShardStore } from "./shard_store.ts";
import { markBytes } from "./record.ts";
import { verifyDataDirectory } from "./verify.ts";

const directory = "data";
const needsNothing = () => new IndexSet();

/** A data directory with one shard: some segments, a snapshot, in good order. */
async function written(end: "closed" | "killed" = "closed"): Promise<SimulatedDisk> {
  const { disk, clock } = newDisk();
  const data = await clock.run(DataDirectory.open(disk, directory, {
    nodeId: 1,
    clusterId: "c",
    pid: 77,
    random: () => 0.5,
  }));
  const store = await clock.run(ShardStore.open(disk, data.shardDirectory(0), {
    shard: 0,
    replica: 1,
    configuration: soloConfiguration,
    segmentBytesMax: 500,
    reserveBytes: 0,
    salt: data.salt,
  }));
  await clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 6)));
  await clock.run(store.persist({ term: 2, vote: 1, commit: 4 }, entriesFrom(6, 20, 2)));
  const snapshot = store.beginSnapshot({
    index: 12,
    term: 2,
    configuration: soloConfiguration,
    neededIndex: 9,
  });
  snapshot.write(new Uint8Array(100).fill(7));
  await clock.run(snapshot.finish(new IndexSet(), () => Promise.resolve()));
  await clock.run(store.persist({ term: 2, vote: 1, commit: 18 }, []));
  if (end === "killed") return disk.kill();
  await clock.run(store.close());
  data.close();
  return disk;
}

function verify(disk: SimulatedDisk): readonly Finding[] {
  return verifyDataDirectory(disk, directory, needsNothing).findings;
}

function filesIn(disk: SimulatedDisk, path: string): string[] {
  return disk.list(path).flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(disk, `${path}/${name}`) : [`${path}/${name}`]
  );
}

function change(disk: SimulatedDisk, path: string, work: (bytes: Uint8Array) => Uint8Array): void {
  const bytes = work(disk.readFile(path));
  const file = disk.open(path, { write: true });
  file.truncateSync(0);
  file.writeSync(bytes, 0);
  file.close();
}

const newest = "data/shard-0/00000000000000000015.seg";

Deno.test("verifyDataDirectory() finds nothing in a directory in good order, and changes nothing", async () => {
  const disk = await written();
  const { writes } = disk.counts;
  const { findings, records, shards, meta } = verifyDataDirectory(disk, directory, needsNothing);
  assertEquals(findings, []);
  assertEquals([records, shards, meta?.nodeId], [19, [0], 1]);
  assertEquals(disk.counts.writes, writes);
});

Deno.test("verifyDataDirectory() finds every byte that has changed, and says in which file", async () => {
  const disk = await written();
  const files = filesIn(disk, directory).filter((path) => path !== "data/lock");
  assertEquals(files.length, 8);
  let flips = 0;
  for (const path of files) {
    const size = disk.readFile(path).length;
    // Between the slots of a hard state there is a lot of nothing.
    for (
      let at = 0;
      at < size;
      at += at > 64 && at < 4_000 && path.includes("hard-state") ? 97 : 1
    ) {
      disk.flipBit(path, at, at % 8);
      const findings = verify(disk);
      disk.flipBit(path, at, at % 8);
      flips++;
      const found = findings.find((finding) => finding.path === path);
      assert(found !== undefined, `${path} byte ${at}: ${JSON.stringify(findings)}`);
      // The mark at the end of all speaks for everything but itself.
      const isLastMark = path === newest && at >= size - markBytes;
      assertEquals(found!.kind, isLastMark ? "remark" : "damage", `${path} byte ${at}`);
    }
  }
  assert(flips > 1_500);
  assertEquals(verify(disk), []);
});

Deno.test("verifyDataDirectory() goes on behind a damaged record", async () => {
  const disk = await written();
  const path = "data/shard-0/00000000000000000008.seg";
  disk.flipBit(path, 64 + 56 + 33, 1);
  disk.flipBit(path, 64 + 3 * 56 + 33, 1);
  disk.flipBit(newest, 64 + 33, 1);
  const { findings, records } = verifyDataDirectory(disk, directory, needsNothing);
  assertEquals(findings.map(({ path, offset, index, reason }) => [path, offset, index, reason]), [
    [path, 120, 9, "wrong checksum; readable again from byte 176, index 10"],
    [path, 232, 11, "wrong checksum; readable again from byte 288, index 12"],
    [newest, 64, 15, "wrong checksum; readable again from byte 120, index 16"],
  ]);
  assertEquals(records, 16);
});

Deno.test("verifyDataDirectory() only remarks on a tail that a crash may have torn", async () => {
  const disk = await written("killed");
  change(disk, newest, (bytes) => bytes.subarray(0, bytes.length - 1));
  const findings = verify(disk);
  assertEquals(findings.map(({ kind, index }) => [kind, index]), [["remark", 19]]);
});

Deno.test("verifyDataDirectory() notices a segment, a snapshot and a slot that are missing", async () => {
  const disk = await written();
  disk.remove("data/shard-0/00000000000000000008.seg");
  assertEquals(verify(disk).map(({ path, reason }) => [path, reason]), [
    [newest, "it begins where index 8 is due: a segment is missing"],
  ]);

  const other = await written();
  other.remove("data/shard-0/00000000000000000001.seg");
  other.remove("data/shard-0/00000000000000000012.snap");
  other.remove("data/shard-0/hard-state-b");
  other.remove("data/meta");
  assertEquals(verify(other).map(({ path, reason }) => [path, reason]), [
    ["data/meta", "it is missing in a directory that is not empty"],
    ["data/shard-0/hard-state-b", "it is missing"],
    [
      "data/shard-0",
      "the log begins at 8, but is needed from 1: a segment is missing",
    ],
  ]);

  const third = await written();
  third.remove("data/shard-0/configuration");
  assertEquals(verify(third).map(({ kind, path }) => [kind, path]), [
    ["damage", "data/shard-0/configuration"],
  ]);
});

Deno.test("verifyDataDirectory() notices that the log lost its end, marks and all", async () => {
  const disk = await written();
  disk.remove(newest);
  // The process ended in good order, and noted then how far the log was committed.
  assertEquals(verify(disk).map(({ kind, reason }) => [kind, reason]), [
    ["damage", "the log ends at 14, but 18 was committed: its end is missing"],
  ]);
});

Deno.test("verifyDataDirectory() passes on what is wrong with the state in a snapshot", async () => {
  const disk = await written();
  const { findings } = verifyDataDirectory(disk, directory, (shard, state) => {
    const bytes = [...state].reduce((sum, piece) => sum + piece.length, 0);
    throw new Error(`shard ${shard} has ${bytes} bytes of nonsense`);
  });
  assertEquals(findings.map(({ path, reason }) => [path, reason]), [[
    "data/shard-0/00000000000000000012.snap",
    "its state: shard 0 has 100 bytes of nonsense",
  ]]);
});

Deno.test("verifyDataDirectory() notices that an entry is missing which a snapshot needs", async () => {
  const disk = await written();
  const needs = () => IndexSet.of([5, 9, 12]);
  assertEquals(verifyDataDirectory(disk, directory, needs).findings, []);
  disk.remove("data/shard-0/00000000000000000001.seg");
  assertEquals(verifyDataDirectory(disk, directory, needs).findings, [{
    kind: "damage",
    path: "data/shard-0",
    index: 5,
    reason: "it is missing, and the newest snapshot needs it",
  }]);
});

Deno.test("verifyDataDirectory() remarks on what does not count", async () => {
  const disk = await written();
  disk.makeDirectory("data/lost-shard-1");
  const trash = "shard-0/00000000000000000001.seg.trash";
  for (const name of ["notes.txt", "meta.new", "shard-0/log-7", "shard-0/0.txt", trash]) {
    disk.open(`data/${name}`, { write: true, create: true }).close();
  }
  assertEquals(verify(disk).map(({ kind, path, reason }) => [kind, path, reason]), [
    [
      "remark",
      "data/lost-shard-1",
      "a replica that was given up, until another one has taken its place",
    ],
    ["remark", "data/meta.new", "left over, and does not count"],
    ["remark", "data/notes.txt", "nothing that FlowMQ has made"],
    ["remark", "data/shard-0/0.txt", "nothing that FlowMQ has made"],
    ["remark", `data/${trash}`, "left over, and does not count"],
    ["remark", "data/shard-0/log-7", "left over, and does not count"],
  ]);
});
