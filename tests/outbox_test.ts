import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { MemoryTerminal } from "../cli/memory_terminal.ts";
import { run } from "../cli/run.ts";
import { type Client, connect, LeaseExpiredError, QueueNotFoundError } from "../mod.ts";
import { withDeathNote } from "../wire/mod.ts";
import { TestCluster } from "./test_cluster.ts";

/** Takes so many messages from a queue, acks them, and gives what they say. */
async function take(client: Client, name: string, count: number): Promise<string[]> {
  const texts: string[] = [];
  await using consumer = client.queue(name).consume();
  while (texts.length < count) {
    const { value } = await consumer.next();
    texts.push(`${value!.key ?? "-"} ${value!.text()} ${JSON.stringify(value!.headers)}`);
    await value!.ack();
  }
  return texts.sort();
}

Deno.test("an ack publishes to queues of all shards, and a lost lease publishes nothing", async () => {
  await using cluster = await TestCluster.start(3, { shards: 3 });
  await using client = await connect(formatAddress(cluster.nodes.get(1)!.clientAddress));
  await client.createQueue("orders", { partitions: 2 });
  await client.createQueue("invoices", { partitions: 3 });
  const count = 30;
  await client.queue("orders").publishBatch(
    Array.from({ length: count }, (_, i) => ({ body: `${i}`, key: `${i}` })),
  );
  const consumer = client.queue("orders").consume({ drain: true });
  for await (const delivery of consumer) {
    const body = delivery.text();
    await delivery.ack({
      publish: [
        { queue: "invoices", body, key: body, headers: { from: "orders" } },
        { queue: "log/made by the way", body: `done ${body}` },
      ],
    });
    await assertRejects(
      () => delivery.ack({ publish: [{ queue: "invoices", body: "again" }] }),
      LeaseExpiredError,
    );
  }
  const numbers = Array.from({ length: count }, (_, i) => i);
  assertEquals(
    await take(client, "invoices", count),
    numbers.map((i) => `${i} ${i} {"from":"orders"}`).sort(),
  );
  assertEquals(
    await take(client, "log/made by the way", count),
    numbers.map((i) => `- done ${i} {}`).sort(),
  );
  const { acked, ready, leased } = await client.queue("orders").info();
  assertEquals([acked, ready, leased], [count, 0, 0]);
  assertEquals((await client.queue("invoices").info()).published, count);
});

Deno.test("an ack that cannot publish leaves the message leased", async () => {
  await using cluster = await TestCluster.start(1);
  await using client = await connect(formatAddress(cluster.nodes.get(1)!.clientAddress));
  await client.queue("orders").publish("one");
  await using consumer = client.queue("orders").consume();
  const delivery = (await consumer.next()).value!;
  await assertRejects(
    () => delivery.ack({ publish: [{ queue: "nowhere", body: "x", create: false }] }),
    QueueNotFoundError,
  );
  await assertRejects(
    () => delivery.ack({ publish: Array(1_025).fill({ queue: "orders", body: "x" }) }),
    RangeError,
    "more than 1024 messages",
  );
  assertEquals((await client.queue("orders").info()).leased, 1);
  await delivery.ack();
});

Deno.test("dead letters are listed, brought back once, and purged", async () => {
  await using cluster = await TestCluster.start(1, { shards: 2 });
  const server = formatAddress(cluster.nodes.get(1)!.clientAddress);
  await using client = await connect(server);
  const flowmq = async (...words: string[]) => {
    const terminal = new MemoryTerminal();
    const code = await run(["queue", "dlq", ...words, "--server", server], terminal);
    return { code, stdout: terminal.stdout.all, stderr: terminal.stderr.lines };
  };
  await client.createQueue("mail", { partitions: 2 });
  assertEquals(await client.queue("mail").redrive(), 0);
  assertEquals(await client.queue("mail").purgeDeadLetters(), 0);
  assertEquals((await flowmq("ls", "mail")).stderr, ["no message of queue mail has died"]);
  const death = {
    queue: "mail",
    partition: 1,
    offset: 17,
    deliveryCount: 3,
    reason: "rejected" as const,
    detail: "no such address",
    atMs: 1_700_000_000_000,
  };
  for (const body of ["a", "b", "c"]) {
    const headers = withDeathNote({ h: body }, death);
    await client.queue("mail.dead").publish(body, { key: body, headers });
  }
  const [first] = await client.queue("mail").deadLetters({ limit: 1 });
  assertEquals([first?.death, first?.key, first?.headers], [death, "a", { h: "a" }]);
  const listed = await flowmq("ls", "mail");
  assertMatch(
    listed.stdout,
    /0 +mail\/1\/17 +rejected +3 +2023-11-14T22:13:20.000Z +no such address +a/,
  );
  assertEquals(
    (await flowmq("redrive", "mail", "--limit", "2", "--json")).stdout,
    '{"name":"mail","moved":2}\n',
  );
  assertEquals(await take(client, "mail", 2), ['a a {"h":"a"}', 'b b {"h":"b"}']);
  assertEquals((await flowmq("purge", "mail", "--json")).stdout, '{"name":"mail","purged":1}\n');
  assertEquals((await client.queue("mail").info()).published, 2);
  assertEquals(await client.queue("mail").deadLetters(), []);

  await client.queue("mail.dead").publish("from nowhere");
  await assertRejects(() => client.queue("mail").redrive(), TypeError, "does not say where it was");
  await assertRejects(() => client.queue("mail").redrive({ to: "nowhere" }), QueueNotFoundError);
  assertEquals(await client.queue("mail").redrive({ to: "mail" }), 1);
  assertEquals(await take(client, "mail", 1), ["- from nowhere {}"]);
});
