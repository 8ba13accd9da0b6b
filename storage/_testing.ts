/**
 * What the tests of this folder share: a clock that a test drives, logs, entries, and chance from a seed.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Configuration, Entry } from "../raft/types.ts";
import { SimulatedDisk, type SimulatedDiskOptions } from "../tests/simulation/disk.ts";
import type { SegmentedLogOptions } from "./log_options.ts";
import { decodeRecords, encodeRecords, type RecordEntry } from "./record.ts";
import { SegmentedLog } from "./segmented_log.ts";
import type { ShardStore } from "./shard_store.ts";

/** A clock that stands still until a test runs it. */
export class TestClock {
  nowMs = 0;
  #timers: { atMs: number; callback: () => void }[] = [];

  setTimeout(callback: () => void, ms: number): number {
    return this.#timers.push({ atMs: this.nowMs + ms, callback });
  }

  /** Lets the next timer go off, and everything that follows from it happen. */
  async step(): Promise<boolean> {
    await settle();
    this.#timers.sort((a, b) => a.atMs - b.atMs);
    const timer = this.#timers.shift();
    if (timer === undefined) return false;
    this.nowMs = timer.atMs;
    timer.callback();
    await settle();
    return true;
  }

  /** Lets time pass until a promise is settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const end = () => void (done = true);
    promise.then(end, end);
    while (!done) {
      if (!await this.step()) {
        await settle();
        if (!done) throw new Error("Nothing is left that could settle the promise");
      }
    }
    return await promise;
  }
}

/** Lets everything happen that needs no timer. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Chance from a seed. */
export function randomFrom(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b9 >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed);
    return ((mixed ^ mixed >>> 14) >>> 0) / 0x1_0000_0000;
  };
}

/** A disk and the clock it runs on. */
export function newDisk(
  options: Partial<SimulatedDiskOptions> = {},
): { disk: SimulatedDisk; clock: TestClock } {
  const clock = new TestClock();
  return { disk: new SimulatedDisk({ clock, random: randomFrom(1), ...options }), clock };
}

/** A log on a simulated disk. */
export class LogRig {
  disk: SimulatedDisk;
  readonly clock: TestClock;
  readonly #options: Partial<SegmentedLogOptions>;

  constructor(options: Partial<SegmentedLogOptions> = {}) {
    ({ disk: this.disk, clock: this.clock } = newDisk());
    this.disk.makeDirectory("log");
    this.#options = options;
  }

  open(options: Partial<SegmentedLogOptions> = {}): Promise<SegmentedLog> {
    const all = { shard: 1, salt: 5, ...this.#options, ...options };
    return this.clock.run(SegmentedLog.open(this.disk, "log", all));
  }

  /** Makes entries durable, in one flush. */
  async append(log: SegmentedLog, entries: readonly Entry[]): Promise<void> {
    log.append(entries);
    await this.clock.run(log.perform(log.takePlan()));
  }

  size(path: string): number {
    return this.disk.readFile(path).length;
  }
}

/** An entry whose data are made from its index and term. */
export function entryAt(index: number, term = 1, dataBytes = 20): Entry {
  const data = new Uint8Array(dataBytes);
  for (let i = 0; i < dataBytes; i++) data[i] = index * 31 + term * 7 + i;
  return { index, term, kind: index % 7 === 0 ? 1 : 0, data };
}

/** Entries of consecutive indexes. */
export function entriesFrom(low: number, high: number, term = 1, dataBytes = 20): Entry[] {
  return Array.from({ length: high - low }, (_, i) => entryAt(low + i, term, dataBytes));
}

/** The same entries as if they had come from a peer; some may be left out. */
export function received(entries: readonly Entry[]): RecordEntry[] {
  return decodeRecords(encodeRecords(entries).slice(), true);
}

/** An entry without what only some entries have, for comparing. */
export function plain(entry: Entry): Entry {
  const { index, term, kind, data } = entry;
  return { index, term, kind, data };
}

/** A configuration of one voter. */
export const soloConfiguration: Configuration = {
  voters: [1],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The state of the newest snapshot. */
export function readState(store: ShardStore): Uint8Array {
  const pieces = [...store.readState() ?? []];
  const state = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    state.set(piece, at);
    at += piece.length;
  }
  return state;
}
