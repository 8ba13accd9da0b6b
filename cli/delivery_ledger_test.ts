import { assertEquals, assertThrows } from "@std/assert";
import { DeliveryLedger } from "./delivery_ledger.ts";

/** Takes messages from publish to ack. */
function carry(ledger: DeliveryLedger, ...numbers: number[]): void {
  for (const number of numbers) {
    ledger.publish(number);
    ledger.confirm(number);
    ledger.deliver(number, true);
    ledger.ack(number);
  }
}

Deno.test("DeliveryLedger finds nothing wrong where every message came once", () => {
  const ledger = new DeliveryLedger(3);
  carry(ledger, 2, 0, 1);
  assertEquals(ledger.complete, true);
  assertEquals(ledger.verdict(), {
    published: 3,
    confirmed: 3,
    delivered: 3,
    redelivered: 0,
    acked: 3,
    lost: 0,
    duplicated: 0,
    corrupted: 0,
    ok: true,
  });
});

Deno.test("DeliveryLedger calls a confirmed message that never came lost", () => {
  const ledger = new DeliveryLedger(2);
  carry(ledger, 0);
  ledger.publish(1);
  assertEquals(ledger.verdict().lost, 0);
  ledger.confirm(1);
  assertEquals(ledger.verdict().lost, 1);
  assertEquals(ledger.verdict().ok, false);
});

Deno.test("DeliveryLedger tells a redelivery from a duplicate by the ack", () => {
  const ledger = new DeliveryLedger(1);
  ledger.publish(0);
  ledger.confirm(0);
  ledger.deliver(0, true);
  ledger.deliver(0, true);
  ledger.ack(0);
  assertEquals([ledger.verdict().redelivered, ledger.verdict().ok], [1, true]);
  ledger.deliver(0, true);
  assertEquals([ledger.verdict().duplicated, ledger.verdict().ok], [1, false]);
});

Deno.test("DeliveryLedger finds bodies that changed and messages nobody published", () => {
  const ledger = new DeliveryLedger(3);
  carry(ledger, 0, 1);
  ledger.publish(2);
  ledger.confirm(2);
  ledger.deliver(2, false);
  ledger.ack(2);
  ledger.deliver(3, true);
  ledger.deliver(NaN, true);
  assertEquals(ledger.verdict().corrupted, 3);
  assertEquals(ledger.verdict().ok, false);
});

Deno.test("DeliveryLedger counts a message that came before its confirmation", () => {
  const ledger = new DeliveryLedger(1);
  ledger.publish(0);
  ledger.deliver(0, true);
  ledger.ack(0);
  ledger.confirm(0);
  assertEquals(ledger.verdict().ok, true);
});

Deno.test("DeliveryLedger.verdict() is not ok before the work is done", () => {
  const ledger = new DeliveryLedger(2);
  carry(ledger, 0);
  assertEquals(ledger.verdict().ok, false);
});

Deno.test("DeliveryLedger.publish() refuses a number that was used", () => {
  const ledger = new DeliveryLedger(1);
  ledger.publish(0);
  assertThrows(() => ledger.publish(0), TypeError, "published before");
});

Deno.test("DeliveryLedger grows where nobody said how many messages there will be", () => {
  const ledger = new DeliveryLedger();
  for (let number = 0; number < 5_000; number++) carry(ledger, number);
  assertEquals([ledger.complete, ledger.verdict().ok, ledger.verdict().acked], [true, true, 5_000]);
  ledger.publish(90_000);
  assertEquals(ledger.complete, false);
  ledger.confirm(90_000);
  assertEquals(ledger.verdict().lost, 1);
});
