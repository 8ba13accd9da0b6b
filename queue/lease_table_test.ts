import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Consumer } from "./consumer.ts";
import { InvariantError } from "./invariant.ts";
import { LeaseTable } from "./lease_table.ts";
import { NO_SLOT } from "./offset_index.ts";

function byDeadline(table: LeaseTable): number[] {
  return [...table.capture().offset];
}

function byHolder(table: LeaseTable, consumer: Consumer): number[] {
  return table.slotsOf(consumer).map((slot) => table.offsetAt(slot));
}

/** Their leases last no time, so that `nowMs` is when they end. */
function consumerOf(table: LeaseTable, id: number): Consumer {
  const consumer = new Consumer(1, id, 1, 1_000_000);
  table.setDuration(consumer, 0, 0);
  return consumer;
}

function tableOf(count: number): { table: LeaseTable; consumer: Consumer } {
  const table = new LeaseTable();
  const consumer = consumerOf(table, 1);
  for (let offset = 0; offset < count; offset++) {
    table.lease(offset, 1, 0, consumer, 1_000 + offset);
  }
  return { table, consumer };
}

Deno.test("LeaseTable.extend() moves a lease behind all others", () => {
  const { table } = tableOf(4);
  table.extend(table.find(0), 2_000);
  table.extend(table.find(2), 2_000);
  assertEquals(byDeadline(table), [1, 3, 0, 2]);
  assertEquals(table.firstDeadlineMs, 1_001);
  table.extend(table.find(2), 3_000);
  assertEquals(byDeadline(table), [1, 3, 0, 2]);
  table.checkInvariants();
});

Deno.test("LeaseTable.release() forgets the message", () => {
  const { table, consumer } = tableOf(3);
  table.release(table.find(1));
  assertEquals([table.size, consumer.held, table.find(1)], [2, 2, NO_SLOT]);
  table.lease(1, 2, 7, consumer, 5_000);
  assertEquals(table.deliveryCountAt(table.find(1)), 2);
  assertEquals([...table.capture().priority!], [0, 0, 7]);
  assertEquals(byDeadline(table), [0, 2, 1]);
  table.checkInvariants();
});

Deno.test("LeaseTable.setDuration() gives consumers lanes, and renews what they hold", () => {
  const { table, consumer } = tableOf(2);
  const other = new Consumer(1, 2, 1, 10);
  table.setDuration(other, 50, 0);
  table.lease(7, 1, 0, other, 900);
  assertEquals([table.offsetAt(table.first), table.firstDeadlineMs], [7, 900]);
  table.setDuration(other, 5_000, 1_000);
  assertEquals([table.offsetAt(table.first), table.firstDeadlineMs], [0, 1_000]);
  table.extendAll(2_000);
  assertEquals([...table.capture().deadlineMs], [2_000, 2_000, 7_000]);
  table.setDuration(consumer, 5_000, 3_000);
  assertEquals(byDeadline(table), [7, 0, 1], "one lane");
  table.checkInvariants();
  assertThrows(() => table.forget(other), InvariantError);
});

Deno.test("LeaseTable.extendAll() gives every lease the same end and keeps their order", () => {
  const { table } = tableOf(3);
  table.extendAll(9_000);
  assertEquals(byDeadline(table), [0, 1, 2]);
  assertEquals(table.firstDeadlineMs, 9_000);
  assertEquals([...table.capture().deadlineMs], [9_000, 9_000, 9_000]);
  table.checkInvariants();
});

Deno.test("LeaseTable gives the memory of a big backlog back, and works on", () => {
  const { table, consumer } = tableOf(100_000);
  for (let offset = 0; offset < 100_000; offset++) {
    table.release(table.find(offset));
  }
  assertEquals([table.size, table.first, consumer.held], [0, NO_SLOT, 0]);
  table.lease(100_000, 1, 0, consumer, 200_000);
  assertEquals(byDeadline(table), [100_000]);
  table.checkInvariants();
});

Deno.test("LeaseTable does what lists of plain objects do", () => {
  interface Plain {
    offset: number;
    deliveryCount: number;
    holder: Consumer | undefined;
  }
  const action = fc.record({
    kind: fc.constantFrom("lease", "lease", "ack", "return", "again", "extend"),
    pick: fc.nat(1_000),
    holder: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 150, size: "max" }), (actions) => {
      const table = new LeaseTable();
      const consumers = [0, 1, 2].map((id) => consumerOf(table, id));
      let leased: Plain[] = [];
      const returned: Plain[] = [];
      let nextOffset = 0;
      let nowMs = 0;
      for (const { kind, pick, holder } of actions) {
        nowMs += pick % 3;
        const consumer = consumers[holder]!;
        const item = leased[pick % leased.length];
        if (kind === "lease") {
          const offset = nextOffset++;
          table.lease(offset, 1, 0, consumer, nowMs);
          leased.push({ offset, deliveryCount: 1, holder: consumer });
        } else if (kind === "again") {
          const back = returned.shift();
          if (back === undefined) continue;
          table.lease(back.offset, back.deliveryCount + 1, 0, consumer, nowMs);
          leased.push({ ...back, deliveryCount: back.deliveryCount + 1, holder: consumer });
        } else if (item !== undefined) {
          const slot = table.find(item.offset);
          leased = leased.filter((other) => other !== item);
          if (kind === "extend") {
            table.extend(slot, nowMs);
            leased.push(item);
          } else {
            assertEquals(table.holderAt(slot), item.holder);
            table.release(slot);
            if (kind === "return") returned.push({ ...item, holder: undefined });
          }
        }
        table.checkInvariants();
      }
      assertEquals(byDeadline(table), leased.map(({ offset }) => offset));
      assertEquals(table.size, leased.length);
      for (const { offset } of returned) assertEquals(table.find(offset), NO_SLOT);
      for (const { offset, deliveryCount, holder } of leased) {
        const slot = table.find(offset);
        assertEquals(table.holderAt(slot), holder);
        assertEquals(table.deliveryCountAt(slot), deliveryCount);
      }
      for (const consumer of consumers) {
        const own = leased.filter(({ holder }) => holder === consumer).map(({ offset }) => offset);
        assertEquals(byHolder(table, consumer).sort(), own.sort());
        assertEquals(consumer.held, own.length);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("LeaseTable stops the process on a second end, and on a lease that ends too early", () => {
  const { table, consumer } = tableOf(2);
  const slot = table.find(0);
  table.release(slot);
  assertThrows(() => table.release(slot), InvariantError);
  assertThrows(() => table.lease(2, 1, 0, consumer, 500), InvariantError);
});
