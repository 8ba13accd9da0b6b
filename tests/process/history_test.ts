/**
 * The history check itself: that it sees what it is there to see.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { History } from "./history.ts";

/** A history in which message 0 of publisher 0 was confirmed at offset 0. */
function oneConfirmed() {
  const history = new History(32);
  const publisher = history.publisher();
  const { number, body } = publisher.publish();
  publisher.confirm(number, { partition: 0, offset: 0 });
  return { history, publisher, consumer: history.consumer(), body };
}

Deno.test("History.check() accepts a message that was confirmed, delivered and acked", () => {
  const { history, consumer, body } = oneConfirmed();
  consumer.ack(consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body }));
  assertEquals(history.check(), []);
  assertEquals(history.isComplete, true);
});

Deno.test("History.check() accepts a delivery that comes again before its ack", () => {
  const { history, consumer, body } = oneConfirmed();
  consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body });
  history.consumer().deliver({ partition: 0, offset: 0, deliveryCount: 2, body });
  assertEquals(history.check(), []);
  assertEquals(history.totals.redelivered, 1);
});

Deno.test("History.check() sees a confirmed message that never came", () => {
  const { history } = oneConfirmed();
  assertEquals(history.check(), [
    "message 0:0 was confirmed at offset 0 of partition 0 and never came",
  ]);
});

Deno.test("History.check() sees a delivery after the ack was confirmed", () => {
  const { history, consumer, body } = oneConfirmed();
  consumer.ack(consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body }));
  history.consumer().deliver({ partition: 0, offset: 0, deliveryCount: 2, body });
  assertEquals(history.check(), ["message 0:0 came after its ack was confirmed"]);
});

Deno.test("History.check() sees a message that was stored twice", () => {
  const { history, consumer, body } = oneConfirmed();
  consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body });
  consumer.deliver({ partition: 0, offset: 1, deliveryCount: 1, body });
  assertEquals(history.check(), [
    "message 0:0 is stored twice: at offset 0 of partition 0 and offset 1 of partition 0",
  ]);
});

Deno.test("History.check() sees two messages at one place", () => {
  const { history, publisher, consumer, body } = oneConfirmed();
  consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body });
  const second = publisher.publish();
  publisher.confirm(second.number, { partition: 0, offset: 0 });
  assertEquals(history.check()[0], "messages 0:0 and 0:1 are both at offset 0 of partition 0");
});

Deno.test("History.check() sees a message that nobody published, and a damaged one", () => {
  const { history, consumer, body } = oneConfirmed();
  consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body });
  consumer.deliver({ partition: 0, offset: 1, deliveryCount: 1, body: body.replace("0:0", "0:7") });
  consumer.deliver({ partition: 0, offset: 2, deliveryCount: 1, body: body.slice(1) });
  assertEquals(history.check(), [
    "a message came from offset 1 of partition 0 that nobody published",
    "offset 2 of partition 0 has a damaged body",
  ]);
});

Deno.test("History.check() sees a message that was surely refused and came", () => {
  const { history, publisher, consumer, body } = oneConfirmed();
  consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body });
  const second = publisher.publish();
  publisher.fail(second.number, { maybeApplied: false });
  consumer.deliver({ partition: 0, offset: 1, deliveryCount: 1, body: second.body });
  assertEquals(history.check(), ["message 0:1 was refused and came"]);
});

Deno.test("History.check() sees that a publisher's messages were stored in another order", () => {
  const { history, publisher, consumer } = oneConfirmed();
  const bodies = [publisher.publish(), publisher.publish()];
  publisher.confirm(1, { partition: 0, offset: 2 });
  publisher.confirm(2, { partition: 0, offset: 1 });
  consumer.deliver({ partition: 0, offset: 1, deliveryCount: 1, body: bodies[1]!.body });
  consumer.deliver({ partition: 0, offset: 2, deliveryCount: 1, body: bodies[0]!.body });
  assertEquals(
    history.check().includes(
      "message 0:2 is at offset 1 of partition 0, before one that was published earlier",
    ),
    true,
  );
});

Deno.test("History.check() sees a consumer that gets messages out of order", () => {
  const { history, publisher, consumer, body } = oneConfirmed();
  const second = publisher.publish();
  publisher.confirm(second.number, { partition: 0, offset: 1 });
  consumer.deliver({ partition: 0, offset: 1, deliveryCount: 1, body: second.body });
  consumer.deliver({ partition: 0, offset: 0, deliveryCount: 1, body });
  assertEquals(history.check(), ["consumer 1 got offset 0 of partition 0 after 1"]);
});
