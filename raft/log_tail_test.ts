import { assertEquals, assertThrows } from "@std/assert";
import { entriesOf } from "./_test_group.ts";
import { InvariantError } from "./invariant.ts";
import { LogTail } from "./log_tail.ts";

Deno.test("LogTail hands out each entry for writing once", () => {
  const tail = new LogTail(4);
  tail.append(entriesOf([1, 1], 5));
  assertEquals(tail.takeBatch(0).map(({ index }) => index), [5, 6]);
  assertEquals(tail.hasUnwritten, false);
  tail.append(entriesOf([1], 7));
  assertEquals(tail.takeBatch(0).map(({ index }) => index), [7]);
});

Deno.test("LogTail is durable up to what was reported, in the order of writing", () => {
  const tail = new LogTail(0);
  tail.append(entriesOf([1, 1]));
  tail.takeBatch(0);
  tail.append(entriesOf([1], 3));
  tail.takeBatch(0);
  assertEquals(tail.durableIndex, 0);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 2);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 3);
  assertThrows(() => tail.batchDurable(), InvariantError);
});

Deno.test("LogTail does not count a write of entries that were overwritten since", () => {
  const tail = new LogTail(0);
  tail.append(entriesOf([1, 1, 1]));
  tail.takeBatch(0);
  tail.append(entriesOf([2], 2));
  tail.takeBatch(0);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 1);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 2);
});

Deno.test("LogTail does not count a write whose entries were overwritten and then came back", () => {
  const tail = new LogTail(0);
  tail.append(entriesOf([1, 1]));
  tail.takeBatch(0);
  tail.append(entriesOf([2], 2));
  tail.takeBatch(0);
  tail.append(entriesOf([1], 2));
  tail.takeBatch(0);
  tail.batchDurable();
  // On disk there is entry 2 of term 1 now, but the next write is about to replace it.
  assertEquals(tail.durableIndex, 1);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 1);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 2);
});

Deno.test("LogTail keeps entries until they are both durable and handed out", () => {
  const tail = new LogTail(0);
  tail.append(entriesOf([1, 1, 1]));
  tail.takeBatch(0);
  tail.release(2);
  assertEquals(tail.firstIndex, 1);
  tail.batchDurable();
  tail.release(2);
  assertEquals(tail.firstIndex, 3);
  assertEquals(tail.slice(3, 4, Infinity).map(({ index }) => index), [3]);
});

Deno.test("LogTail.slice() returns at least one entry and no more than fit", () => {
  const tail = new LogTail(0);
  tail.append(entriesOf([1, 1, 1]));
  assertEquals(tail.slice(1, 4, 0).length, 1);
  assertEquals(tail.slice(1, 4, 2).length, 2);
  assertEquals(tail.slice(1, 4, Infinity).length, 3);
});

Deno.test("LogTail starts over behind a snapshot", () => {
  const tail = new LogTail(0);
  tail.append(entriesOf([1, 1]));
  tail.takeBatch(0);
  tail.restart(100);
  tail.takeBatch(100);
  assertEquals([tail.firstIndex, tail.lastIndex, tail.durableIndex], [101, 100, 0]);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 0);
  tail.batchDurable();
  assertEquals(tail.durableIndex, 100);
});
