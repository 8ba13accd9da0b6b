import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ErrorCode } from "../wire/mod.ts";
import { FakeNetwork, outcomeOf, refusal, settle } from "./_testing.ts";
import {
  ClientClosedError,
  FlowMQError,
  MessageTooLargeError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";
import { partitionOfKey } from "./key_hash.ts";
import { queueSettings } from "../queue/mod.ts";

Deno.test("publish() makes the queue on first use and gives the message's place", async () => {
  const network = new FakeNetwork(1);
  const client = await network.connect();
  const receipt = await client.queue("orders").publish("one", { key: "k", headers: { a: "b" } });
  assertEquals(receipt, { partition: 0, offset: 0, term: 3, index: 100, duplicate: false });
  assertEquals(network.servers[0]!.requestsOf("createQueue").length, 1);
  assertEquals(network.queues.get("orders")!.settings, queueSettings());
  await client.close();
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("publish() with create: false rejects for an unknown queue", async () => {
  const network = new FakeNetwork(1);
  const client = await network.connect();
  await assertRejects(
    () => client.queue("missing").publish("one", { create: false }),
    QueueNotFoundError,
  );
  // A cluster may forbid to make queues by publishing.
  network.servers[0]!.behaviour.createQueue = () =>
    refusal(ErrorCode.queueNotFound, "no such queue");
  await assertRejects(() => client.queue("missing").publish("one"), QueueNotFoundError);
  assertEquals(network.queues.size, 0);
  await client.close();
});

Deno.test("publish() calls of one turn travel in one frame, in order", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("first");
  const receipts = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => queue.publish(`message ${i}`)),
  );
  const [, batch, ...others] = network.servers[0]!.publishes;
  assertEquals(others, []);
  assertEquals(batch!.command.count, 1_000);
  assertEquals(batch!.command.baseSequence, 1);
  assertEquals(batch!.bodies, Array.from({ length: 1_000 }, (_, i) => `message ${i}`));
  assertEquals(
    receipts.map(({ offset }) => offset),
    Array.from({ length: 1_000 }, (_, i) => i + 1),
  );
  await client.close();
});

Deno.test("publish() calls of many loops, woken one after the other, travel in one frame", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  const queue = client.queue("orders");
  const publishDeep = async (body: string, depth: number): Promise<unknown> =>
    depth === 0 ? await queue.publish(body) : await publishDeep(body, depth - 1);
  await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    for (let round = 0; round < 3; round++) await publishDeep(`${round}`, i % 3);
  }));
  assertEquals(network.servers[0]!.publishes.map(({ bodies }) => new Set(bodies).size), [1, 1, 1]);
  await client.close();
});

Deno.test("publish() splits what is too much for one frame", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  const queue = client.queue("orders");
  const body = new Uint8Array(50_000).fill(65);
  const receipts = await Promise.all(Array.from({ length: 20 }, () => queue.publish(body)));
  const { publishes } = network.servers[0]!;
  assert(publishes.length >= 8, `${publishes.length} frames`);
  assert(publishes.every(({ bytes }) => bytes.length < 200_000));
  assertEquals(receipts.map(({ offset }) => offset), Array.from({ length: 20 }, (_, i) => i));
  await client.close();
});

Deno.test("publish() sends messages of one key to the partition of the key", async () => {
  const network = new FakeNetwork(1, 2);
  const queue = network.addQueue("orders", 4);
  const client = await network.connect();
  for (const key of ["a", "b", "c", "d", "e"]) {
    const receipt = await client.queue("orders").publish(key, { key });
    assertEquals(receipt.partition, partitionOfKey(key, 4));
  }
  for (const { command, shard } of network.servers[0]!.publishes) {
    const partition = queue.partitions.find(({ id }) => id === command.partitionId)!;
    assertEquals(shard, partition.shard);
  }
  await client.close();
});

Deno.test("publish() spreads messages without a key over the partitions, batch by batch", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders", 3);
  const client = await network.connect();
  const partitions: number[] = [];
  for (let i = 0; i < 6; i++) {
    partitions.push((await client.queue("orders").publish("x")).partition);
  }
  assertEquals(new Set(partitions.slice(0, 3)).size, 3);
  assertEquals(partitions.slice(3), partitions.slice(0, 3));
  await client.close();
});

Deno.test("publishBatch() gives the receipts in the order of the messages", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders", 3);
  const client = await network.connect();
  const keys = ["a", "b", "c", "a", "b", "c", "a"];
  const receipts = await client.queue("orders").publishBatch(
    keys.map((key) => ({ body: key, key })),
  );
  assertEquals(
    receipts.map(({ partition }) => partition),
    keys.map((key) => partitionOfKey(key, 3)),
  );
  const stored = new Map<string, string[]>();
  for (const { command, bytes } of network.servers[0]!.publishes) {
    stored.set(`${command.partitionId}`, [
      ...stored.get(`${command.partitionId}`) ?? [],
      `${bytes.length}`,
    ]);
  }
  assertEquals([...stored.values()].map((frames) => frames.length), [...stored].map(() => 1));
  assertEquals(await client.queue("orders").publishBatch([]), []);
  await client.close();
});

Deno.test("publish() refuses a message over the broker's limit without sending it", async () => {
  const network = new FakeNetwork(1);
  network.messageBytesMax = 10;
  const client = await network.connect();
  const queue = client.queue("orders");
  const error = await assertRejects(() => queue.publish("0123456789x"), MessageTooLargeError);
  assertEquals([error.bytes, error.bytesMax, error.maybeApplied], [11, 10, false]);
  await queue.publish("0123456789");
  await assertRejects(() => queue.publish("01234567", { key: "abc" }), MessageTooLargeError);
  await client.close();
});

Deno.test("after a lost connection everything unconfirmed is sent again from the oldest on", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("confirmed");
  server!.behaviour.publish = () => "silence";
  const outcomes = [];
  for (const body of ["a", "b", "c"]) {
    outcomes.push(queue.publish(body));
    await settle();
  }
  assertEquals(server!.publishes.map(({ bodies }) => bodies), [["confirmed"], ["a"], ["b"], ["c"]]);
  server!.publishes.splice(0);
  server!.behaviour.publish = (received) => server!.published(received, true);
  server!.dropConnections();
  await network.clock.advance(100);
  const receipts = await Promise.all(outcomes);
  assertEquals(receipts.map(({ offset, duplicate }) => [offset, duplicate]), [
    [1, true],
    [2, true],
    [3, true],
  ]);
  assertEquals(server!.publishes.map(({ bodies, command }) => [bodies[0], command.baseSequence]), [
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ]);
  // The session is the same, and asked to be attached before anything was sent again.
  assertEquals(server!.requestsOf("openSession").length, 1);
  const attached = server!.requestsOf("attachSession");
  assertEquals(attached.map(({ sessionId }) => sessionId), [
    server!.publishes[0]!.command.sessionId,
  ]);
  await client.close();
});

Deno.test("a batch that went astray makes the client go back, not forward", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  let expected = 1;
  let refusedOnce = false;
  server!.behaviour.publish = (received) => {
    const { baseSequence, count } = received.command;
    if (baseSequence === 1 && !refusedOnce) {
      refusedOnce = true;
      return refusal(ErrorCode.overloaded, "busy");
    }
    if (baseSequence !== expected) return refusal(ErrorCode.sequenceGap, "gap");
    expected += count;
    return server!.published(received);
  };
  const receipts = [];
  for (const body of ["one", "two", "three"]) {
    receipts.push(queue.publish(body));
    await Promise.resolve();
  }
  await settle();
  await network.clock.advance(200);
  assertEquals((await Promise.all(receipts)).map(({ offset }) => offset), [1, 2, 3]);
  await client.close();
});

for (const code of [ErrorCode.diskFull, ErrorCode.queueFull]) {
  Deno.test(`a publish waits while there is no room (${code}), and fails with that when its time is over`, async () => {
    const network = new FakeNetwork(1);
    network.addQueue("orders");
    const [server] = network.servers;
    const client = await network.connect({ requestTimeoutMs: 1_000 });
    const queue = client.queue("orders");
    let isFull = true;
    server!.behaviour.publish = (received) => {
      return isFull ? refusal(code, "There is no room") : server!.published(received);
    };
    const late = outcomeOf(queue.publish("late"));
    const patient = outcomeOf(queue.publish("patient", { timeoutMs: 5_000 }));
    await network.clock.advance(1_500);
    assertInstanceOf(late.error, FlowMQError);
    assertEquals([late.error?.code, late.error?.message], [
      code,
      'Cannot publish to queue "orders" within 1000 ms. There is no room',
    ]);
    assertEquals(patient.error, undefined);
    isFull = false;
    await network.clock.advance(2_000);
    assertEquals(patient.value?.partition, 0);
    await client.close();
  });
}

Deno.test("a publish that was refused for good when its time is over takes no number along", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect({ requestTimeoutMs: 1_000 });
  const queue = client.queue("orders");
  await queue.publish("zero");
  let isFull = true;
  server!.behaviour.publish = (received) => {
    return isFull ? refusal(ErrorCode.queueFull, "It is full") : server!.published(received);
  };
  const late = outcomeOf(queue.publish("late"));
  await settle();
  const patient = outcomeOf(queue.publish("patient", { timeoutMs: 5_000 }));
  await network.clock.advance(1_500);
  assertEquals([late.error?.code, late.error?.maybeApplied], [ErrorCode.queueFull, false]);
  assertEquals(patient.error, undefined);
  isFull = false;
  await network.clock.advance(1_000);
  assertEquals(patient.value?.offset, 1);
  const { sessionId, baseSequence } = server!.publishes.at(-1)!.command;
  assertEquals([sessionId, baseSequence], [server!.publishes[0]!.command.sessionId, 1]);
  await client.close();
});

Deno.test("a publish that nobody answers fails in time, and the next goes under a fresh session", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect({ requestTimeoutMs: 1_000 });
  const queue = client.queue("orders");
  await queue.publish("zero");
  server!.behaviour.publish = () => "silence";
  const lost = outcomeOf(queue.publish("lost"));
  await settle();
  const later = outcomeOf(queue.publish("later", { timeoutMs: 5_000 }));
  await network.clock.advance(1_200);
  assertInstanceOf(lost.error, RequestTimeoutError);
  assertEquals([lost.error?.maybeApplied, lost.error?.message], [
    true,
    'Cannot publish to queue "orders" within 1000 ms',
  ]);
  assertEquals(later, {});
  server!.behaviour.publish = (received) => server!.published(received);
  // What was sent under the old session is brought to its own end there; order holds across sessions.
  const fresh = queue.publish("fresh", { timeoutMs: 10_000 });
  await network.clock.advance(3_000);
  assertEquals(server!.publishes.length, 3);
  await network.clock.advance(2_000);
  assertInstanceOf(later.error, FlowMQError);
  assertEquals(later.error?.maybeApplied, true);
  assertEquals((await fresh).offset, 1);
  const [zero, , , last] = server!.publishes;
  assert(last!.command.sessionId !== zero!.command.sessionId);
  assertEquals([last!.bodies, last!.command.baseSequence], [["fresh"], 0]);
  await client.close();
});

Deno.test("a publish that was never sent fails without a doubt", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect({ requestTimeoutMs: 1_000 });
  const queue = client.queue("orders");
  await queue.publish("zero");
  network.servers[0]!.stop();
  await settle();
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(1_300);
  assertInstanceOf(outcome.error, RequestTimeoutError);
  assertEquals(outcome.error?.maybeApplied, false);
  await client.close({ timeoutMs: 1 }).catch(() => {});
});

Deno.test("a forgotten session fails what was sent and lets the rest go on under a new one", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  server!.behaviour.publish = () => "silence";
  const sent = outcomeOf(queue.publish("sent"));
  await settle();
  const forgotten = refusal(ErrorCode.sessionNotFound, "forgotten");
  const { sessionId } = server!.publishes[0]!.command;
  server!.behaviour.publish = (received) =>
    received.command.sessionId === sessionId ? forgotten : server!.published(received);
  server!.behaviour.attachSession = () => forgotten;
  server!.dropConnections();
  const waiting = outcomeOf(queue.publish("waiting"));
  await network.clock.advance(500);
  assertInstanceOf(sent.error, FlowMQError);
  assertEquals([sent.error?.code, sent.error?.maybeApplied], [ErrorCode.sessionNotFound, true]);
  assertEquals(waiting.value?.offset, 1);
  const last = server!.publishes.at(-1)!;
  assertEquals([last.bodies, last.command.baseSequence], [["waiting"], 0]);
  await client.close();
});

Deno.test("notLeader with a hint sends the client straight to the leader", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  const [first, second, third] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  first!.behaviour.publish = () => refusal(ErrorCode.notLeader, "not here", { leader: 3 });
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(100);
  assertEquals(outcome.value?.offset, 1);
  assertEquals(third!.publishes.map(({ bodies }) => bodies), [["one"]]);
  assertEquals(third!.requestsOf("attachSession").length, 1);
  assertEquals(second!.publishes, []);
  await client.close();
});

Deno.test("when the leader dies the others are asked at once and the new leader gets everything", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  const [first, second, third] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  first!.behaviour.publish = () => "silence";
  const outcome = outcomeOf(queue.publish("one"));
  await settle();
  first!.stop();
  await network.clock.advance(30);
  assert(second!.connections.length + third!.connections.length > 0);
  assertEquals(outcome, {});
  network.elect(2);
  await network.clock.advance(60);
  assertEquals(outcome.value?.offset, 1);
  assertEquals(second!.publishes.map(({ bodies }) => bodies), [["one"]]);
  await client.close();
});

Deno.test("when the leader falls silent the client finds out from the others", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  const [first, second] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  first!.isPaused = true;
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(300);
  network.elect(2);
  await network.clock.advance(600);
  assertEquals(outcome.value?.offset, 1);
  assertEquals(second!.publishes.map(({ bodies }) => bodies), [["one"]]);
  await client.close();
});

Deno.test("a leader whose address cannot be reached is reached through another node", async () => {
  const network = new FakeNetwork(2);
  network.addQueue("orders");
  const [first, second] = network.servers;
  network.elect(2);
  second!.isReachable = false;
  const client = await network.connect();
  const receipt = client.queue("orders").publish("relayed");
  await network.clock.advance(500);
  assertEquals((await receipt).offset, 0);
  assertEquals(first!.publishes.length, 1);
  await client.close();
});

Deno.test("publish() waits while the window is full", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect({ windowBytes: 1_000 });
  const queue = client.queue("orders");
  await queue.publish("zero");
  server!.behaviour.publish = () => "silence";
  const body = new Uint8Array(400);
  const outcomes = Array.from({ length: 10 }, () => outcomeOf(queue.publish(body)));
  await settle();
  // The third goes beyond 1,000 bytes; from then on they wait.
  assertEquals(server!.publishes.slice(1).map(({ command }) => command.count), [3]);
  server!.behaviour.publish = (received) => server!.published(received);
  server!.dropConnections();
  await network.clock.advance(100);
  assertEquals(outcomes.map(({ value }) => value?.offset), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await client.close();
});

Deno.test("an aborted publish that waits in line is never sent", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect({ windowBytes: 10 });
  const queue = client.queue("orders");
  await queue.publish("zero");
  server!.behaviour.publish = () => "silence";
  const filler = outcomeOf(queue.publish("0123456789"));
  const controller = new AbortController();
  const aborted = outcomeOf(queue.publish("aborted", { signal: controller.signal }));
  const kept = outcomeOf(queue.publish("kept", { signal: new AbortController().signal }));
  await settle();
  const reason = new Error("changed my mind");
  controller.abort(reason);
  await settle();
  assertEquals(aborted.error as unknown, reason);
  server!.behaviour.publish = (received) => server!.published(received);
  server!.dropConnections();
  await network.clock.advance(100);
  assertEquals([filler.value?.offset, kept.value?.offset], [1, 2]);
  assert(!server!.publishes.some(({ bodies }) => bodies.includes("aborted")));
  await assertRejects(
    () => queue.publish("x", { signal: AbortSignal.abort(reason) }),
    Error,
    "my mind",
  );
  await client.close();
});

Deno.test("a deleted queue is made anew by the next publish", async () => {
  const network = new FakeNetwork(1);
  const queue = network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  await client.queue("orders").publish("zero");
  network.queues.clear();
  server!.behaviour.publish = (received) =>
    received.command.partitionId === queue.partitions[0]!.id && network.queues.size === 0
      ? refusal(ErrorCode.partitionNotFound, "no such partition")
      : server!.published(received);
  const error = await assertRejects(
    () => client.queue("orders").publish("one"),
    QueueNotFoundError,
  );
  assertEquals(error.maybeApplied, false);
  await client.queue("orders").publish("two");
  assertEquals(server!.requestsOf("createQueue").length, 1);
  await client.close();
});

Deno.test("what is left of a queue that was deleted leaves the one alone that was made anew", async () => {
  const network = new FakeNetwork(1, 2);
  const server = network.servers[0]!;
  network.addQueue("orders", 2);
  const client = await network.connect();
  const queue = client.queue("orders");
  const keys = ["a", "b", "c", "d"];
  const keyOf = (partition: number) => keys.find((key) => partitionOfKey(key, 2) === partition)!;
  await queue.publish("zero", { key: keyOf(0) });
  // One shard says that the queue is gone, the other one takes its time.
  const isOld = (partitionId: number) => partitionId < 200;
  let isLate = true;
  server.behaviour.publish = (received) => {
    const { partitionId } = received.command;
    if (!isOld(partitionId)) return server.published(received);
    return partitionId === 101 && isLate
      ? refusal(ErrorCode.overloaded, "wait")
      : refusal(ErrorCode.partitionNotFound, "no such partition");
  };
  network.addQueue("another");
  network.queues.delete("orders");
  network.addQueue("orders", 2);
  const lost = [0, 1].map((at) => outcomeOf(queue.publish("lost", { key: keyOf(at) })));
  await settle();
  await queue.publish("one", { key: keyOf(0) });
  isLate = false;
  await network.clock.advance(3_000);
  assertEquals(lost.map(({ error }) => error instanceof QueueNotFoundError), [true, true]);
  await queue.publish("two", { key: keyOf(0) });
  const anew = server.publishes.filter(({ command }) => !isOld(command.partitionId));
  // Numbers that were used before would make it a repeat, which is not stored.
  assertEquals(anew.map(({ command }) => command.baseSequence), [0, 1]);
  await client.close();
});

Deno.test("close() waits for what is under way, ends the session, and refuses what comes later", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  const receipt = queue.publish("last words");
  await client.close();
  assertEquals((await receipt).offset, 0);
  assertEquals(server!.requestsOf("closeSession").length, 1);
  await assertRejects(() => queue.publish("too late"), ClientClosedError);
  await assertRejects(() => client.queues(), ClientClosedError);
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("close() fails what is not done in time", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  server!.behaviour.publish = () => "silence";
  const sent = outcomeOf(queue.publish("sent"));
  const closed = client.close({ timeoutMs: 500 });
  await network.clock.advance(600);
  await closed;
  assertInstanceOf(sent.error, ClientClosedError);
  assertEquals(sent.error?.maybeApplied, true);
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("publish() rejects for misuse", async () => {
  const network = new FakeNetwork(1);
  const client = await network.connect();
  const queue = client.queue("orders");
  await assertRejects(() => queue.publish(5 as unknown as string), TypeError);
  await assertRejects(() => queue.publish("x", { key: "k".repeat(70_000) }), RangeError);
  await assertRejects(() => queue.publish("x", { timeoutMs: 0 }), RangeError);
  await assertRejects(
    () => queue.publish("x", { headers: { a: 1 } as unknown as Record<string, string> }),
    TypeError,
  );
  await client.close();
});
