import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ErrorCode } from "../wire/mod.ts";
import { FakeNetwork, outcomeOf, refusal, settle } from "./_testing.ts";
import { ClientClosedError, RequestTimeoutError } from "./errors.ts";

/** A network whose shard says that producers have come so far. */
function networkAt(nextSequence: number): FakeNetwork {
  const network = new FakeNetwork(1);
  network.addQueue("orders", 2);
  const [server] = network.servers;
  server!.behaviour.openSession = () => ({
    kind: "sessionOpened",
    sessionId: network.nextSessionId++,
    ...(nextSequence === 0 ? {} : { producers: [{ partitionId: 100, nextSequence }] }),
    term: 1,
    index: 1,
  });
  return network;
}

Deno.test("a named producer goes on where the last one of its name has ended", async () => {
  const network = networkAt(7);
  const [server] = network.servers;
  const client = await network.connect();
  const producer = await client.queue("orders").producer("importer");
  assertEquals([producer.nextSequence, producer.name], [7, "importer"]);
  assertEquals(server!.requestsOf("openSession").map(({ producer }) => producer), ["100/importer"]);
  const receipts = await Promise.all([
    producer.publish("five", { sequence: 5 }),
    producer.publish("seven", { sequence: 7, key: "k", priority: 3 }),
    producer.publish("eight"),
  ]);
  assertEquals(receipts.map((receipt) => receipt?.offset), [undefined, 0, 1]);
  assertEquals(server!.publishes.map(({ bodies, command }) => [bodies, command.baseSequence]), [
    [["seven", "eight"], 7],
  ]);
  assertEquals(server!.publishes[0]!.messages[0]!.options, { priority: 3 });
  assertEquals(producer.nextSequence, 9);
  for (const sequence of [8, 10, -1, 7.5]) {
    await assertRejects(() => producer.publish("x", { sequence }), RangeError, "the next one, 9");
  }
  await producer.close();
  assertEquals(server!.requestsOf("closeSession").length, 1);
  await assertRejects(() => producer.publish("late"), ClientClosedError);
  await client.close();
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("a named producer keeps its numbers over a lost connection", async () => {
  const network = networkAt(3);
  const [server] = network.servers;
  const client = await network.connect();
  const producer = await client.queue("orders").producer("importer");
  server!.behaviour.publish = () => "silence";
  const outcomes = ["three", "four"].map((body) => outcomeOf(producer.publish(body)));
  await settle();
  server!.behaviour.publish = (received) => server!.published(received);
  server!.dropConnections();
  await network.clock.advance(100);
  assertEquals(outcomes.map(({ value }) => value?.offset), [0, 1]);
  assertEquals(server!.publishes.map(({ command }) => command.baseSequence), [3, 3]);
  // The same session, which nobody has taken.
  assertEquals(server!.requestsOf("openSession").length, 1);
  await client.close();
});

Deno.test("a named producer ends when another one takes its name, and does not take it back", async () => {
  const network = networkAt(0);
  const [server] = network.servers;
  const client = await network.connect();
  const producer = await client.queue("orders").producer("importer", { partition: 1 });
  server!.behaviour.publish = () => "silence";
  const sent = outcomeOf(producer.publish("sent"));
  await settle();
  server!.behaviour.attachSession = () => refusal(ErrorCode.sessionNotFound, "no such session");
  server!.dropConnections();
  await network.clock.advance(1_000);
  assertEquals([sent.error?.code, sent.error?.maybeApplied], [ErrorCode.sessionNotFound, true]);
  assertEquals(sent.error?.message.includes("another one has taken the name"), true);
  const error = await assertRejects(() => producer.publish("more"), Error, "has taken the name");
  assertEquals((error as unknown as { maybeApplied: boolean }).maybeApplied, false);
  assertEquals(server!.requestsOf("openSession").length, 1);
  await client.close();
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("a named producer leaves no gap: when it has waited too long it ends as a whole", async () => {
  const network = networkAt(0);
  const [server] = network.servers;
  const client = await network.connect({ windowBytes: 4 });
  const producer = await client.queue("orders").producer("importer", { timeoutMs: 1_000 });
  server!.behaviour.publish = () => "silence";
  const sent = outcomeOf(producer.publish("sent"));
  const waiting = outcomeOf(producer.publish("waiting"));
  await network.clock.advance(1_300);
  assertInstanceOf(sent.error, RequestTimeoutError);
  assertEquals([sent.error?.maybeApplied, waiting.error?.maybeApplied], [true, false]);
  assertEquals(server!.publishes.length, 1);
  await client.close();
});

Deno.test("what waits for room goes out in order, and close() waits for it", async () => {
  const network = networkAt(0);
  const [server] = network.servers;
  const client = await network.connect({ windowBytes: 10 });
  const producer = await client.queue("orders").producer("importer");
  const outcomes = Array.from({ length: 6 }, (_, i) => outcomeOf(producer.publish(`body ${i}`)));
  await producer.close();
  assertEquals(outcomes.map(({ value }) => value?.offset), [0, 1, 2, 3, 4, 5]);
  assertEquals(server!.publishes.flatMap(({ bodies }) => bodies).at(-1), "body 5");
  await client.close();
});

Deno.test("producer() rejects for misuse, and when nobody answers", async () => {
  const network = networkAt(0);
  const client = await network.connect({ requestTimeoutMs: 500 });
  const queue = client.queue("orders");
  await assertRejects(() => queue.producer(""), RangeError, "current length is 0");
  await assertRejects(() => queue.producer("p", { partition: 2 }), RangeError, "it has 2");
  network.servers[0]!.behaviour.openSession = () => "silence";
  const opening = outcomeOf(queue.producer("p"));
  await network.clock.advance(1_000);
  assertInstanceOf(opening.error, RequestTimeoutError);
  await client.close();
  assertEquals(network.clock.timerCount, 0);
});
