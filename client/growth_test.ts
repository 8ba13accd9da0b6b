import { assertEquals, assertInstanceOf } from "@std/assert";
import { ErrorCode } from "../wire/mod.ts";
import {
  FakeNetwork,
  type FakeServer,
  outcomeOf,
  type ReceivedPublish,
  refusal,
  settle,
} from "./_testing.ts";
import { QueueNotFoundError, RequestTimeoutError } from "./errors.ts";
import { partitionOfKey } from "./key_hash.ts";

/** Refuses as a cluster does: what was placed knowing fewer partitions is not stored. */
function refuseWhatKnewFewer(server: FakeServer): void {
  server.behaviour.publish = (received) => {
    const known = received.command.partitionCount || Infinity;
    const { length } = server.network.queues.get("orders")!.partitions;
    return known < length
      ? refusal(ErrorCode.queueGrown, "there are more")
      : server.published(received);
  };
}

/** What was published to each partition, in order. */
function bodiesByPartition(publishes: readonly ReceivedPublish[]): Record<number, string[]> {
  const bodies: Record<number, string[]> = {};
  for (const { command, bodies: more } of publishes) {
    (bodies[command.partitionId % 100] ??= []).push(...more);
  }
  return bodies;
}

Deno.test("publish() places anew, in order, what was refused as the queue has more partitions", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 1);
  refuseWhatKnewFewer(server);
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("first", { key: "a" });
  network.growQueue("orders", 4);
  const keys = Array.from({ length: 12 }, (_, i) => `key-${i % 6}`);
  const receipts = [
    ...keys.map((key, i) => queue.publish(`${key} ${i}`, { key })),
    queue.publish("none"),
    queue.publish("unique", { unique: "u" }),
  ];
  await settle();
  // Meanwhile others line up behind.
  receipts.push(...keys.map((key, i) => queue.publish(`${key} ${i + 12}`, { key })));
  const places = await Promise.all(receipts);
  const stored = server.publishes.filter(({ command }) => command.partitionCount === 4);
  const expected: Record<number, string[]> = {};
  for (const i of keys.keys()) {
    (expected[partitionOfKey(keys[i]!, 4)] ??= []).push(`${keys[i]} ${i}`);
  }
  (expected[0] ??= []).push("none");
  (expected[partitionOfKey("u", 4)] ??= []).push("unique");
  for (const i of keys.keys()) expected[partitionOfKey(keys[i]!, 4)]!.push(`${keys[i]} ${i + 12}`);
  assertEquals(bodiesByPartition(stored), expected);
  assertEquals(
    places.slice(0, 12).map(({ partition }) => partition),
    keys.map((key) => {
      return partitionOfKey(key, 4);
    }),
  );
  // The numbers of the old partition go on behind the only message that it has taken.
  const old = stored.filter(({ command }) => command.partitionId === 100);
  assertEquals(old[0]?.command.baseSequence, 1);
  await client.close();
});

Deno.test("a publish of unknown fate is decided before anything is placed anew", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 1);
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("before", { key: "a" });
  // Stored, and nobody hears of it.
  server.behaviour.publish = () => "silence";
  const lost = outcomeOf(queue.publish("lost", { key: "a" }));
  await settle();
  const refused = outcomeOf(queue.publish("refused", { key: "a" }));
  await settle();
  network.growQueue("orders", 4);
  let isKnown = false;
  server.behaviour.publish = (received) => {
    const { partitionCount = 0, baseSequence } = received.command;
    if (partitionCount === 4) return server.published(received);
    if (baseSequence > 1) return refusal(ErrorCode.queueGrown, "there are more");
    return isKnown ? server.published(received, true) : refusal(ErrorCode.overloaded, "wait");
  };
  server.dropConnections();
  await network.clock.advance(1_000);
  await settle();
  // The later one is refused, and the earlier one is still tried.
  assertEquals([lost, refused], [{}, {}]);
  assertEquals(server.publishes.some(({ command }) => command.partitionCount === 4), false);
  isKnown = true;
  await network.clock.advance(2_000);
  await settle();
  assertEquals(lost.value?.duplicate, true);
  assertEquals(refused.value?.partition, partitionOfKey("a", 4));
  await client.close();
});

Deno.test("publishes fail when their queue is deleted while it grows", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 1);
  refuseWhatKnewFewer(server);
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("first", { key: "a" });
  network.growQueue("orders", 2);
  server.behaviour.findQueue = () => refusal(ErrorCode.queueNotFound, "no such queue");
  const outcome = outcomeOf(queue.publish("second", { key: "a" }));
  await settle();
  assertInstanceOf(outcome.error, QueueNotFoundError);
  assertEquals(outcome.error?.maybeApplied, false);
  await client.close();
});

Deno.test("a publish that has to wait for a queue that grows is tried again, and tells why in the end", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 1);
  let isOver = false;
  server.behaviour.publish = (received) =>
    isOver ? server.published(received) : refusal(ErrorCode.queueGrowing, "is getting more");
  const client = await network.connect();
  const queue = client.queue("orders");
  const late = outcomeOf(queue.publish("late", { unique: "u", timeoutMs: 500 }));
  await settle();
  await network.clock.advance(1_000);
  await settle();
  assertEquals([late.error?.code, late.error?.maybeApplied], [ErrorCode.queueGrowing, false]);
  const patient = outcomeOf(queue.publish("patient", { unique: "v" }));
  await network.clock.advance(1_000);
  isOver = true;
  await network.clock.advance(2_000);
  await settle();
  assertEquals(patient.value?.offset, 0);
  await client.close();
});

Deno.test("a consumer attaches to partitions that its queue gets, and shares its prefetch anew", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 1);
  const client = await network.connect();
  const consumer = client.queue("orders").consume({ prefetch: 12 });
  await settle();
  const attached = () =>
    server.requestsOf("attachConsumer").map(({ partitionId, prefetch, partitionCount }) => {
      return [partitionId, prefetch, partitionCount];
    });
  assertEquals(attached(), [[100, 12, 1]]);
  const { consumerId } = server.requestsOf("attachConsumer")[0]!;
  network.growQueue("orders", 3);
  server.queueGrown(consumerId, 100, 3);
  // Each of the partitions says so.
  server.queueGrown(consumerId, 100, 3);
  await settle();
  assertEquals(attached().slice(1), [[100, 4, 3], [101, 4, 3], [102, 4, 3]]);
  const next = consumer.next();
  const newest = server.requestsOf("attachConsumer").at(-1)!;
  server.deliver(newest.consumerId, 102, [{ offset: 0, body: "hello" }]);
  await settle();
  assertEquals((await next).value?.text(), "hello");
  await client.close();
});

Deno.test("a producer that was given up comes to its end while its queue grows", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 1);
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("before", { key: "a" });
  // Nobody hears what becomes of these: the first is given up, and what comes behind has a new session.
  server.behaviour.publish = () => "silence";
  const givenUp = outcomeOf(queue.publish("given up", { key: "a", timeoutMs: 1_000 }));
  await settle();
  const sent = outcomeOf(queue.publish("sent", { key: "a" }));
  await settle();
  await network.clock.advance(1_200);
  const next = outcomeOf(queue.publish("next", { key: "a" }));
  await settle();
  assertInstanceOf(givenUp.error, RequestTimeoutError);
  network.growQueue("orders", 4);
  refuseWhatKnewFewer(server);
  server.dropConnections();
  await network.clock.advance(1_000);
  await settle();
  assertEquals([sent.error, next.error], [undefined, undefined]);
  const stored = server.publishes.filter(({ command }) => command.partitionCount === 4);
  assertEquals(bodiesByPartition(stored), { [partitionOfKey("a", 4)]: ["sent", "next"] });
  await client.close();
});

Deno.test("a queue that is made anew, with fewer partitions, while it grows is found", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  const { findQueue } = server.behaviour;
  network.addQueue("orders", 2);
  refuseWhatKnewFewer(server);
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("first", { key: "a" });
  network.growQueue("orders", 4);
  server.behaviour.findQueue = () => refusal(ErrorCode.noLeader, "no leader");
  const refused = outcomeOf(queue.publish("refused", { key: "a" }));
  await settle();
  network.addQueue("another");
  network.queues.delete("orders");
  network.addQueue("orders", 2);
  server.behaviour.findQueue = findQueue;
  await network.clock.advance(3_000);
  await settle();
  assertInstanceOf(refused.error, QueueNotFoundError);
  const next = outcomeOf(queue.publish("next", { key: "a" }));
  await network.clock.advance(3_000);
  await settle();
  assertEquals(next.value?.offset, 0);
  await client.close();
});

Deno.test("a consumer that cannot learn of new partitions asks again after a pause", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  const { findQueue } = server.behaviour;
  network.addQueue("orders", 1);
  const client = await network.connect();
  const consumer = client.queue("orders").consume();
  await settle();
  const { consumerId } = server.requestsOf("attachConsumer")[0]!;
  const asked = () => server.requestsOf("findQueue").length;
  const before = asked();
  server.behaviour.findQueue = () => refusal(ErrorCode.invalidArgument, "not so");
  network.growQueue("orders", 2);
  server.queueGrown(consumerId, 100, 2);
  await settle();
  assertEquals(asked() - before, 1);
  server.behaviour.findQueue = findQueue;
  await network.clock.advance(2_000);
  assertEquals(
    server.requestsOf("attachConsumer").map(({ partitionId }) => partitionId).at(-1),
    101,
  );
  await consumer.close();
  await client.close();
  assertEquals(network.clock.timerCount, 0);
});
