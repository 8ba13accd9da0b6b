import { assertEquals, assertThrows } from "@std/assert";
import { bytes, entriesOf, storageOf } from "./_test_group.ts";
import { InvariantError } from "./invariant.ts";
import { bootstrapConfiguration } from "./membership.ts";

Deno.test("MemoryStorage.append() replaces the log from the first new entry on", () => {
  const storage = storageOf([1], [1, 1, 1]);
  storage.append(entriesOf([2], 2));
  assertEquals([storage.lastIndex(), storage.term(2), storage.term(3)], [2, 2, undefined]);
  assertThrows(() => storage.append(entriesOf([2], 4)), InvariantError);
});

Deno.test("MemoryStorage.compact() keeps the log behind the snapshot, and its term", () => {
  const storage = storageOf([1], [1, 2, 3]);
  const configuration = bootstrapConfiguration([1, 2]);
  storage.compact({ metadata: { index: 2, term: 2, configuration }, data: bytes("state") });
  assertEquals([storage.firstIndex(), storage.lastIndex()], [3, 3]);
  assertEquals([storage.term(1), storage.term(2), storage.term(3)], [undefined, 2, 3]);
  assertEquals(storage.initialState().configuration, configuration);
});

Deno.test("MemoryStorage.entries() returns at least one entry and no more than fit", () => {
  const storage = storageOf([1], [1, 1, 1]);
  assertEquals(storage.entries(1, 4, 0).length, 1);
  assertEquals(storage.entries(1, 4, 2).length, 2);
  assertEquals(storage.entries(2, 4, Infinity).length, 2);
  assertThrows(() => storage.entries(3, 5, Infinity), InvariantError);
});
