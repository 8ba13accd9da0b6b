import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";
import {
  entriesFrom,
  entryAt,
  newDisk,
  plain,
  randomFrom,
  readState,
  received,
  settle,
  soloConfiguration,
} from "./_testing.ts";
import type { TestClock } from "./_testing.ts";
import { CorruptFileError, MalformedRecordError } from "./errors.ts";
import { inspectShard, readShardRecords } from "./inspect.ts";
import { InvariantError } from "./invariant.ts";
import { ShardStore } from "./shard_store.ts";
import type { StagedShard } from "./staged_shard.ts";
import { crc32c } from "./crc32c.ts";
import { IndexSet } from "./index_set.ts";
import type { RecordEntry } from "./record.ts";

const directory = "data/shard-0";
const options = {
  shard: 0,
  replica: 1,
  configuration: soloConfiguration,
  segmentBytesMax: 500,
  sparesMax: 0,
};
const others = { ...soloConfiguration, voters: [1, 2, 3] };
const pause = () => Promise.resolve();

function stateOf(index: number): Uint8Array {
  return new Uint8Array(1_000 + index).fill(index);
}

class Rig {
  disk: SimulatedDisk;
  readonly clock: TestClock;

  constructor() {
    ({ disk: this.disk, clock: this.clock } = newDisk());
  }

  open(): Promise<ShardStore> {
    return this.clock.run(ShardStore.open(this.disk, directory, options));
  }

  /** A shard with entries 1 to 40 of term 1, some eight to a segment. */
  async filled(): Promise<ShardStore> {
    const store = await this.open();
    await this.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 41)));
    return store;
  }

  snapshot(store: ShardStore, index: number, neededIndex = index + 1): Promise<boolean> {
    return this.clock.run(writeSnapshot(store, index, neededIndex));
  }

  stage(store: ShardStore, index: number, neededIndex: number): Promise<StagedShard> {
    return this.clock.run(stage(store, index, neededIndex));
  }

  names(path = directory): string[] {
    return this.disk.list(path).map(({ name }) => name).filter((name) =>
      /seg|snap|log-/.test(name)
    );
  }
}

async function writeSnapshot(store: ShardStore, index: number, neededIndex: number) {
  const term = store.term(index)!;
  const writer = store.beginSnapshot({ index, term, configuration: others, neededIndex });
  const state = stateOf(index);
  writer.write(state.subarray(0, 700));
  writer.write(state.subarray(700));
  return await writer.finish(IndexSet.range(neededIndex, index + 1), pause);
}

/** What a node in term 2 has: entries of term 2 from 31 on. */
function foreign(low: number, high: number): RecordEntry[] {
  return received(
    Array.from({ length: high - low }, (_, i) => entryAt(low + i, low + i > 30 ? 2 : 1)),
  );
}

async function stage(store: ShardStore, index: number, neededIndex: number): Promise<StagedShard> {
  const metadata = { index, term: 2, configuration: others, neededIndex };
  const staged = await store.stage(metadata);
  staged.writeState(stateOf(index));
  for (let at = neededIndex; at <= index; at += 7) {
    staged.append(foreign(at, Math.min(at + 7, index + 1)));
    await staged.flush(pause);
  }
  assert(await staged.finish(crc32c(stateOf(index)), pause));
  return staged;
}

Deno.test("ShardStore finds its snapshot again, and its configuration counts", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  assert(await rig.snapshot(store, 20));
  assertEquals(store.snapshot()?.metadata, { index: 20, term: 1, configuration: others });
  assert(await rig.snapshot(store, 30, 12));
  assertEquals(rig.names().filter((name) => name.endsWith(".snap")), [
    "00000000000000000030.snap",
  ]);
  await rig.clock.run(store.close());
  const again = await rig.open();
  assertEquals(again.storedSnapshot?.index, 30);
  assertEquals(again.storedSnapshot?.neededIndex, 12);
  assertEquals(again.initialState().configuration, others);
  assertEquals(readState(again), stateOf(30));
  assertEquals(inspectShard(rig.disk, directory).snapshot?.index, 30);
});

Deno.test("ShardStore.compact() drops whole segments that the snapshot does not need", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  await rig.clock.run(store.compact(40));
  assertEquals(store.firstIndex(), 1, "without a snapshot everything is needed");
  await rig.snapshot(store, 30, 20);
  const bytes = store.logBytes;
  await rig.clock.run(store.compact(40));
  const first = store.firstIndex();
  assert(first > 1 && first <= 20, `${first}`);
  assert(store.logBytes < bytes);
  assertEquals(store.term(first - 1), 1);
  assertEquals(store.term(first - 2), undefined);
  assertThrows(() => store.entry(first - 1), InvariantError);
  assertEquals(store.entries(first, 41, 1e9).map(plain), entriesFrom(first, 41));
  rig.disk = rig.disk.crash();
  const again = await rig.open();
  assertEquals([again.firstIndex(), again.lastIndex(), again.term(first - 1)], [first, 40, 1]);
  assertEquals(again.entries(first, 41, 1e9).map(plain), entriesFrom(first, 41));
  await rig.clock.run(again.persist(undefined, entriesFrom(41, 60)));
  assertEquals(again.durableIndex, 59);
});

Deno.test("ShardStore keeps the newest segment, however little is needed of it", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  await rig.snapshot(store, 40);
  await rig.clock.run(store.compact(40));
  assertEquals(store.segmentCount, 1);
  assertEquals(store.lastIndex(), 40);
  await rig.clock.run(store.persist(undefined, entriesFrom(41, 50)));
  rig.disk = rig.disk.crash();
  assertEquals((await rig.open()).lastIndex(), 49);
});

Deno.test("ShardStore keeps what a pinned snapshot needs until it is released", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  await rig.snapshot(store, 20, 5);
  const pin = store.pinSnapshot()!;
  await rig.snapshot(store, 40);
  await rig.clock.run(store.compact(40));
  assertEquals(store.firstIndex(), 1);
  assertEquals(pin.read(990, 1_000), stateOf(20).subarray(990));
  assertEquals([pin.stored.index, pin.live.size, pin.stale], [20, 16, false]);
  pin.release();
  await rig.clock.run(store.compact(40));
  assert(store.firstIndex() > 30);
});

Deno.test("a pinned snapshot can still be checked when a newer one has taken its place", async () => {
  // Found by the simulator (seed 20039): the leader looked for the file by its name, and ended itself.
  const rig = new Rig();
  const store = await rig.filled();
  await rig.snapshot(store, 20, 5);
  const pin = store.pinSnapshot()!;
  const [name] = rig.names().filter((name) => name.endsWith(".snap"));
  await rig.snapshot(store, 40);
  assertEquals(rig.names().includes(name!), false);
  pin.check();
  pin.release();
});

Deno.test("ShardStore.installSnapshot() replaces log and snapshot, and reads see it at once", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  const staged = await rig.stage(store, 60, 25);
  assertEquals(store.lastIndex(), 40, "what has arrived does not count yet");
  const done = store.installSnapshot({ term: 2, vote: 0, commit: 0 }, staged);
  const more = store.persist(undefined, foreign(61, 65));
  assertEquals([store.reachIndex, store.firstIndex(), store.lastIndex()], [25, 61, 64]);
  assertEquals(store.durableIndex, 40);
  assertEquals(store.entry(30).term, 1);
  await rig.clock.run(Promise.all([done, more]));
  assertEquals(store.durableIndex, 64);
  assertEquals(rig.names(), ["log-1"]);
  rig.disk = rig.disk.crash();
  const again = await rig.open();
  assertEquals([again.firstIndex(), again.lastIndex(), again.term(60)], [61, 64, 2]);
  assertEquals(again.entries(61, 65, 1e9).map(plain), foreign(61, 65).map(plain));
  for (let index = 25; index < 65; index++) {
    assertEquals(plain(again.entry(index)), plain(foreign(index, index + 1)[0]!));
  }
  assertEquals(readState(again), stateOf(60));
  assertEquals([...readShardRecords(rig.disk, directory)].length, 40);
  // It goes on as any log does, and another one takes its place.
  await rig.snapshot(again, 64);
  await rig.clock.run(again.compact(64));
  const next = await rig.stage(again, 90, 91);
  await rig.clock.run(again.installSnapshot(undefined, next));
  assertEquals([again.firstIndex(), again.lastIndex(), again.term(90)], [91, 90, 2]);
  assertEquals(rig.names(), ["log-2"]);
});

Deno.test("ShardStore cuts a log back to where it begins, and it still begins there", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  await rig.clock.run(
    store.installSnapshot({ term: 2, vote: 0, commit: 0 }, await rig.stage(store, 60, 61)),
  );
  await rig.clock.run(store.persist(undefined, foreign(61, 90)));
  const replaced = [entryAt(61, 3), entryAt(62, 3)];
  await rig.clock.run(store.persist({ term: 3, vote: 0, commit: 0 }, replaced));
  assertEquals([store.firstIndex(), store.lastIndex(), store.term(60)], [61, 62, 2]);
  rig.disk = rig.disk.crash();
  const again = await rig.open();
  assertEquals(again.entries(61, 63, 1e9).map(plain), replaced);
  assertEquals(again.term(60), 2);
});

Deno.test("ShardStore.open() finds the old log or the new one, wherever an install ended", async () => {
  let old = 0;
  let fresh = 0;
  for (let steps = 0;; steps++) {
    const rig = new Rig();
    const store = await rig.filled();
    let installed = false;
    void (async () => {
      const staged = await stage(store, 60, 25);
      await store.installSnapshot({ term: 2, vote: 0, commit: 0 }, staged);
      installed = true;
    })().catch(() => {});
    for (let step = 0; step < steps; step++) await rig.clock.step();
    await settle();
    rig.disk = steps % 2 === 0 ? rig.disk.crash() : rig.disk.kill();
    const again = await rig.open();
    const found = again.entries(again.firstIndex(), again.lastIndex() + 1, 1e9).map(plain);
    if (again.storedSnapshot === undefined) {
      assert(!installed, `step ${steps}`);
      assertEquals(found, entriesFrom(1, 41));
      assertEquals(rig.names().filter((name) => name.startsWith("log-")), []);
      old++;
    } else {
      assertEquals([again.reachIndex, again.firstIndex(), again.lastIndex()], [25, 61, 60]);
      for (let index = 25; index < 61; index++) {
        assertEquals(plain(again.entry(index)), plain(foreign(index, index + 1)[0]!));
      }
      assertEquals(readState(again), stateOf(60));
      assertEquals(rig.names(), ["log-1"]);
      fresh++;
    }
    if (installed) break;
  }
  assert(old > 10 && fresh > 0, `${old} ${fresh}`);
});

Deno.test("ShardStore.open() keeps the old log until the name of the new one is durable", async () => {
  // Found by the random crash test, with more seeds than it has: a kill left the name in the page cache.
  let old = 0;
  for (let seed = 0; seed < 60; seed++) {
    const rig = new Rig();
    const store = await rig.filled();
    const staged = await rig.stage(store, 60, 25);
    void store.installSnapshot({ term: 2, vote: 0, commit: 0 }, staged);
    const named = () => new TextDecoder().decode(rig.disk.readFile(`${directory}/configuration`));
    while (!named().includes("log-1")) await rig.clock.step();
    rig.disk = rig.disk.kill();
    void ShardStore.open(rig.disk, directory, options);
    for (let step = 0; step < seed % 3; step++) await rig.clock.step();
    await settle();
    rig.disk = rig.disk.crash(randomFrom(seed));
    const again = await rig.open();
    assertEquals(again.lastIndex(), again.storedSnapshot === undefined ? 40 : 60);
    if (again.storedSnapshot === undefined) old++;
  }
  assert(old > 5, `${old}`);
});

Deno.test("ShardStore.open() takes the new log for whole, wherever an install with entries behind it ended", async () => {
  // Found by random histories: the commit index of the entries was durable before they were.
  for (let steps = 0;; steps++) {
    const rig = new Rig();
    const store = await rig.filled();
    const staged = await rig.stage(store, 20, 21);
    const done = Promise.all([
      store.installSnapshot({ term: 2, vote: 0, commit: 20 }, staged),
      store.persist({ term: 3, vote: 1, commit: 35 }, entriesFrom(21, 41, 3)),
    ]);
    let installed = false;
    done.then(() => installed = true, () => {});
    for (let i = 0; i < steps; i++) await rig.clock.step();
    rig.disk = rig.disk.kill();
    const again = await rig.open();
    const { length } = again.entries(again.firstIndex(), again.lastIndex() + 1, 1e9);
    assertEquals(again.firstIndex() + length - 1, again.lastIndex(), `${steps} steps`);
    if (installed) return assertEquals([again.firstIndex(), again.lastIndex()], [21, 40]);
  }
});

Deno.test("ShardStore.open() finds a good snapshot, wherever saving and compacting ended", async () => {
  const seen = new Set<string>();
  for (let steps = 0;; steps++) {
    const rig = new Rig();
    const store = await rig.filled();
    await rig.snapshot(store, 10);
    let done = false;
    void (async () => {
      await writeSnapshot(store, 35, 33);
      await store.compact(35);
      done = true;
    })().catch(() => {});
    for (let step = 0; step < steps; step++) await rig.clock.step();
    await settle();
    rig.disk = steps % 2 === 0 ? rig.disk.crash() : rig.disk.kill();
    const again = await rig.open();
    const { index, neededIndex } = again.storedSnapshot!;
    assertEquals(readState(again), stateOf(index));
    assert(again.firstIndex() <= neededIndex);
    assertEquals(
      again.entries(again.firstIndex(), 41, 1e9).map(plain),
      entriesFrom(again.firstIndex(), 41),
    );
    seen.add(`${index} ${again.firstIndex()}`);
    if (done) break;
  }
  assert(seen.size >= 4, [...seen].join(", "));
});

Deno.test("ShardStore.open() goes on without a snapshot that is damaged if the log allows it", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  await rig.snapshot(store, 20);
  await rig.clock.run(store.close());
  const path = `${directory}/00000000000000000020.snap`;
  rig.disk.flipBit(path, 300, 3);
  const again = await rig.open();
  assertEquals(again.damagedSnapshots, [path]);
  assertEquals(again.snapshot(), undefined);
  assert(await rig.snapshot(again, 30));
  await rig.clock.run(again.compact(30));
  await rig.clock.run(again.close());
  rig.disk.flipBit(`${directory}/00000000000000000030.snap`, 20, 0);
  const error = await assertRejects(() => rig.open(), CorruptFileError);
  assert(error.path.endsWith("30.snap"), error.message);
});

Deno.test("ShardStore.open() says so where the log lacks what the snapshot needs", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  await rig.snapshot(store, 30, 20);
  await rig.clock.run(store.compact(30));
  await rig.clock.run(store.close());
  rig.disk.remove(`${directory}/${rig.names()[0]}`);
  const error = await assertRejects(() => rig.open(), CorruptFileError);
  assert(error.message.includes("a segment is missing"), error.message);
});

Deno.test("ShardStore gives every log that arrives a directory of its own", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  const metadata = { index: 60, term: 2, configuration: others, neededIndex: 25 };
  const both = [store.stage(metadata), store.stage(metadata)];
  const [first, second] = await rig.clock.run(Promise.all(both));
  await rig.clock.run(first!.discard());
  second!.append(foreign(25, 61));
  second!.writeState(stateOf(60));
  assert(await rig.clock.run(second!.finish(crc32c(stateOf(60)), pause)));
  await rig.clock.run(store.installSnapshot({ term: 2, vote: 0, commit: 0 }, second!));
  assertEquals(rig.names(), [second!.name]);
  assertEquals((await rig.stage(store, 90, 91)).name, "log-3");
});

Deno.test("StagedShard takes only what goes on where it ends", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  const metadata = { index: 60, term: 2, configuration: others, neededIndex: 25 };
  const staged = await rig.clock.run(store.stage(metadata));
  assertThrows(() => staged.append(foreign(24, 26)), MalformedRecordError);
  assertThrows(() => staged.append(received([entryAt(25, 3)])), MalformedRecordError);
  assertThrows(() => staged.append(foreign(25, 62)), MalformedRecordError);
  staged.append(foreign(25, 40));
  assertThrows(() => staged.append(foreign(39, 41)), MalformedRecordError);
  assertThrows(() => staged.append(received([entryAt(41, 1)])), MalformedRecordError);
  staged.append(foreign(45, 50));
  assertEquals([...staged.held.from(0)].length, 20);
  assertEquals(await rig.clock.run(staged.finish(1, pause)), false, "the state is missing");
  await rig.clock.run(staged.discard());
  assertEquals(rig.names().filter((name) => name.startsWith("log-")), []);
});

Deno.test("a snapshot that is being written ends with the log that it is of", async () => {
  const rig = new Rig();
  const store = await rig.filled();
  const writer = store.beginSnapshot({
    index: 20,
    term: 1,
    configuration: others,
    neededIndex: 21,
  });
  const staged = await rig.stage(store, 60, 25);
  await rig.clock.run(store.installSnapshot({ term: 2, vote: 0, commit: 0 }, staged));
  writer.write(stateOf(20));
  assertEquals(await rig.clock.run(writer.finish(new IndexSet(), pause)), false);
  assertEquals(store.storedSnapshot?.index, 60);
});
