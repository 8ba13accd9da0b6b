import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { ErrorCode, SettleOperation } from "../wire/mod.ts";
import { loseLeases, startConsumer } from "./_consumer_testing.ts";
import { FakeNetwork, type FakeServer, settle } from "./_testing.ts";
import type { ConsumerBatch } from "./consumer_batch.ts";
import {
  BatchSettleError,
  ClientClosedError,
  LeaseExpiredError,
  RequestTimeoutError,
} from "./errors.ts";
import { clientLimits } from "./options.ts";

function messages(from: number, to: number): { offset: number; body: string }[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({ offset: from + i, body: "x" }));
}

async function next(batches: AsyncIterator<ConsumerBatch>): Promise<ConsumerBatch> {
  return (await batches.next()).value;
}

function offsetsOf(batch: ConsumerBatch): number[] {
  return [...batch].map(({ offset }) => offset);
}

/** What was said, a frame each. */
function words(server: FakeServer): [SettleOperation, readonly number[]][] {
  return server.settles.map(({ command }) => [command.operation, command.offsets]);
}

/** What a batch that fails says. */
function failureOf(settled: Promise<void>): Promise<BatchSettleError> {
  return assertRejects(() => settled, BatchSettleError);
}

Deno.test("a batch has what has come, in order, and no more than was asked for", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  const batches = consumer.batches(3);
  const waiting = next(batches);
  server.deliver(ids[0]!, 100, messages(1, 5));
  const first = await waiting;
  assertEquals([first.length, offsetsOf(first)], [3, [1, 2, 3]]);
  assertEquals(offsetsOf(await next(batches)), [4, 5]);
  await client.close();
});

Deno.test("a batch is acked in one frame", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 4));
  const batch = await next(consumer.batches(10));
  await batch.ack();
  assertEquals(words(server), [[SettleOperation.ack, [1, 2, 3, 4]]]);
  await client.close();
});

Deno.test("batches of several partitions go to each in one frame", async () => {
  const { server, client, consumer, ids } = await startConsumer(2);
  server.deliver(ids[0]!, 100, messages(1, 2));
  server.deliver(ids[1]!, 101, messages(7, 8));
  await settle();
  const batch = await next(consumer.batches(10));
  assertEquals(batch.deliveries.map(({ partition }) => partition), [0, 0, 1, 1]);
  await batch.nack({ delayMs: 5, reason: "later" });
  assertEquals(words(server), [[SettleOperation.nack, [1, 2]], [SettleOperation.nack, [7, 8]]]);
  for (const { command } of server.settles) {
    assertEquals([command.delayMs, command.reason], [5, "later"]);
  }
  await client.close();
});

Deno.test("what was settled one by one is not settled again with its batch", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 4));
  const batch = await next(consumer.batches(10));
  const [acked, rejected, nacked] = batch.deliveries;
  const alone = [acked!.ack(), rejected!.reject("no good"), nacked!.nack()];
  await batch.ack();
  await Promise.all(alone);
  assertEquals(words(server), [
    [SettleOperation.ack, [1]],
    [SettleOperation.reject, [2]],
    [SettleOperation.nack, [3]],
    [SettleOperation.ack, [4]],
  ]);
  await client.close();
});

Deno.test("a batch of which everything was settled one by one has nothing more to say", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 1));
  const batch = await next(consumer.batches(10));
  await batch.deliveries[0]!.ack();
  await batch.reject("too late");
  assertEquals(words(server).length, 1);
  await client.close();
});

Deno.test("a lost lease of a batch is told with its message, the others are acked", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(4, 7));
  const batch = await next(consumer.batches(10));
  loseLeases(server, [5, 7]);
  const error = await failureOf(batch.ack());
  assertEquals([...error.failures.keys()].map(({ offset }) => offset), [5, 7]);
  for (const one of error.failures.values()) assertInstanceOf(one, LeaseExpiredError);
  assertEquals([error.code, error.maybeApplied], [ErrorCode.leaseLost, false]);
  assertEquals(
    error.message,
    "Cannot settle 2 of 4 messages, the first of them: " +
      error.failures.get(batch.deliveries[1]!)!.message,
  );
  await client.close();
});

Deno.test("a batch shares its frame with what others say, and hears of its own messages only", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 4));
  const batches = consumer.batches(2);
  const [a, b] = [await next(batches), await next(batches)];
  loseLeases(server, [1, 4]);
  const failures = await Promise.all([failureOf(a.ack()), failureOf(b.ack())]);
  assertEquals(words(server), [[SettleOperation.ack, [1, 2, 3, 4]]]);
  assertEquals(
    failures.map(({ failures }) => [...failures.keys()].map(({ offset }) => offset)),
    [[1], [4]],
  );
  await client.close();
});

Deno.test("a batch that is longer than a frame goes in several", async () => {
  const { server, client, consumer, ids } = await startConsumer(1, { prefetch: 10_000 });
  const count = clientLimits.settleCountSoft + 10;
  server.deliver(ids[0]!, 100, messages(1, count));
  const batches = consumer.batches(count);
  const batch = await next(batches);
  loseLeases(server, [count]);
  const error = await failureOf(batch.ack());
  assertEquals([...error.failures.keys()].map(({ offset }) => offset), [count]);
  assertEquals(
    server.settles.map(({ command }) => command.offsets.length),
    [clientLimits.settleCountSoft, 10],
  );
  await client.close();
});

Deno.test("a batch that nobody answers fails in time, each of its messages", async () => {
  const { network, server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 2));
  const batch = await next(consumer.batches(10));
  server.behaviour.settle = () => "silence";
  const failure = failureOf(batch.ack());
  await network.clock.advance(31_000);
  const error = await failure;
  assertEquals([error.failures.size, error.maybeApplied], [2, true]);
  assertInstanceOf(error.cause, RequestTimeoutError);
  await client.close();
});

Deno.test("a batch of a lost life, or of a closed client, cannot be settled", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 1));
  const lost = await next(consumer.batches(10));
  await consumer.close();
  const tooLate = await failureOf(lost.ack());
  assertInstanceOf(tooLate.cause, LeaseExpiredError);
  await client.close();
  const closed = await failureOf(lost.nack());
  assertInstanceOf(closed.cause, ClientClosedError);
});

Deno.test("leaving a loop of batches gives back what is held", async () => {
  const { server, client, consumer, ids } = await startConsumer();
  server.deliver(ids[0]!, 100, messages(1, 3));
  for await (const batch of consumer.batches(2)) {
    assertEquals(offsetsOf(batch), [1, 2]);
    break;
  }
  assertEquals(server.requestsOf("detachConsumer").length, 1);
  await client.close();
});

Deno.test("batches of a draining consumer can be settled after the end", async () => {
  const { server, client, consumer, ids } = await startConsumer(1, { drain: true });
  server.deliver(ids[0]!, 100, messages(1, 3));
  server.drained(ids[0]!, 100);
  const taken = [];
  for await (const batch of consumer.batches(2)) taken.push(batch);
  assertEquals(taken.map(offsetsOf), [[1, 2], [3]]);
  await settle();
  assertEquals(server.requestsOf("detachConsumer"), []);
  for (const batch of taken) await batch.ack();
  await settle();
  assertEquals(server.requestsOf("detachConsumer").length, 1);
  await client.close();
});

Deno.test("batches of a queue that is not there throw, and a size that cannot be is refused", async () => {
  const network = new FakeNetwork(1);
  const client = await network.connect();
  const consumer = client.queue("missing").consume();
  for (const countMax of [0, -1, 1.5, NaN]) {
    assertThrows(() => consumer.batches(countMax), RangeError, `current value is ${countMax}`);
  }
  await assertRejects(() => consumer.batches(5).next(), Error, "missing");
  await client.close();
});
