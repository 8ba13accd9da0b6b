import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { encodeReply, encodeSessionEnded, ErrorCode } from "../wire/mod.ts";
import { FakeNetwork, outcomeOf, refusal, settle } from "./_testing.ts";

Deno.test("a dial without an answer does not keep the client from the leader that is elected meanwhile", async () => {
  const network = new FakeNetwork(3, 2);
  network.addQueue("orders", 2);
  const [first, second, third] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("a");
  await queue.publish("b");
  // Node 1 leads both shards and falls silent; its kernel still takes connections.
  first!.isPaused = true;
  const outcomes = [outcomeOf(queue.publish("c"))];
  await settle();
  outcomes.push(outcomeOf(queue.publish("d")));
  await settle();
  network.term++;
  network.leaders[0] = 2;
  await network.clock.advance(700);
  assertEquals(second!.publishes.length, 1);
  // The other shard still names node 1, and a dial of node 1 is under way for seconds.
  assert(network.dials.filter((address) => address === "10.0.0.1:7400").length > 1);
  network.leaders[1] = 3;
  await network.clock.advance(500);
  assertEquals(third!.publishes.length, 1);
  assert(outcomes.every(({ value }) => value !== undefined));
  await client.close();
});

Deno.test("a session that was served by a relay goes to the new leader as soon as one is known", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  const [first, second, third] = network.servers;
  network.elect(2);
  second!.isReachable = false;
  const client = await network.connect();
  const queue = client.queue("orders");
  const relayed = outcomeOf(queue.publish("relayed"));
  await network.clock.advance(300);
  assertEquals([relayed.value?.offset, second!.publishes.length], [0, 0]);
  const relay = first!.publishes.length === 1 ? first! : third!;
  assertEquals(relay.publishes.length, 1);
  second!.isReachable = true;
  const leader = relay === first ? 3 : 1;
  network.elect(leader);
  await client.metadata();
  await network.clock.advance(100);
  await queue.publish("direct");
  assertEquals(network.servers[leader - 1]!.publishes.map(({ bodies }) => bodies), [["direct"]]);
  await client.close();
});

Deno.test("a request that hangs on a connection that lives makes the client ask who leads", async () => {
  const network = new FakeNetwork(2);
  network.addQueue("orders");
  const [first, second] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  // The node answers pings, but what it was asked went to a leader that is no more.
  first!.behaviour.publish = () => "silence";
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(500);
  network.elect(2);
  await network.clock.advance(1_000);
  assertEquals(outcome.value?.offset, 1);
  assertEquals(second!.publishes.map(({ bodies }) => bodies), [["one"]]);
  assertEquals(network.dials.filter((address) => address === "10.0.0.1:7400").length, 1);
  await client.close();
});

Deno.test("an attach that hangs is tried again", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  let attempts = 0;
  const { attachSession } = server!.behaviour;
  server!.behaviour.attachSession = (received) =>
    ++attempts < 3 ? "silence" : attachSession(received);
  server!.dropConnections();
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(11_000);
  assertEquals([attempts, outcome.value?.offset], [3, 1]);
  await client.close();
});

for (const kind of ["openSession", "attachSession"] as const) {
  Deno.test(`a session that ends in the same breath as ${kind} is answered is attached again`, async () => {
    const network = new FakeNetwork(1);
    network.addQueue("orders");
    const [server] = network.servers;
    const { behaviour } = server!;
    const usual = behaviour[kind];
    behaviour[kind] = (received) => {
      behaviour[kind] = usual;
      const { connection, shard, correlationId } = received;
      const reply = usual(received);
      if (reply === "silence") return reply;
      const ended = encodeSessionEnded(shard, { sessionId: 1_001, reason: "leaderChanged" });
      connection.send(concat([encodeReply(reply, shard, correlationId), ended]));
      return "silence";
    };
    const client = await network.connect();
    const outcome = outcomeOf(client.queue("orders").publish("zero"));
    await network.clock.advance(1_000);
    assertEquals(outcome.value?.offset, 0);
    // There is nothing to be sent that could be refused.
    if (kind === "attachSession") server!.dropConnections();
    await network.clock.advance(1_000);
    assertEquals(server!.requestsOf("openSession").length, 1);
    const attached = server!.requestsOf("attachSession").map(({ sessionId }) => sessionId);
    assertEquals(attached, kind === "openSession" ? [1_001] : [1_001, 1_001]);
    await client.close();
  });
}

Deno.test("sessions of producers and consumers are apart, one of each in a shard", async () => {
  const network = new FakeNetwork(1);
  for (const name of ["a", "b"]) network.addQueue(name);
  const [server] = network.servers;
  const client = await network.connect();
  await Promise.all([client.queue("a").publish("x"), client.queue("b").publish("y")]);
  const consumers = [client.queue("a").consume(), client.queue("b").consume()];
  await settle();
  assertEquals(server!.requestsOf("openSession").length, 2);
  const publishing = new Set(server!.publishes.map(({ command }) => command.sessionId));
  const consuming = new Set(server!.requestsOf("attachConsumer").map(({ sessionId }) => sessionId));
  assertEquals([publishing.size, consuming.size], [1, 1]);
  assert(!publishing.has([...consuming][0]!));
  await Promise.all(consumers.map((consumer) => consumer.close()));
  await client.close();
  assertEquals(server!.requestsOf("closeSession").length, 2);
});

Deno.test("a time-out says what kept the session from being attached", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  network.servers[0]!.behaviour.openSession = () =>
    refusal(ErrorCode.limitReached, "too many sessions");
  const client = await network.connect({ requestTimeoutMs: 500 });
  const outcome = outcomeOf(client.queue("orders").publish("x"));
  await network.clock.advance(700);
  assertEquals(outcome.error?.code, ErrorCode.requestTimeout);
  assertEquals((outcome.error?.cause as Error).message, "too many sessions");
  await client.close();
});

Deno.test("a connection that was quiet for long is pinged, and nobody is asked who leads", async () => {
  const network = new FakeNetwork(2);
  network.addQueue("orders");
  const [first, second] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await client.nodeStatus("10.0.0.2:7400").catch(() => {});
  await queue.publish("zero");
  assertEquals(second!.connections.length, 1);
  const asked = () => first!.requestsOf("metadata").length + second!.requestsOf("metadata").length;
  const before = asked();
  await network.clock.advance(10_000);
  assertEquals(asked(), before);
  await client.close();
});

for (const [silent, leader] of [[2, 3], [3, 2]] as const) {
  Deno.test(`a node that is silent as well (${silent}) does not keep the client from the new leader (${leader})`, async () => {
    const network = new FakeNetwork(5);
    network.addQueue("orders");
    const client = await network.connect();
    const queue = client.queue("orders");
    for (const id of [2, 3]) await client.nodeStatus(`10.0.0.${id}:7400`).catch(() => {});
    await queue.publish("zero");
    network.servers[0]!.isPaused = true;
    network.servers[silent - 1]!.isPaused = true;
    const outcome = outcomeOf(queue.publish("one"));
    await network.clock.advance(300);
    network.elect(leader);
    await network.clock.advance(700);
    assertEquals(outcome.value?.offset, 1);
    assertEquals(network.servers[leader - 1]!.publishes.map(({ bodies }) => bodies), [["one"]]);
    await client.close();
  });
}

Deno.test("a client that cannot reach the leader goes on when the node that relays has restarted", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  network.elect(2);
  const [first, second] = network.servers;
  // Nothing that goes from the client to node 2 gets there.
  second!.isPaused = true;
  const client = await network.connect();
  const queue = client.queue("orders");
  const relayed = outcomeOf(queue.publish("zero"));
  await network.clock.advance(2_500);
  assertEquals([relayed.value?.offset, first!.publishes.length], [0, 1]);
  first!.stop();
  await network.clock.advance(100);
  first!.start();
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(500);
  assertEquals(outcome.value?.offset, 1);
  await client.close();
});

Deno.test("a leader that was out of reach is tried again without making anybody wait for long", async () => {
  const network = new FakeNetwork(2);
  network.addQueue("orders");
  network.elect(2);
  const [, second] = network.servers;
  second!.isPaused = true;
  const client = await network.connect();
  const first = outcomeOf(client.queues());
  await network.clock.advance(2_500);
  assertEquals(first.value?.length, 1);
  for (let i = 0; i < 3; i++) {
    await network.clock.advance(8_000);
    const dials = network.dials.length;
    const outcome = outcomeOf(client.queues());
    await network.clock.advance(300);
    assertEquals([outcome.value?.length, network.dials.length], [1, dials + 1]);
  }
  second!.isPaused = false;
  await network.clock.advance(8_000);
  await client.queues();
  assertEquals(second!.requestsOf("listQueues").length, 1);
  await client.close();
});

Deno.test("nodes that say nothing do not keep the client from asking again who knew no leader", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  const [first, second, third] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  network.elect(0);
  second!.isPaused = true;
  third!.isPaused = true;
  first!.dropConnections();
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(150);
  network.elect(1);
  await network.clock.advance(400);
  assertEquals(outcome.value?.offset, 1);
  await client.close();
});

Deno.test("a silent leader does not keep the client from nodes that were down when it asked", async () => {
  const network = new FakeNetwork(3);
  network.addQueue("orders");
  const [first, second, third] = network.servers;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  first!.isPaused = true;
  second!.stop();
  third!.stop();
  const outcome = outcomeOf(queue.publish("one"));
  await network.clock.advance(700);
  second!.start();
  third!.start();
  network.elect(2);
  await network.clock.advance(700);
  assertEquals(outcome.value?.offset, 1);
  await client.close();
});
