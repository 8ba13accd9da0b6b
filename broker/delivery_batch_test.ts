import { assertEquals } from "@std/assert";
import { DeliveryBatch } from "./delivery_batch.ts";

/** What is still to be sent, as offsets and entry indexes. */
function unsent(batch: DeliveryBatch): [number, number][] {
  const left: [number, number][] = [];
  for (let i = batch.next; i < batch.count; i++) {
    left.push([batch.offset[i]!, batch.entryIndex[i]!]);
  }
  return left;
}

function setUp(): DeliveryBatch {
  const batch = new DeliveryBatch();
  batch.reset(1, 2, 3);
  for (let offset = 10; offset < 16; offset++) batch.add(offset, 1, 100 + offset, 0);
  return batch;
}

Deno.test("DeliveryBatch.keepUnsent() drops what was sent and what is not kept, in order", () => {
  const batch = setUp();
  batch.next = 2;
  batch.keepUnsent((offset, deliveryCount) => offset % 2 === 0 && deliveryCount === 1);
  assertEquals(unsent(batch), [[12, 112], [14, 114]]);
});

Deno.test("DeliveryBatch.reset() leaves nothing of whoever had it before", () => {
  const batch = setUp();
  batch.drained = true;
  batch.next = 6;
  batch.reset(4, 5, 6);
  assertEquals([batch.sessionId, batch.consumerId, batch.partitionId], [4, 5, 6]);
  assertEquals([unsent(batch), batch.drained], [[], false]);
  batch.add(20, 2, 120, 1);
  assertEquals(unsent(batch), [[20, 120]]);
});
