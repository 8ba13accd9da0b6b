/**
 * Random histories of a shard on the simulated disk, with crashes and failing syncs in between, while
 * it starts too, against a model: what was answered for is never lost, and what is found is always a
 * prefix of what was once written. Snapshots are saved, the log is compacted behind them, segments are
 * rewritten to what is alive, and logs of other nodes take its place: what is found then is the old log
 * or the new one, and with it every entry that its snapshot needs.
 */

import { assert, assertEquals } from "@std/assert";
import type { Entry, HardState } from "../raft/types.ts";
import { SimulatedDisk } from "../tests/simulation/disk.ts";
import {
  entryAt,
  plain,
  randomFrom,
  readState,
  received,
  settle,
  soloConfiguration,
  TestClock,
} from "./_testing.ts";
import { crc32c } from "./crc32c.ts";
import { IndexSet } from "./index_set.ts";
import { decodeRecords } from "./record.ts";
import { ShardStore } from "./shard_store.ts";

/** The state after a call of `persist()`, or of `installSnapshot()`. */
interface Version {
  /** All entries there ever were, those included that a snapshot now stands for. */
  readonly log: readonly Entry[];
  readonly hardState: HardState;
  /** How many entries of the version before it are left. */
  readonly kept: number;
}

class History {
  readonly random: () => number;
  readonly clock = new TestClock();
  readonly options;
  disk: SimulatedDisk;
  /** The last one that was answered for, and all since. */
  versions: Version[] = [{ log: [], hardState: { term: 0, vote: 0, commit: 0 }, kept: 0 }];
  answered = 0;
  crashes = 0;
  /** Ends of the process while it was starting. */
  interrupted = 0;
  failedStores = 0;
  /** How many syncs had failed when the process started. */
  failedSyncs = 0;
  snapshots = 0;
  installs = 0;
  segmentsDropped = 0;
  segmentsRewritten = 0;
  segmentsMerged = 0;
  /** Files whose space was being given back when the process ended. */
  leftInTrash = 0;
  /** Entries that nobody needs any more. */
  readonly dead = new Set<number>();
  /** How many die from one snapshot to the next. */
  readonly deathRate: number;
  /** Of so many entries one lives for ever. */
  readonly tough: number;
  /** What the snapshots need that were made, by their indexes. */
  readonly liveOf = new Map<number, readonly number[]>();
  /** The index of a snapshot that is known to be on disk. */
  savedIndex = 0;
  /** Up to here a snapshot was, or is being, made: so it is committed. */
  snapshotIndex = 0;
  /** A snapshot or a log is on its way to the disk: one at a time, and the commit index waits. */
  busy = false;
  /** The process is about to end in an orderly way. */
  closing = false;

  constructor(seed: number) {
    const random = this.random = randomFrom(seed);
    this.disk = new SimulatedDisk({
      clock: this.clock,
      random,
      shortWriteChance: random() < 0.5 ? 0 : 0.2,
    });
    this.deathRate = [0.1, 0.5, 0.95][this.below(3)]!;
    this.tough = [11, 53, Infinity][this.below(3)]!;
    this.options = {
      shard: 3,
      replica: 1,
      configuration: soloConfiguration,
      segmentBytesMax: [300, 1_000, 4_000, 1e9][this.below(4)]!,
      reserveBytes: [0, 100, 5_000][this.below(3)]!,
      recentBytesMax: [0, 1_000, 1e9][this.below(3)]!,
      loadedBytesMax: [0, 8_192][this.below(2)]!,
      bufferBytes: [64, 1_000, 65_536][this.below(3)]!,
      readAheadBytes: 4096,
      salt: 77,
    };
  }

  below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  get latest(): Version {
    return this.versions.at(-1)!;
  }

  /** Starts, perhaps not at the first attempt. */
  async open(): Promise<ShardStore> {
    while (this.random() < 0.3) {
      const { disk } = this;
      ShardStore.open(disk, "data/shard-3", this.options).catch((error) => {
        if (disk === this.disk) throw error;
      });
      await this.steps(8);
      this.end();
      this.interrupted++;
    }
    const store = await this.clock.run(
      ShardStore.open(this.disk, "data/shard-3", this.options),
    );
    const { storedSnapshot } = store;
    if (storedSnapshot !== undefined) {
      store.noteLive(IndexSet.of(this.liveOf.get(storedSnapshot.index)!));
    }
    return store;
  }

  /** Lets entries die, and says which ones are alive then. */
  reap(low: number, index: number): readonly number[] {
    const live: number[] = [];
    for (let at = low; at <= index; at++) {
      if (at % this.tough !== 0 && this.random() < this.deathRate) this.dead.add(at);
      if (!this.dead.has(at)) live.push(at);
    }
    this.liveOf.set(index, live);
    return live;
  }

  /** Rewrites what is worth it. */
  rewrite(store: ShardStore): Promise<void> {
    return store.rewriteSegments(this.latest.log.length, {
      pace: () => this.random() < 0.7 ? Promise.resolve() : this.pause(),
      spareBytesMax: this.random() < 0.5 ? 0 : 2_000,
      isOver: () => this.random() < 0.01,
      done: ({ segments, merged }) => {
        this.segmentsRewritten += segments - merged;
        this.segmentsMerged += merged;
      },
    });
  }

  /** Lets some time pass. */
  async steps(countMax: number): Promise<void> {
    await settle();
    for (let count = this.below(countMax + 1); count > 0; count--) await this.clock.step();
  }

  /** Ends the process, with a power cut or without. */
  end(): void {
    this.disk = this.random() < 0.3 ? this.disk.kill() : this.disk.crash();
  }

  /** One call of `persist()`, as Raft would make it. */
  persist(store: ShardStore): void {
    const { log, hardState } = this.latest;
    const newTerm = hardState.term === 0 || this.random() < 0.1;
    const term = hardState.term + (newTerm ? 1 : 0);
    const next: HardState = {
      term,
      vote: newTerm ? this.below(3) : hardState.vote,
      commit: this.busy ? hardState.commit : Math.min(hardState.commit + this.below(4), log.length),
    };
    const committed = Math.max(next.commit, this.snapshotIndex);
    const kept = newTerm && this.random() < 0.8
      ? committed + this.below(log.length - committed + 1)
      : log.length;
    const size = [0, 5, 300, 3_000, 40_000][this.below(this.random() < 0.1 ? 5 : 4)]!;
    const added = Array.from({ length: this.below(5) }, (_, i) => {
      return entryAt(kept + 1 + i, term, size);
    });
    const version = {
      log: added.length === 0 ? log : [...log.slice(0, kept), ...added],
      hardState: next,
      kept: added.length === 0 ? log.length : kept,
    };
    this.versions.push(version);
    const entries = this.random() < 0.5 ? added : received(added);
    this.expect(
      store.persist(this.random() < 0.5 || newTerm ? next : undefined, entries).then(() => {
        this.answered = Math.max(this.answered, this.versions.indexOf(version));
      }),
    );
  }

  /** Only a process whose machine is off, or whose disk is broken, may fail to write. */
  expect(work: Promise<void>): void {
    const disk = this.disk;
    work.catch((error) => {
      if (disk !== this.disk) return;
      if (disk.counts.failedSyncs === this.failedSyncs) throw error;
      this.failedStores++;
    });
  }

  readonly pause = (): Promise<void> => {
    return new Promise((resolve) => void this.clock.setTimeout(() => resolve(), this.random()));
  };

  /** Saves a snapshot of something that is committed, and compacts behind it. */
  async snapshot(store: ShardStore): Promise<void> {
    const committed = Math.max(this.latest.hardState.commit, this.snapshotIndex);
    const least = store.storedSnapshot?.index ?? 0;
    if (this.busy || committed <= least) return;
    this.busy = true;
    const index = this.snapshotIndex = least + 1 + this.below(committed - least);
    const live = this.reap(store.reachIndex, index);
    const neededIndex = live[0] ?? index + 1;
    const term = store.term(index)!;
    const metadata = { index, term, configuration: soloConfiguration, neededIndex };
    const writer = store.beginSnapshot(metadata);
    const state = stateOf(index, term);
    const middle = this.below(state.length);
    writer.write(state.subarray(0, middle));
    await this.pause();
    writer.write(state.subarray(middle));
    if (this.closing) return;
    const saved = await writer.finish(IndexSet.of(live), this.pause);
    this.busy = false;
    if (!saved) return;
    this.savedIndex = Math.max(this.savedIndex, index);
    this.snapshots++;
    const before = store.segmentCount;
    const done = store.compact(index);
    this.segmentsDropped += before - store.segmentCount;
    await done;
    if (!this.closing) await this.rewrite(store);
  }

  /** A log of another node arrives, and takes the place of this one. */
  async install(store: ShardStore): Promise<void> {
    const { log, hardState } = this.latest;
    if (this.busy || hardState.term === 0) return;
    this.busy = true;
    const committed = Math.max(hardState.commit, this.snapshotIndex);
    const { term } = hardState;
    const added = Array.from({ length: 1 + this.below(40) }, (_, i) => {
      return entryAt(committed + 1 + i, term, this.below(100));
    });
    const whole = [...log.slice(0, committed), ...added];
    const index = whole.length;
    const live = this.reap(1 + this.below(index + 1), index);
    const neededIndex = live[0] ?? index + 1;
    const metadata = { index, term, configuration: soloConfiguration, neededIndex };
    const staged = await store.stage(metadata);
    const state = stateOf(index, term);
    staged.writeState(state.subarray(0, 100));
    staged.writeState(state.subarray(100));
    for (let at = 0; at < live.length; at += 10) {
      staged.append(received(live.slice(at, at + 10).map((index) => whole[index - 1]!)));
      if (this.random() < 0.5) await staged.flush(this.pause);
    }
    if (!await staged.finish(crc32c(state), this.pause)) return;
    this.busy = false;
    if (this.closing) return staged.abandon();
    if (this.random() < 0.2) return await staged.discard();
    const next = this.latest.hardState;
    const version = { log: whole, hardState: next, kept: committed };
    this.versions.push(version);
    this.snapshotIndex = index;
    await store.installSnapshot(this.random() < 0.5 ? next : undefined, staged);
    this.answered = Math.max(this.answered, this.versions.indexOf(version));
    this.savedIndex = Math.max(this.savedIndex, index);
    this.installs++;
  }

  /** Whatever is asked for, the store answers as the model does. */
  checkReads(store: ShardStore): void {
    const { log } = this.latest;
    assertEquals(store.lastIndex(), log.length);
    assertEquals(store.term(log.length), log.at(-1)?.term ?? 0);
    assertEquals(store.term(log.length + 1), undefined);
    this.checkLive(store, 1 + this.below(5));
    const first = store.firstIndex();
    if (log.length < first) return;
    assertEquals(store.term(first - 1), log[first - 2]?.term ?? 0);
    const low = first + this.below(log.length + 1 - first);
    const high = low + 1 + this.below(log.length + 1 - low);
    const bytesMax = this.below(10_000);
    const found = store.entries(low, high, bytesMax);
    assertEquals(found.map(plain), log.slice(low - 1, low - 1 + found.length));
    const bytes = found.reduce((sum, entry) => sum + entry.data.length, 0);
    assert(found.length === 1 || bytes <= bytesMax);
    const following = log[low - 1 + found.length];
    assert(low + found.length === high || bytes + following!.data.length > bytesMax);
    const spans = store.records(low, high, bytesMax).flatMap((span) => decodeRecords(span));
    assertEquals(spans.map(plain), log.slice(low - 1, low - 1 + spans.length));
    assert(spans.length > 0);
    const index = first + this.below(log.length + 1 - first);
    assertEquals(plain(store.entry(index)), log[index - 1]);
    assertEquals(store.term(index), log[index - 1]!.term);
  }

  /** What the newest snapshot needs is there. */
  checkLive(store: ShardStore, step: number): void {
    const live = this.liveOf.get(store.storedSnapshot?.index ?? 0) ?? [];
    for (let at = this.below(step); at < live.length; at += step) {
      assertEquals(plain(store.entry(live[at]!)), this.latest.log[live[at]! - 1]);
    }
  }

  /** What is not needed any more, and still takes room. */
  trash(): string[] {
    return this.disk.list("data/shard-3").map(({ name }) => name)
      .filter((name) => name.endsWith(".trash"));
  }

  /** What was found after the process ended in one way or another. */
  checkRecovered(store: ShardStore): void {
    const low = store.firstIndex();
    const found = store.entries(low, store.lastIndex() + 1, Infinity).map(plain);
    const { hardState } = store.initialState();
    const [first, ...since] = this.versions.slice(this.answered);
    const promised = Math.min(first!.log.length, ...since.map((version) => version.kept));
    const last = store.lastIndex();
    assert(last >= promised, `${promised} entries were promised, ${last} are there`);
    const least = Math.max(0, promised - low + 1);
    assertEquals(found.slice(0, least), first!.log.slice(low - 1, promised));
    const candidates = [first!, ...since];
    const needed = (this.liveOf.get(store.storedSnapshot?.index ?? 0) ?? [])
      .map((index) => plain(store.entry(index)));
    const version = candidates.find(({ log }) => {
      return last <= log.length && store.term(low - 1) === (log[low - 2]?.term ?? 0) &&
        isPrefix(found, log.slice(low - 1)) &&
        needed.every((entry) => isSame(entry, log[entry.index - 1]!));
    });
    assert(version !== undefined, "what is there was never written so");
    const log = version!.log.slice(0, last);
    const snapshot = store.storedSnapshot;
    const savedIndex = snapshot?.index ?? 0;
    assert(savedIndex >= this.savedIndex && savedIndex <= last, `snapshot ${savedIndex}`);
    assert(store.reachIndex <= (snapshot?.neededIndex ?? 1));
    assert(low <= savedIndex + 1);
    if (snapshot !== undefined) {
      assertEquals(snapshot.term, log[savedIndex - 1]!.term);
      assertEquals(readState(store), stateOf(savedIndex, snapshot.term));
    }
    assertEquals(store.damagedSnapshots, []);
    assertEquals(this.trash(), [], "what a crash left in the trash is gone");
    this.savedIndex = this.snapshotIndex = savedIndex;
    this.busy = this.closing = false;
    assert(candidates.some(({ hardState: { term, vote } }) => {
      return term === hardState.term && vote === hardState.vote;
    }));
    assert((log.at(-1)?.term ?? 0) <= hardState.term);
    assertEquals(store.durableIndex, last);
    this.versions = [{ log, hardState, kept: 0 }];
    this.answered = 0;
    this.failedSyncs = this.disk.counts.failedSyncs;
    this.checkLive(store, 1);
    this.expect(this.rewrite(store));
  }
}

/** What a state machine might hold at an index. */
function stateOf(index: number, term: number): Uint8Array {
  return Uint8Array.from({ length: 200 + index * 3 }, (_, i) => index * 7 + term * 13 + i);
}

function isPrefix(log: readonly Entry[], whole: readonly Entry[]): boolean {
  return log.length <= whole.length && log.every((entry, i) => isSame(entry, whole[i]!));
}

function isSame(entry: Entry, other: Entry): boolean {
  return entry.term === other.term && entry.data.length === other.data.length;
}

async function live(seed: number): Promise<History> {
  const history = new History(seed);
  let store = await history.open();
  for (let step = 0; step < 250; step++) {
    const chance = history.random();
    if (chance < 0.4) {
      history.persist(store);
    } else if (chance < 0.5) {
      history.expect(history.snapshot(store));
    } else if (chance < 0.53) {
      history.expect(history.install(store));
    } else if (chance < 0.85) {
      await history.steps(4);
      assert(store.durableIndex <= store.lastIndex());
    } else if (chance < 0.97) {
      history.checkReads(store);
    } else {
      const end = history.random();
      history.leftInTrash += history.trash().length;
      if (end < 0.2) {
        history.closing = true;
        await history.clock.run(store.close());
        history.answered = history.versions.length - 1;
        history.disk = history.disk.kill();
      } else {
        if (end < 0.4) {
          history.disk.failSyncs();
          await history.steps(6);
        }
        history.end();
        history.crashes++;
      }
      store = await history.open();
      history.checkRecovered(store);
    }
  }
  history.closing = true;
  await history.clock.run(store.close());
  return history;
}

Deno.test("ShardStore loses nothing that it answered for, whatever a crash tears", async () => {
  const totals = {
    crashes: 0,
    interrupted: 0,
    failedStores: 0,
    torn: 0,
    lost: 0,
    kept: 0,
    namesLost: 0,
    short: 0,
    snapshots: 0,
    segmentsDropped: 0,
    segmentsRewritten: 0,
    segmentsMerged: 0,
    installs: 0,
    leftInTrash: 0,
    filesReused: 0,
  };
  for (let seed = 0; seed < 400; seed++) {
    try {
      const history = await live(seed);
      const { crashes, interrupted, failedStores, disk: { counts } } = history;
      totals.snapshots += history.snapshots;
      totals.segmentsDropped += history.segmentsDropped;
      totals.segmentsRewritten += history.segmentsRewritten;
      totals.segmentsMerged += history.segmentsMerged;
      totals.installs += history.installs;
      totals.leftInTrash += history.leftInTrash;
      totals.crashes += crashes;
      totals.interrupted += interrupted;
      totals.failedStores += failedStores;
      totals.torn += counts.changesTorn;
      totals.lost += counts.changesLost;
      totals.kept += counts.changesKept;
      totals.namesLost += counts.namesLost;
      totals.filesReused += counts.filesReused;
      totals.short += counts.shortWrites;
    } catch (error) {
      throw new Error(`Seed ${seed}`, { cause: error });
    }
  }
  // All that the test is about must really have happened.
  for (const [name, count] of Object.entries(totals)) assert(count > 50, `${name}: ${count}`);
});
