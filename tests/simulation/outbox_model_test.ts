import { assertEquals, assertThrows } from "@std/assert";
import type { Transfer } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";
import { nameOfDead } from "./message_name.ts";
import { OutboxModel } from "./outbox_model.ts";

const entry: Entry = { index: 9, term: 1, kind: 0, data: new Uint8Array() };
const death = {
  queue: "jobs",
  partition: 1,
  offset: 7,
  deliveryCount: 3,
  reason: "rejected",
} as const;
const deadQueue = { queue: "jobs.dead", partition: 0 };
const target = { queue: "mail", partition: 2 };
const deadName = nameOfDead("a", death);

const deadTransfer = (id: number): Transfer => {
  return { id, target: deadQueue, entryIndex: 4, position: 0, death: { ...death, atMs: 0 } };
};
const postedTransfer = (id: number, position = 0): Transfer => {
  return { id, target, entryIndex: 9, position };
};

/** With a dead letter, 1, and two messages for another queue, 2 and 3. */
function setUp(): OutboxModel {
  const outbox = new OutboxModel((invariant, _, details) => {
    throw new Error(`${invariant}: ${details}`);
  });
  outbox.bury("a", death);
  outbox.post(9, 0, "b", target);
  outbox.post(9, 1, "c", target);
  outbox.settle(entry, [deadTransfer(1), postedTransfer(2), postedTransfer(3, 1)]);
  return outbox;
}

Deno.test("OutboxModel follows messages to where they are to go", () => {
  const outbox = setUp();
  assertEquals(outbox.arrive(entry, deadQueue, 1, 1, [deadName]), 1);
  assertEquals(outbox.arrive(entry, target, 2, 3, ["b", "c"]), 0);
  outbox.done(entry, [1, 2, 3]);
  outbox.done(entry, [1]);
  assertEquals(outbox.size, 0);
});

Deno.test("OutboxModel finds a message that is not on its way, or that nobody sent", () => {
  const outbox = setUp();
  outbox.bury("d", { ...death, offset: 8 });
  assertThrows(() => outbox.settle(entry, []), Error, "is on its way");
  assertThrows(() => setUp().settle(entry, [deadTransfer(4)]), Error, "into the outbox once");
  const other = setUp();
  other.post(9, 2, "e", deadQueue);
  assertThrows(() => other.settle(entry, [postedTransfer(4, 2)]), Error, "into the outbox once");
});

Deno.test("OutboxModel finds a message that arrives twice, too early, or as another one", () => {
  const outbox = setUp();
  outbox.arrive(entry, target, 2, 3, ["b", "c"]);
  assertThrows(() => outbox.arrive(entry, target, 2, 3, ["b", "c"]), Error, "moves once");
  assertThrows(() => setUp().arrive(entry, target, 3, 2, ["c", "b"]), Error, "arrives");
  assertThrows(() => setUp().arrive(entry, target, 2, 3, ["b"]), Error, "arrives");
  const twice = nameOfDead("a", { ...death, deliveryCount: 2 });
  assertThrows(() => setUp().arrive(entry, deadQueue, 1, 1, [twice]), Error, "arrives");
});

Deno.test("OutboxModel finds a message that leaves before it has arrived", () => {
  assertThrows(() => setUp().done(entry, [2]), Error, "only what has arrived");
});
