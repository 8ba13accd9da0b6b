import { assert, assertEquals, assertRejects } from "@std/assert";
import type { SimulatedDisk } from "../tests/simulation/disk.ts";
import {
  entriesFrom,
  entryAt,
  newDisk,
  plain,
  randomFrom,
  received,
  settle,
  soloConfiguration,
} from "./_testing.ts";
import { crc32c } from "./crc32c.ts";
import { StorageFailedError } from "./errors.ts";
import { IndexSet } from "./index_set.ts";
import { inspectShard, readShardRecords } from "./inspect.ts";
import { ReadOnlyView } from "./read_only_view.ts";
import { ShardStore } from "./shard_store.ts";
import { verifyLog } from "./verify_log.ts";

const directory = "data/shard-0";
const state = new Uint8Array(350).fill(7);
const pause = () => Promise.resolve();

/** A shard with entries 1 to 40, seven to a segment, and what it takes to give some of them back. */
class Rig {
  readonly clock;
  disk: SimulatedDisk;
  store!: ShardStore;
  readonly #sparesMax: number;

  constructor(sparesMax = 0) {
    ({ disk: this.disk, clock: this.clock } = newDisk());
    this.#sparesMax = sparesMax;
  }

  async open(): Promise<this> {
    this.store = await this.clock.run(ShardStore.open(this.disk, directory, {
      shard: 0,
      replica: 1,
      configuration: soloConfiguration,
      segmentBytesMax: 500,
      sparesMax: this.#sparesMax,
    }));
    return this;
  }

  async filled(): Promise<this> {
    await this.open();
    const { store, clock } = this;
    await clock.run(store.persist({ term: 1, vote: 1, commit: 0 }, entriesFrom(1, 41)));
    await clock.run(this.snapshot(10));
    return this;
  }

  async snapshot(index: number): Promise<void> {
    const metadata = { index, term: 1, configuration: soloConfiguration, neededIndex: index + 1 };
    const writer = this.store.beginSnapshot(metadata);
    writer.write(state);
    assert(await writer.finish(new IndexSet(), pause));
  }

  /** Takes a snapshot, and gives back the space of what it stands for. */
  async giveBack(): Promise<void> {
    await this.snapshot(35);
    await this.store.compact(35);
  }

  async install(): Promise<void> {
    const metadata = { index: 60, term: 2, configuration: soloConfiguration, neededIndex: 60 };
    const staged = await this.store.stage(metadata);
    staged.writeState(state);
    staged.append(received([entryAt(60, 2)]));
    assert(await staged.finish(crc32c(state), pause));
    await this.store.installSnapshot({ term: 2, vote: 0, commit: 0 }, staged);
  }

  names(end = ""): string[] {
    return this.disk.list(directory).map(({ name }) => name).filter((name) => name.endsWith(end));
  }

  /** All is there that has to be, and no trash. */
  check(): void {
    const { store } = this;
    const first = store.firstIndex();
    assert(first <= store.storedSnapshot!.index + 1);
    assertEquals(store.entries(first, 41, 1e9).map(plain), entriesFrom(first, 41));
    assertEquals(this.names(".trash"), []);
  }
}

/** Cuts the power right before a certain one of the calls that change something. */
function cutPowerAt(rig: Rig, call: number, random: () => number): void {
  const { disk } = rig;
  let count = 0;
  for (const name of ["write", "truncate", "syncFile", "syncDirectory", "rename", "remove"]) {
    const calls = disk as unknown as Record<string, (...args: unknown[]) => unknown>;
    const original = calls[name]!.bind(disk);
    calls[name] = (...args) => {
      if (++count === call) rig.disk = disk.crash(random);
      return original(...args);
    };
  }
}

Deno.test("ShardStore.compact() takes away the oldest first, and resolves when their space is there", async () => {
  const rig = await new Rig().filled();
  const before = rig.names(".seg");
  await rig.clock.run(rig.snapshot(35));
  const used = rig.disk.usedBytes;
  let done = false;
  const compacted = rig.store.compact(35).then(() => void (done = true));
  const trash = new Set<string>();
  while (!done) {
    await rig.clock.step();
    const left = rig.names(".seg");
    assertEquals(left, before.slice(-left.length), "there is never a gap");
    for (const name of rig.names(".seg.trash")) trash.add(name);
  }
  await compacted;
  assertEquals(rig.names(".trash"), []);
  assertEquals([...trash], before.slice(0, 5).map((name) => `${name}.trash`));
  assert(rig.disk.usedBytes < used - 5 * 400);
});

Deno.test("a store has all its entries, wherever the power was cut while space was given back", async () => {
  const ends = new Set<string>();
  let cuts = 0;
  for (let call = 1, done = false; !done; call++) {
    for (let seed = 0; seed < 8; seed++) {
      const rig = await new Rig().filled();
      cutPowerAt(rig, call, randomFrom(call * 100 + seed));
      rig.giveBack().then(() => void (done = true), () => {});
      while (await rig.clock.step());
      if (done) break;
      cuts++;
      ends.add(rig.names().map((name) => name.slice(18)).join());
      const { findings } = verifyLog(rig.disk, directory, 0, 0);
      assertEquals(findings.filter(({ kind }) => kind !== "remark"), [], `call ${call}`);
      await rig.open();
      rig.check();
      // It goes on from there, and gives back what is left.
      if (rig.store.storedSnapshot!.index < 35) await rig.clock.run(rig.snapshot(35));
      await rig.clock.run(rig.store.compact(35));
      assertEquals(rig.store.firstIndex(), 36);
      rig.check();
    }
  }
  assert(cuts > 300 && ends.size > 20, `${cuts} cuts, ${ends.size} ends`);
});

/** Makes cutting take longer than anything else, so that it is under way when others are done. */
function slowDown({ disk }: Rig): void {
  const syncFile = disk.syncFile.bind(disk);
  disk.syncFile = (node, path) => {
    const { syncMsMin, syncMsMax } = disk;
    if (path.endsWith(".trash")) disk.syncMsMin = disk.syncMsMax = 20;
    const synced = syncFile(node, path);
    Object.assign(disk, { syncMsMin, syncMsMax });
    return synced;
  };
}

/** Something comes in between, after each number of steps that giving back space takes. */
async function interrupt(during: (rig: Rig) => Promise<void>): Promise<void> {
  let interrupted = 0;
  for (let steps = 0;; steps++) {
    const rig = await new Rig().filled();
    await rig.clock.run(rig.snapshot(35));
    slowDown(rig);
    let done = false;
    const compacted = rig.store.compact(35).then(() => void (done = true));
    for (let step = 0; step < steps; step++) await rig.clock.step();
    await settle();
    if (done) break;
    await during(rig);
    await rig.clock.run(compacted);
    interrupted++;
  }
  assert(interrupted > 15, `${interrupted}`);
}

Deno.test("a log from another node takes the place of one whose space is being given back", async () => {
  await interrupt(async (rig) => {
    await rig.clock.run(rig.install());
    assertEquals(rig.names().filter((name) => /seg|snap|log-/.test(name)), ["log-1"]);
    assertEquals([rig.store.firstIndex(), rig.store.lastIndex()], [61, 60]);
  });
});

Deno.test("ShardStore.close() waits for the step under way, and leaves the rest to the next start", async () => {
  let left = 0;
  await interrupt(async (rig) => {
    await rig.clock.run(rig.store.close());
    assertEquals(await rig.clock.step(), false, "nothing is under way");
    left += rig.names(".trash").length;
    await rig.open();
    rig.check();
    assertEquals(rig.store.firstIndex(), 36);
  });
  assert(left > 15, `${left}`);
});

Deno.test("whoever gives back space hears that a sync of it has failed", async () => {
  const rig = await new Rig().filled();
  await rig.clock.run(rig.snapshot(35));
  const compacted = rig.store.compact(35);
  // All have lost their names, so that the next sync is one of a step.
  while (rig.names(".seg").length > 1) await rig.clock.step();
  rig.disk.failSyncs();
  await assertRejects(() => rig.clock.run(compacted), StorageFailedError, "Cannot sync");
  await assertRejects(() => rig.store.compact(35), StorageFailedError);
});

Deno.test("whoever looks at a directory sees files as they were, while their space is given back", async () => {
  const rig = await new Rig().filled();
  const summary = inspectShard(rig.disk, directory);
  const all = [...readShardRecords(rig.disk, directory)].length;
  using view = new ReadOnlyView(rig.disk, "data");
  await rig.clock.run(rig.giveBack());
  assertEquals(inspectShard(view, directory), summary);
  assertEquals([...readShardRecords(view, directory)].length, all);
});

Deno.test("ShardStore.giveBackSpares() leaves nothing that is not needed", async () => {
  const rig = await new Rig(2).filled();
  await rig.clock.run(rig.giveBack());
  assertEquals(rig.names(".seg.trash").length, 2);
  rig.store.giveBackSpares();
  rig.check();
  await rig.clock.run(rig.store.close());
  rig.store.giveBackSpares();
});
