import { assertEquals, assertThrows } from "@std/assert";
import { bytes, entriesOf, storageOf } from "./_test_group.ts";
import { InvariantError } from "./invariant.ts";
import { EMPTY_CONFIGURATION } from "./membership.ts";
import { MemoryStorage } from "./memory_storage.ts";
import { RaftLog } from "./raft_log.ts";
import { type Entry, EntryKind } from "./types.ts";

function logOf(terms: readonly number[]): RaftLog {
  return new RaftLog(storageOf([1], terms), 0, 0);
}

function terms(log: RaftLog): number[] {
  const result: number[] = [];
  for (let i = log.firstIndex; i <= log.lastIndex; i++) result.push(log.term(i)!);
  return result;
}

Deno.test("RaftLog.isUpToDate() compares the last term first, then the length", () => {
  const log = logOf([1, 2, 2]);
  assertEquals(log.isUpToDate(2, 2), false);
  assertEquals(log.isUpToDate(3, 2), true);
  assertEquals(log.isUpToDate(4, 2), true);
  assertEquals(log.isUpToDate(9, 1), false);
  assertEquals(log.isUpToDate(1, 3), true);
});

Deno.test("RaftLog.tryAppend() refuses what does not meet, keeps what is the same, replaces the rest", () => {
  const cases = [
    { previous: [4, 1], terms: [1], last: undefined, after: [1, 1, 2] },
    { previous: [3, 1], terms: [1], last: undefined, after: [1, 1, 2] },
    { previous: [3, 2], terms: [], last: 3, after: [1, 1, 2] },
    { previous: [3, 2], terms: [2, 3], last: 5, after: [1, 1, 2, 2, 3] },
    // All there already: what follows stays.
    { previous: [0, 0], terms: [1], last: 1, after: [1, 1, 2] },
    { previous: [1, 1], terms: [1, 2], last: 3, after: [1, 1, 2] },
    // A conflict takes everything behind it away.
    { previous: [1, 1], terms: [3], last: 2, after: [1, 3] },
    { previous: [0, 0], terms: [1, 1, 3, 3], last: 4, after: [1, 1, 3, 3] },
  ];
  for (const { previous: [index, term], terms: sent, last, after } of cases) {
    const log = logOf([1, 1, 2]);
    assertEquals(log.tryAppend(index!, term!, entriesOf(sent, index! + 1)), last);
    assertEquals(terms(log), after);
  }
});

Deno.test("RaftLog.tryAppend() never replaces a committed entry", () => {
  const log = logOf([1, 1, 2]);
  log.commitTo(2);
  assertThrows(() => log.tryAppend(1, 1, entriesOf([3], 2)), InvariantError);
});

Deno.test("RaftLog.commitTo() refuses what is not in the log", () => {
  const log = logOf([1]);
  assertThrows(() => log.commitTo(2), InvariantError, "acknowledged");
  assertEquals(log.commitTo(1), true);
  assertEquals(log.commitTo(1), false);
});

Deno.test("RaftLog.lastAgreeing() agrees with a linear search", () => {
  const all = [1, 1, 1, 3, 3, 5, 8, 8, 8, 8];
  const log = logOf(all);
  for (let index = 0; index <= 12; index++) {
    for (let term = 1; term <= 9; term++) {
      let expected = Math.min(index, all.length);
      while (expected > 0 && all[expected - 1]! > term) expected--;
      assertEquals(log.lastAgreeing(index, term), {
        index: expected,
        term: all[expected - 1] ?? 0,
      });
    }
  }
});

Deno.test("RaftLog.lastAgreeing() stops where the log begins", () => {
  const storage = new MemoryStorage();
  storage.installSnapshot({
    metadata: { index: 10, term: 4, configuration: EMPTY_CONFIGURATION },
    data: new Uint8Array(0),
  });
  storage.append(entriesOf([5, 5], 11));
  const log = new RaftLog(storage, 0, 10);
  assertEquals(log.lastAgreeing(12, 4), { index: 10, term: 4 });
  assertEquals(log.lastAgreeing(12, 2), { index: 9, term: 0 });
  assertEquals(log.lastAgreeing(7, 2), { index: 7, term: 0 });
});

Deno.test("RaftLog hands out committed entries once, in order, within the limit", () => {
  const log = logOf([1, 1, 1]);
  log.append(entriesOf([1, 1], 4));
  log.commitTo(5);
  const taken: number[][] = [];
  while (log.hasCommitted(true)) taken.push(log.takeCommitted(true, 2).map((entry) => entry.index));
  // What is in storage and what is in memory come apart.
  assertEquals(taken, [[1, 2], [3], [4, 5]]);
});

Deno.test("RaftLog holds back what is not durable where that is asked for", () => {
  const log = logOf([1]);
  log.append(entriesOf([1], 2));
  log.commitTo(2);
  assertEquals(log.takeCommitted(false, Infinity).map(({ index }) => index), [1]);
  log.takeBatch();
  assertEquals(log.hasCommitted(false), false);
  log.batchDurable(undefined);
  assertEquals(log.takeCommitted(false, Infinity).map(({ index }) => index), [2]);
});

Deno.test("RaftLog hands out nothing between the arrival of a snapshot and its write", () => {
  const log = logOf([1, 1]);
  log.commitTo(1);
  const snapshot = {
    metadata: { index: 10, term: 3, configuration: EMPTY_CONFIGURATION },
    data: bytes("state"),
  };
  log.restore(snapshot);
  assertEquals([log.firstIndex, log.lastIndex, log.lastTerm, log.commitIndex], [11, 10, 3, 10]);
  assertEquals([log.hasCommitted(true), log.hasUnwritten], [false, true]);
  assertEquals(log.takeBatch().snapshot, snapshot);
  assertEquals(log.hasUnwritten, false);
  assertEquals(log.batchDurable(snapshot), true);
  assertEquals([log.appliedIndex, log.hasPendingSnapshot], [10, false]);
});

function withChanges(indexes: readonly number[]): MemoryStorage {
  const storage = storageOf([1], []);
  storage.append(
    entriesOf([1, 1, 1, 1, 1, 1]).map((entry): Entry =>
      indexes.includes(entry.index) ? { ...entry, kind: EntryKind.configChange } : entry
    ),
  );
  return storage;
}

Deno.test("RaftLog knows that a change is committed by the change behind it", () => {
  assertEquals(new RaftLog(withChanges([]), 0, 0).commitIndex, 0);
  assertEquals(new RaftLog(withChanges([3]), 0, 0).commitIndex, 0);
  assertEquals(new RaftLog(withChanges([3, 5]), 0, 0).commitIndex, 3);
  assertEquals(new RaftLog(withChanges([2, 3, 5]), 0, 2).commitIndex, 3);
});

Deno.test("RaftLog asks storage for changes rather than reading through it", () => {
  class IndexedStorage extends MemoryStorage {
    changeIndexes(low: number): number[] {
      return [2, 4].filter((index) => index >= low);
    }
  }
  const storage = new IndexedStorage();
  storage.append(entriesOf([1, 1, 1, 1, 1]));
  assertEquals(new RaftLog(storage, 0, 0).commitIndex, 2);
});

Deno.test("RaftLog.hasUnappliedChange is true from the commit to the application of a change", () => {
  const log = new RaftLog(withChanges([3]), 0, 0);
  log.commitTo(2);
  assertEquals(log.hasUnappliedChange, false);
  log.commitTo(4);
  assertEquals(log.hasUnappliedChange, true);
  log.takeCommitted(true, Infinity);
  log.appliedTo(2);
  assertEquals(log.hasUnappliedChange, true);
  log.appliedTo(3);
  assertEquals(log.hasUnappliedChange, false);
});
