import { assertEquals, assertThrows } from "@std/assert";
import { entriesFrom, newDisk, plain, soloConfiguration } from "./_testing.ts";
import { CorruptFileError, CorruptRecordError } from "./errors.ts";
import { inspectShard, readShardRecords } from "./inspect.ts";
import { ShardStore } from "./shard_store.ts";

async function written() {
  const { disk, clock } = newDisk();
  const options = {
    shard: 6,
    replica: 1,
    configuration: soloConfiguration,
    segmentBytesMax: 500,
    reserveBytes: 0,
    salt: 3,
  };
  const store = await clock.run(ShardStore.open(disk, "s", options));
  await clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 6)));
  await clock.run(store.persist({ term: 2, vote: 1, commit: 4 }, entriesFrom(6, 20, 2)));
  return { disk, clock, store };
}

Deno.test("inspectShard() says what is there, and changes nothing", async () => {
  const { disk } = await written();
  const { writes } = disk.counts;
  const file = disk.open("s/00000000000000000015.seg", { write: true });
  file.truncateSync(file.size() - 1);
  const { hardState, segments, terms, tornTails } = inspectShard(disk, "s");
  assertEquals(hardState, { term: 2, vote: 1, commit: 4 });
  assertEquals(segments.map(({ firstIndex, lastIndex }) => [firstIndex, lastIndex]), [
    [1, 7],
    [8, 14],
    [15, 18],
  ]);
  assertEquals(terms, [{ firstIndex: 1, term: 1 }, { firstIndex: 6, term: 2 }]);
  assertEquals(tornTails.map(({ index, bytes }) => [index, bytes]), [[19, 55]]);
  assertEquals(disk.counts.writes, writes);
});

Deno.test("readShardRecords() reads every record, and says where it is", async () => {
  const { disk } = await written();
  const found = [...readShardRecords(disk, "s")];
  assertEquals(found.length, 19);
  assertEquals(
    [...readShardRecords(disk, "s").map(({ entry }) => plain(entry))],
    [...entriesFrom(1, 6), ...entriesFrom(6, 20, 2)],
  );
  assertEquals([found[0]!.path, found[0]!.offset], ["s/00000000000000000001.seg", 64]);
  assertEquals([found[18]!.path, found[18]!.offset], ["s/00000000000000000015.seg", 64 + 4 * 56]);
});

Deno.test("readShardRecords() ends at a damaged record with its place", async () => {
  const { disk } = await written();
  disk.flipBit("s/00000000000000000008.seg", 64 + 56 + 33, 1);
  const indexes: number[] = [];
  assertThrows(
    () => {
      for (const { entry } of readShardRecords(disk, "s")) indexes.push(entry.index);
    },
    CorruptRecordError,
    "log index 9",
  );
  assertEquals(indexes, [1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("readShardRecords() ends at a damaged header, quietly in the newest segment", async () => {
  const { disk } = await written();
  disk.flipBit("s/00000000000000000015.seg", 20, 1);
  assertEquals([...readShardRecords(disk, "s")].length, 14);
  disk.flipBit("s/00000000000000000008.seg", 20, 1);
  assertThrows(() => [...readShardRecords(disk, "s")], CorruptFileError, "header");
});
