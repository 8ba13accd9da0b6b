/**
 * Running nodes remember what happened to messages, and bring acked ones back.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { type Client, connect, type Delivery } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

async function clientOf(cluster: TestCluster, name: string): Promise<Client> {
  const [first] = cluster.nodes.keys();
  return await connect(formatAddress(cluster.address(first!)), { name, requestTimeoutMs: 20_000 });
}

/** Takes messages, acks them, and tells what they say. */
async function take(client: Client, queue: string, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  await using consumer = client.queue(queue).consume();
  for await (const delivery of consumer) {
    await delivery.ack();
    if (taken.push(delivery) === count) break;
  }
  return taken;
}

const textsOf = (deliveries: readonly Delivery[]) => deliveries.map((one) => one.text()).sort();

Deno.test("acked messages come back once over a change of leader and restarts, from snapshots too", async () => {
  await using cluster = await TestCluster.start(3, {
    shards: 2,
    limits: { snapshotBytes: 20_000 },
  });
  await using client = await clientOf(cluster, "tester");
  await client.createQueue("jobs", { partitions: 2, historyMs: 600_000 });
  const queue = client.queue("jobs");
  const texts = Array.from({ length: 40 }, (_, i) => `job ${String(i).padStart(2, "0")}`);
  for (const [i, text] of texts.entries()) {
    await queue.publish(text + " ".repeat(500), { key: `key ${i}`, priority: i % 3 });
  }
  await take(client, "jobs", 10);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const since = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const acked = await take(client, "jobs", 30);
  // All replicas go on from what they have on disk.
  for (const id of [1, 2, 3]) {
    await cluster.stopNode(id);
    await cluster.startNode(id);
  }
  await using other = await clientOf(cluster, "other");
  assertEquals((await other.queue("jobs").replay({ since })).count, 30);
  assertEquals((await other.queue("jobs").replay({ since })).count, 0);
  const again = await take(other, "jobs", 30);
  assertEquals(textsOf(again), textsOf(acked));
  const origins = new Set(acked.map(({ id }) => id));
  for (const delivery of again) {
    assert(origins.has(delivery.headers["flowmq-replayed-from"]!), delivery.id);
    assertEquals(delivery.options.priority, Number(delivery.text().slice(4, 6)) % 3 || undefined);
  }
  const { ready, leased, published } = await other.queue("jobs").info();
  assertEquals([ready, leased, published], [0, 0, 70]);
  const { happenings, state } = await other.messageHistory(acked[0]!.id);
  // The first consumer may have had it, too, and given it back.
  const what = happenings.map((happening) => happening.what);
  assertEquals([state, what[0], what.slice(-3)], [
    "gone",
    "published",
    ["leased", "acked", "replayed"],
  ]);
  assertEquals(happenings.at(-2)!.clientName, "tester");
  const comparison = await other.compareReplicas();
  for (const { replicas } of comparison) {
    assertEquals(new Set(replicas.map(({ hash }) => hash)).size, 1);
  }
});

Deno.test("what a history holds is told, and given back when its window is over", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster, "tester");
  await client.createQueue("jobs", { historyMs: 600_000 });
  const queue = client.queue("jobs");
  for (let i = 0; i < 5; i++) await queue.publish("x".repeat(1_000));
  await take(client, "jobs", 4);
  const [storage] = await queue.storage();
  assertEquals([storage!.records, storage!.historyRecords], [5, 4]);
  assert(storage!.historyBytes > 0 && storage!.historyBytes < storage!.bytes);
  const [activity] = await queue.activity();
  const { replayable, happenings, sinceMs } = activity!.history!;
  assertEquals([replayable, happenings >= 13, sinceMs <= Date.now()], [4, true, true]);
  await client.editQueue("jobs", { historyMs: 1_000 });
  for (;;) {
    const [found] = await queue.storage();
    if (found!.historyRecords === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assertEquals((await queue.replay({ since: 0 })).count, 0);
  await client.editQueue("jobs", { historyMs: 0 });
  assertEquals((await queue.activity())[0]!.history, undefined);
  const error = await queue.replay({ since: 0 }).catch((error) => error);
  assertMatch(String(error), /keeps no history/);
});

Deno.test("messages that come back keep the order of their key", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster, "tester");
  await client.createQueue("jobs", { order: "key", historyMs: 600_000 });
  const queue = client.queue("jobs");
  await queue.publishBatch(["1", "2", "3"].map((body) => ({ body, key: "a" })));
  await take(client, "jobs", 3);
  await queue.replay({ since: Date.now() - 60_000 });
  await using consumer = queue.consume({ prefetch: 3 });
  const first = (await consumer.next()).value!;
  assertEquals(first.text(), "1");
  // What was put back may still be on its way.
  while ((await queue.info()).ready < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals((await queue.activity())[0]!.keys, { keys: 1, blocked: 2 });
  await first.ack();
  const rest = [];
  for await (const delivery of consumer) {
    rest.push(delivery.text());
    await delivery.ack();
    if (rest.length === 2) break;
  }
  assertEquals(rest, ["2", "3"]);
});
