import { assertEquals, assertRejects } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { type Client, connect, LeaseExpiredError, QueueNotFoundError } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

/** Takes so many messages from a queue, acks them, and gives what they say. */
async function take(client: Client, name: string, count: number): Promise<string[]> {
  const texts: string[] = [];
  await using consumer = client.queue(name).consume();
  while (texts.length < count) {
    const { value } = await consumer.next();
    texts.push(`${value!.key ?? "-"} ${value!.text()} ${JSON.stringify(value!.headers)}`);
    await value!.ack();
  }
  return texts.sort();
}

Deno.test("an ack publishes to queues of all shards, and a lost lease publishes nothing", async () => {
  await using cluster = await TestCluster.start(3, { shards: 3 });
  await using client = await connect(formatAddress(cluster.nodes.get(1)!.clientAddress));
  await client.createQueue("orders", { partitions: 2 });
  await client.createQueue("invoices", { partitions: 3 });
  const count = 30;
  await client.queue("orders").publishBatch(
    Array.from({ length: count }, (_, i) => ({ body: `${i}`, key: `${i}` })),
  );
  const consumer = client.queue("orders").consume({ drain: true });
  for await (const delivery of consumer) {
    const body = delivery.text();
    await delivery.ack({
      publish: [
        { queue: "invoices", body, key: body, headers: { from: "orders" } },
        { queue: "log/made by the way", body: `done ${body}` },
      ],
    });
    await assertRejects(
      () => delivery.ack({ publish: [{ queue: "invoices", body: "again" }] }),
      LeaseExpiredError,
    );
  }
  const numbers = Array.from({ length: count }, (_, i) => i);
  assertEquals(
    await take(client, "invoices", count),
    numbers.map((i) => `${i} ${i} {"from":"orders"}`).sort(),
  );
  assertEquals(
    await take(client, "log/made by the way", count),
    numbers.map((i) => `- done ${i} {}`).sort(),
  );
  const { acked, ready, leased } = await client.queue("orders").info();
  assertEquals([acked, ready, leased], [count, 0, 0]);
  assertEquals((await client.queue("invoices").info()).published, count);
});

Deno.test("an ack that cannot publish leaves the message leased", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await connect(formatAddress(cluster.nodes.get(1)!.clientAddress));
  await client.queue("orders").publish("one");
  await using consumer = client.queue("orders").consume();
  const delivery = (await consumer.next()).value!;
  await assertRejects(
    () => delivery.ack({ publish: [{ queue: "nowhere", body: "x", create: false }] }),
    QueueNotFoundError,
  );
  await assertRejects(
    () => delivery.ack({ publish: Array(1_025).fill({ queue: "orders", body: "x" }) }),
    RangeError,
    "more than 1024 messages",
  );
  assertEquals((await client.queue("orders").info()).leased, 1);
  await delivery.ack();
});
