/**
 * Looking into queues of running nodes.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { type Client, connect, ErrorCode, FlowMQError, type PeekedMessage } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

async function clientOf(cluster: TestCluster, node = 1, name = "test"): Promise<Client> {
  return await connect(formatAddress(cluster.address(node)), { name, requestTimeoutMs: 20_000 });
}

async function all(messages: AsyncIterable<PeekedMessage>): Promise<PeekedMessage[]> {
  return await Array.fromAsync(messages);
}

const textOf = (message: PeekedMessage) => message.text();

Deno.test("peek() shows messages of all partitions, oldest first, page by page, from any node", async () => {
  await using cluster = await TestCluster.start(3, { shards: 2 });
  await using client = await clientOf(cluster);
  await client.createQueue("jobs", { partitions: 2 });
  const queue = client.queue("jobs");
  const texts = Array.from({ length: 12 }, (_, i) => `message ${i}`);
  // One at a time, so that they are published one after the other.
  for (const [i, text] of texts.entries()) {
    await queue.publish(text, { key: `key ${i % 5}`, headers: { number: String(i) } });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  for (const node of [1, 2, 3]) {
    await using other = await clientOf(cluster, node);
    const seen = await all(other.queue("jobs").peek({ pageSize: 2 }));
    assertEquals(seen.map(textOf), texts);
    assertEquals(new Set(seen.map(({ partition }) => partition)), new Set([0, 1]));
  }
  const [first] = await all(queue.peek());
  assertEquals([first!.key, first!.headers, first!.state, first!.deliveryCount], [
    "key 0",
    { number: "0" },
    "ready",
    0,
  ]);
  assertEquals((await queue.info()).ready, 12);
});

Deno.test("peek() picks by state, key, offset and time", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster);
  const queue = client.queue("jobs");
  const pausesMs: number[] = [];
  for (let i = 0; i < 40; i++) {
    await queue.publish(`message ${i}`, { key: i % 2 === 0 ? "even" : "odd" });
    if (i % 10 !== 9) continue;
    // The nodes have the same clock as the test.
    await new Promise((resolve) => setTimeout(resolve, 5));
    pausesMs.push(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await using consumer = queue.consume({ prefetch: 8 });
  for (let i = 0; i < 8; i++) {
    const { value } = await consumer.next();
    if (i >= 4) await value!.ack();
  }
  // Its acks let others come: 4 to 7 are gone, 0 to 3 and 8 to 11 are leased.
  const offsets = async (options: Parameters<typeof queue.peek>[0]) =>
    (await all(queue.peek({ pageSize: 3, ...options }))).map(({ offset }) => offset);
  assertEquals(await offsets({ state: "leased" }), [0, 1, 2, 3, 8, 9, 10, 11]);
  assertEquals((await offsets({ state: "ready" }))[0], 12);
  assertEquals((await offsets({})).length, 36);
  assertEquals((await offsets({ key: "odd" })).slice(0, 4), [1, 3, 9, 11]);
  assertEquals(await offsets({ key: "none" }), []);
  assertEquals(await offsets({ offset: 38 }), [38, 39]);
  const [, from, to, end] = pausesMs;
  const third = Array.from({ length: 10 }, (_, i) => 20 + i);
  assertEquals(await offsets({ from: from!, to: new Date(to!) }), third);
  assertEquals(await offsets({ from: end! }), []);
  assertEquals((await offsets({ from: 0 })).length, 36);
  await assertRejects(() => offsets({ partition: 1 }), FlowMQError, "it has partition 0 only");
});

Deno.test("peek() finds its way past many messages that are gone, and large bodies", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster);
  const queue = client.queue("jobs");
  const count = 40_000;
  await queue.publishBatch(Array.from({ length: count }, (_, i) => ({ body: String(i) })));
  await using consumer = queue.consume({ prefetch: 1_000 });
  const first = (await consumer.next()).value!;
  for (let i = 1; i < count; i++) void (await consumer.next()).value!.ack();
  const body = new Uint8Array(700_000).fill(7);
  for (let i = 0; i < 5; i++) await queue.publish(body);
  while ((await queue.info()).acked < count - 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const seen = await all(queue.peek());
  assertEquals(seen.map(({ offset }) => offset), [
    0,
    count,
    count + 1,
    count + 2,
    count + 3,
    count + 4,
  ]);
  assertEquals(seen.at(-1)!.body, body);
  const [later] = await all(queue.peek({ from: seen[1]!.publishedAtMs }));
  assertEquals([later!.offset, first.offset], [count, 0]);
});

Deno.test("message() tells what has become of a message", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster);
  const queue = client.queue("a/b");
  const beforeMs = Date.now();
  const { term, index } = await queue.publish("one", { key: "k" });
  await queue.publish("two");
  const found = await client.message("a/b/0/0");
  assertEquals([found.state, found.nextOffset, found.message?.text()], ["ready", 2, "one"]);
  const { message } = found;
  assertEquals([message?.id, message?.term, message?.index, message?.key], [
    "a/b/0/0",
    term,
    index,
    "k",
  ]);
  assert(message!.publishedAtMs >= beforeMs && message!.publishedAtMs <= found.nowMs);
  await using worker = await clientOf(cluster, 1, "worker");
  await using consumer = worker.queue("a/b").consume({ prefetch: 1 });
  const delivery = (await consumer.next()).value!;
  const { lease } = (await client.message("a/b/0/0")).message!;
  assertEquals([lease?.consumer.clientName, lease?.consumer.held, lease?.consumer.prefetch], [
    "worker",
    1,
    1,
  ]);
  assert(/^127\.\d+\.\d+\.\d+:\d+$/.test(lease!.consumer.address!), lease!.consumer.address!);
  assertEquals(lease!.endsAtMs - lease!.sinceMs, 30_000);
  await delivery.ack();
  assertEquals((await client.message("a/b/0/0")).state, "gone");
  assertEquals((await client.message("a/b/0/7")).state, "unpublished");
  await assertRejects(() => client.message("a"), TypeError, "QUEUE/PARTITION/OFFSET");
});

Deno.test("activity() shows consumers, what each holds, the oldest message and rates", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster);
  const queue = client.queue("jobs");
  await queue.publish("one");
  await queue.publish("two");
  await using worker = await clientOf(cluster, 1, "worker");
  await using consumer = worker.queue("jobs").consume({ prefetch: 1 });
  const delivery = (await consumer.next()).value!;
  const { publishedAtMs } = delivery;
  const [partition] = await queue.activity();
  const { consumers, consumerCount, oldestAtMs, rates } = partition!;
  assertEquals([consumerCount, consumers.length, oldestAtMs], [1, 1, publishedAtMs]);
  const { clientName, held, prefetch, receiving, heldSinceMs } = consumers[0]!;
  assertEquals([clientName, held, prefetch, receiving], ["worker", 1, 1, true]);
  assert(heldSinceMs! >= publishedAtMs && heldSinceMs! <= partition!.nowMs);
  assert(rates.published > rates.delivered && rates.delivered > 0 && rates.acked === 0);
  await delivery.ack();
  assert((await queue.activity())[0]!.rates.acked > 0);
});

Deno.test("explain() says what holds up a queue, and that a shard has no quorum", async () => {
  await using cluster = await TestCluster.start(3);
  const leader = await cluster.leader();
  const others = [1, 2, 3].filter((id) => id !== leader);
  const client = await clientOf(cluster, leader);
  try {
    const reasons = async (target: string) =>
      (await client.explain(target)).map(({ reason }) => reason);
    const queue = client.queue("jobs/0/0");
    await assertRejects(() => reasons("jobs/0/0"), FlowMQError, "jobs");
    await queue.publish("one");
    assertEquals(await reasons("jobs/0/0/0/0"), ["noConsumer"]);
    assertEquals(await reasons("jobs/0/0"), ["noConsumer"], "a queue named like a message");
    const consumer = queue.consume({ prefetch: 1 });
    const delivery = (await consumer.next()).value!;
    assertEquals(await reasons("jobs/0/0"), ["leased"]);
    await queue.publish("two");
    assertEquals(await reasons("jobs/0/0"), ["noCredit"]);
    await delivery.ack();
    await (await consumer.next()).value!.ack();
    assertEquals(await reasons("jobs/0/0"), ["empty"]);
    assertEquals(await reasons("jobs/0/0/0/0"), ["gone"]);
    await consumer.close();

    await Promise.all(others.map((id) => cluster.stopNode(id)));
    const [explanation] = await client.explain("jobs/0/0");
    assertEquals([explanation!.reason, explanation!.shard], ["noQuorum", 0]);
    for (const id of others) assert(explanation!.sentence.includes(`node ${id} (`));
    assert(explanation!.sentence.endsWith(" unreachable"), explanation!.sentence);
  } finally {
    await client.close({ timeoutMs: 100 });
  }
});

Deno.test("what is shown is there after a change of leader, and not older than what was confirmed", async () => {
  await using cluster = await TestCluster.start(3);
  const leader = await cluster.leader();
  const other = [1, 2, 3].find((id) => id !== leader)!;
  await using client = await clientOf(cluster, other);
  const queue = client.queue("jobs");
  await queue.publish("before");
  await cluster.stopNode(leader);
  for (let i = 0; i < 20; i++) {
    const { offset } = await queue.publish(`message ${i}`);
    assertEquals((await client.message(`jobs/0/${offset}`)).state, "ready");
  }
  assertEquals((await all(queue.peek())).length, 21);
  const refused = await assertRejects(() => client.message("jobs/9/0"), FlowMQError);
  assertEquals(refused.code, ErrorCode.partitionNotFound);
});
