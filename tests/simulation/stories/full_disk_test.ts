/**
 * What becomes of a cluster whose disks get full, told as stories.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../../../client/mod.ts";
import type { SimulatedNode } from "../cluster.ts";
import { Stage } from "../stage.ts";

/** A cluster with a queue that has some messages. */
async function startStage(seed: number) {
  const stage = new Stage(seed);
  await stage.start();
  const { client } = await stage.connect(stage.cluster.nodes, { name: "client" });
  await stage.wait(client.createQueue("queue"));
  for (let i = 0; i < 5; i++) await stage.wait(stage.publish(client, "queue"));
  return { stage, client };
}

/** Leaves room for acks, and for nothing that is published. */
function fill({ disk }: SimulatedNode, leaving = 2_500): void {
  disk.capacityBytes = disk.usedBytes + leaving;
}

function empty({ disk }: SimulatedNode): void {
  disk.capacityBytes = Infinity;
}

/** Publishes, expecting that nobody takes it. */
async function refusal(stage: Stage, client: Client): Promise<string> {
  const outcome = client.queue("queue").publish("nothing", { timeoutMs: 500 });
  return await stage.wait(outcome.then(() => "confirmed", (error) => error.message));
}

/** Acks so many messages. */
async function ackSome(stage: Stage, client: Client, count: number): Promise<void> {
  let acked = 0;
  const consuming = (async () => {
    for await (const delivery of client.queue("queue").consume({ prefetch: 1 })) {
      await delivery.ack();
      if (++acked === count) break;
    }
  })();
  await stage.wait(consuming);
}

Deno.test("with the disks of a majority nearly full nothing is published, and all is consumed", async () => {
  const { stage, client } = await startStage(1);
  const [one, two] = stage.cluster.nodes;
  fill(one!);
  fill(two!);
  await stage.pass(500);
  assertEquals(
    await refusal(stage, client),
    'Cannot publish to queue "queue" within 500 ms. The disks of nodes 1,2 are nearly full: what is ' +
      "there can be consumed, and nothing published until there is room",
  );
  await ackSome(stage, client, 5);
  empty(one!);
  await stage.pass(500);
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  empty(two!);
  await ackSome(stage, client, 1);
  await stage.end();
});

Deno.test("a leader whose disk is nearly full lets another one lead, and publishing goes on", async () => {
  const { stage, client } = await startStage(2);
  const { leader } = stage;
  fill(leader);
  await stage.until(() => stage.cluster.leaders.some((node) => node !== leader));
  for (let i = 0; i < 20; i++) {
    assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  }
  empty(leader);
  await ackSome(stage, client, 25);
  await stage.end();
});

Deno.test("a node whose disk is full to the last byte waits for room, and goes on", async () => {
  const { stage, client } = await startStage(3);
  for (const node of stage.cluster.nodes) fill(node, 0);
  const acking = client.queue("queue").consume({ prefetch: 1 });
  const acked = (async () => {
    for await (const delivery of acking) {
      await delivery.ack();
      if (delivery.offset === 4) break;
    }
    return true;
  })();
  await stage.pass(3_000);
  assert(stage.cluster.nodes.every(({ alive }) => alive));
  for (const node of stage.cluster.nodes) empty(node);
  assert(await stage.wait(acked));
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  await ackSome(stage, client, 1);
  await stage.end();
});

Deno.test("a cluster that was full to the last byte when it lost its power starts again", async () => {
  const { stage, client } = await startStage(4);
  for (const node of stage.cluster.nodes) {
    fill(node, 0);
    node.losePower();
  }
  for (const node of stage.cluster.nodes) node.start();
  await stage.pass(2_000);
  for (const node of stage.cluster.nodes) empty(node);
  for (const node of stage.cluster.nodes) node.start();
  await stage.until(() => stage.cluster.leaders.length === 1);
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  await ackSome(stage, client, 6);
  await stage.end();
});
