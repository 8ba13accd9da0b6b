import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";
import {
  entriesFrom,
  entryAt,
  newDisk,
  plain,
  randomFrom,
  settle,
  soloConfiguration,
} from "./_testing.ts";
import type { TestClock } from "./_testing.ts";
import { CorruptFileError, CorruptRecordError } from "./errors.ts";
import { IndexSet } from "./index_set.ts";
import { inspectShard, readShardRecords } from "./inspect.ts";
import type { Rewritten } from "./log_front.ts";
import { recordBytes } from "./record.ts";
import { ShardStore } from "./shard_store.ts";
import { verifyLog } from "./verify_log.ts";

const directory = "data/shard-0";
const configuration = soloConfiguration;
const SEGMENT_BYTES = 500;
const pause = () => Promise.resolve();

/** A shard whose entries die as a test says. */
class Rig {
  disk: SimulatedDisk;
  readonly clock: TestClock;
  store!: ShardStore;
  readonly done: Rewritten[] = [];
  /** How much was read or written from one pause to the next. */
  readonly paces: number[] = [];
  readonly #segmentBytesMax: number;

  constructor(segmentBytesMax = SEGMENT_BYTES) {
    ({ disk: this.disk, clock: this.clock } = newDisk());
    this.#segmentBytesMax = segmentBytesMax;
  }

  async open(live?: readonly number[]): Promise<this> {
    this.store = await this.clock.run(ShardStore.open(this.disk, directory, {
      shard: 0,
      replica: 1,
      configuration,
      segmentBytesMax: this.#segmentBytesMax,
      reserveBytes: 0,
      sparesMax: 0,
      recentBytesMax: 0,
      loadedBytesMax: 8_192,
      readAheadBytes: 4_096,
    }));
    if (live !== undefined) this.store.noteLive(IndexSet.of(live));
    return this;
  }

  /** Appends entries of term 1 up to an index; about seven fit into a segment. */
  async fill(last: number, dataBytes = 20): Promise<this> {
    const entries = entriesFrom(this.store.lastIndex() + 1, last + 1, 1, dataBytes);
    await this.clock.run(this.store.persist({ term: 1, vote: 1, commit: 0 }, entries));
    return this;
  }

  snapshot(live: readonly number[], index = this.store.lastIndex() - 1): Promise<void> {
    return this.clock.run(this.snapshotNow(live, index));
  }

  /** Without running the clock. */
  async snapshotNow(live: readonly number[], index: number): Promise<void> {
    const { store } = this;
    const neededIndex = live[0] ?? index + 1;
    const writer = store.beginSnapshot({ index, term: 1, configuration, neededIndex });
    writer.write(stateOf(index));
    assert(await writer.finish(IndexSet.of(live), pause));
    await store.compact(index);
    await store.rewriteSegments(index, {
      pace: (bytes) => {
        this.paces.push(bytes);
        return pause();
      },
      spareBytesMax: 0,
      isOver: () => false,
      done: (rewritten) => void this.done.push(rewritten),
    });
  }

  /** The files of the log, and how long they are. */
  files(): [string, number][] {
    return this.disk.list(directory)
      .map(({ name }): [string, number] => [name, this.#size(name)])
      .filter(([name]) => name.includes(".seg"));
  }

  get bytes(): number {
    return this.files().reduce((sum, [, bytes]) => sum + bytes, 0);
  }

  check(live: readonly number[], dataBytes = 20): void {
    for (const index of live) {
      assertEquals(plain(this.store.entry(index)), entryAt(index, 1, dataBytes));
    }
  }

  #size(name: string): number {
    const file = this.disk.open(`${directory}/${name}`, { read: true });
    try {
      return file.size();
    } finally {
      file.close();
    }
  }
}

function stateOf(index: number): Uint8Array {
  return new Uint8Array(100).fill(index);
}

Deno.test("a message that nobody acks keeps its record, and nothing that comes behind it", async () => {
  const rig = await new Rig().open();
  const bytes: number[] = [];
  for (let last = 100; last <= 3_000; last += 100) {
    await rig.fill(last);
    await rig.snapshot([3]);
    rig.check([3]);
    bytes.push(rig.bytes);
    assert(rig.files().length <= 8, `${rig.files().length} files`);
  }
  const most = Math.max(...bytes);
  assert(most < 3 * SEGMENT_BYTES, `${most} bytes are kept for one record`);
  assert(rig.store.firstIndex() > 2_990);
  assertEquals(rig.store.reachIndex, 1);
  assertEquals(rig.store.logBytes, rig.bytes, "the store knows how long its files are");
  rig.disk = rig.disk.crash();
  await rig.open([3]);
  rig.check([3, 3_000]);
  assertEquals(rig.store.segmentCount, rig.files().length);
  // It is acked at last.
  await rig.snapshot([], 3_000);
  assertEquals(rig.files().length, 1);
});

Deno.test("Raft sees a log that begins behind what was rewritten", async () => {
  const rig = await (await new Rig().open()).fill(60);
  await rig.snapshot([2, 30, 31], 50);
  const first = rig.store.firstIndex();
  assert(first > 40 && first <= 51, `${first}`);
  assertEquals([rig.store.term(first - 1), rig.store.term(first - 2)], [1, undefined]);
  assertEquals(rig.store.entries(first, 61, 1e9).map(plain), entriesFrom(first, 61));
  const sparse = inspectShard(rig.disk, directory).segments.filter(({ sparse }) => sparse);
  assertEquals(sparse.length, 1);
  assertEquals([sparse[0]!.firstIndex, sparse[0]!.lastIndex], [1, first - 1]);
  assertEquals([...readShardRecords(rig.disk, directory)].map(({ entry }) => entry.index), [
    2,
    30,
    31,
    ...Array.from({ length: 61 - first }, (_, i) => first + i),
  ]);
});

Deno.test("what follows on a full segment leaves it as it is, in front of the log", async () => {
  const rig = await (await new Rig().open()).fill(60);
  const full = Array.from({ length: 7 }, (_, i) => i + 1);
  await rig.snapshot([...full, 40], 50);
  const { segments } = inspectShard(rig.disk, directory);
  assertEquals(segments.slice(0, 2).map(({ sparse }) => sparse), [false, true]);
  rig.check([...full, 40]);
  rig.disk = rig.disk.crash();
  await rig.open([...full, 40]);
  rig.check([...full, 40]);
  const { held, findings } = verifyLog(rig.disk, directory, 0, 0);
  assertEquals([findings, [...full, 40].filter((index) => !held.has(index))], [[], []]);
});

Deno.test("what is needed is there, wherever rewriting and merging ended", async () => {
  const lives = [[2, 3, 4, 9, 30, 55, 56, 57, 58, 59], [3, 9, 56], [9, 56]] as const;
  const seen = new Set<string>();
  let crashes = 0;
  for (let seed = 0; seed < 6; seed++) {
    for (let steps = 0;; steps++) {
      const rig = await (await new Rig().open()).fill(80);
      await rig.snapshot([...lives[0], 70, 71], 75);
      await rig.fill(120);
      let ended = false;
      void (async () => {
        await rig.snapshotNow([...lives[1], 70, 90], 110);
        await rig.snapshotNow([...lives[2], 90, 100], 118);
        ended = true;
      })().catch(() => {});
      for (let step = 0; step < steps; step++) await rig.clock.step();
      await settle();
      const random = randomFrom(seed * 1_000 + steps);
      rig.disk = seed === 0 ? rig.disk.kill() : rig.disk.crash(random);
      await rig.open();
      const { index } = rig.store.storedSnapshot!;
      const live = index === 75
        ? [...lives[0], 70, 71]
        : index === 110
        ? [...lives[1], 70, 90]
        : [...lives[2], 90, 100];
      rig.store.noteLive(IndexSet.of(live));
      rig.check(live);
      assertEquals(rig.store.lastIndex(), 120);
      assertEquals(rig.files().filter(([name]) => name.endsWith(".new")), []);
      assertEquals(rig.store.segmentCount, rig.files().length, "nothing is left over");
      seen.add(`${index} ${rig.files().map(([name]) => Number.parseInt(name)).join()}`);
      crashes++;
      // It goes on from there.
      await rig.fill(140);
      await rig.snapshot([9], 135);
      rig.check([9]);
      assertEquals(verifyLog(rig.disk, directory, 0, 0).findings, []);
      if (ended) break;
    }
  }
  assert(crashes > 60 && seen.size >= 5, `${crashes} crashes: ${[...seen].join("; ")}`);
});

Deno.test("files that come back lie within a sparse segment, and are removed", async () => {
  const rig = await (await new Rig().open()).fill(60);
  const before = new Map(
    rig.files().map(([name]) => [name, rig.disk.readFile(`${directory}/${name}`)]),
  );
  await rig.snapshot([2, 20], 55);
  await rig.clock.run(rig.store.close());
  const kept = rig.files();
  const back = [...before].filter(([name]) => kept.every(([other]) => other !== name));
  assert(back.length > 4);
  for (const [name, bytes] of back) {
    const file = rig.disk.open(`${directory}/${name}`, { write: true, createNew: true });
    file.writeSync(bytes, 0);
    file.close();
  }
  const { findings } = verifyLog(rig.disk, directory, 0, 0);
  assertEquals(findings.map(({ kind }) => kind), back.map(() => "remark"));
  assertEquals(inspectShard(rig.disk, directory).segments.length, kept.length);
  await rig.open([2, 20]);
  rig.check([2, 20]);
  assertEquals(rig.files().map(([name]) => name), kept.map(([name]) => name));
});

Deno.test("a sparse segment in which anything is changed or missing is damage", async () => {
  const rig = await (await new Rig().open()).fill(60);
  const live = [2, 20, 40];
  await rig.snapshot(live, 55);
  await rig.clock.run(rig.store.close());
  const [name, size] = rig.files()[0]!;
  const path = `${directory}/${name}`;
  const expectDamage = async (what: string) => {
    const isDamage = (error: unknown) => {
      return error instanceof CorruptFileError || error instanceof CorruptRecordError;
    };
    const error = await rig.open(live).then(() => undefined, (error) => error);
    assert(isDamage(error), `${what}: ${error}`);
    const { findings } = verifyLog(rig.disk, directory, 0, 0);
    assert(findings.some(({ kind, path: found }) => kind === "damage" && found === path), what);
  };
  for (let at = 0; at < size; at += 3) {
    rig.disk.flipBit(path, at, at % 8);
    await expectDamage(`byte ${at}`);
    rig.disk.flipBit(path, at, at % 8);
  }
  const bytes = rig.disk.readFile(path);
  for (const length of [size - 1, size - recordBytes(20), 64, 63, 0]) {
    const file = rig.disk.open(path, { write: true });
    file.truncateSync(length);
    await expectDamage(`the first ${length} bytes`);
    file.writeSync(bytes, 0);
    file.close();
  }
  rig.disk.remove(path);
  await assertRejects(() => rig.open(live), CorruptFileError, "a segment is missing");
});

Deno.test("an entry that is needed and was left out is named at the start", async () => {
  const rig = await (await new Rig().open()).fill(60);
  await rig.snapshot([2, 20, 40], 55);
  await rig.clock.run(rig.store.close());
  await assertRejects(
    () => rig.open([2, 20, 21, 40]),
    CorruptFileError,
    "entry 21 is missing, which is needed",
  );
});

Deno.test("rewriting reads only where something is alive, and little at a time", async () => {
  const rig = await new Rig(4 << 20).open();
  for (let last = 200; last <= 1_000; last += 200) await rig.fill(last, 20_000);
  await rig.snapshot([3, 500], 990);
  rig.check([3, 500], 20_000);
  const read = rig.paces.reduce((sum, bytes) => sum + bytes, 0);
  assert(read < 1_000_000, `${read} bytes of 20 million`);
  assert(Math.max(...rig.paces) <= 256 << 10);
});

Deno.test("rewriting that finds the disk full leaves all as it was, and goes on later", async () => {
  const rig = await (await new Rig().open()).fill(60);
  const live = [2, 3, 4, 20];
  const writer = rig.store.beginSnapshot({ index: 55, term: 1, configuration, neededIndex: 2 });
  writer.write(stateOf(55));
  assert(await rig.clock.run(writer.finish(IndexSet.of(live), pause)));
  const work = { pace: pause, spareBytesMax: 0, isOver: () => false, done: () => {} };
  const before = rig.files();
  for (let room = 0; room < 200; room += 40) {
    rig.disk.capacityBytes = rig.disk.usedBytes + room;
    await rig.clock.run(rig.store.rewriteSegments(55, work));
    assertEquals(rig.files(), before, `with room for ${room} bytes`);
  }
  rig.disk.capacityBytes = Infinity;
  await rig.clock.run(rig.store.rewriteSegments(55, work));
  assert(rig.files().length < before.length);
  rig.check(live);
});

Deno.test("ShardStore.close() ends a rewriting, and leaves nothing of it", async () => {
  for (let pauses = 0;; pauses++) {
    const rig = await (await new Rig().open()).fill(60);
    const live = [2, 3, 20, 40];
    const writer = rig.store.beginSnapshot({ index: 55, term: 1, configuration, neededIndex: 2 });
    writer.write(stateOf(55));
    assert(await rig.clock.run(writer.finish(IndexSet.of(live), pause)));
    let left = pauses;
    let closing: Promise<void> | undefined;
    const work = { spareBytesMax: 0, isOver: () => false, done: () => {} };
    const rewriting = rig.store.rewriteSegments(55, {
      ...work,
      pace: () => {
        if (left-- === 0) closing = rig.store.close();
        return pause();
      },
    });
    await rig.clock.run(rewriting);
    if (closing === undefined) break;
    await rig.clock.run(closing);
    assertEquals(rig.files().filter(([name]) => name.endsWith(".new")), [], `${pauses} pauses`);
    await rig.open(live);
    rig.check(live);
  }
});

Deno.test("as much of the log is spared for laggards as is alive, if that is wanted", async () => {
  const rig = await (await new Rig().open()).fill(100);
  const live = Array.from({ length: 20 }, (_, i) => i + 1);
  const writer = rig.store.beginSnapshot({ index: 95, term: 1, configuration, neededIndex: 1 });
  writer.write(stateOf(95));
  assert(await rig.clock.run(writer.finish(IndexSet.of(live), pause)));
  const work = { pace: pause, spareBytesMax: 1e9, isOver: () => false, done: () => {} };
  await rig.clock.run(rig.store.rewriteSegments(95, work));
  const spared = rig.store.bytesFrom(rig.store.firstIndex());
  assert(spared >= 20 * 56 && spared < 40 * 56, `${spared} bytes are spared`);
  rig.check(live);
});

Deno.test("whatever is acked, what is not is there, and takes about its own room", async () => {
  const round = fc.record({
    publish: fc.integer({ min: 1, max: 60 }),
    /** Of which share of what is alive the others die. */
    keep: fc.constantFrom(0, 0.02, 0.3, 0.5, 0.9),
    seed: fc.nat(),
    reopen: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 12 }), async (rounds) => {
      const rig = await new Rig(1_000).open();
      let live: number[] = [];
      for (const { publish, keep, seed, reopen } of rounds) {
        const last = rig.store.lastIndex();
        await rig.fill(last + publish);
        const random = randomFrom(seed);
        for (let index = last + 1; index <= last + publish; index++) live.push(index);
        live = live.filter(() => random() < keep);
        const snapshotIndex = last + publish;
        await rig.snapshot(live, snapshotIndex);
        // What one pass makes may be worth another one.
        if (reopen) {
          rig.disk = rig.disk.crash(random);
          await rig.open(live);
        }
        rig.check(live);
        const record = recordBytes(20);
        const most = 3 * record * live.length + 4 * 1_000;
        assert(rig.bytes <= most, `${rig.bytes} bytes for ${live.length} entries alive`);
      }
    }),
    { numRuns: 60 },
  );
});
