/**
 * Random histories of a shard on the simulated disk, with crashes and failing syncs in between, while
 * it starts too, against a model: what was answered for is never lost, and what is found is always a
 * prefix of what was once written.
 */

import { assert, assertEquals } from "@std/assert";
import type { Entry, HardState } from "../raft/types.ts";
import { SimulatedDisk } from "../tests/simulation/disk.ts";
import {
  entryAt,
  plain,
  randomFrom,
  received,
  settle,
  soloConfiguration,
  TestClock,
} from "./_testing.ts";
import { decodeRecords } from "./record.ts";
import { ShardStore } from "./shard_store.ts";

/** The state after a call of `persist()`. */
interface Version {
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

  constructor(seed: number) {
    const random = this.random = randomFrom(seed);
    this.disk = new SimulatedDisk({
      clock: this.clock,
      random,
      shortWriteChance: random() < 0.5 ? 0 : 0.2,
    });
    this.options = {
      shard: 3,
      configuration: soloConfiguration,
      segmentBytesMax: [300, 2_000, 8_000, 1e9][this.below(4)]!,
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
    return await this.clock.run(ShardStore.open(this.disk, "data/shard-3", this.options));
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
      commit: Math.min(hardState.commit + this.below(2), log.length),
    };
    const kept = newTerm && this.random() < 0.8
      ? next.commit + this.below(log.length - next.commit + 1)
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
    const disk = this.disk;
    store.persist(this.random() < 0.5 || newTerm ? next : undefined, entries).then(() => {
      this.answered = Math.max(this.answered, this.versions.indexOf(version));
    }, (error) => {
      // Only a process whose machine is off, or whose disk is broken, may fail to write.
      if (disk !== this.disk) return;
      if (disk.counts.failedSyncs === this.failedSyncs) throw error;
      this.failedStores++;
    });
  }

  /** Whatever is asked for, the store answers as the model does. */
  checkReads(store: ShardStore): void {
    const { log } = this.latest;
    assertEquals(store.lastIndex(), log.length);
    assertEquals(store.term(log.length), log.at(-1)?.term ?? 0);
    assertEquals(store.term(log.length + 1), undefined);
    if (log.length === 0) return;
    const low = 1 + this.below(log.length);
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
    const index = 1 + this.below(log.length);
    assertEquals(plain(store.entry(index)), log[index - 1]);
    assertEquals(store.term(index), log[index - 1]!.term);
  }

  /** What was found after the process ended in one way or another. */
  checkRecovered(store: ShardStore): void {
    const log = store.entries(1, store.lastIndex() + 1, Infinity).map(plain);
    const { hardState } = store.initialState();
    const [first, ...since] = this.versions.slice(this.answered);
    const promised = Math.min(first!.log.length, ...since.map((version) => version.kept));
    assert(log.length >= promised, `${promised} entries were promised, ${log.length} are there`);
    assertEquals(log.slice(0, promised), first!.log.slice(0, promised));
    const candidates = [first!, ...since];
    assert(
      candidates.some((version) => isPrefix(log, version.log)),
      "what is there was never written so",
    );
    assert(candidates.some(({ hardState: { term, vote } }) => {
      return term === hardState.term && vote === hardState.vote;
    }));
    assert((log.at(-1)?.term ?? 0) <= hardState.term);
    assertEquals(store.durableIndex, log.length);
    this.versions = [{ log, hardState, kept: 0 }];
    this.answered = 0;
    this.failedSyncs = this.disk.counts.failedSyncs;
  }
}

function isPrefix(log: readonly Entry[], whole: readonly Entry[]): boolean {
  return log.length <= whole.length && log.every((entry, i) => {
    const other = whole[i]!;
    return entry.term === other.term && entry.data.length === other.data.length;
  });
}

async function live(seed: number): Promise<History> {
  const history = new History(seed);
  let store = await history.open();
  for (let step = 0; step < 100; step++) {
    const chance = history.random();
    if (chance < 0.55) {
      history.persist(store);
    } else if (chance < 0.75) {
      await history.clock.step();
      assert(store.durableIndex <= store.lastIndex());
    } else if (chance < 0.9) {
      history.checkReads(store);
    } else {
      const end = history.random();
      if (end < 0.2) {
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
  };
  for (let seed = 0; seed < 400; seed++) {
    try {
      const { crashes, interrupted, failedStores, disk: { counts } } = await live(seed);
      totals.crashes += crashes;
      totals.interrupted += interrupted;
      totals.failedStores += failedStores;
      totals.torn += counts.changesTorn;
      totals.lost += counts.changesLost;
      totals.kept += counts.changesKept;
      totals.namesLost += counts.namesLost;
      totals.short += counts.shortWrites;
    } catch (error) {
      throw new Error(`Seed ${seed}`, { cause: error });
    }
  }
  // All that the test is about must really have happened.
  for (const [name, count] of Object.entries(totals)) assert(count > 50, `${name}: ${count}`);
});
