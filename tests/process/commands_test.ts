/**
 * Command lines against a cluster, as a person types them.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { processTest } from "./process_test_case.ts";
import { until } from "./waiting.ts";

/** The objects of an output with one a line. */
function jsonLines(text: string): Record<string, unknown>[] {
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

processTest("what is piped into flowmq pub comes out of flowmq sub", { nodes: 1 }, async (test) => {
  const { shell } = test;
  const { code, stdout, stderr } = await shell.run("seq 1 5000 | flowmq pub numbers");
  assertEquals({ code, stdout }, { code: 0, stdout: "" });
  assertMatch(stderr, /^5,000 messages confirmed by queue numbers: .*\n$/);
  assertEquals(
    await shell.output("flowmq sub numbers --no-wait | cksum"),
    await shell.output("seq 1 5000 | cksum"),
  );
  assertEquals(await shell.output("flowmq sub numbers --no-wait"), "", "all were acked");
});

processTest(
  "flowmq pub takes an argument, a file as a whole, a key and headers; --json shows them",
  { nodes: 1 },
  async ({ shell }) => {
    await shell.output("flowmq pub letters 'two\nlines' --key k -H colour:blue -H 'size: 7'");
    const [receipt] = jsonLines(
      await shell.output("printf 'a\\nb\\n' | flowmq pub letters --whole --json"),
    );
    assertEquals([receipt!.partition, receipt!.offset], [0, 1]);
    assert(Number(receipt!.term) >= 1 && Number(receipt!.index) >= 1);

    const [first, second] = jsonLines(await shell.output("flowmq sub letters --no-wait --json"));
    const { publishedAt, ...rest } = first!;
    assert(Math.abs(Date.parse(String(publishedAt)) - Date.now()) < 3_600_000);
    assertEquals(rest, {
      queue: "letters",
      partition: 0,
      offset: 0,
      key: "k",
      headers: { colour: "blue", size: "7" },
      options: {},
      body: "two\nlines",
      deliveryCount: 1,
    });
    assertEquals(second!.body, "a\nb\n");
  },
);

processTest(
  "flowmq sub --count and | head -n 1 take no more messages than they print",
  { nodes: 1 },
  async ({ shell }) => {
    await shell.output("seq 1 100 | flowmq pub numbers");
    assertEquals(await shell.output("flowmq sub numbers --count 3"), "1\n2\n3\n");
    // The reader of the pipe has gone before the rest is written: that is no failure.
    assertEquals(
      await shell.output("flowmq sub numbers --prefetch 1 | head -n 1; echo ${PIPESTATUS[0]}"),
      "4\n0\n",
    );
    const rest = (await shell.output("flowmq sub numbers --no-wait")).trim().split("\n");
    // Messages that head was given and did not print are gone as well, but never one before them.
    assertEquals(rest.at(-1), "100");
    assert(Number(rest[0]) > 4, `the next one is ${rest[0]}`);
    assertEquals(rest.length, 101 - Number(rest[0]));
  },
);

processTest(
  "flowmq sub --no-ack shows messages and leaves them where they are",
  { nodes: 1 },
  async ({ shell }) => {
    await shell.output("seq 1 10 | flowmq pub numbers");
    const look = "flowmq sub numbers --no-wait --no-ack";
    const all = await shell.output("seq 1 10");
    assertEquals(await shell.output(look), all);
    assertEquals(await shell.output(look), all);
    const [message] = jsonLines(await shell.output(`${look} --json --count 1`));
    assertEquals(message!.deliveryCount, 3);
  },
);

processTest("several flowmq sub share a queue, message by message", { nodes: 1 }, async (test) => {
  const { shell } = test;
  await shell.output("flowmq queue add shared");
  const subs = ["a", "b"].map(() => shell.start("exec flowmq sub shared"));
  try {
    const consumers = async () =>
      Number(jsonLines(await shell.output("flowmq queue info shared --json"))[0]!.consumers);
    await until("both have attached", async () => await consumers() === 2);
    await shell.output("seq 1 100 | flowmq pub shared");
    for (const sub of subs) await sub.printed(/(\d+\n){50}/);
    for (const sub of subs) sub.signal("SIGINT");
    const outputs = await Promise.all(subs.map((sub) => sub.result()));
    assertEquals(outputs.map(({ code }) => code), [0, 0]);
    const numbers = outputs.map(({ stdout }) => stdout.trim().split("\n").map(Number));
    assertEquals(numbers.map((own) => own.length), [50, 50]);
    assertEquals(
      numbers.flat().sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    // Strictly in turn: each has every other one.
    for (const own of numbers) {
      assertEquals(new Set(own.map((number) => number % 2)).size, 1, `one of them got ${own}`);
    }
  } finally {
    for (const sub of subs) await sub[Symbol.asyncDispose]();
  }
});

processTest(
  "flowmq queue makes, lists, describes and removes queues",
  { nodes: 1 },
  async ({ shell }) => {
    const added = await shell.output("flowmq queue add mail --partitions 3 --lease 10s --json");
    assertEquals(JSON.parse(added).name, "mail");
    await shell.output("flowmq queue add mail --partitions 3 --lease 10s");
    await shell.output("seq 1 30 | flowmq pub mail; flowmq sub mail --count 10 > /dev/null");
    await shell.output("flowmq pub news hello");

    const list = jsonLines(await shell.output("flowmq queue ls --json"));
    assertEquals(list.map(({ name }) => name), ["mail", "news"]);
    assertMatch(await shell.output("flowmq queue ls"), /mail.*\n.*news/);

    const info = JSON.parse(await shell.output("flowmq queue info mail --json"));
    assertEquals(
      { name: info.name, ready: info.ready, leased: info.leased, acked: info.acked },
      { name: "mail", ready: 20, leased: 0, acked: 10 },
    );
    assertEquals(info.partitions.length, 3);
    assertMatch(await shell.output("flowmq queue info mail"), /20 messages ready/);

    await shell.output("flowmq queue rm mail");
    const names = jsonLines(await shell.output("flowmq queue ls --json")).map(({ name }) => name);
    assertEquals(names, ["news"]);
  },
);

processTest("flowmq cluster status tells who leads and who is down", {}, async (test) => {
  const { shell } = test;
  const nemesis = await test.nemesis();
  await nemesis.leader();
  const nodes = jsonLines(await shell.output("flowmq cluster status --json"));
  assertEquals(nodes.map(({ node }) => node), [1, 2, 3]);
  assertEquals(nodes.map(({ up }) => up), [true, true, true]);
  const roles = nodes.map(({ shards }) => (shards as { role: string }[])[0]!.role);
  assertEquals(roles.toSorted(), ["follower", "follower", "leader"]);
  assertMatch(await shell.output("flowmq cluster status"), /3 of 3 nodes up, 1 node may fail/);

  const victim = await nemesis.leadingNode();
  await victim.kill();
  await nemesis.leader();
  const down = await shell.run("flowmq cluster status --json");
  assertEquals(down.code, 1, "a cluster with a node down is not healthy");
  assertEquals(
    jsonLines(down.stdout).map(({ up }) => up),
    [1, 2, 3].map((node) => node !== victim.id),
  );
});

processTest("flowmq --help shows every command, and every command's --help an example", {
  nodes: 0,
}, async ({ shell }) => {
  const help = await shell.output("flowmq --help");
  const commands = [
    "serve",
    "dev",
    "pub",
    "sub",
    "queue add",
    "queue edit",
    "queue pause",
    "queue resume",
    "queue purge",
    "queue ls",
    "queue info",
    "queue rm",
    "cluster status",
    "demo",
  ];
  for (const command of commands) {
    assertMatch(help, new RegExp(`^ *${command}\\b`, "m"));
    const own = await shell.output(`flowmq ${command} --help`);
    assertMatch(own, /Examples?/i);
    assertMatch(own, new RegExp(`flowmq ${command}`));
  }
  assertMatch(await shell.output("flowmq --version"), /\d+\.\d+\.\d+/);
});
