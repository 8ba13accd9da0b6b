import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress, type NodeConfig, startNode } from "../broker/mod.ts";
import { ExitCode } from "./exit_codes.ts";
import { MemoryTerminal } from "./memory_terminal.ts";
import { freePort } from "./ports.ts";
import { run } from "./run.ts";

/** What a command did. */
interface Outcome {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string[];
}

async function flowmq(words: readonly string[], terminal = new MemoryTerminal()): Promise<Outcome> {
  const code = await run(words, terminal);
  return { code, stdout: terminal.stdout.all, stderr: terminal.stderr.lines };
}

/** Runs a command, whose words are given as such where one of them has a blank in it. */
type Call = (
  command: string | readonly string[],
  stdin?: string | Uint8Array,
) => Promise<Outcome>;

/** A node of its own for a test; `call` runs a command against it. */
async function withNode(
  test: (call: Call) => Promise<void>,
  config: Partial<NodeConfig> = {},
): Promise<void> {
  const dataDirectory = await Deno.makeTempDir();
  const any = { hostname: "127.0.0.1", port: 0 };
  const node = await startNode({
    nodeId: 1,
    cluster: [{ id: 1, peerAddress: any }],
    dataDirectory,
    listen: any,
    peerListen: any,
    ...config,
  });
  const server = formatAddress(node.clientAddress);
  try {
    await test((command, stdin) =>
      flowmq(
        [...typeof command === "string" ? command.split(" ") : command, "--server", server],
        new MemoryTerminal(stdin === undefined ? {} : { stdin }),
      )
    );
  } finally {
    await node.stop();
    await Deno.remove(dataDirectory, { recursive: true });
  }
}

Deno.test("flowmq without a command, and --help, show all commands", async () => {
  for (const words of [[], ["--help"], ["-h"], ["help"]]) {
    const { code, stdout } = await flowmq(words);
    assertEquals(code, ExitCode.ok);
    for (const name of ["serve", "pub", "sub", "queue add", "cluster status", "demo"]) {
      assertMatch(stdout, new RegExp(`^ {2}${name} `, "m"));
    }
    assert(!stdout.includes("bench-role"));
  }
});

Deno.test("every command's help shows its flags, their variables and an example", async () => {
  const { commands } = await import("./commands/mod.ts");
  for (const command of commands) {
    const { code, stdout } = await flowmq([...command.name.split(" "), "--help"]);
    assertEquals(code, ExitCode.ok);
    assert(command.examples.length > 0);
    assert(stdout.includes(`flowmq ${command.name}`));
    for (const flag of stdout.matchAll(/^ {2}(?:-\w,| {3}) --([a-z-]+)/gm)) {
      assert(stdout.includes("FLOWMQ_" + flag[1]!.replaceAll("-", "_").toUpperCase()));
    }
    const tooWide = stdout.split("\n").filter((line) => line.length > 100);
    assertEquals(tooWide, []);
  }
});

Deno.test("flowmq help knows groups and exit codes", async () => {
  assertMatch((await flowmq(["queue"])).stdout, /queue rm/);
  assertMatch((await flowmq(["queue", "--help"])).stdout, /queue rm/);
  assertMatch((await flowmq(["help", "queue", "add"])).stdout, /--partitions/);
  assertMatch((await flowmq(["help", "exit-codes"])).stdout, /^ {2}6 {4}The data directory/m);
});

Deno.test("a command line that is wrong gets one line and exit code 2", async () => {
  for (
    const [words, line] of [
      ["pbu x", 'unknown command "pbu"; did you mean flowmq pub?'],
      ["publish x", 'unknown command "publish"; did you mean flowmq pub?'],
      ["zebra", 'unknown command "zebra"; flowmq --help lists them all'],
      ["queue list", 'unknown command "queue list"; did you mean flowmq queue ls?'],
      ["queue zebra", 'unknown command "queue zebra"; see flowmq queue --help'],
      [
        "--server a:1",
        "unknown flag --server before a command: the command comes first (see flowmq --help)",
      ],
      ["sub", "QUEUE is missing: flowmq sub QUEUE [flags] (see flowmq sub --help)"],
      ["pub q a --whole", '--whole reads stdin: leave BODY "a" out'],
      ["pub q --whole --lines", "--lines and --whole exclude each other"],
      ["pub q a --delay 2s --at 18:00", "--delay and --at exclude each other"],
      ["sub q --nack a --reject b", "--nack and --reject exclude each other"],
      ["sub q --delay 2s", "--delay needs --nack"],
      ["pub q a --sequence 2", "--sequence needs --producer"],
      ["serve --cluster 1=a:1", "--cluster needs --node too: which of 1 is this one?"],
      ["serve --cluster 1=a:1 --node 2", "--cluster does not name --node 2: it has 1"],
      [
        "bench --batch 2",
        "--batch needs a workload: " +
        "--workload publish, publish-consume, fan-in, drain, many-queues, failover",
      ],
    ] as const
  ) {
    const { code, stdout, stderr } = await flowmq(words.split(" "));
    assertEquals(stderr, [`flowmq: ${line}`]);
    assertEquals(stdout, "");
    assertEquals(code, ExitCode.usage);
  }
});

Deno.test("flowmq version says the version", async () => {
  assertMatch((await flowmq(["--version"])).stdout, /^flowmq \d+\.\d+\.\d+ \(deno /);
  const { version } = JSON.parse((await flowmq(["version", "--json"])).stdout);
  assertMatch(version, /^\d+\.\d+\.\d+$/);
});

Deno.test("a command gives up where no server answers", async () => {
  const { code, stderr } = await flowmq("queue ls -s 127.0.0.1:1 --timeout 50ms".split(" "));
  assertEquals(code, ExitCode.unreachable);
  assertEquals(stderr.length, 1);
  assertMatch(stderr[0]!, /no node answered at 127\.0\.0\.1:1 within 50\.0 ms/);
});

Deno.test("flowmq serve with damaged data does not blame the addresses that it has just left", async () => {
  const directory = await Deno.makeTempDir();
  const any = { hostname: "127.0.0.1", port: 0 };
  try {
    const node = await startNode({
      nodeId: 1,
      cluster: [{ id: 1, peerAddress: any }],
      dataDirectory: directory,
      listen: any,
      peerListen: any,
    });
    await node.stop();
    await Deno.writeTextFile(`${directory}/shard-0/configuration`, "nonsense");
    const { code, stderr } = await flowmq([
      "serve",
      `--data=${directory}`,
      `--listen=127.0.0.1:${freePort()}`,
      `--peer=127.0.0.1:${freePort()}`,
    ]);
    assertMatch(stderr.join(), /^flowmq: damaged file .*shard-0\/configuration: /);
    assertEquals(code, ExitCode.dataDirectory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("flowmq serve names an address that it cannot have, and the flag", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const directory = await Deno.makeTempDir();
  try {
    for (
      const [flag, address, reason] of [
        ["--listen", `127.0.0.1:${taken.addr.port}`, "it is in use by another program"],
        ["--peer", "192.0.2.1:7402", "it is no address of this machine"],
      ] as const
    ) {
      const words = ["--listen=127.0.0.1:0", "--peer=127.0.0.1:0", `${flag}=${address}`];
      const { code, stderr } = await flowmq(["serve", `--data=${directory}`, ...words]);
      assertEquals(code, ExitCode.addressInUse);
      assertEquals(stderr, [
        `flowmq: cannot listen on ${address} as ${reason}: choose another with ${flag}`,
      ]);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("what flowmq pub publishes, flowmq sub prints", async () => {
  await withNode(async (call) => {
    assertEquals((await call("pub lines", "one\ntwo\r\n\nfour")).code, ExitCode.ok);
    assertEquals((await call("pub lines five")).code, ExitCode.ok);
    const got = await call("sub lines --count 5");
    assertEquals([got.code, got.stdout], [ExitCode.ok, "one\ntwo\n\nfour\nfive\n"]);
    assertEquals((await call("sub lines --no-wait")).stdout, "");
  });
});

Deno.test("flowmq pub --whole and flowmq sub --json carry any bytes, key and headers", async () => {
  await withNode(async (call) => {
    const bytes = Uint8Array.of(0, 10, 255, 13, 10);
    await call("pub files --whole --key k -H type:bin -Hn:2", bytes);
    await call("pub files text");
    const { stdout } = await call("sub files --json --no-wait");
    const [first, second] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(first.bodyBase64, btoa(String.fromCharCode(...bytes)));
    assertEquals(first.body, undefined);
    assertEquals([first.key, first.headers], ["k", { type: "bin", n: "2" }]);
    assertEquals(Object.keys(second), [
      "queue",
      "partition",
      "offset",
      "key",
      "headers",
      "options",
      "body",
      "deliveryCount",
      "publishedAt",
    ]);
    assertEquals([second.queue, second.offset, second.body, second.key], [
      "files",
      1,
      "text",
      null,
    ]);
    assertEquals(second.publishedAt, new Date(second.publishedAt).toISOString());
  });
});

Deno.test("flowmq pub says what its messages ask for, and flowmq sub --json shows it", async () => {
  await withNode(async (call) => {
    await call("pub jobs a --ttl 1h --priority 7 --unique u");
    await call("pub jobs b --at 2001-02-03T04:05:06Z");
    const { stdout } = await call("sub jobs --json --count 2 --lease 5s");
    const options = stdout.trimEnd().split("\n").map((line) => JSON.parse(line).options);
    assertEquals(options, [
      { ttlMs: 3_600_000, priority: 7, unique: "u" },
      { atMs: Date.UTC(2001, 1, 3, 4, 5, 6) },
    ]);
  });
});

Deno.test("flowmq pub --unique stores a message again only when it is acked", async () => {
  await withNode(async (call) => {
    const place = async () => {
      const { stdout } = await call("pub jobs nightly --unique nightly --json");
      const { offset, duplicate } = JSON.parse(stdout);
      return [offset, duplicate];
    };
    assertEquals(await place(), [0, false]);
    assertEquals(await place(), [0, true]);
    assertEquals((await call("sub jobs --no-wait")).stdout, "nightly\n");
    assertEquals(await place(), [2, false]);
  });
});

Deno.test("flowmq pub --producer stores each line once, however often it is run", async () => {
  await withNode(async (call) => {
    const lines = ["zero", "one", "two", "three"];
    const run = (count: number) =>
      call("pub orders --producer p --sequence 0", lines.slice(0, count).join("\n"));
    assertMatch((await run(2)).stderr[0]!, /^2 messages confirmed by queue orders: .* a second$/);
    assertMatch((await run(4)).stderr[0]!, /4 messages confirmed .*, 2 of them stored before$/);
    const next = await call("pub orders four --producer p --json");
    assertEquals(JSON.parse(next.stdout).sequence, 4);
    const again = await call("pub orders two --producer p --sequence 2 --json");
    assertEquals(JSON.parse(again.stdout), { message: 1, queue: "orders", sequence: 2 });
    assertEquals((await call("sub orders --no-wait")).stdout, [...lines, "four", ""].join("\n"));
    const gap = await call("pub orders ten --producer p --sequence 10");
    assertMatch(gap.stderr[0]!, /not the next one, 5: current value is 10/);
    assertEquals(gap.code === ExitCode.ok, false);
  });
});

Deno.test("flowmq sub --nack gives back what it prints", async () => {
  await withNode(async (call) => {
    await call("pub jobs a");
    assertEquals((await call("sub jobs --count 1 --nack busy --delay 300ms")).stdout, "a\n");
    const again = JSON.parse((await call("sub jobs --json --count 1")).stdout);
    assertEquals([again.body, again.deliveryCount >= 2], ["a", true]);
  });
});

Deno.test("flowmq sub --no-ack leaves every message in the queue", async () => {
  await withNode(async (call) => {
    await call("pub kept", "a\nb\nc");
    assertEquals((await call("sub kept --no-ack --no-wait")).stdout, "a\nb\nc\n");
    const some = await call("sub kept --no-ack --prefetch 2");
    assertEquals(some.stdout, "a\nb\n");
    assertMatch(some.stderr[0]!, /stopped after 2 messages/);
    const { stdout } = await call("sub kept --json --count 1");
    assertEquals(JSON.parse(stdout).deliveryCount, 3);
  });
});

Deno.test("flowmq sub acks what it prints, however large its prefetch", async () => {
  await withNode(async (call) => {
    await call("pub many", Array.from({ length: 2_000 }, (_, i) => i).join("\n"));
    assertEquals((await call("sub many --count 700")).stdout.trim().split("\n").length, 700);
    const rest = await call("sub many --no-wait --prefetch 5000");
    assertEquals(rest.stdout.trim().split("\n").length, 1_300);
    const report = JSON.parse((await call("queue info many --json")).stdout);
    assertEquals([report.acked, report.ready, report.leased], [2_000, 0, 0]);
  });
});

Deno.test("flowmq msg rm calls off a message, and may be repeated", async () => {
  await withNode(async (call) => {
    const pub = await call("pub mail later --delay 1h");
    const [, id] = /^1 message confirmed as (\S+): /.exec(pub.stderr[0]!)!;
    assertEquals(id, "mail/0/0");
    assertEquals((await call(`msg rm ${id}`)).stdout, "removed mail/0/0\n");
    const again = await call(`msg rm ${id}`);
    assertEquals([again.code, again.stdout], [
      ExitCode.ok,
      "mail/0/0 is gone already: it was acked, or came to another end\n",
    ]);
    const json = await call(`msg rm ${id} --json`);
    assertEquals(JSON.parse(json.stdout), { id, removal: "gone" });
    const never = await call("msg rm mail/0/7");
    assertEquals(never.code, ExitCode.notFound);
    assertMatch(never.stderr[0]!, /there is no message mail\/0\/7: the next .* gets offset 1$/);
    assertEquals((await call("msg rm mail/1/0")).code, ExitCode.notFound);
    assertEquals((await call("msg rm nothing/0/0")).code, ExitCode.notFound);
    assertEquals((await call("msg rm mail")).code, ExitCode.usage);
    assertEquals(JSON.parse((await call("queue info mail --json")).stdout).purged, 1);
  });
});

Deno.test("flowmq pub --json prints a receipt for each message", async () => {
  await withNode(async (call) => {
    const { stdout } = await call("pub mail --json", "a\nb");
    const receipts = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(
      receipts.map(({ message, id, queue, partition, offset, duplicate }) => [
        message,
        id,
        queue,
        partition,
        offset,
        duplicate,
      ]),
      [[1, "mail/0/0", "mail", 0, 0, false], [2, "mail/0/1", "mail", 0, 1, false]],
    );
    assert(receipts.every(({ term, index }) => term > 0 && index > 0));
  });
});

Deno.test("flowmq pub names the line that is too large, and the size", async () => {
  await withNode(async (call) => {
    const { code, stderr } = await call("pub mail", `a\nb\n${"x".repeat(1_100_000)}\nc\n`);
    assertEquals(code, ExitCode.refused);
    assertEquals(stderr.length, 1);
    assertMatch(stderr[0]!, /line 3 has 1,100,\d{3} bytes .* up to 1,048,576/);
    assertEquals((await call("sub mail --no-wait")).stdout.startsWith("a\nb\n"), true);
  });
});

Deno.test("flowmq queue add, ls, info and rm", async () => {
  await withNode(async (call) => {
    assertMatch((await call("queue ls")).stderr[0]!, /no queues yet/);
    assertMatch((await call("queue add mail --partitions 3 --lease 5s")).stdout, /3 partitions/);
    assertEquals((await call("queue add mail --partitions 3 --lease 5s")).code, ExitCode.ok);
    const other = await call("queue add mail --partitions 2");
    assertEquals(other.code, ExitCode.refused);
    assertMatch(other.stderr[0]!, /exists with other settings/);
    await call("pub mail --key a", "1\n2");
    const listed = await call("queue ls");
    assertMatch(listed.stdout, /^mail +running +3 +5\.00 s +2 +0 +0 +2 /m);
    const { stdout } = await call("queue info mail");
    assertMatch(stdout, /2 messages ready/);
    assertMatch(
      stdout,
      /^[\d.]+ published, 0 delivered and 0 acked a second; the oldest message is /m,
    );
    assertMatch(stdout, /^ +2 +1 +1 +\d+ B +1 +[\d.]+ \w+ +[\d.]+ m?s old$/m);
    assertMatch((await call("queue rm mail")).stdout, /removed queue mail/);
    const again = await call("queue rm mail");
    assertEquals([again.code, again.stdout], [ExitCode.ok, "there is no queue mail\n"]);
    for (const command of ["queue info mail", "sub mail", "pub mail x --no-create"]) {
      const gone = await call(command);
      assertEquals(gone.code, ExitCode.notFound, command);
      assertMatch(gone.stderr.join(), /there is no queue "mail"/);
    }
  });
});

Deno.test("flowmq serve --no-auto-create leaves the making of queues to flowmq queue add", async () => {
  await withNode(async (call) => {
    const forbidden = await call("pub mail hello");
    assertEquals(forbidden.code, ExitCode.notFound);
    assertMatch(forbidden.stderr.join(), /there is no queue "mail": .*flowmq queue add makes one/);
    await call("queue add mail");
    assertEquals((await call("pub mail hello")).code, ExitCode.ok);
  }, { autoCreate: false });
});

Deno.test("flowmq sub --partitions takes from those only", async () => {
  await withNode(async (call) => {
    await call("queue add mail --partitions 8");
    // Keys a and foobar are in partitions 4 and 7 of 8.
    await call("pub mail --key a", "1");
    await call("pub mail --key foobar", "2");
    assertEquals((await call("sub mail --partitions 7,0 --no-wait")).stdout, "2\n");
    const missing = await call("sub mail --partitions 8");
    assertEquals(missing.code, ExitCode.notFound);
    assertMatch(missing.stderr[0]!, /cannot consume from partition 8 .* it has partitions 0 to 7/);
    for (const partitions of ["x", "-1", "1,1", "1024"]) {
      assertEquals((await call(`sub mail --partitions ${partitions}`)).code, ExitCode.usage);
    }
    assertEquals((await call("sub mail --no-wait")).stdout, "1\n");
  });
});

Deno.test("flowmq queue edit --partitions lets a queue grow, and tells what waits for that", async () => {
  await withNode(async (call) => {
    await call("queue add mail");
    await call("pub mail --key a", "1");
    assertMatch((await call("queue edit mail --partitions 8")).stdout, /8 partitions/);
    await call("pub mail --key a", "2");
    // Key a is in partition 4 of 8 now.
    assertMatch((await call("queue info mail")).stdout, /^growing from 1 to 8 partitions: /m);
    assertEquals(JSON.parse((await call("queue info mail --json")).stdout).growingFrom, 1);
    assertMatch(
      (await call("explain mail/4/0")).stdout,
      /^mail\/4\/0 is ready, and waits until all messages are acked that were in/,
    );
    const again = await call("queue edit mail --partitions 9");
    assertEquals(again.code, ExitCode.refused);
    assertMatch(again.stderr[0]!, /is getting 8 partitions already/);
    assertEquals((await call("sub mail --count 2")).stdout, "1\n2\n");
    assertEquals(JSON.parse((await call("queue info mail --json")).stdout).acked, 2);
  });
});

Deno.test("flowmq queue edit, pause, resume and purge", async () => {
  await withNode(async (call) => {
    await call("queue add mail --partitions 2 --lease 5s");
    assertMatch((await call("queue edit mail --lease 1m")).stdout, /2 partitions, lease 1 min 0 s/);
    assertMatch(
      (await call("queue info mail")).stdout,
      /^queue mail: 2 partitions, lease 1 min 0 s$/m,
    );
    const fewer = await call("queue edit mail --partitions 1");
    assertEquals(fewer.code, ExitCode.refused);
    assertMatch(fewer.stderr[0]!, /partitions is 2, and cannot become 1/);
    assertEquals((await call("queue edit mail")).code, ExitCode.usage);
    for (let i = 0; i < 2; i++) {
      assertMatch((await call("queue pause mail")).stdout, /paused queue mail/);
    }
    await call("pub mail", "1\n2\n3");
    assertMatch((await call("queue ls")).stdout, /^mail +paused /m);
    assertMatch((await call("queue info mail")).stdout, /^queue mail \(paused\)/);
    const none = await call("sub mail --no-wait");
    assertEquals([none.code, none.stdout], [ExitCode.ok, ""]);
    assertMatch((await call("queue resume mail")).stdout, /resumed queue mail/);
    assertMatch((await call("sub mail --count 1")).stdout, /^[123]$/m);
    assertMatch((await call("queue purge mail")).stdout, /purged 2 messages of queue mail/);
    const info = JSON.parse((await call("queue info mail --json")).stdout);
    assertEquals([info.acked, info.purged, info.ready, info.paused], [1, 2, 0, false]);
    assertMatch((await call("queue edit mail --max-messages 2")).stdout, /at most 2 messages/);
    await call("pub mail --key a", "1");
    const full = await call("pub mail x --key a --timeout 300ms");
    assertEquals(full.code, ExitCode.refused);
    assertMatch(full.stderr[0]!, /queue "mail" is full: 2 messages are the most allowed/i);
    assertMatch(
      (await call("queue edit mail --dead-letter-expired")).stdout,
      /expired messages to the dead letters/,
    );
    const off = await call("queue edit mail --no-dead-letter-expired --json");
    assertEquals(JSON.parse(off.stdout).settings.deadLetterExpired, false);
    await call("queue edit mail --max-messages 0 --max-bytes 1KiB");
    await call(`pub mail --key a ${"x".repeat(2_000)}`);
    const large = await call("pub mail x --key a --timeout 300ms");
    assertMatch(large.stderr[0]!, /queue "mail" is full: 1024 bytes are the most allowed/i);
    assertMatch((await call("queue info mail")).stdout, /at most 1.00 KiB.*\n.*1.96 KiB held/);
    await call("queue purge mail");
    await call("pub mail --key a", "1");
    await call("queue edit mail --max-messages 2 --max-bytes 0");
    await call("queue edit mail --overflow dropOldest");
    assertEquals((await call("pub mail x --key a")).code, ExitCode.ok);
    assertEquals(JSON.parse((await call("queue info mail --json")).stdout).dropped, 1);
  });
});

Deno.test("flowmq queue peek prints what flowmq sub would, and takes nothing", async () => {
  await withNode(async (call) => {
    await call("pub mail --key a", "one\ntwo");
    await call("pub mail --whole", Uint8Array.of(255, 10, 7));
    const peeked = await call("queue peek mail");
    assertEquals([peeked.code, peeked.stdout], [
      ExitCode.ok,
      (await call("queue peek mail")).stdout,
    ]);
    assertMatch(peeked.stdout, /^one\ntwo\n/);
    assertEquals((await call("queue peek mail --count 1 --offset 1")).stdout, "two\n");
    assertEquals((await call("queue peek mail --state leased")).stdout, "");
    assertEquals((await call("queue peek mail --key a --from 1h")).stdout, "one\ntwo\n");
    assertEquals((await call("queue peek mail --to 1h")).stdout, "");
    const lines = (await call("queue peek mail --long")).stdout.trimEnd().split("\n");
    assertEquals(lines.length, 3);
    assertMatch(lines[0]!, /^mail\/0\/0, ready, [\d.]+ m?s old, key a: one$/);
    assertMatch(lines[2]!, /^mail\/0\/2, ready, [\d.]+ m?s old: \ufffd$/);
    const records = (await call("queue peek mail --json")).stdout.trim().split("\n");
    const { id, state, body, deliveryCount, key } = JSON.parse(records[0]!);
    assertEquals([id, state, body, deliveryCount, key], ["mail/0/0", "ready", "one", 0, "a"]);
    assertEquals(JSON.parse(records[2]!).bodyBase64, "/woH");
    const report = JSON.parse((await call("queue info mail --json")).stdout);
    assertEquals([report.ready, report.redelivered, report.activity[0].consumerCount], [3, 0, 0]);
    const wrong = await call("queue peek mail --partition 1");
    assertEquals(wrong.code, ExitCode.notFound);
    assertMatch(wrong.stderr[0]!, /queue "mail" as it has partition 0 only/);
    assertEquals((await call("queue peek mail --from soon")).code, ExitCode.usage);
  });
});

Deno.test("flowmq msg get and explain tell about a message", async () => {
  await withNode(async (call) => {
    await call("pub mail one --key a -H type:note");
    const shown = (await call("msg get mail/0/0")).stdout;
    assertMatch(shown, /^message +mail\/0\/0\nstate +ready\n/);
    assertMatch(shown, /\nkey +"a"\nheader "type" +"note"\n(.*\n)+\none\n$/);
    assertEquals(JSON.parse((await call("msg get mail/0/0 --json")).stdout).headers.type, "note");
    const nobody = "mail/0/0 is ready, and nobody consumes from its partition\n";
    assertEquals((await call("explain mail")).stdout, nobody);
    assertEquals((await call("explain mail/0/0")).stdout, nobody);
    assertEquals(JSON.parse((await call("explain mail --json")).stdout), {
      reason: "noConsumer",
      sentence: nobody.trim(),
      id: "mail/0/0",
    });
    await call("sub mail --count 1");
    const gone = await call("msg get mail/0/0");
    assertEquals(gone.code, ExitCode.notFound);
    assertMatch(gone.stderr[0]!, /^flowmq: mail\/0\/0 is gone: it was acked/);
    assertMatch((await call("msg get mail/0/1")).stderr[0]!, /not published yet: .* offset 1$/);
    assertMatch((await call("explain mail")).stdout, /^mail has no message that waits/);
    assertEquals((await call("explain nothing")).code, ExitCode.notFound);
    const wrong = await call("msg get mail");
    assertEquals(wrong.code, ExitCode.usage);
    assertMatch(wrong.stderr[0]!, /"mail" is no message: it takes QUEUE\/PARTITION\/OFFSET/);
  });
});

Deno.test("flowmq msg history and queue replay tell about what was acked, and bring it back", async () => {
  await withNode(async (call) => {
    await call("pub mail early");
    const none = await call("msg history mail/0/0");
    assertEquals(none.code, ExitCode.notFound);
    assertMatch(
      none.stderr[0]!,
      /queue mail keeps no history: flowmq queue edit mail --history 10m/,
    );
    const unable = await call("queue replay mail --since 1h");
    assertEquals(unable.code, ExitCode.refused);
    assertMatch(unable.stderr[0]!, /queue "mail" keeps no history.*queue edit QUEUE --history 10m/);
    assertMatch((await call("queue edit mail --history 10m")).stdout, /history of 10 min 0 s/);
    await call("pub mail late --key k");
    assertEquals((await call("sub mail --count 2")).stdout, "early\nlate\n");
    const { stdout } = await call("msg history mail/0/1");
    assertMatch(stdout, /^when +what +who +delivery +why +index\n/);
    const words = [...stdout.matchAll(/ ago {2}(\w+) .*\(session \d+(, consumer \d+)?\)/g)];
    assertEquals(words.map(([, word]) => word), ["published", "delivered", "acked"]);
    assertMatch(stdout, /\n\nmail\/0\/1 is acked now\n$/);
    const got = await call("msg get mail/0/1");
    assertMatch(got.stdout, /^state +acked$[^]*^delivered +1 ×$[^]*\n\nlate\n$/m);
    assertMatch((await call("explain mail/0/1")).stdout, /was acked, and is kept by the history/);
    const lines = (await call("msg history mail/0/0 --json")).stdout.trim().split("\n");
    const happened = lines.map((line) => JSON.parse(line));
    assertEquals(happened.map(({ what, deliveryCount }) => [what, deliveryCount]), [
      ["leased", 1],
      ["acked", 1],
    ]);
    assertMatch(
      (await call("queue info mail")).stdout,
      /^history of the last .*: 2 acked messages can be replayed, \d.* B in 2 records on disk/m,
    );
    const replayed = await call("queue replay mail --since 1h");
    assertEquals(replayed.stdout, "2 messages on the way back into queue mail\n");
    assertMatch(replayed.stderr[0]!, /queue mail remembers since .*: what was acked before stays/);
    const again = (await call("sub mail --count 2 --json")).stdout.trim().split("\n");
    assertEquals(
      again.map((line) => JSON.parse(line)).map(({ body, key, headers, offset }) => [
        body,
        key,
        headers["flowmq-replayed-from"],
        offset,
      ]),
      [["early", null, "mail/0/0", 2], ["late", "k", "mail/0/1", 3]],
    );
    const soon = await call("queue replay mail --since 1ms --json");
    assertEquals(JSON.parse(soon.stdout).replayed, 0);
    assertEquals((await call("queue replay mail")).code, ExitCode.usage);
    assertMatch((await call("msg history mail/0/9")).stderr[0]!, /mail\/0\/9 is not published yet/);
  });
});

Deno.test("flowmq cluster status asks the nodes", async () => {
  await withNode(async (call) => {
    await call("queue add mail"); // waits for a leader
    const { code, stdout } = await call("cluster status");
    assertEquals(code, ExitCode.ok);
    assertMatch(stdout, /1 of 1 node up, no node may fail/);
    assertMatch(stdout, /^1 +127\.0\.0\.1:\d+ +up .* leader /m);
    const node = JSON.parse((await call("cluster status --json")).stdout);
    assertEquals([node.node, node.up, node.shards[0].role, node.shards[0].lag], [
      1,
      true,
      "leader",
      0,
    ]);
  });
});

Deno.test("flowmq queue schedule makes, lists, pauses, resumes and removes schedules", async () => {
  await withNode(async (call) => {
    await call("queue add reports");
    const cron = ["--cron", "0 6 * * 1-5", "--tz", "Europe/Berlin", "--id", "daily"];
    const add = ["queue", "schedule", "add", "reports", ...cron, "--body", "sales"];
    const made = await call(add);
    assertMatch(
      made.stdout,
      /^schedule daily of queue reports is made: 0 6 \* \* 1-5 \(Europe\/Berlin\), due \d{4}-\d\d-\d\d 0[45]:00:00Z, .*, …\n$/,
    );
    assertMatch((await call(add)).stdout, /was there/);
    const other = await call([...add.slice(0, -1), "more"]);
    assertEquals(other.code, ExitCode.refused);
    assertMatch(other.stderr.join(), /there is another schedule "daily".*queue schedule rm/);

    const list = async () => JSON.parse((await call("queue schedule ls reports --json")).stdout);
    const { nextAt, lastAt, ...daily } = await list();
    assertEquals(daily, {
      queue: "reports",
      id: "daily",
      cron: "0 6 * * 1-5",
      timeZone: "Europe/Berlin",
      bodyBytes: 5,
      paused: false,
      fired: 0,
    });
    assert(Date.parse(nextAt) > Date.now() && lastAt === null);
    assertMatch((await call("queue schedule ls reports")).stdout, /daily +0 6 .*Z, in \d/);

    const paused = await call("queue schedule pause reports daily");
    assertEquals(paused.stdout, "schedule daily of queue reports: next paused\n");
    assertEquals((await list()).paused, true);
    assertMatch((await call("queue schedule resume reports daily")).stdout, /next \d{4}-/);
    assertEquals((await call("queue schedule rm reports daily")).code, ExitCode.ok);
    const gone = await call("queue schedule rm reports daily");
    assertEquals(gone.code, ExitCode.notFound);
    assertEquals(gone.stderr, ['flowmq: there is no schedule "daily"']);
    assertMatch((await call("queue schedule ls reports")).stderr.join(), /has no schedules/);
  });
});

Deno.test("flowmq queue schedule says what it cannot use", async () => {
  await withNode(async (call) => {
    await call("queue add reports");
    const add = (...flags: string[]) => call(["queue", "schedule", "add", "reports", ...flags]);
    const cases = [
      [["--cron", "61 * * * *"], /cannot read the cron expression "61 \* \* \* \*": Invalid value/],
      [["--cron", "@daily", "--tz", "Mars"], /cannot find the time zone "Mars": it takes a name/],
      [["--cron", "0 0 30 2 *"], /a schedule that is never due cannot be made/],
      [["--every", "10ms"], /it takes 1000 ms or more/],
      [["--cron", "@daily", "--every", "1h"], /either --cron EXPRESSION or --every DURATION/],
      [[], /either --cron EXPRESSION or --every DURATION/],
      [["--every", "1h", "--body", "x", "--file", "y"], /--body and --file exclude each other/],
      [
        ["--every", "1h", "--body", "x".repeat(65_536)],
        /may have 65535 bytes with key and headers/,
      ],
    ] as const;
    for (const [flags, message] of cases) {
      const { code, stderr } = await add(...flags);
      assert(code === ExitCode.refused || code === ExitCode.usage, String(code));
      assertMatch(stderr.join(), message);
    }
    const nowhere = await call("queue schedule add nowhere --every 1h");
    assertEquals(nowhere.code, ExitCode.notFound);
    assertMatch(nowhere.stderr.join(), /there is no queue "nowhere"/);
    assertMatch((await flowmq(["queue", "schedule"])).stdout, /queue schedule pause/);
    const typo = await flowmq(["queue", "schedule", "ad"]);
    assertMatch(typo.stderr.join(), /did you mean flowmq queue schedule add\?/);
  });
});

Deno.test("a consumer gets the messages of a schedule, each with its due time", async () => {
  await withNode(async (call) => {
    await call("queue add beats");
    await call("queue schedule add beats --every 1s --id beat --body boom --key k -H a:b");
    const { stdout } = await call("sub beats --count 2 --json");
    const messages = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const dueMs = messages.map(({ body, key, headers }) => {
      assertEquals([body, key, headers["a"]], ["boom", "k", "b"]);
      assertEquals(headers["flowmq-schedule"], "beat");
      return Date.parse(headers["flowmq-schedule-due-at"]);
    });
    assertEquals(dueMs[1]! - dueMs[0]!, 1_000);
    await call("queue schedule rm beats beat");
    await call("queue schedule add beats --every 1s --id tick --ttl 1h --priority 4");
    const { stdout: options } = await call("sub beats --count 1 --json");
    assertEquals(JSON.parse(options).options, { ttlMs: 3_600_000, priority: 4 });
    const [tick] = (await call("queue schedule ls beats --json")).stdout.trim().split("\n");
    assertEquals([JSON.parse(tick!).ttlMs, JSON.parse(tick!).priority], [3_600_000, 4]);
  });
});
