/**
 * Snapshots, compaction and catching up by snapshot, with whole nodes and real files.
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, type NodeStatus } from "../client/mod.ts";
import { TestClient, TestCluster } from "../tests/test_cluster.ts";
import type { NodeConfig, ShardObserver } from "./mod.ts";

/** What the nodes of a cluster did, by their ids. */
class Watcher {
  readonly taken: number[] = [];
  readonly compacted: number[] = [];
  readonly restored: number[] = [];
  readonly rewritten: number[] = [];

  observer(): ShardObserver {
    return {
      opened: () => {},
      ready: () => {},
      durable: () => {},
      applied: () => {},
      snapshotTaken: (shard) => void this.taken.push(shard.status().id),
      compacted: (shard) => void this.compacted.push(shard.status().id),
      rewritten: (shard) => void this.rewritten.push(shard.status().id),
      restored: (shard) => void this.restored.push(shard.status().id),
    };
  }
}

function small(watcher: Watcher): Partial<NodeConfig> {
  return {
    limits: { snapshotBytes: 20_000 },
    storage: { segmentBytesMax: 8_000 },
    observer: watcher.observer(),
  };
}

function connectTo(cluster: TestCluster): Promise<Client> {
  const servers = [...cluster.nodes.values()].map(({ clientAddress: { hostname, port } }) => {
    return `${hostname}:${port}`;
  });
  return connect(servers.join(","));
}

/** Publishes messages of 500 bytes to a queue, and acks them, twenty at a time. */
async function churn(client: Client, name: string, count: number): Promise<void> {
  const queue = client.queue(name);
  for (let done = 0; done < count; done += 20) {
    await Promise.all(Array.from({ length: 20 }, () => queue.publish(new Uint8Array(500))));
    let acked = 0;
    for await (const delivery of queue.consume({ drain: true })) {
      await delivery.ack();
      acked++;
    }
    assertEquals(acked, 20);
  }
}

async function textsOf(client: Client, name: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const delivery of client.queue(name).consume({ drain: true })) {
    texts.push(delivery.text());
    await delivery.ack();
  }
  return texts;
}

async function statusOf(cluster: TestCluster, id: number): Promise<NodeStatus["shards"][0]> {
  using client = await TestClient.connect(cluster.address(id));
  return (await client.ask({ kind: "nodeStatus" }, "nodeStatusReply")).shards[0]!;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("a node gives back the log that its snapshot stands for, and starts from there", async () => {
  const watcher = new Watcher();
  await using cluster = await TestCluster.start(1, small(watcher));
  await using client = await connectTo(cluster);
  await churn(client, "jobs", 400);
  const queue = client.queue("waiting");
  for (const text of ["one", "two", "three"]) await queue.publish(text);
  await churn(client, "jobs", 100);
  await until(() => Promise.resolve(watcher.compacted.length > 3));
  const { logBytes, appliedIndex } = await statusOf(cluster, 1);
  assert(logBytes < 120_000, `${logBytes} bytes`);
  await client.close();
  await cluster.stopNode(1);
  await cluster.startNode(1);
  await using again = await connectTo(cluster);
  await until(async () => (await statusOf(cluster, 1)).appliedIndex >= appliedIndex);
  assertEquals(await textsOf(again, "waiting"), ["one", "two", "three"]);
  assertEquals(await textsOf(again, "jobs"), []);
});

Deno.test("one message that nobody acks keeps no log behind it, on any node, nor on one that comes late", async () => {
  const watcher = new Watcher();
  await using cluster = await TestCluster.start(3, small(watcher));
  const leader = await cluster.leader();
  const late = [1, 2, 3].find((id) => id !== leader)!;
  await using client = await connectTo(cluster);
  await cluster.stopNode(late);
  await client.queue("waiting").publish("the first");
  await churn(client, "jobs", 1_500);
  await cluster.startNode(late);
  const { lastIndex } = await statusOf(cluster, leader);
  await until(async () => (await statusOf(cluster, late)).appliedIndex >= lastIndex);
  await churn(client, "jobs", 200);
  await until(() => Promise.resolve(new Set(watcher.rewritten).size === 3));
  for (const id of [1, 2, 3]) {
    const { logBytes } = await statusOf(cluster, id);
    assert(logBytes < 130_000, `${logBytes} bytes of a million on node ${id}`);
    await cluster.stopNode(id);
    await cluster.startNode(id);
    await cluster.leader();
  }
  // Nodes that start again take clients on other ports.
  await using again = await connectTo(cluster);
  const [held] = await again.queue("waiting").storage();
  assertEquals([held!.records, held!.segments, held!.node], [1, 1, await cluster.leader()]);
  assert(held!.bytes > 60 && held!.bytes < 200, `${held!.bytes} bytes for a record`);
  assert(held!.segmentBytes < 8_000 && Date.now() - held!.oldestAtMs < 120_000);
  assertEquals(await textsOf(again, "waiting"), ["the first"]);
  const [empty] = await again.queue("waiting").storage();
  assertEquals([empty!.records, empty!.bytes, empty!.oldestAtMs], [0, 0, 0]);
});

Deno.test("a follower behind the log catches up by a snapshot, and leads with all of it", async () => {
  const watcher = new Watcher();
  await using cluster = await TestCluster.start(3, small(watcher));
  const leader = await cluster.leader();
  const late = [1, 2, 3].find((id) => id !== leader)!;
  await using client = await connectTo(cluster);
  await churn(client, "jobs", 20);
  await cluster.stopNode(late);
  await churn(client, "jobs", 200);
  const texts = Array.from({ length: 30 }, (_, i) => `message ${i}`);
  for (const text of texts) await client.queue("waiting").publish(text);
  await churn(client, "jobs", 100);

  await cluster.startNode(late);
  const { lastIndex } = await statusOf(cluster, leader);
  await until(async () => (await statusOf(cluster, late)).appliedIndex >= lastIndex);
  assertEquals(watcher.restored, [late]);

  for (let next = await cluster.leader(); next !== late; next = await cluster.leader()) {
    await cluster.stopNode(next);
    await cluster.leader();
    await cluster.startNode(next);
  }
  await client.queue("waiting").publish("the last");
  assertEquals(await textsOf(client, "waiting"), [...texts, "the last"]);
  await churn(client, "jobs", 60);

  // What arrived is on its disk as well as in its memory.
  await cluster.stopNode(late);
  await cluster.startNode(late);
  await churn(client, "jobs", 20);
  const last = (await statusOf(cluster, await cluster.leader())).lastIndex;
  await until(async () => (await statusOf(cluster, late)).appliedIndex >= last);
});
