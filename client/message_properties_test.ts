import { assertEquals, assertRejects } from "@std/assert";
import { delayMsMax } from "../wire/mod.ts";
import { FakeNetwork, settle } from "./_testing.ts";
import { partitionOfKey } from "./key_hash.ts";
import type { MessageProperties } from "./message_properties.ts";

Deno.test("publish() and publishBatch() send along what a message asks for", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  const queue = client.queue("orders");
  const at = network.clock.now() + 60_000;
  await Promise.all([
    queue.publish("plain"),
    queue.publish("later", { delayMs: 5_000, ttlMs: 60_000, headers: { a: "b" } }),
    queue.publish("at", { at: new Date(at), priority: 9 }),
    queue.publishBatch([{ body: "once", key: "k", unique: "u" }, { body: "soon", at: at + 0.5 }]),
  ]);
  const published = network.servers[0]!.publishes.flatMap(({ messages }) => messages);
  assertEquals(published.map(({ key, options }) => [key, options]), [
    [undefined, {}],
    [undefined, { delayMs: 5_000, ttlMs: 60_000 }],
    [undefined, { atMs: at, priority: 9 }],
    ["k", { unique: "u" }],
    [undefined, { atMs: at + 1 }],
  ]);
  await client.close();
});

Deno.test("a batch says whether its messages have to be looked at", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  const queue = client.queue("orders");
  // What asks for no more than every message gets costs no more, either.
  await queue.publish("plain", { priority: 0, delayMs: 0, headers: { a: "b" } });
  await queue.publish("past", { at: new Date(0) });
  await queue.publish("keyed", { key: "k" });
  const details = network.servers[0]!.publishes.map(({ command }) => command.details?.at(0));
  assertEquals(details, [undefined, undefined, { key: "k" }]);
  await client.close();
});

Deno.test("what cannot be is refused at once, and nothing is sent", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  const queue = client.queue("orders");
  const now = network.clock.now();
  const ranges: [MessageProperties, string][] = [
    [{ delayMs: -1 }, "current value is -1"],
    [{ delayMs: delayMsMax + 1 }, "delayMs"],
    [{ at: new Date(NaN) }, "current value is NaN"],
    [{ at: now * 1_000 }, "within ten years"],
    [{ ttlMs: 0 }, "ttlMs"],
    [{ ttlMs: 1_000, delayMs: 1_000 }, "expires before it is due"],
    [{ priority: 10 }, "from 0 to 9"],
    [{ unique: "" }, "unique key"],
  ];
  for (const [properties, message] of ranges) {
    await assertRejects(() => queue.publish("x", properties), RangeError, message);
    await assertRejects(() => queue.publishBatch([{ body: "x", ...properties }]), RangeError);
  }
  const types: [MessageProperties, string][] = [
    [{ delayMs: 1, at: now }, "both delayMs and at"],
    [{ at: "tomorrow" as unknown as Date }, "string"],
    [{ unique: 5 as unknown as string }, "number"],
  ];
  for (const [properties, message] of types) {
    await assertRejects(() => queue.publish("x", properties), TypeError, message);
  }
  assertEquals(network.servers[0]!.publishes, []);
  await client.close();
});

Deno.test("a unique message without a key goes to the partition of its unique text", async () => {
  const network = new FakeNetwork(1);
  const { partitions } = network.addQueue("orders", 7);
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("first");
  const receipts = await Promise.all([
    queue.publish("a", { unique: "u-1" }),
    queue.publish("b", { unique: "u-2" }),
    queue.publish("c", { unique: "u-1", key: "k" }),
  ]);
  const expected = ["u-1", "u-2", "k"].map((text) => partitionOfKey(text, partitions.length));
  assertEquals(receipts.map(({ partition }) => partition), expected);
  assertEquals(new Set(expected).size > 1, true);
  await client.close();
});

Deno.test("options are sent again as they were after a lost connection", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("first");
  server!.behaviour.publish = () => "silence";
  const receipt = queue.publish("later", { delayMs: 5_000, unique: "u" });
  await settle();
  server!.behaviour.publish = (received) => server!.published(received, true);
  server!.dropConnections();
  await network.clock.advance(100);
  assertEquals((await receipt).duplicate, true);
  const [, sent, again] = server!.publishes;
  assertEquals(again!.bytes, sent!.bytes);
  assertEquals(again!.messages[0]!.options, { delayMs: 5_000, unique: "u" });
  await client.close();
});

Deno.test("a message that was not stored gets the receipt of the one with its unique text", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  server!.behaviour.publish = (received) => {
    const reply = server!.published(received);
    if (reply.kind !== "published") throw new TypeError("not published");
    return { ...reply, repeats: [{ position: 1, offset: 77, index: 50, term: 2 }] };
  };
  const receipts = await queue.publishBatch([{ body: "a" }, { body: "b", unique: "u" }, {
    body: "c",
  }]);
  assertEquals(receipts, [
    { partition: 0, offset: 0, term: 3, index: 100, duplicate: false },
    { partition: 0, offset: 77, term: 2, index: 50, duplicate: true },
    { partition: 0, offset: 2, term: 3, index: 100, duplicate: false },
  ]);
  await client.close();
});
