import { assertEquals } from "@std/assert";
import { KeyColumn, KeyedState } from "./key_column.ts";

const { none, ready, leased, delayed } = KeyedState;

Deno.test("KeyColumn knows each message by its offset, and lists them in that order", () => {
  const column = new KeyColumn();
  for (const offset of [5_000, 3, 511, 512, 1_000_000]) {
    column.add(offset, offset + 1, ready, 2, 9, 7);
  }
  column.lease(512);
  column.remove(3);
  column.checkInvariants();
  assertEquals([...column], [511, 512, 5_000, 1_000_000]);
  assertEquals([3, 511, 512, 513].map((offset) => column.stateAt(offset)), [
    none,
    ready,
    leased,
    none,
  ]);
  assertEquals(column.hashAt(512), 513);
  assertEquals([column.deliveryCountAt(511), column.priorityAt(511), column.linkAt(511)], [
    2,
    9,
    7,
  ]);
});

Deno.test("KeyColumn.oldest() is the oldest ready message, also when an older one comes back", () => {
  const column = new KeyColumn();
  assertEquals(column.oldest(0), Infinity);
  for (const offset of [10, 20, 2_000]) column.add(offset, 1, ready, 0, 0, 0);
  column.add(5, 1, delayed, 0, 0, 0);
  assertEquals(column.oldest(3_000), 10);
  column.lease(10);
  column.remove(20);
  assertEquals(column.oldest(3_000), 2_000);
  column.remove(10);
  column.add(10, 1, ready, 1, 0, 0);
  assertEquals(column.oldest(3_000), 10);
  for (const offset of [10, 2_000]) column.remove(offset);
  assertEquals(column.oldest(3_000), Infinity);
  column.add(3_000, 1, ready, 0, 0, 0);
  assertEquals(column.oldest(3_001), 3_000);
});

Deno.test("KeyColumn.capture() stays as it is while the column goes on", () => {
  const column = new KeyColumn();
  for (let offset = 0; offset < 2_000; offset++) column.add(offset, offset + 1, ready, 0, 0, 0);
  const capture = column.capture();
  column.lease(700);
  column.remove(1);
  column.add(9_000, 1, delayed, 3, 0, 0);
  const later = column.capture();
  column.clear();
  assertEquals([capture.size, capture.stateAt(700), capture.stateAt(1)], [2_000, ready, ready]);
  assertEquals([...later].length, 2_000);
  assertEquals([later.stateAt(700), later.stateAt(1), later.stateAt(9_000)], [
    leased,
    none,
    delayed,
  ]);
  for (const one of [capture, later, column]) one.checkInvariants();
  assertEquals([...capture.parts()].flatMap(({ offset }) => [...offset]), [...capture]);
});
