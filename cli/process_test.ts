/** The commands as processes: what only a process can show, such as signals, pipes and kills. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect } from "../mod.ts";
import { waitForLeader } from "./cluster_view.ts";
import { playDemo, silence } from "./demo_run.ts";
import { ExitCode } from "./exit_codes.ts";
import { LocalCluster } from "./local_cluster.ts";
import { parseReadyLine } from "./ready_line.ts";
import { selfCommand } from "./self_command.ts";

const anyPorts = ["--listen=127.0.0.1:0", "--peer=127.0.0.1:0"];

function command(args: readonly string[], stdin: "null" | "piped" = "null"): Deno.Command {
  const program = selfCommand();
  return new Deno.Command(program.path, {
    args: [...program.args, ...args],
    stdin,
    stdout: "piped",
    stderr: "piped",
  });
}

/** The first line of a stream; the rest stays to be read. */
async function firstLine(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  return text;
}

async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("flowmq serve prints one line and stops cleanly on SIGTERM and SIGINT", async () => {
  await withDirectory(async (directory) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const child = command(["serve", ...anyPorts, `--data=${directory}`, "--log-format=json"])
        .spawn();
      const stdout = child.stdout.getReader();
      const line = await firstLine(stdout);
      const ready = parseReadyLine(line.trimEnd());
      assertEquals([ready?.nodeId, ready?.dataDirectory], [1, directory]);
      assert(!ready!.clientAddress.endsWith(":0"));
      child.kill(signal);
      const [status, rest, log] = await Promise.all([
        child.status,
        stdout.read(),
        new Response(child.stderr).text(),
      ]);
      assertEquals([status.code, status.signal, rest.done], [ExitCode.ok, null, true]);
      const events = log.trim().split("\n").map((event) => JSON.parse(event));
      assertEquals(events.at(-1).message, "stopped");
    }
  });
});

Deno.test("flowmq serve says why it cannot start, in one line, with its exit code", async () => {
  await withDirectory(async (directory) => {
    const data = `--data=${directory}/data`;
    const child = command(["serve", ...anyPorts, data]).spawn();
    const stdout = child.stdout.getReader();
    const { clientAddress } = parseReadyLine((await firstLine(stdout)).trimEnd())!;
    await Deno.writeTextFile(`${directory}/file`, "");
    const cases = [
      [["serve", ...anyPorts, data], ExitCode.dataDirectory, `is in use by process ${child.pid}`],
      [
        ["serve", `--listen=${clientAddress}`, "--peer=127.0.0.1:0", `--data=${directory}/other`],
        ExitCode.addressInUse,
        `cannot listen on ${clientAddress} as it is in use`,
      ],
      [["serve", ...anyPorts, `--data=${directory}/file`], ExitCode.dataDirectory, "/file"],
    ] as const;
    for (const [args, code, text] of cases) {
      const output = await command(args).output();
      const lines = new TextDecoder().decode(output.stderr).trimEnd().split("\n");
      assertEquals(lines.length, 1, lines.join("\n"));
      assert(lines[0]!.includes(text), lines[0]);
      assertEquals(output.code, code);
      assertEquals(output.stdout.length, 0);
    }
    child.kill("SIGTERM");
    await Promise.all([child.status, stdout.cancel(), child.stderr.cancel()]);
    const moved = await command(["serve", ...anyPorts, data, "--shards=2"]).output();
    assertMatch(new TextDecoder().decode(moved.stderr), /belongs to another cluster/);
    assertEquals(moved.code, ExitCode.dataDirectory);
  });
});

Deno.test("flowmq serve --stop-with-stdin stops when whoever started it is gone", async () => {
  await withDirectory(async (directory) => {
    const args = ["serve", ...anyPorts, `--data=${directory}`, "--stop-with-stdin"];
    const child = command(args, "piped").spawn();
    const stdout = child.stdout.getReader();
    await firstLine(stdout);
    await child.stdin.close();
    const [status] = await Promise.all([child.status, stdout.cancel(), child.stderr.cancel()]);
    assertEquals(status.code, ExitCode.ok);
  });
});

Deno.test("LocalCluster kills, pauses and restarts real nodes", async () => {
  await using cluster = await LocalCluster.start();
  {
    await using client = await connect(cluster.servers);
    const signal = AbortSignal.timeout(10_000);
    const queue = client.queue("test");
    await queue.publish("before");

    const first = await waitForLeader(client, cluster.servers, 0, signal);
    const node = cluster.node(first.nodeId);
    const survivors = cluster.servers.filter((server) => server !== node.clientAddress);
    await node.kill();
    assertEquals([node.running, await node.ended()], [false, "SIGKILL"]);
    await queue.publish("during");
    const second = await waitForLeader(client, survivors, 0, signal);
    assert(second.shard.term > first.shard.term);

    await node.start();
    cluster.node(second.nodeId).pause();
    await queue.publish("while the second leader is paused");
    cluster.node(second.nodeId).resume();

    const bodies: string[] = [];
    for await (const delivery of queue.consume({ drain: true })) {
      bodies.push(delivery.text());
      await delivery.ack();
    }
    assertEquals(bodies, ["before", "during", "while the second leader is paused"]);
  }
  await cluster.stop();
  assertEquals(cluster.nodes.map((node) => node.running), [false, false, false]);
});

Deno.test("LocalCluster removes its directory, unless it is to be kept", async () => {
  for (const isKept of [false, true]) {
    const cluster = await LocalCluster.start({ nodes: 1 });
    if (isKept) assertEquals(cluster.keep(), cluster.directory);
    await cluster.stop();
    const names = await Array.fromAsync(Deno.readDir(cluster.directory), ({ name }) => name)
      .catch(() => []);
    assertEquals(names.sort(), isKept ? ["node-1", "node-1.log"] : []);
    if (isKept) await Deno.remove(cluster.directory, { recursive: true });
  }
});

Deno.test("flowmq sub ends quietly when the pipe behind it closes, and returns the rest", async () => {
  await using cluster = await LocalCluster.start({ nodes: 1 });
  await using client = await connect(cluster.servers);
  const queue = client.queue("pipe");
  await queue.publish("one");
  const child = command(["sub", "pipe", `--server=${cluster.servers[0]}`]).spawn();
  const stdout = child.stdout.getReader();
  assertEquals(await firstLine(stdout), "one\n");
  await stdout.cancel();
  await queue.publish("two");
  const { code, stderr } = await child.output().catch(async () => ({
    code: (await child.status).code,
    stderr: await new Response(child.stderr).bytes(),
  }));
  assertEquals([code, new TextDecoder().decode(stderr)], [ExitCode.ok, ""]);
  const { ready, acked } = await queue.info();
  assertEquals([ready, acked], [1, 1]);
});

Deno.test("flowmq dev --data keeps its ports for the next start", async () => {
  await withDirectory(async (directory) => {
    const addresses: string[][] = [];
    for (let start = 0; start < 2; start++) {
      const args = ["dev", "--nodes=1", "--json", `--data=${directory}/dev`, "--base-port=27400"];
      const child = command(args).spawn();
      const stdout = child.stdout.getReader();
      const { clientAddress, peerAddress } = JSON.parse(await firstLine(stdout));
      addresses.push([clientAddress, peerAddress]);
      child.kill("SIGINT");
      const [status] = await Promise.all([child.status, stdout.cancel(), child.stderr.cancel()]);
      assertEquals(status.code, ExitCode.ok);
    }
    assertEquals(addresses[0], addresses[1]);
    const other = await command(["dev", "--nodes=3", `--data=${directory}/dev`]).output();
    assertEquals(other.code, ExitCode.usage);
    assertMatch(new TextDecoder().decode(other.stderr), /holds 1 node, not 3/);
  });
});

Deno.test("the demo kills a leader and finds nothing lost and nothing twice", async () => {
  const bodies = Array.from({ length: 3_000 }, (_, i) => new TextEncoder().encode(`line ${i}`));
  const events: string[] = [];
  const { signal } = new AbortController();
  const result = await playDemo({ bodies, nodes: 3, ratePerSecond: 3_000, signal }, {
    started: () => events.push("started"),
    leading: () => events.push("leading"),
    progress: () => {},
    killed: () => events.push("killed"),
    elected: () => events.push("elected"),
    paused: () => events.push("paused"),
    restarted: () => events.push("restarted"),
    caughtUp: () => events.push("caughtUp"),
  });
  assertEquals(result.failure, undefined);
  assertEquals(result.verdict, {
    published: 3_000,
    confirmed: 3_000,
    delivered: 3_000,
    redelivered: result.verdict.redelivered,
    acked: 3_000,
    lost: 0,
    duplicated: 0,
    corrupted: 0,
    ok: true,
  });
  assert(result.leaderAfter !== result.killedNode);
  assert(result.pauseMs > 0);
  assertEquals(result.consumers.length, 2);
  assert(result.consumers.every((count) => count > 1_000), result.consumers.join());
  assertEquals(events, [
    "started",
    "leading",
    "killed",
    "elected",
    "paused",
    "restarted",
    "caughtUp",
  ]);
});

Deno.test("the demo has messages left for the new leader, however fast it publishes", async () => {
  const bodies = Array.from({ length: 400 }, (_, i) => new TextEncoder().encode(`line ${i}`));
  let confirmedBefore = 0;
  const { signal } = new AbortController();
  const result = await playDemo({ bodies, nodes: 3, ratePerSecond: 1_000_000, signal }, {
    ...silence,
    killed: (_nodeId, { confirmed }) => confirmedBefore = confirmed,
  });
  assertEquals([result.failure, result.verdict.confirmed, result.verdict.ok], [
    undefined,
    400,
    true,
  ]);
  assert(confirmedBefore <= 300, String(confirmedBefore));
});

Deno.test("flowmq bench measures a temporary cluster and the bare pipeline in one run", async () => {
  const loads = [
    ["--workload=publish", "--messages=3200", "--clients=2", "--batch=8"],
    ["--workload=publish-consume", "--messages=2048", "--consumers=2"],
    ["--workload=latency", "--messages=100"],
  ];
  for (const load of loads) {
    const args = ["bench", "--nodes=1", "--limit", "--json", ...load];
    const { code, stdout, stderr } = await command(args).output();
    assertEquals([code, new TextDecoder().decode(stderr)], [ExitCode.ok, ""]);
    const report = JSON.parse(new TextDecoder().decode(stdout));
    assert(report.messagesPerSecond > 0);
    assert(report.limitRatio > 0);
    assert(report.p50Ms > 0 && report.p50Ms <= report.p99Ms && report.p99Ms <= report.maxMs);
    assertEquals(report.messages, Number(load[1]!.replace("--messages=", "")));
  }
});
