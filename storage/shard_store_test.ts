import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";
import {
  entriesFrom,
  entryAt,
  newDisk,
  plain,
  randomFrom,
  settle,
  soloConfiguration,
  type TestClock,
} from "./_testing.ts";
import {
  CorruptFileError,
  CorruptRecordError,
  DiskFullError,
  StorageFailedError,
} from "./errors.ts";
import { InvariantError } from "./invariant.ts";
import { ShardStore, type ShardStoreOptions } from "./shard_store.ts";

const directory = "data/shard-0";
const segment = `${directory}/00000000000000000001.seg`;

class Rig {
  disk: SimulatedDisk;
  readonly clock: TestClock;

  constructor() {
    ({ disk: this.disk, clock: this.clock } = newDisk());
  }

  open(options: Partial<ShardStoreOptions> = {}): Promise<ShardStore> {
    return this.clock.run(
      ShardStore.open(this.disk, directory, {
        shard: 0,
        replica: 1,
        configuration: soloConfiguration,
        ...options,
      }),
    );
  }

  /** A new shard in term 1. */
  async made(): Promise<ShardStore> {
    const store = await this.open();
    await this.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, []));
    return store;
  }

  /** Opens, and returns in the middle of it: after so many waits for the disk. */
  async interruptedOpen(steps: number): Promise<boolean> {
    const options = { shard: 0, replica: 1, configuration: soloConfiguration };
    let made = false;
    ShardStore.open(this.disk, directory, options).then(() => void (made = true));
    await settle();
    for (let step = 0; step < steps; step++) await this.clock.step();
    return made;
  }

  segments(): string[] {
    return this.disk.list(directory)
      .filter(({ name }) => name.endsWith(".seg"))
      .map(({ name }) => `${directory}/${name}`);
  }

  get syncs(): number {
    return this.disk.counts.syncs;
  }
}

Deno.test("a write that finds the disk full goes on where it stopped, when there is room", async () => {
  const rig = new Rig();
  const waits: (() => void)[] = [];
  const store = await rig.open({
    segmentBytesMax: 1_000,
    whenFull: () => new Promise((resolve) => waits.push(resolve)),
  });
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, []));
  rig.disk.capacityBytes = rig.disk.usedBytes + 1_500;
  let isDone = false;
  const entries = [1, 2, 3, 4].map((index) => {
    return { index, term: 1, kind: 0, data: new Uint8Array(600).fill(index) } as const;
  });
  void store.persist(undefined, entries).then(() => isDone = true);
  for (let round = 1; round <= 6; round++) {
    while (await rig.clock.step());
    await settle();
    if (isDone) break;
    assertEquals([waits.length, store.durableIndex < 4], [1, true], `round ${round}`);
    rig.disk.capacityBytes += 300;
    waits.pop()!();
  }
  assertEquals([isDone, store.durableIndex], [true, 4]);
  rig.disk = rig.disk.crash();
  const again = await rig.open({ segmentBytesMax: 1_000 });
  assertEquals(again.entries(1, 5, Infinity).map(({ data }) => data[0]), [1, 2, 3, 4]);
  assertEquals(rig.disk.counts.fullErrors > 1, true);
});

Deno.test("a sync that fails for want of room is not tried again", async () => {
  const rig = new Rig();
  const store = await rig.open({ whenFull: () => Promise.resolve() });
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, []));
  rig.disk.failSyncs(1, "ENOSPC");
  const entry = { index: 1, term: 1, kind: 0, data: new Uint8Array(9) } as const;
  await assertRejects(() => rig.clock.run(store.persist(undefined, [entry])), DiskFullError);
  await assertRejects(() => rig.clock.run(store.persist(undefined, [])), DiskFullError);
});

Deno.test("ShardStore.open() makes a new shard, and finds it again", async () => {
  const rig = new Rig();
  const store = await rig.open();
  assertEquals(store.initialState(), {
    hardState: { term: 0, vote: 0, commit: 0 },
    configuration: soloConfiguration,
  });
  assertEquals([store.firstIndex(), store.lastIndex(), store.durableIndex], [1, 0, 0]);
  assertEquals(store.snapshot(), undefined);
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 4)));
  await rig.clock.run(store.close());
  const again = await rig.open();
  assertEquals(again.initialState().hardState, { term: 1, vote: 1, commit: 0 });
  assertEquals(again.entries(1, 4, 1e9).map(plain), entriesFrom(1, 4));
});

Deno.test("ShardStore keeps the configuration that the shard was made with", async () => {
  const rig = new Rig();
  await rig.clock.run((await rig.open()).close());
  const other = { ...soloConfiguration, voters: [1, 2, 3] };
  const again = await rig.open({ configuration: other });
  assertEquals(again.initialState().configuration, soloConfiguration);
});

Deno.test("ShardStore.persist() writes all that waits with one sync", async () => {
  const rig = new Rig();
  const store = await rig.open();
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, [entryAt(1)]));
  const before = rig.syncs;
  const order: number[] = [];
  const calls = [];
  for (let index = 2; index <= 6; index++) {
    calls.push(store.persist(undefined, [entryAt(index)]).then(() => void order.push(index)));
    // The first goes out alone; the others come while it is being synced.
    if (index === 2) await settle();
  }
  await rig.clock.run(Promise.all(calls));
  assertEquals(order, [2, 3, 4, 5, 6]);
  assertEquals(rig.syncs - before, 2);
  assertEquals(store.durableIndex, 6);
});

Deno.test("ShardStore.persist() makes term and vote durable before it writes entries", async () => {
  const rig = new Rig();
  const store = await rig.open();
  const before = rig.syncs;
  const done = store.persist({ term: 5, vote: 2, commit: 0 }, [entryAt(1, 5)]);
  await settle();
  assertEquals(rig.syncs - before, 2, "both copies of term and vote are being synced");
  assert(!rig.disk.exists(segment));
  await rig.clock.run(done);
  assert(rig.disk.exists(segment));
});

Deno.test("ShardStore.persist() does not write a commit index alone, but close() does", async () => {
  const rig = new Rig();
  const store = await rig.open();
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, [entryAt(1)]));
  const before = rig.disk.counts.writes;
  await store.persist({ term: 1, vote: 1, commit: 1 }, []);
  assertEquals(rig.disk.counts.writes, before);
  assertEquals(store.initialState().hardState.commit, 1);
  await rig.clock.run(store.close());
  assertEquals((await rig.open()).initialState().hardState.commit, 1);
});

Deno.test("ShardStore.persist() of nothing resolves with what is under way", async () => {
  const rig = new Rig();
  const store = await rig.made();
  const order: string[] = [];
  store.persist(undefined, [entryAt(1)]).then(() => void order.push("entry"));
  await settle();
  const nothing = store.persist(undefined, []).then(() => void order.push("nothing"));
  await rig.clock.run(nothing);
  assertEquals(order, ["entry", "nothing"]);
});

Deno.test("ShardStore.persist() takes a term that falls, or is not yet known, for a bug", async () => {
  const store = await new Rig().made();
  assertThrows(() => store.persist(undefined, [entryAt(1, 2)]), InvariantError);
  assertThrows(() => store.persist({ term: 0, vote: 0, commit: 0 }, []), InvariantError);
  assertEquals(store.lastIndex(), 0);
});

Deno.test("ShardStore is dead after a failed sync, and says so to all that wait", async () => {
  const rig = new Rig();
  const store = await rig.made();
  await rig.clock.run(store.persist(undefined, [entryAt(1)]));
  rig.disk.failSyncs();
  const failing = assertRejects(
    () => store.persist(undefined, [entryAt(2)]),
    StorageFailedError,
    `Cannot sync ${segment}: Input/output error`,
  );
  await settle();
  const waiting = assertRejects(() => store.persist(undefined, [entryAt(3)]));
  const error = await rig.clock.run(failing);
  assertStrictEquals(await waiting, error);
  const { writes, syncs } = rig.disk.counts;
  assertStrictEquals(await assertRejects(() => store.persist(undefined, [entryAt(4)])), error);
  await store.close();
  assertEquals([rig.disk.counts.writes, rig.disk.counts.syncs], [writes, syncs]);
  assertEquals(store.durableIndex, 1);
});

Deno.test("ShardStore says that the disk is full", async () => {
  const rig = new Rig();
  const store = await rig.open({ reserveBytes: 0 });
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, [entryAt(1)]));
  rig.disk.capacityBytes = rig.disk.usedBytes + 100;
  const error = await assertRejects(
    () => rig.clock.run(store.persist(undefined, [entryAt(2, 1, 500)])),
    DiskFullError,
    "No space left",
  );
  assertEquals((error as DiskFullError).operation, "write");
  assertEquals((error as DiskFullError).path, segment);
  // The part that was written is torn off at the next start, once there is space again.
  rig.disk.capacityBytes = Infinity;
  rig.disk = rig.disk.kill();
  const again = await rig.open();
  assertEquals(again.lastIndex(), 1);
  assertEquals(again.tornTails.length, 1);
});

Deno.test("ShardStore.open() refuses a shard that has lost its files", async () => {
  const rig = new Rig();
  const store = await rig.open({ segmentBytesMax: 200 });
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 10)));
  await rig.clock.run(store.close());
  const without = async (...names: string[]) => {
    const kept = names.map((name) => [name, rig.disk.readFile(`${directory}/${name}`)] as const);
    for (const name of names) rig.disk.remove(`${directory}/${name}`);
    const error = await assertRejects(() => rig.open(), CorruptFileError);
    for (const [name, bytes] of kept) {
      const file = rig.disk.open(`${directory}/${name}`, { write: true, create: true });
      file.truncateSync(0);
      file.writeSync(bytes, 0);
      file.close();
    }
    return error.message;
  };
  assert((await without("configuration")).includes("it is missing"));
  assert((await without("hard-state-a", "hard-state-b")).includes("hard-state"));
  assert((await without("00000000000000000001.seg")).includes("the log begins at"));
  assertEquals((await rig.open()).lastIndex(), 9);
});

Deno.test("ShardStore.open() goes on where a power cut interrupted the making of a shard", async () => {
  let unfinished = 0;
  for (let seed = 0; seed < 500; seed++) {
    const rig = new Rig();
    const made = await rig.interruptedOpen(seed % 9);
    rig.disk = rig.disk.crash(randomFrom(seed));
    const path = `${directory}/hard-state-a`;
    if (rig.disk.exists(path) && rig.disk.readFile(path).every((byte) => byte === 0)) unfinished++;
    const store = await rig.open();
    assertEquals(store.initialState().configuration, soloConfiguration);
    assert(!made || seed % 9 > 5);
  }
  assert(unfinished > 2, `${unfinished}`);
});

Deno.test("ShardStore.open() makes sure of names that a killed process could not sync", async () => {
  for (let steps = 0; steps < 9; steps++) {
    const rig = new Rig();
    await rig.interruptedOpen(steps);
    rig.disk = rig.disk.kill();
    const store = await rig.made();
    await rig.clock.run(store.persist(undefined, entriesFrom(1, 4)));
    rig.disk = rig.disk.crash(() => 0);
    assertEquals((await rig.open()).lastIndex(), 3);
  }
});

Deno.test("ShardStore.open() writes once more what a failed sync left in the page cache", async () => {
  const rig = new Rig();
  const store = await rig.made();
  await rig.clock.run(store.persist(undefined, entriesFrom(1, 4)));
  rig.disk.failSyncs();
  await assertRejects(() => rig.clock.run(store.persist(undefined, entriesFrom(4, 7))));
  rig.disk = rig.disk.kill();
  const again = await rig.open();
  assertEquals(again.durableIndex, 6);
  await rig.clock.run(again.persist(undefined, [entryAt(7)]));
  rig.disk = rig.disk.crash(() => 0);
  assertEquals((await rig.open()).entries(1, 8, 1e9).map(plain), entriesFrom(1, 8));
});

Deno.test("ShardStore.open() says that the end of the log is gone", async () => {
  const rig = new Rig();
  const store = await rig.open({ segmentBytesMax: 200 });
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 10)));
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 9 }, []));
  await rig.clock.run(store.close());
  rig.disk.remove(rig.segments().at(-1)!);
  await assertRejects(() => rig.open(), CorruptFileError, "9 was committed: its end is missing");
});

Deno.test("ShardStore does not note as committed what is not yet durable", async () => {
  const rig = new Rig();
  const store = await rig.open();
  store.persist({ term: 1, vote: 1, commit: 2 }, entriesFrom(1, 3));
  // Term and vote are durable, and the entries are not.
  for (let step = 0; step < 2; step++) await rig.clock.step();
  rig.disk = rig.disk.crash(() => 0);
  const again = await rig.open();
  assertEquals(again.initialState().hardState, { term: 1, vote: 1, commit: 0 });
  assertEquals(again.lastIndex(), 0);
});

Deno.test("ShardStore.persist() changes nothing when it finds damage where it has to cut", async () => {
  const rig = new Rig();
  const options = { segmentBytesMax: 200, readAheadBytes: 4096 };
  const store = await rig.open(options);
  await rig.clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 10)));
  await rig.clock.run(store.close());
  const again = await rig.open(options);
  rig.disk.flipBit(segment, 64 + 56 + 40, 0);
  assertThrows(
    () => again.persist({ term: 2, vote: 0, commit: 0 }, entriesFrom(2, 4, 2)),
    CorruptRecordError,
  );
  assertEquals([again.lastIndex(), again.term(9), again.segmentCount], [
    9,
    1,
    rig.segments().length,
  ]);
  assertEquals(again.initialState().hardState.term, 1);
  assertEquals(again.entries(4, 10, 1e9).map(plain), entriesFrom(4, 10));
});

Deno.test("ShardStore.changeIndexes() names the membership changes that were there at the start", async () => {
  const rig = new Rig();
  const store = await rig.made();
  const change = { index: 2, term: 1, kind: 1, data: new Uint8Array(3) } as const;
  await rig.clock.run(store.persist(undefined, [entryAt(1), change, entryAt(3)]));
  await rig.clock.run(store.close());
  const again = await rig.open();
  assertEquals(again.changeIndexes(1), [2]);
  assertEquals(again.changeIndexes(3), []);
  await rig.clock.run(again.close());
});
