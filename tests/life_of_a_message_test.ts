import { assertEquals } from "@std/assert";
import { connect, type Delivery } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

function urlOf(cluster: TestCluster): string {
  const { hostname, port } = cluster.address(1);
  return `${hostname}:${port}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The next message of a queue. */
async function next(deliveries: AsyncIterator<Delivery>): Promise<Delivery> {
  const { value } = await deliveries.next();
  return value as Delivery;
}

Deno.test("what fails too often, and what is rejected, is found among the dead letters, once", async () => {
  await using cluster = await TestCluster.start(1);
  const client = await connect(urlOf(cluster));
  await client.createQueue("mail", { maxDeliveries: 2, backoffFirstMs: 10 });
  const mail = client.queue("mail");
  await mail.publish("broken");
  await mail.publish("odd", { headers: { from: "me" } });
  const work = mail.consume({ prefetch: 1 })[Symbol.asyncIterator]();
  const first = await next(work);
  await first.nack({ reason: "no such address" });
  const odd = await next(work);
  assertEquals([odd.text(), odd.deliveryCount], ["odd", 1]);
  await odd.reject("not today");
  const again = await next(work);
  assertEquals([again.text(), again.deliveryCount], ["broken", 2]);
  await again.nack({ reason: "still no such address" });
  await mail.publish("fine");
  assertEquals((await next(work)).text(), "fine");

  const dead = client.queue("mail.dead").consume()[Symbol.asyncIterator]();
  const letters = [await next(dead), await next(dead)];
  const told = letters.map(({ headers }) => [
    headers["flowmq-dead-reason"],
    headers["flowmq-dead-detail"],
    headers["flowmq-dead-deliveries"],
    headers["from"],
  ]);
  assertEquals(letters.map((letter) => letter.text()), ["odd", "broken"]);
  assertEquals(told, [
    ["rejected", "not today", "1", "me"],
    ["maxDeliveries", "still no such address", "2", undefined],
  ]);
  for (const letter of letters) await letter.ack();
  const { published, acked } = await client.queue("mail.dead").info();
  assertEquals([published, acked, (await mail.info()).dead], [2, 2, 2]);
  await client.close();
});

Deno.test("a dead letter keeps its priority, does not expire, and lives anew when it is brought back", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await connect(urlOf(cluster));
  const mail = client.queue("mail");
  await mail.publish("plain", { key: "k" });
  await mail.publish("urgent", { priority: 7, ttlMs: 400 });
  const work = mail.consume()[Symbol.asyncIterator]();
  for (const text of ["urgent", "plain"]) {
    const delivery = await next(work);
    assertEquals(delivery.text(), text);
    await delivery.reject();
  }
  const seen = async (queue: string) => {
    const messages = await Array.fromAsync(client.queue(queue).peek());
    return messages.map((message) => [message.text(), message.key, message.options]);
  };
  while ((await mail.deadLetters()).length < 2) await pause(20);
  await pause(500);
  assertEquals(await seen("mail.dead"), [["urgent", undefined, { priority: 7 }], [
    "plain",
    "k",
    {},
  ]]);
  assertEquals((await mail.deadLetters()).map(({ death }) => death?.ttlMs), [400, undefined]);
  await mail.pause();
  assertEquals(await mail.redrive(), 2);
  while ((await mail.info()).published < 4) await pause(20);
  assertEquals(await seen("mail"), [["urgent", undefined, { priority: 7, ttlMs: 400 }], [
    "plain",
    "k",
    {},
  ]]);
  while ((await mail.info()).expired < 1) await pause(20);
  assertEquals((await seen("mail")).map(([text]) => text), ["plain"]);
});

Deno.test("delayed messages come when they are due, and by priority", async () => {
  await using cluster = await TestCluster.start(1);
  const client = await connect(urlOf(cluster));
  const jobs = client.queue("jobs");
  const start = Date.now();
  await jobs.publish("later", { delayMs: 700, priority: 1 });
  await jobs.publish("latest", { at: new Date(start + 900) });
  await jobs.publish("short-lived", { delayMs: 500, ttlMs: 600 });
  await jobs.publish("now");
  const work = jobs.consume({ prefetch: 1 })[Symbol.asyncIterator]();
  const come: [string, boolean][] = [];
  for (const dueMs of [0, 500, 700, 900]) {
    const delivery = await next(work);
    come.push([delivery.text(), Date.now() >= start + dueMs]);
    await delivery.ack();
  }
  assertEquals(come, [["now", true], ["short-lived", true], ["later", true], ["latest", true]]);
  const { delayed, ready, acked } = await jobs.info();
  assertEquals([delayed, ready, acked], [0, 0, 4]);
  await client.close();
});
