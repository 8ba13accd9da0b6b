import { assertEquals, assertThrows } from "@std/assert";
import { Consumer } from "./consumer.ts";
import { InvariantError } from "./invariant.ts";
import { resolveLimits } from "./limits.ts";
import { SessionTable } from "./session_table.ts";

const LIMITS = resolveLimits({ sessions: 3, producerRetentionMs: 1_000 });

Deno.test("SessionTable.due() gives the sessions that wait in the order of their deadlines", () => {
  const table = new SessionTable(LIMITS);
  const slow = table.open(1, "slow", 500)!;
  const fast = table.open(2, "fast", 300)!;
  const same = table.open(3, "same", 300)!;
  for (const session of [same, fast, slow]) table.detach(session, 1_000);
  assertEquals(table.firstDeadlineMs, 1_300);
  assertEquals(table.due(1_299), undefined);
  assertEquals(table.due(1_300), fast);
  table.attach(fast, 9);
  assertEquals(table.due(1_300), same);
  table.end(same, 1_400);
  assertEquals(table.firstDeadlineMs, 1_500);
  table.forget(slow);
  assertEquals(table.firstDeadlineMs, 2_400);
  table.checkInvariants();
});

Deno.test("SessionTable.detach() starts the time-out anew, but does not revive what has ended", () => {
  const table = new SessionTable(LIMITS);
  const session = table.open(1, "one", 100)!;
  table.detach(session, 1_000);
  table.detach(session, 1_050);
  assertEquals(session.info(0).deadlineMs, 1_150);
  table.end(session, 1_150);
  table.detach(session, 1_200);
  assertEquals([session.state, session.deadlineMs], ["ended", 2_150]);
  table.attach(session, 9);
  assertEquals(session.info(0), {
    sessionId: 1,
    clientName: "one",
    timeoutMs: 100,
    state: "attached",
    consumers: 0,
    producers: 0,
  });
  table.checkInvariants();
});

Deno.test("SessionTable.open() refuses when the table is full, ended sessions included", () => {
  const table = new SessionTable(LIMITS);
  for (const id of [1, 2, 3]) table.open(id, "", 100);
  table.detach(table.get(1)!, 0);
  table.end(table.get(1)!, 100);
  assertEquals(table.open(4, "", 100), undefined);
  table.forget(table.get(1)!);
  assertEquals(table.open(4, "", 100)?.id, 4);
});

Deno.test("SessionTable.restore() goes on with the same deadlines", () => {
  const table = new SessionTable(LIMITS);
  for (const id of [1, 2, 3]) table.open(id, `client ${id}`, 100 * id);
  table.detach(table.get(2)!, 1_000);
  table.detach(table.get(3)!, 1_000);
  table.end(table.get(3)!, 1_300);
  const restored = new SessionTable(LIMITS);
  for (const saved of table.capture()) restored.restore(saved);
  restored.checkInvariants();
  assertEquals(restored.capture(), table.capture());
  assertEquals(restored.firstDeadlineMs, 1_200);
  assertEquals(restored.due(1_200)?.id, 2);
});

Deno.test("Session knows a consumer once for each partition", () => {
  const session = new SessionTable(LIMITS).open(1, "", 100)!;
  const here = new Consumer(1, 5, 10, 1);
  const there = new Consumer(1, 5, 11, 1);
  const other = new Consumer(1, 6, 10, 1);
  for (const consumer of [here, there, other]) session.addConsumer(consumer);
  assertEquals(session.consumer(5, 10), here);
  assertEquals(session.consumer(5, 11), there);
  assertEquals(session.consumer(6, 11), undefined);
  assertEquals([...session.consumers()], [here, other, there]);
  session.removeConsumer(here);
  session.removeConsumer(other);
  assertEquals([...session.consumers()], [there]);
  assertEquals(session.consumerCount, 1);
  assertThrows(() => session.addConsumer(there), InvariantError);
  assertThrows(() => session.removeConsumer(here), InvariantError);
});
