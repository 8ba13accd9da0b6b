import { assertEquals } from "@std/assert";
import type { ProducerSnapshot } from "./machine_snapshot.ts";
import { resolveLimits } from "./limits.ts";
import { PublisherTable } from "./publisher_table.ts";

const LIMITS = resolveLimits({ producersPerSession: 2 });
const anything = () => true;

Deno.test("PublisherTable.open() stops at the limit of a session, not of all", () => {
  const table = new PublisherTable(LIMITS);
  assertEquals(table.open(1, 10, 0)?.nextSequence, 0);
  assertEquals(table.open(1, 11, 5)?.nextSequence, 5);
  assertEquals(table.open(1, 12, 0), undefined);
  assertEquals(table.open(2, 12, 0)?.nextSequence, 0);
  assertEquals([table.count(1), table.count(2), table.count(3)], [2, 1, 0]);
  table.checkInvariants(anything);
});

Deno.test("PublisherTable forgets the windows of a session and of a partition", () => {
  const table = new PublisherTable(LIMITS);
  for (const sessionId of [1, 2]) {
    for (const partitionId of [10, 11]) table.open(sessionId, partitionId, 0);
  }
  table.forgetPartition(10);
  assertEquals(table.window(1, 10), undefined);
  assertEquals(table.window(2, 10), undefined);
  assertEquals(table.count(1), 1);
  table.checkInvariants((_, partitionId) => partitionId !== 10);
  table.forgetSession(1);
  table.forgetSession(3);
  table.forgetPartition(99);
  assertEquals(table.window(1, 11), undefined);
  assertEquals(table.count(2), 1);
  table.checkInvariants((sessionId) => sessionId !== 1);
});

function plain(table: PublisherTable): ProducerSnapshot[] {
  return table.capture().map(({ window, ...one }) => ({ ...one, ...window.snapshot() }));
}

Deno.test("PublisherTable.restore() finds the same windows in the same order", () => {
  const table = new PublisherTable(LIMITS);
  table.open(7, 10, 0)?.recordPublished(2, 0, 1, 1, 5);
  table.open(3, 10, 4);
  table.open(7, 9, 1);
  const restored = new PublisherTable(LIMITS);
  for (const saved of plain(table)) restored.restore(saved);
  restored.checkInvariants(anything);
  assertEquals(plain(restored), plain(table));
  assertEquals(restored.window(7, 10)?.nextSequence, 2);
  restored.forgetSession(7);
  restored.checkInvariants((sessionId) => sessionId === 3);
});
