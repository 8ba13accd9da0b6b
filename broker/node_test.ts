import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { FileSystem, OpenOptions } from "../storage/mod.ts";
import { ownPlaces } from "../tests/loopback.ts";
import { denoNodeRuntime } from "./deno_runtime.ts";
import { type NodeConfig, startNode } from "./mod.ts";
import { encodePublishCommand, ErrorCode, PushType, visitDeliveries } from "../wire/mod.ts";
import { TestClient, TestCluster } from "../tests/test_cluster.ts";
import { queueSettings } from "../queue/mod.ts";

const settings = queueSettings();

async function makeQueue(client: TestClient, name: string): Promise<number> {
  const { queue } = await client.ask(
    { kind: "createQueue", name, settings, acceptExisting: false },
    "queueReply",
  );
  return queue.partitions[0]!.id;
}

async function openSession(client: TestClient): Promise<number> {
  const request = { kind: "openSession", timeoutMs: 10_000, clientName: "test" } as const;
  return (await client.ask(request, "sessionOpened")).sessionId;
}

function publish(sessionId: number, partitionId: number, baseSequence: number, text: string) {
  const target = { shard: 0, sessionId, partitionId, baseSequence };
  const body = new TextEncoder().encode(text);
  return { kind: "publish", command: encodePublishCommand(target, [{ body }]) } as const;
}

Deno.test("a node alone leads at once, stores and delivers", async () => {
  await using cluster = await TestCluster.start(1);
  using client = await TestClient.connect(cluster.address(1));
  const partitionId = await makeQueue(client, "jobs");
  const sessionId = await openSession(client);
  const published = await client.ask(publish(sessionId, partitionId, 0, "one"), "published");
  assertEquals(published.firstOffset, 0);
  assertEquals(published.duplicate, false);

  const again = await client.ask(publish(sessionId, partitionId, 0, "one"), "published");
  assertEquals(again.duplicate, true);
  assertEquals(again.index, published.index);

  const consumer = { sessionId, consumerId: 1, partitionId };
  await client.ask(
    { kind: "attachConsumer", ...consumer, prefetch: 10, drain: false, held: [] },
    "done",
  );
  // The next reply comes behind the delivery.
  await client.ask({ kind: "ping" }, "pong");
  const offsets: number[] = [];
  for (const { payload } of client.pushes) {
    visitDeliveries(payload, (offset) => offsets.push(offset));
  }
  assertEquals(offsets, [0]);
});

Deno.test("a consumer that attaches again gets only what it does not hold", async () => {
  await using cluster = await TestCluster.start(1);
  using client = await TestClient.connect(cluster.address(1));
  const partitionId = await makeQueue(client, "jobs");
  const sessionId = await openSession(client);
  for (const i of [0, 1, 2]) {
    await client.ask(publish(sessionId, partitionId, i, `message ${i}`), "published");
  }
  const attach = (held: { offset: number; deliveryCount: number }[]) =>
    ({
      kind: "attachConsumer",
      sessionId,
      consumerId: 1,
      partitionId,
      prefetch: 10,
      drain: false,
      held,
    }) as const;
  await client.ask(attach([]), "done");
  await client.ask({ kind: "ping" }, "pong");
  client.pushes.length = 0;

  using second = await TestClient.connect(cluster.address(1));
  await second.ask({ kind: "attachSession", sessionId }, "done");
  await second.ask(
    attach([{ offset: 0, deliveryCount: 1 }, { offset: 2, deliveryCount: 1 }]),
    "done",
  );
  await second.ask({ kind: "ping" }, "pong");
  const offsets: number[] = [];
  for (const { payload } of second.pushes) {
    visitDeliveries(payload, (offset) => offsets.push(offset));
  }
  assertEquals(offsets, [1]);
  assertEquals(client.pushes.map((push) => push.type), [PushType.sessionEnded]);
});

Deno.test("any node serves any client", async () => {
  await using cluster = await TestCluster.start(3, { shards: 2 });
  const leader = await cluster.leader();
  const other = [1, 2, 3].find((id) => id !== leader)!;
  using client = await TestClient.connect(cluster.address(other));
  // Two partitions, so that one lies in the shard that shard 0's leader may not lead.
  const { queue } = await client.ask({
    kind: "createQueue",
    name: "jobs",
    settings: queueSettings({ partitions: 2, leaseMs: 30_000 }),
    acceptExisting: false,
  }, "queueReply");
  assertEquals(queue.partitions.map((partition) => partition.shard).sort(), [0, 1]);
  for (const { id, shard } of queue.partitions) {
    const session = { kind: "openSession", timeoutMs: 10_000, clientName: "test" } as const;
    const { sessionId } = await client.ask(session, "sessionOpened", shard);
    const target = { shard, sessionId, partitionId: id, baseSequence: 0 };
    const command = encodePublishCommand(target, [{ body: new Uint8Array(3) }]);
    const published = await client.ask({ kind: "publish", command }, "published", shard);
    assertEquals(published.partitionId, id);
  }
});

Deno.test("a cluster goes on when its leader stops, and the node catches up", async () => {
  await using cluster = await TestCluster.start(3);
  const leader = await cluster.leader();
  const other = [1, 2, 3].find((id) => id !== leader)!;
  using client = await TestClient.connect(cluster.address(other));
  const partitionId = await makeQueue(client, "jobs");
  const sessionId = await openSession(client);
  await client.ask(publish(sessionId, partitionId, 0, "before"), "published");
  await cluster.stopNode(leader);

  using second = await TestClient.connect(cluster.address(other));
  await second.ask({ kind: "attachSession", sessionId }, "done");
  const published = await second.ask(publish(sessionId, partitionId, 1, "after"), "published");
  assertEquals(published.firstOffset, 1);

  await cluster.startNode(leader);
  using late = await TestClient.connect(cluster.address(leader));
  for (;;) {
    const { shards } = await late.ask({ kind: "nodeStatus" }, "nodeStatusReply");
    if (shards[0]!.appliedIndex >= published.index) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

Deno.test("a malformed or oversized frame ends its connection and hurts nobody else", async () => {
  await using cluster = await TestCluster.start(1);
  using good = await TestClient.connect(cluster.address(1));
  await makeQueue(good, "jobs");
  const oversized = new Uint8Array([0xff, 0xff, 0xff, 0x7f, 2, 0, 0, 0, 0, 0, 0, 0]);
  const cases: [string, number, (client: TestClient) => void][] = [
    ["a length over the limit", ErrorCode.frameTooLarge, (c) => c.sendBytes(oversized)],
    ["a length under the header", ErrorCode.malformedFrame, (c) => c.sendBytes(new Uint8Array(12))],
    ["a publish that is none", ErrorCode.malformedFrame, (c) => c.sendFrame(20, new Uint8Array(7))],
    ["a settle that is none", ErrorCode.malformedFrame, (c) => c.sendFrame(21, new Uint8Array(99))],
    ["CBOR that is none", ErrorCode.malformedFrame, (c) => c.sendFrame(10, new Uint8Array([0xff]))],
  ];
  for (const [what, code, send] of cases) {
    using bad = await TestClient.connect(cluster.address(1));
    send(bad);
    await bad.ended;
    assertEquals(bad.refusal?.code, code, what);
  }
  assert((await good.request({ kind: "listQueues" })).kind === "queueList");
});

Deno.test("a connection begins with a hello of a protocol that is spoken here", async () => {
  await using cluster = await TestCluster.start(1);
  using silent = await TestClient.connectSilently(cluster.address(1));
  void silent.request({ kind: "ping" });
  await silent.ended;
  assertEquals(silent.refusal?.code, ErrorCode.helloExpected);

  using foreign = await TestClient.connectSilently(cluster.address(1));
  void foreign.request({ kind: "hello", protocol: 99, clientName: "test" });
  await foreign.ended;
  assertEquals(foreign.refusal?.code, ErrorCode.unsupportedProtocol);
});

Deno.test("requests that cannot be served get an error and keep their connection", async () => {
  await using cluster = await TestCluster.start(1, { messageBytesMax: 100 });
  using client = await TestClient.connect(cluster.address(1));
  const partitionId = await makeQueue(client, "jobs");
  const sessionId = await openSession(client);
  const codeOf = async (request: Parameters<TestClient["request"]>[0], shard = 0) => {
    const reply = await client.request(request, shard);
    return reply.kind === "error" ? reply.code : reply.kind;
  };
  assertEquals(await codeOf({ kind: "findQueue", name: "none" }), ErrorCode.queueNotFound);
  assertEquals(await codeOf({ kind: "attachSession", sessionId: 999 }), ErrorCode.sessionNotFound);
  assertEquals(await codeOf({ kind: "listQueues" }, 7), ErrorCode.invalidArgument);
  assertEquals(
    await codeOf(publish(sessionId, partitionId, 0, "x".repeat(101))),
    ErrorCode.messageTooLarge,
  );
  assertEquals(await codeOf(publish(sessionId, partitionId, 5, "gap")), ErrorCode.sequenceGap);
  client.sendFrame(90, new Uint8Array(16));
  assertEquals(await codeOf({ kind: "ping" }), "pong");
});

Deno.test("a node that has stopped leaves its addresses free for the next one", async () => {
  await using cluster = await TestCluster.start(2);
  for (let i = 0; i < 20; i++) {
    await cluster.stopNode(2);
    await cluster.startNode(2);
  }
});

function configOfOne(): NodeConfig {
  const { hosts: [hostname = ""], ports: [port] } = ownPlaces(1);
  const peerAddress = { hostname, port: port!.peer };
  return {
    nodeId: 1,
    cluster: [{ id: 1, peerAddress }],
    dataDirectory: Deno.makeTempDirSync({ prefix: "flowmq-test-" }),
    listen: { hostname, port: 0 },
    peerListen: peerAddress,
  };
}

Deno.test("a node whose disk fails while it stops says so", async () => {
  const config = configOfOne();
  const runtime = denoNodeRuntime();
  const { files } = runtime;
  let isFailing = false;
  const failingFiles: FileSystem = Object.assign(Object.create(files), {
    open(path: string, options: OpenOptions) {
      const file = files.open(path, options);
      const sync = file.syncData.bind(file);
      file.syncData = () => isFailing ? Promise.reject(new Error("EIO: no more")) : sync();
      return file;
    },
  });
  const node = await startNode(config, { ...runtime, files: failingFiles });
  using client = await TestClient.connect(node.clientAddress);
  await makeQueue(client, "jobs");
  // From here on there is nothing to write but what closing the shard writes.
  isFailing = true;
  await node.stop();
  const failure = await Promise.race([node.failed, Promise.resolve(undefined)]);
  assertStringIncludes(failure?.message ?? "none", "EIO: no more");
  Deno.removeSync(config.dataDirectory, { recursive: true });
});

Deno.test("a node that looks into a queue and finds its log damaged says so, and ends", async () => {
  const config = configOfOne();
  const node = await startNode(config);
  using client = await TestClient.connect(node.clientAddress);
  const partitionId = await makeQueue(client, "jobs");
  const sessionId = await openSession(client);
  // More than the log keeps in memory.
  const text = "x".repeat(900_000);
  for (let i = 0; i < 48; i++) {
    await client.ask(publish(sessionId, partitionId, i, text), "published");
  }
  const path = `${config.dataDirectory}/shard-0/00000000000000000001.seg`;
  using file = Deno.openSync(path, { write: true });
  file.seekSync(500_000, Deno.SeekMode.Start);
  file.writeSync(new TextEncoder().encode("y"));
  void client.request({ kind: "findMessage", partitionId, offset: 0 });
  assertStringIncludes((await node.failed).message, path);
  await node.stop();
  Deno.removeSync(config.dataDirectory, { recursive: true });
});
