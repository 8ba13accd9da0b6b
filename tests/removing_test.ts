/**
 * Messages are taken out of queues of running nodes by their ids.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { connect, ErrorCode, FlowMQError } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

Deno.test("a removed message is not delivered, whether it was ready or delayed", async () => {
  await using cluster = await TestCluster.start(3, { shards: 2 });
  const address = formatAddress(cluster.address(2));
  await using client = await connect(address, { requestTimeoutMs: 20_000 });
  await client.createQueue("jobs", { partitions: 2 });
  const queue = client.queue("jobs");
  const receipts = [];
  for (let i = 0; i < 12; i++) {
    const delay = i % 3 === 1 ? { delayMs: 300 } : {};
    receipts.push(await queue.publish(`job ${i}`, { key: `key ${i}`, ...delay }));
  }
  const removed = [0, 1, 4, 5, 11];
  for (const i of removed) {
    assertEquals(await client.removeMessage({ queue: "jobs", ...receipts[i]! }), "removed");
  }
  const { partition, offset } = receipts[4]!;
  assertEquals(await client.removeMessage(`jobs/${partition}/${offset}`), "gone");
  assertEquals((await client.message(`jobs/${partition}/${offset}`)).state, "gone");

  const seen: string[] = [];
  await using consumer = queue.consume();
  for await (const delivery of consumer) {
    if (seen.length === 0) {
      const held = await assertRejects(() => client.removeMessage(delivery.id), FlowMQError);
      assertEquals(held.code, ErrorCode.messageLeased);
      await delivery.nack({ delayMs: 10_000 });
      assertEquals(await client.removeMessage(delivery.id), "removed");
    }
    seen.push(delivery.text());
    await delivery.ack().catch(() => {});
    if (seen.length === 12 - removed.length) break;
  }
  const expected = Array.from({ length: 12 }, (_, i) => i).filter((i) => !removed.includes(i));
  assertEquals(seen.sort(), expected.map((i) => `job ${i}`).sort());
  const { purged, acked, ready, delayed, leased } = await queue.info();
  assertEquals([purged, acked, ready, delayed, leased], [6, 6, 0, 0, 0]);
});
