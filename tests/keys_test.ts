/**
 * Queues whose keys take turns, on running nodes.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { type Client, connect, FlowMQError, type Queue } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

async function clientOf(cluster: TestCluster, node = 1, name = "test"): Promise<Client> {
  return await connect(formatAddress(cluster.address(node)), { name, requestTimeoutMs: 20_000 });
}

/** Publishes to each key the numbers from 0, all keys in turns. */
async function publishNumbers(queue: Queue, keys: number, each: number): Promise<void> {
  const messages = Array.from({ length: keys * each }, (_, i) => ({
    body: String(Math.floor(i / keys)),
    key: `key ${i % keys}`,
  }));
  await queue.publishBatch(messages);
}

Deno.test("consumers that come and go get the messages of each key in order, one at a time", async () => {
  await using cluster = await TestCluster.start(3, { shards: 2 });
  const [keys, each] = [20, 25];
  await using client = await clientOf(cluster);
  await client.createQueue("jobs", { order: "key", partitions: 2, backoffFirstMs: 20 });
  await publishNumbers(client.queue("jobs"), keys, each);
  const next = new Map<string, number>();
  const inWork = new Set<string>();
  let done = 0;
  const consume = async (node: number) => {
    while (done < keys * each) {
      await using other = await clientOf(cluster, node);
      await using consumer = other.queue("jobs").consume({ prefetch: 7 });
      let handled = 0;
      const timer = setInterval(() => done === keys * each && void consumer.close(), 20);
      for await (const delivery of consumer) {
        const key = delivery.key!;
        assert(!inWork.has(key), `${key} is with somebody else`);
        assertEquals(Number(delivery.text()), next.get(key) ?? 0, key);
        inWork.add(key);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inWork.delete(key);
        if (delivery.deliveryCount === 1 && Number(delivery.text()) % 10 === 3) {
          await delivery.nack();
        } else {
          next.set(key, Number(delivery.text()) + 1);
          done++;
          await delivery.ack();
        }
        // What else it holds goes back.
        if (++handled === 30) break;
      }
      clearInterval(timer);
    }
  };
  await Promise.all([1, 2, 3].map(consume));
  assertEquals([...next.values()], new Array(keys).fill(each));
});

Deno.test("what holds a message back is told", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster, 1, "mailer");
  await client.createQueue("jobs", { order: "key" });
  const queue = client.queue("jobs");
  await publishNumbers(queue, 1, 3);
  await using consumer = queue.consume();
  const first = (await consumer.next()).value!;
  const [explanation] = await client.explain("jobs");
  assertEquals([explanation!.reason, explanation!.id], ["keyLeased", "jobs/0/1"]);
  const peeked = await Array.fromAsync(queue.peek());
  assertEquals(peeked.map(({ state, block }) => [state, block?.by]), [
    ["leased", undefined],
    ["ready", "leased"],
    ["ready", "leased"],
  ]);
  const { block } = peeked[1]!;
  assertEquals(
    block?.by === "leased" ? [block.offset, block.lease.consumer.clientName] : block,
    [0, "mailer"],
  );
  assertEquals((await queue.activity())[0]!.keys, { keys: 1, blocked: 2 });
  await first.nack({ delayMs: 60_000 });
  assertEquals((await client.explain("jobs/0/2"))[0]!.reason, "keyReturned");
});

Deno.test("a key that is over its rate goes on when it may, with nothing else going on", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster);
  await client.createQueue("jobs", { keyRatePerSecond: 5 });
  const queue = client.queue("jobs");
  await publishNumbers(queue, 2, 7);
  await using consumer = queue.consume();
  const startMs = performance.now();
  for (let i = 0; i < 14; i++) await (await consumer.next()).value!.ack();
  const tookMs = performance.now() - startMs;
  assert(tookMs > 350, `seven of each key take 400 ms, and took ${tookMs}`);
});

Deno.test("settings of keys are checked, and changed while in use", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await clientOf(cluster);
  await assertRejects(
    () => client.createQueue("jobs", { order: "lifo" as "fifo" }),
    FlowMQError,
    "The order of a queue must be fifo or key",
  );
  await client.createQueue("jobs", { keyConcurrency: 1 });
  const queue = client.queue("jobs");
  await publishNumbers(queue, 1, 3);
  await using consumer = queue.consume();
  const first = (await consumer.next()).value!;
  await client.editQueue("jobs", { keyConcurrency: 2 });
  const second = (await consumer.next()).value!;
  assertEquals([first.text(), second.text(), (await queue.info()).ready], ["0", "1", 1]);
});
