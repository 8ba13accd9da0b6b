import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ErrorCode } from "../wire/mod.ts";
import { FakeNetwork, outcomeOf, refusal, settle } from "./_testing.ts";
import { connect } from "./client.ts";
import {
  ConnectionLostError,
  FlowMQError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";

Deno.test("connect() rejects when nobody answers in time, and says what was tried", async () => {
  const network = new FakeNetwork(2);
  for (const server of network.servers) server.stop();
  const outcome = outcomeOf(
    connect("10.0.0.1,10.0.0.2:7400", { runtime: network.runtime, connectTimeoutMs: 1_000 }),
  );
  await network.clock.advance(1_500);
  assertInstanceOf(outcome.error, ConnectionLostError);
  assert(
    outcome.error!.message.includes("10.0.0.1:7400: connection refused"),
    outcome.error!.message,
  );
  assert(
    outcome.error!.message.includes("10.0.0.2:7400: connection refused"),
    outcome.error!.message,
  );
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("connect() waits for a node that comes up", async () => {
  const network = new FakeNetwork(1);
  network.servers[0]!.stop();
  const outcome = outcomeOf(network.connect());
  await network.clock.advance(200);
  assertEquals(outcome, {});
  network.servers[0]!.start();
  await network.clock.advance(300);
  await outcome.value!.close();
});

Deno.test("connect() does not wait for a node that says nothing while another one comes up", async () => {
  const network = new FakeNetwork(2);
  const [first, second] = network.servers;
  first!.stop();
  second!.isPaused = true;
  const outcome = outcomeOf(connect("10.0.0.1,10.0.0.2:7400", { runtime: network.runtime }));
  await network.clock.advance(100);
  first!.start();
  await network.clock.advance(300);
  assertEquals(network.dials.filter((address) => address === "10.0.0.2:7400").length, 1);
  await outcome.value!.close();
});

Deno.test("connect() tells which nodes refused and which said nothing", async () => {
  const network = new FakeNetwork(2);
  const [first, second] = network.servers;
  first!.stop();
  second!.isPaused = true;
  const options = { runtime: network.runtime, connectTimeoutMs: 1_000 };
  const outcome = outcomeOf(connect("10.0.0.1,10.0.0.2:7400", options));
  await network.clock.advance(1_500);
  assertEquals(
    outcome.error?.message,
    "Cannot connect to any node: Cannot connect to 10.0.0.1:7400: connection refused; " +
      "10.0.0.2:7400 has not answered yet",
  );
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("connect() gives up a node that takes the connection and says nothing", async () => {
  const network = new FakeNetwork(1);
  network.servers[0]!.isPaused = true;
  const outcome = outcomeOf(network.connect({ connectTimeoutMs: 5_000 }));
  await network.clock.advance(5_100);
  assertInstanceOf(outcome.error, ConnectionLostError);
  assert(network.dials.length > 1);
  assertEquals(network.clock.timerCount, 0);
});

Deno.test("connect() can be aborted, and refuses bad addresses and settings at once", async () => {
  const network = new FakeNetwork(1);
  network.servers[0]!.stop();
  const controller = new AbortController();
  const outcome = outcomeOf(network.connect({ signal: controller.signal }));
  await settle();
  const reason = new Error("stop");
  controller.abort(reason);
  await settle();
  assertEquals(outcome.error as unknown, reason);
  await assertRejects(() => connect("nonsense:99999"), TypeError, "127.0.0.1:7400");
  await assertRejects(() => connect([]), TypeError, "no server");
  await assertRejects(() => connect("a", { requestTimeoutMs: 0 }), RangeError, "requestTimeoutMs");
});

Deno.test("a node of another cluster is not used", async () => {
  const network = new FakeNetwork(2);
  const client = await network.connect();
  network.clusterId = "cluster-2";
  await assertRejects(
    () => client.nodeStatus("10.0.0.2:7400"),
    ConnectionLostError,
    "another cluster",
  );
  await client.close();
});

Deno.test("a broker that refuses the hello says why", async () => {
  const network = new FakeNetwork(1);
  network.servers[0]!.behaviour.other = ({ request }) =>
    request.kind === "hello" ? refusal(ErrorCode.unsupportedProtocol, "we speak 2") : undefined;
  const outcome = outcomeOf(network.connect({ connectTimeoutMs: 500 }));
  await network.clock.advance(600);
  assert(outcome.error!.message.includes("we speak 2"), outcome.error!.message);
});

Deno.test("a silent connection is asked for a sign of life, then given up", async () => {
  const network = new FakeNetwork(1);
  const [server] = network.servers;
  const client = await network.connect({ pingIntervalMs: 1_000, pingTimeoutMs: 2_000 });
  await network.clock.advance(5_000);
  assertEquals(network.dials.length, 1);
  server!.isPaused = true;
  await network.clock.advance(3_500);
  server!.isPaused = false;
  await client.metadata();
  assertEquals(network.dials.length, 2);
  await client.close();
});

Deno.test("createQueue() is retried while nobody leads, and is not asked twice for one answer", async () => {
  const network = new FakeNetwork(1);
  const [server] = network.servers;
  const client = await network.connect();
  let refusals = 3;
  const { createQueue } = server!.behaviour;
  server!.behaviour.createQueue = (received) =>
    refusals-- > 0 ? refusal(ErrorCode.noLeader, "nobody leads") : createQueue(received);
  const outcome = outcomeOf(client.createQueue("orders", { partitions: 3, leaseMs: 5_000 }));
  await network.clock.advance(500);
  assertEquals(outcome.value?.partitions.length, 3);
  const requests = server!.requestsOf("createQueue");
  assertEquals(requests.length, 4);
  assertEquals([requests[0]!.settings, requests[0]!.acceptExisting], [{
    partitions: 3,
    leaseMs: 5_000,
  }, false]);
  await client.close();
});

Deno.test("a request that gets no answer fails in time and says whether it may have been done", async () => {
  const network = new FakeNetwork(1);
  const [server] = network.servers;
  const client = await network.connect();
  server!.behaviour.other = ({ request }) =>
    request.kind === "deleteQueue" || request.kind === "listQueues" ? "silence" : undefined;
  const change = outcomeOf(client.deleteQueue("orders", { timeoutMs: 300 }));
  const reading = outcomeOf(client.queues({ timeoutMs: 300 }));
  await network.clock.advance(400);
  assertInstanceOf(change.error, RequestTimeoutError);
  assertInstanceOf(reading.error, RequestTimeoutError);
  assertEquals([change.error?.maybeApplied, reading.error?.maybeApplied], [true, false]);
  await client.close();
});

Deno.test("errors of the catalog come as what they are", async () => {
  const network = new FakeNetwork(1);
  const [server] = network.servers;
  const client = await network.connect();
  server!.behaviour.createQueue = () => refusal(ErrorCode.queueExists, "has 2 partitions");
  const error = await assertRejects(
    () => client.createQueue("orders"),
    FlowMQError,
    "has 2 partitions",
  );
  assertEquals([error.code, error.maybeApplied], [ErrorCode.queueExists, false]);
  await assertRejects(() => client.queue("missing").info(), QueueNotFoundError);
  server!.behaviour.other = ({ request }) =>
    request.kind === "deleteQueue" ? refusal(ErrorCode.queueNotFound, "no such queue") : undefined;
  await assertRejects(() => client.deleteQueue("missing"), QueueNotFoundError);
  await client.close();
});

Deno.test("deleteQueue() takes a queue for removed that is gone after an answer was lost", async () => {
  const network = new FakeNetwork(1);
  const server = network.servers[0]!;
  const client = await network.connect();
  let asked = 0;
  server.behaviour.other = ({ request, connection }) => {
    if (request.kind !== "deleteQueue") return undefined;
    if (++asked > 1) return refusal(ErrorCode.queueNotFound, "no such queue");
    connection.close();
    return "silence";
  };
  const outcome = outcomeOf(client.deleteQueue("orders"));
  await settle();
  await network.clock.advance(1_000);
  await settle();
  assertEquals([asked, outcome], [2, { value: undefined }]);
  await client.close();
});

Deno.test("editQueue(), pause() and resume() say what is to change, and nothing else", async () => {
  const network = new FakeNetwork(1);
  const queue = network.addQueue("orders");
  const [server] = network.servers;
  server!.behaviour.other = ({ request }) =>
    request.kind === "editQueue" ? { kind: "queueReply", queue, created: false } : undefined;
  const client = await network.connect();
  assertEquals((await client.editQueue("orders", { leaseMs: 500, timeoutMs: 900 })).id, queue.id);
  await client.queue("orders").pause();
  await client.queue("orders").resume();
  const asked = server!.requestsOf("editQueue").map(({ settings, paused }) => [settings, paused]);
  assertEquals(asked, [[{ leaseMs: 500 }, undefined], [{}, true], [{}, false]]);
  server!.behaviour.other = () => refusal(ErrorCode.queueNotFound, "no such queue");
  await assertRejects(() => client.queue("missing").pause(), QueueNotFoundError);
  await client.close();
});

Deno.test("purge() asks every partition in its shard and adds up", async () => {
  const network = new FakeNetwork(1, 2);
  network.addQueue("orders", 3);
  const [server] = network.servers;
  server!.behaviour.other = ({ request }) =>
    request.kind !== "purgePartition"
      ? undefined
      : { kind: "purged", count: request.partitionId, term: 1, index: 2 };
  const client = await network.connect();
  assertEquals(await client.queue("orders").purge(), 100 + 101 + 102);
  await client.close();
});

Deno.test("info() adds up the partitions of all shards", async () => {
  const network = new FakeNetwork(1, 2);
  network.addQueue("orders", 3);
  network.servers[0]!.behaviour.other = ({ request }) =>
    request.kind !== "queueStats" ? undefined : {
      kind: "queueStatsReply",
      partitions: request.partitionIds.map((partitionId) => ({
        partitionId,
        published: 10,
        acked: 4,
        purged: 2,
        dropped: 1,
        ready: 5,
        leased: 1,
        bytesPublished: 100,
        redelivered: 2,
        consumers: 1,
        nextOffset: 10,
        delayed: 3,
        dead: 0,
        expired: 0,
        repeated: 0,
      })),
    };
  const client = await network.connect();
  const info = await client.queue("orders").info();
  assertEquals([info.name, info.published, info.acked, info.ready, info.leased], [
    "orders",
    30,
    12,
    15,
    3,
  ]);
  assertEquals(info.partitions.map(({ partition, shard }) => [partition, shard]), [[0, 0], [1, 1], [
    2,
    0,
  ]]);
  await client.close();
});

Deno.test("queues() are sorted by name; metadata() and nodeStatus() answer", async () => {
  const network = new FakeNetwork(1);
  for (const name of ["b", "a", "c"]) network.addQueue(name);
  const client = await network.connect();
  assertEquals((await client.queues()).map(({ name }) => name), ["a", "b", "c"]);
  const map = await client.metadata();
  assertEquals([map.nodes.length, map.shards], [1, [{ id: 0, leader: 1, term: 1 }]]);
  await client[Symbol.asyncDispose]();
});

Deno.test("a malformed reply ends the connection and fails the request, and nothing else", async () => {
  const network = new FakeNetwork(1);
  const [server] = network.servers;
  const client = await network.connect();
  let isFirst = true;
  server!.behaviour.other = ({ request, connection, correlationId }) => {
    if (request.kind !== "listQueues" || !isFirst) return undefined;
    isFirst = false;
    // A queue list (159) whose payload is one byte of nonsense.
    connection.send(new Uint8Array([9, 0, 0, 0, 159, 0, 0, 0, correlationId, 0, 0, 0, 0xff]));
    return "silence";
  };
  const outcome = outcomeOf(client.queues());
  await network.clock.advance(200);
  assertEquals(outcome.value, []);
  assertEquals(network.dials.length, 2);
  await client.close();
});

Deno.test("a client of a node that is cut off from the cluster asks the others", async () => {
  const network = new FakeNetwork(2);
  network.addQueue("orders");
  network.elect(2);
  network.servers[0]!.isCutOff = true;
  const client = await network.connect();
  const receipt = outcomeOf(client.queue("orders").publish("one"));
  await network.clock.advance(1_000);
  assertEquals(receipt.value?.offset, 0);
  await client.close();
});

Deno.test("a client whose only node knew no leader, and then restarted, finds it again", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  server!.isCutOff = true;
  const client = await network.connect();
  const receipt = outcomeOf(client.queue("orders").publish("one"));
  await network.clock.advance(500);
  assertEquals(receipt, {});
  server!.stop();
  await network.clock.advance(500);
  server!.isCutOff = false;
  server!.start();
  await network.clock.advance(2_000);
  assertEquals(receipt.value?.offset, 0);
  await client.close();
});
