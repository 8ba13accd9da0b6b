import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { ErrorCode, SettleOperation, SettleStatus } from "../wire/mod.ts";
import { loseLeases, startConsumer } from "./_consumer_testing.ts";
import { FakeNetwork, type FakeServer, outcomeOf, refusal, settle } from "./_testing.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import type { Consumer } from "./consumer.ts";
import type { Delivery } from "./delivery.ts";
import {
  ClientClosedError,
  FlowMQError,
  LeaseExpiredError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";

async function take(consumer: Consumer): Promise<Delivery> {
  const { value } = await consumer.next();
  return value!;
}

Deno.test("consume() attaches to every partition and hands out what comes, in order", async () => {
  const { server, client, consumer, ids } = await startConsumer(2, { prefetch: 50 });
  assertEquals(
    server.requestsOf("attachConsumer").map((
      { partitionId, prefetch, held },
    ) => [partitionId, prefetch, held]),
    [[100, 25, []], [101, 25, []]],
  );
  const first = take(consumer);
  server.deliver(ids[0]!, 100, [{ offset: 7, body: "a", key: "k", headers: { h: "v" } }, {
    offset: 8,
    body: '{"b":1}',
  }]);
  server.deliver(ids[1]!, 101, [{ offset: 1, body: "c", deliveryCount: 3 }]);
  const a = await first;
  assertEquals([a.queue, a.partition, a.offset, a.deliveryCount, a.term, a.index], [
    "orders",
    0,
    7,
    1,
    3,
    50,
  ]);
  assertEquals([a.key, a.headers, a.text(), a.publishedAt.getTime()], [
    "k",
    { h: "v" },
    "a",
    1_700_000_000_000,
  ]);
  const b = await take(consumer);
  assertEquals([b.offset, b.key, b.headers, b.json()], [8, undefined, {}, { b: 1 }]);
  const c = await take(consumer);
  assertEquals([c.partition, c.offset, c.deliveryCount], [1, 1, 3]);
  await client.close();
});

Deno.test("consume() of an unknown queue is told by the first next()", async () => {
  const network = new FakeNetwork(1);
  const client = await network.connect();
  const consumer = client.queue("missing").consume();
  const error = await assertRejects(() => consumer.next(), QueueNotFoundError);
  assertEquals(error.queue, "missing");
  assertEquals((await consumer.next()).done, true);
  assertThrows(() => client.queue("missing").consume({ prefetch: 0 }), RangeError);
  await client.close();
});

Deno.test("a consumer that is bound to partitions attaches to those, and to none that come later", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  network.addQueue("orders", 4);
  const client = await network.connect();
  client.queue("orders").consume({ partitions: [3, 1], prefetch: 10 });
  await settle();
  const attached = () =>
    server.requestsOf("attachConsumer").map(({ partitionId, prefetch }) => [partitionId, prefetch]);
  assertEquals(attached(), [[103, 5], [101, 5]]);
  network.growQueue("orders", 8);
  const { consumerId } = server.requestsOf("attachConsumer")[0]!;
  server.queueGrown(consumerId, 103, 8);
  await settle();
  assertEquals(attached().length, 2);
  const error = await assertRejects(
    () => client.queue("orders").consume({ partitions: [0, 9] }).next(),
    FlowMQError,
    'Cannot consume from partition 9 of queue "orders" as it has partitions 0 to 7',
  );
  assertEquals(error.code, ErrorCode.partitionNotFound);
  for (const partitions of [[], [0, 0], [-1], [0.5], [1_024]]) {
    assertThrows(() => client.queue("orders").consume({ partitions }), RangeError, "current value");
  }
  await client.close();
});

Deno.test("acks of one turn travel in one frame", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, Array.from({ length: 5 }, (_, i) => ({ offset: i, body: "x" })));
  const deliveries = [];
  for (let i = 0; i < 5; i++) deliveries.push(await take(consumer));
  const results = await Promise.all(deliveries.map((delivery) => delivery.ack()));
  assertEquals(
    results.map(({ partition, offset, index }) => [partition, offset, index]),
    [0, 1, 2, 3, 4].map((i) => [0, i, 9]),
  );
  assertEquals(
    server.settles.map((
      { command },
    ) => [command.operation, command.offsets, command.deliveryCounts]),
    [
      [SettleOperation.ack, [0, 1, 2, 3, 4], [1, 1, 1, 1, 1]],
    ],
  );
  await client.close();
});

Deno.test("acks, nacks and extensions keep the order in which they were said", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [0, 1, 2].map((offset) => ({ offset, body: "x" })));
  const [a, b, c] = [await take(consumer), await take(consumer), await take(consumer)];
  await Promise.all([a.extendLease(), a.ack(), b.nack(), c.ack()]);
  assertEquals(server.settles.map(({ command }) => [command.operation, command.offsets]), [
    [SettleOperation.extend, [0]],
    [SettleOperation.ack, [0]],
    [SettleOperation.nack, [1]],
    [SettleOperation.ack, [2]],
  ]);
  await client.close();
});

Deno.test("nacks and rejections say when and why, and only those that say the same share a frame", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  const offsets = [0, 1, 2, 3, 4, 5];
  server.deliver(ids[0]!, 100, offsets.map((offset) => ({ offset, body: "x" })));
  const held: Delivery[] = [];
  for (const _ of offsets) held.push(await take(consumer));
  await Promise.all([
    held[0]!.nack({ delayMs: 5_000, reason: "busy" }),
    held[1]!.nack({ delayMs: 5_000, reason: "busy" }),
    held[2]!.nack({ delayMs: 0 }),
    held[3]!.nack(),
    held[4]!.reject("no such user"),
    held[5]!.reject(),
  ]);
  const said = server.settles.map(({ command }) => {
    const { operation, offsets, delayMs, reason } = command;
    return [operation, offsets, delayMs, reason];
  });
  assertEquals(said, [
    [SettleOperation.nack, [0, 1], 5_000, "busy"],
    [SettleOperation.nack, [2], 0, undefined],
    [SettleOperation.nack, [3], undefined, undefined],
    [SettleOperation.reject, [4], undefined, "no such user"],
    [SettleOperation.reject, [5], undefined, undefined],
  ]);
  await client.close();
});

Deno.test("a reason that is too long is cut off, a delay that cannot be is refused", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [0, 1].map((offset) => ({ offset, body: "x" })));
  const [a, b] = [await take(consumer), await take(consumer)];
  await assertRejects(() => a.nack({ delayMs: -1 }), RangeError, "current value is -1");
  await assertRejects(() => a.nack({ reason: 5 as unknown as string }), TypeError, "number");
  await Promise.all([a.nack({ reason: "ü".repeat(1_000) }), b.reject("🐇".repeat(1_000))]);
  const reasons = server.settles.map(({ command }) => command.reason!);
  assertEquals(reasons, ["ü".repeat(510) + "…", "🐇".repeat(255) + "…"]);
  await client.close();
});

Deno.test("the lease that a consumer asks for is asked for again after a lost connection", async () => {
  const { network, server, client, consumer } = await startConsumer(2, { leaseMs: 5_000 });
  server.dropConnections();
  await network.clock.advance(100);
  const leases = server.requestsOf("attachConsumer").map(({ leaseMs }) => leaseMs);
  assertEquals(leases, [5_000, 5_000, 5_000, 5_000]);
  for (const leaseMs of [0, 99, 86_400_001, 1.5]) {
    assertThrows(() => client.queue("orders").consume({ leaseMs }), RangeError, `is ${leaseMs}`);
  }
  await consumer.close();
  await client.close();
});

Deno.test("a delivery tells what its message was published with", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  const options = { ttlMs: 60_000, priority: 9, unique: "u" };
  server.deliver(ids[0]!, 100, [{ offset: 0, body: "x", options }, { offset: 1, body: "y" }]);
  const [a, b] = [await take(consumer), await take(consumer)];
  assertEquals([a.text(), a.options, b.text(), b.options], ["x", options, "y", {}]);
  await client.close();
});

Deno.test("a rejection that is repeated and finds the lease over is done", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 0, body: "x" }]);
  const delivery = await take(consumer);
  server.behaviour.settle = () => "silence";
  const pending = outcomeOf(delivery.reject("broken"));
  await settle();
  server.behaviour.settle = ({ command }) => ({
    kind: "settled",
    partitionId: command.partitionId,
    term: 1,
    index: 9,
    statuses: Uint8Array.of(SettleStatus.leaseLost),
  });
  server.dropConnections();
  await network.clock.advance(100);
  assertEquals(pending.value?.offset, 0);
  assertEquals(server.settles.map(({ command }) => command.reason), ["broken", "broken"]);
  await client.close();
});

/** What was extended so far, by offset. */
function extended(server: FakeServer): number[][] {
  return server.settles.filter(({ command }) => command.operation === SettleOperation.extend)
    .map(({ command }) => [...command.offsets]);
}

Deno.test("the client extends the leases of what takes long, and of nothing else", async () => {
  const { network, server, client, consumer, ids } = await startConsumer(1, { leaseMs: 3_000 });
  server.deliver(ids[0]!, 100, [0, 1, 2].map((offset) => ({ offset, body: "x" })));
  const [slow, quick] = [await take(consumer), await take(consumer)];
  await network.clock.advance(500);
  await quick.ack();
  assertEquals(extended(server), []);
  await network.clock.advance(1_000);
  server.deliver(ids[0]!, 100, [{ offset: 3, body: "later" }]);
  await network.clock.advance(1_000);
  // Offset 2 waits in the client, which holds it all the same; offset 3 is young.
  assertEquals(extended(server).at(-1), [0, 2]);
  await network.clock.advance(1_000);
  assertEquals(extended(server).at(-1), [0, 2, 3]);
  await slow.ack();
  await network.clock.advance(1_000);
  assertEquals(extended(server).at(-1), [2, 3]);
  await client.close();
});

Deno.test("leases are extended for as long as the consumer says, by its own lease or the queue's", async () => {
  const count = async (options: ConsumeOptions, ms: number) => {
    const { network, server, client, ids } = await startConsumer(1, options);
    server.deliver(ids[0]!, 100, [{ offset: 0, body: "x" }]);
    await network.clock.advance(ms);
    const extensions = extended(server).length;
    await client.close();
    return extensions;
  };
  assertEquals(await count({ leaseMs: 3_000, extendForMs: 0 }, 20_000), 0);
  const some = await count({ leaseMs: 3_000, extendForMs: 6_000 }, 60_000);
  assertEquals([some >= 4 && some <= 6, some], [true, some]);
  // The queue's lease is 30 s.
  const few = await count({}, 60_000);
  assertEquals([few >= 4 && few <= 5, few], [true, few]);
  const network = new FakeNetwork(1);
  const client = await network.connect();
  assertThrows(() => client.queue("q").consume({ extendForMs: -1 }), RangeError, "is -1");
  await client.close();
});

Deno.test("a lease that cannot be extended any more is not extended again", async () => {
  const { network, server, client, ids } = await startConsumer(1, { leaseMs: 3_000 });
  server.deliver(ids[0]!, 100, [{ offset: 0, body: "x" }]);
  server.behaviour.settle = ({ command }) => ({
    kind: "settled",
    partitionId: command.partitionId,
    term: 1,
    index: 9,
    statuses: Uint8Array.of(SettleStatus.leaseLost),
  });
  await network.clock.advance(20_000);
  assertEquals(extended(server).length, 1);
  await client.close();
});

Deno.test("while there is no connection nothing is extended, and afterwards at once", async () => {
  const { network, server, client, ids } = await startConsumer(1, { leaseMs: 3_000 });
  server.deliver(ids[0]!, 100, [{ offset: 0, body: "x" }]);
  await network.clock.advance(500);
  server.stop();
  await network.clock.advance(3_000);
  assertEquals(extended(server).length, 0);
  server.start();
  await network.clock.advance(700);
  assertEquals(extended(server).length, 1);
  await client.close();
});

Deno.test("an ack of a lost lease rejects, the others of its frame do not", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 4, body: "x" }, { offset: 5, body: "y" }]);
  const [a, b] = [await take(consumer), await take(consumer)];
  loseLeases(server, [5]);
  const [good, bad] = [outcomeOf(a.ack()), outcomeOf(b.ack())];
  await settle();
  assertEquals(good.value?.offset, 4);
  assertInstanceOf(bad.error, LeaseExpiredError);
  assertEquals([bad.error?.code, bad.error?.maybeApplied], [ErrorCode.leaseLost, false]);
  await client.close();
});

Deno.test("a delivery that comes twice is handed out once; a redelivery is handed out", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x" }]);
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x" }, { offset: 2, body: "y" }]);
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x", deliveryCount: 2 }]);
  await settle();
  const seen = [];
  for (let i = 0; i < 3; i++) {
    const { offset, deliveryCount } = await take(consumer);
    seen.push([offset, deliveryCount]);
  }
  assertEquals(seen, [[1, 1], [2, 1], [1, 2]]);
  const next = outcomeOf(consumer.next());
  await settle();
  assertEquals(next, {});
  await client.close();
});

Deno.test("after a lost connection the consumer says what it holds and repeats its acks", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [1, 2, 3, 4].map((offset) => ({ offset, body: `${offset}` })));
  const [first, second] = [await take(consumer), await take(consumer)];
  await first.ack();
  server.behaviour.settle = () => "silence";
  const pending = outcomeOf(second.ack());
  await settle();
  const { settle: settleAgain } = new FakeNetwork(1).servers[0]!.behaviour;
  server.behaviour.settle = settleAgain;
  server.dropConnections();
  await network.clock.advance(100);
  // Message 1 is acked for sure, the ack of 2 was still without an answer.
  const held = [2, 3, 4].map((offset) => ({ offset, deliveryCount: 1 }));
  assertEquals(server.requestsOf("attachConsumer").map((request) => request.held), [[], held]);
  assertEquals(pending.value?.offset, 2);
  assertEquals(server.settles.map(({ command }) => command.offsets), [[1], [2], [2]]);
  // The consumer is the same, and what it had is still its own.
  assertEquals(server.requestsOf("attachConsumer").map(({ consumerId }) => consumerId), [
    ids[0],
    ids[0],
  ]);
  assertEquals((await take(consumer)).offset, 3);
  await client.close();
});

Deno.test("a nack that is repeated and finds the lease over is done", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x" }]);
  const delivery = await take(consumer);
  server.behaviour.settle = () => "silence";
  const pending = outcomeOf(delivery.nack());
  await settle();
  server.behaviour.settle = ({ command }) => ({
    kind: "settled",
    partitionId: command.partitionId,
    term: 1,
    index: 9,
    statuses: new Uint8Array([SettleStatus.leaseLost]),
  });
  server.dropConnections();
  await network.clock.advance(100);
  assertEquals(pending.value?.offset, 1);
  await client.close();
});

Deno.test("when the session is forgotten its leases are over and the consumer begins anew", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "taken" }, {
    offset: 2,
    body: "not yet taken",
  }]);
  const taken = await take(consumer);
  const { attachSession } = server.behaviour;
  server.behaviour.attachSession = () => refusal(ErrorCode.sessionNotFound, "forgotten");
  server.dropConnections();
  await network.clock.advance(100);
  server.behaviour.attachSession = attachSession;
  await assertRejects(() => taken.ack(), LeaseExpiredError);
  const [, again] = server.requestsOf("attachConsumer");
  assert(again!.consumerId !== ids[0]);
  assertEquals(again!.held, []);
  assertEquals(server.requestsOf("openSession").length, 2);
  // What the old consumer had got and nobody had taken is not handed out any more.
  server.deliver(again!.consumerId, 100, [{ offset: 1, body: "again", deliveryCount: 2 }]);
  const next = await take(consumer);
  assertEquals([next.offset, next.deliveryCount], [1, 2]);
  await client.close();
});

Deno.test("sessionEnded makes the client attach again at once", async () => {
  const { network, server, client, ids } = await startConsumer();
  const sessionId = server.requestsOf("attachConsumer")[0]!.sessionId;
  server.endSession(sessionId, "leaderChanged");
  await network.clock.advance(50);
  assertEquals(server.requestsOf("attachSession").map((request) => request.sessionId), [sessionId]);
  assertEquals(server.requestsOf("attachConsumer").map(({ consumerId }) => consumerId), [
    ids[0],
    ids[0],
  ]);
  await client.close();
});

Deno.test("an ack that nobody answers fails in time", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x" }]);
  const delivery = await take(consumer);
  server.behaviour.settle = () => "silence";
  const pending = outcomeOf(delivery.ack());
  await network.clock.advance(31_000);
  assertInstanceOf(pending.error, RequestTimeoutError);
  assertEquals(pending.error?.maybeApplied, true);
  await client.close();
});

Deno.test("leaving the loop gives back what is held, after what was said has been answered", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [1, 2, 3].map((offset) => ({ offset, body: "x" })));
  let ack;
  for await (const delivery of consumer) {
    ack = delivery.ack();
    break;
  }
  assertEquals((await ack!).offset, 1);
  const kinds = server.requests.map(({ request }) => request.kind);
  assertEquals(kinds.slice(-2), ["settle", "detachConsumer"]);
  assertEquals((await consumer.next()).done, true);
  await client.close();
});

Deno.test("a delivery of a closed consumer cannot be settled", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x" }]);
  const delivery = await take(consumer);
  await consumer.close();
  await assertRejects(() => delivery.ack(), LeaseExpiredError);
  await client.close();
  await assertRejects(() => delivery.ack(), ClientClosedError);
});

Deno.test("a consumer that could not be detached is detached when the connection is back", async () => {
  const { network, server, client, consumer } = await startConsumer();
  server.stop();
  await settle();
  const closed = outcomeOf(consumer.close());
  await network.clock.advance(50);
  assertEquals(server.requestsOf("detachConsumer"), []);
  server.start();
  await network.clock.advance(1_000);
  assert("value" in closed);
  assertEquals(server.requestsOf("detachConsumer").length, 1);
  assertEquals(server.requestsOf("attachConsumer").length, 1);
  await client.close();
});

Deno.test("a draining consumer ends when all partitions have nothing more", async () => {
  const { server, client, consumer, ids } = await startConsumer(2, { drain: true });
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "a" }]);
  server.drained(ids[0]!, 100);
  const bodies: string[] = [];
  const loop = (async () => {
    for await (const delivery of consumer) {
      bodies.push(delivery.text());
      await delivery.ack();
    }
    return "ended";
  })();
  const outcome = outcomeOf(loop);
  await settle();
  assertEquals([bodies, outcome.value], [["a"], undefined]);
  server.deliver(ids[1]!, 101, [{ offset: 1, body: "b" }]);
  server.drained(ids[1]!, 101);
  await settle();
  assertEquals([bodies, outcome.value], [["a", "b"], "ended"]);
  assertEquals(server.requestsOf("detachConsumer").length, 2);
  await client.close();
});

Deno.test("what a draining consumer has handed out can be settled after the end", async () => {
  const { server, client, consumer, ids } = await startConsumer(1, { drain: true });
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "a" }, { offset: 2, body: "b" }]);
  server.drained(ids[0]!, 100);
  const taken = [];
  for await (const delivery of consumer) taken.push(delivery);
  await settle();
  // It keeps what it holds, and asks for nothing more.
  assertEquals(server.requestsOf("detachConsumer"), []);
  const { prefetch, held } = server.requestsOf("attachConsumer").at(-1)!;
  assertEquals([prefetch, held.length], [1, 2]);
  await taken[0]!.ack();
  assertEquals(server.requestsOf("detachConsumer"), []);
  await taken[1]!.ack();
  await settle();
  assertEquals(server.requestsOf("detachConsumer").length, 1);
  await client.close();
});

Deno.test("a draining consumer that still gets something has lost its leases and detaches", async () => {
  const { server, client, consumer, ids } = await startConsumer(1, { drain: true });
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "a" }]);
  server.drained(ids[0]!, 100);
  for await (const _ of consumer);
  server.deliver(ids[0]!, 100, [{ offset: 9, body: "new" }]);
  await settle();
  assertEquals(server.requestsOf("detachConsumer").length, 1);
  await client.close();
});

Deno.test("aborting the signal ends the iteration with its reason", async () => {
  const controller = new AbortController();
  const { server, client, consumer, ids } = await startConsumer(1, { signal: controller.signal });
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "a" }]);
  await take(consumer);
  const waiting = outcomeOf(consumer.next());
  await settle();
  const reason = new Error("enough");
  controller.abort(reason);
  await settle();
  assertEquals(waiting.error as unknown, reason);
  assertEquals((await consumer.next()).done, true);
  assertEquals(server.requestsOf("detachConsumer").length, 1);
  await client.close();
});

Deno.test("closing the client ends a loop that waits", async () => {
  const { network, server, client, consumer } = await startConsumer();
  const waiting = outcomeOf(consumer.next());
  await settle();
  await client.close();
  await settle();
  assertEquals(waiting.value, { done: true, value: undefined });
  assertEquals(server.requests.slice(-2).map(({ request }) => request.kind), [
    "detachConsumer",
    "closeSession",
  ]);
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("a consumer is told when its queue is deleted, and its deliveries are over", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "x" }]);
  const delivery = await take(consumer);
  const waiting = outcomeOf(consumer.next());
  server.endConsumer(ids[0]!, 100);
  await settle();
  assertInstanceOf(waiting.error, QueueNotFoundError);
  await assertRejects(() => delivery.ack(), LeaseExpiredError);
  await client.close();
  assertEquals(server.requestsOf("detachConsumer"), []);
});

Deno.test("a queue that is gone when the client attaches again ends its consumers", async () => {
  const { network, server, client, consumer } = await startConsumer();
  const waiting = outcomeOf(consumer.next());
  server.behaviour.attachConsumer = () => refusal(ErrorCode.partitionNotFound, "gone");
  server.dropConnections();
  await network.clock.advance(100);
  assertInstanceOf(waiting.error, QueueNotFoundError);
  await client.close();
});

Deno.test("a consumer takes nothing from a leader that has been succeeded", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  const next = outcomeOf(take(consumer));
  network.term = 0;
  server.deliver(ids[0]!, 100, [{ offset: 1, body: "acked with the next leader" }]);
  server.drained(ids[0]!, 100);
  await settle();
  assertEquals(next, {});
  network.term = 1;
  server.deliver(ids[0]!, 100, [{ offset: 2, body: "new" }]);
  await settle();
  assertEquals(next.value?.offset, 2);
  await client.close();
});
