import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress, type Shard, type ShardObserver } from "../broker/mod.ts";
import { ExitCode } from "../cli/exit_codes.ts";
import { MemoryTerminal } from "../cli/memory_terminal.ts";
import { run } from "../cli/run.ts";
import { connect } from "../mod.ts";
import { TestCluster } from "./test_cluster.ts";

/** Gets hold of the shards of all nodes of a cluster that is started in this process. */
class Insider implements ShardObserver {
  readonly shards: Shard[] = [];
  opened(shard: Shard): void {
    this.shards.push(shard);
  }
  ready(): void {}
  durable(): void {}
  applied(): void {}

  of(replica: number, id: number): Shard {
    return this.shards.find((shard) => shard.replica === replica && shard.id === id)!;
  }
}

async function verify(cluster: TestCluster, ...words: string[]) {
  const terminal = new MemoryTerminal();
  const servers = [...cluster.nodes.values()].map((node) => formatAddress(node.clientAddress));
  const code = await run(["verify", "--server", servers.join(","), ...words], terminal);
  return { code, stdout: terminal.stdout.all, stderr: terminal.stderr.lines };
}

Deno.test("flowmq verify finds all replicas the same while messages come and go", async () => {
  await using cluster = await TestCluster.start(3, { shards: 2 });
  await using client = await connect(formatAddress(cluster.nodes.get(1)!.clientAddress));
  await client.createQueue("busy", { partitions: 4 });
  const queue = client.queue("busy");
  const consumer = queue.consume({ prefetch: 50 });
  const consuming = (async () => {
    for await (const delivery of consumer) void delivery.ack().catch(() => {});
  })();
  let isOver = false;
  let published = 0;
  const publishing = (async () => {
    while (!isOver) {
      await Promise.all(
        Array.from({ length: 20 }, () => queue.publish("x", { key: `${published++ % 17}` })),
      );
    }
  })();
  try {
    for (let round = 0; round < 3; round++) {
      const { code, stdout, stderr } = await verify(cluster, "--json");
      assertEquals(stderr, []);
      const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
      assertEquals(lines.map(({ shard, node, verdict }) => [shard, node, verdict]), [
        [0, 1, "same"],
        [0, 2, "same"],
        [0, 3, "same"],
        [1, 1, "same"],
        [1, 2, "same"],
        [1, 3, "same"],
      ]);
      assertEquals(code, ExitCode.ok);
    }
  } finally {
    isOver = true;
    await publishing;
    await consumer.close();
    await consuming;
  }
  assert(published > 100);
});

Deno.test("flowmq verify names the replica that has gone astray, and one that does not answer", async () => {
  const insider = new Insider();
  await using cluster = await TestCluster.start(3, { shards: 2, observer: insider });
  await cluster.leader();
  assertMatch((await verify(cluster)).stdout, /^2 shards, 6 replicas: all the same$/m);
  // A command that is in nobody's log.
  const { machine } = insider.of(2, 1);
  machine.apply({ index: machine.appliedIndex + 0.5, term: 1, timestampMs: 1 }, {
    kind: "openSession",
    timeoutMs: 86_400_000,
    clientName: "a ghost",
  });
  const astray = await verify(cluster);
  assertEquals(astray.code, ExitCode.failed);
  assertMatch(astray.stdout, /^2 shards, 6 replicas: 1 replica of them differing$/m);
  assertMatch(astray.stdout, /^ +1 +2 +127\S+ +\d+ +[0-9a-f]{8}-[0-9a-f]+ +DIFFERS from most$/m);
  assertEquals(astray.stdout.match(/ same$/gm)?.length, 5);

  await cluster.stopNode(3);
  const { code, stdout } = await verify(cluster);
  assertEquals(code, ExitCode.failed);
  assertMatch(
    stdout,
    /^2 shards, 6 replicas: 2 replicas of them differing, 2 replicas not heard of$/m,
  );
  assertMatch(stdout, /^ +1 +1 .* DIFFERS, and none has most on its side$/m);
  assertMatch(stdout, /^ +0 +3 .* unknown: /m);
});
