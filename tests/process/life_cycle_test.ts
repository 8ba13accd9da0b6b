/**
 * Commands that run until they are told to stop: `serve`, `dev`, `sub`; and the demo.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { exists } from "../paths.ts";
import { processTest } from "./process_test_case.ts";
import { freePort } from "../../cli/ports.ts";
import { until } from "./waiting.ts";

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  processTest(
    `flowmq serve stops cleanly on ${signal}, and has everything at the next start`,
    { nodes: 0 },
    async ({ shell, directory }) => {
      const line = `exec flowmq serve --data ${directory}/data --listen 127.0.0.1:${freePort()} ` +
        `--peer 127.0.0.1:${freePort()} --log-format json`;
      {
        await using server = shell.start(line);
        const [, address] = await server.printed(
          /^flowmq \S+ ready: node 1, clients (\S+), peers \S+, data \S+\n/,
        );
        await shell.output(`seq 1 1000 | flowmq pub numbers -s ${address}`);
        // A client that stays connected must not hold it up.
        await shell.output(`flowmq queue add other -s ${address}`);
        await using _reader = shell.start(`exec flowmq sub other -s ${address} --timeout 1s`);
        await until("the client has attached", async () => {
          const info = await shell.output(`flowmq queue info other -s ${address} --json`);
          return JSON.parse(info).consumers === 1;
        });
        server.signal(signal);
        const { code, stdout, stderr } = await server.result(20);
        assertEquals(code, 0, stderr);
        assertEquals(stdout.trim().split("\n").length, 1, "stdout has the line of readiness only");
        const events = stderr.trim().split("\n").map((text) => JSON.parse(text));
        assert(events.every((event) => typeof event.level === "string"), stderr);
      }
      await using server = shell.start(line);
      const [, address] = await server.printed(/clients (\S+),/);
      assertEquals(
        await shell.output(`flowmq sub numbers -s ${address} --no-wait | wc -l`),
        await shell.output("seq 1 1000 | wc -l"),
      );
    },
  );
}

processTest("flowmq sub ends with exit code 0 on SIGTERM, and gives back nothing it printed", {
  nodes: 1,
}, async ({ shell }) => {
  await shell.output("seq 1 100 | flowmq pub numbers");
  await using sub = shell.start("exec flowmq sub numbers");
  await sub.printed(/^100$/m);
  sub.signal("SIGTERM");
  assertEquals((await sub.result()).code, 0);
  assertEquals(await shell.output("flowmq sub numbers --no-wait"), "");
});

processTest(
  "flowmq dev runs a cluster until Ctrl-C, and with --data goes on where it was",
  { nodes: 0 },
  async ({ shell, directory }) => {
    const line = `exec flowmq dev --nodes 3 --base-port ${freePort()} --json`;
    const start = async (more: string) => {
      const dev = shell.start(`${line} ${more}`);
      await dev.printed(/(\{.*\}\n){3}/);
      const nodes = dev.stdout.trim().split("\n").map((text) => JSON.parse(text));
      return { dev, nodes, servers: nodes.map((node) => node.clientAddress).join(",") };
    };
    const stop = async (dev: ReturnType<typeof shell.start>) => {
      dev.signal("SIGINT");
      const { code, stderr } = await dev.result(20);
      assertEquals(code, 0, stderr);
    };
    const areGone = (pids: readonly number[]) => pids.every((pid) => !exists(`/proc/${pid}`));

    const first = await start(`--data ${directory}/cluster`);
    await using firstDev = first.dev;
    assertEquals(first.nodes.map(({ node }) => node), [1, 2, 3]);
    await shell.output(`seq 1 100 | flowmq pub numbers -s ${first.servers}`);
    await shell.output(`flowmq cluster status -s ${first.servers}`);
    await stop(firstDev);
    await until("its nodes are gone", () => areGone(first.nodes.map(({ pid }) => pid)));

    const second = await start(`--data ${directory}/cluster`);
    await using secondDev = second.dev;
    assertEquals(second.servers, first.servers, "the ports are kept too");
    assertEquals(
      await shell.output(`flowmq sub numbers --no-wait -s ${second.servers}`),
      await shell.output("seq 1 100"),
    );
    // Its nodes stop with it even if it has no time to stop them.
    secondDev.signal("SIGKILL");
    await until("its nodes are gone", () => areGone(second.nodes.map(({ pid }) => pid)));

    const third = await start("");
    await using thirdDev = third.dev;
    const data = String(third.nodes[0].dataDirectory);
    assert(exists(data));
    await stop(thirdDev);
    assert(!exists(data), "without --data nothing is left behind");
  },
);

processTest(
  "flowmq demo loses its leader and no message",
  { nodes: 0, seconds: 90 },
  async ({ shell }) => {
    const result = JSON.parse(await shell.output("flowmq demo --lines 5000 --json", 80));
    console.log(`the demo's publish pause was ${Math.round(result.pauseMs)} ms`);
    assertEquals(result.verdict, {
      published: 5_000,
      confirmed: 5_000,
      delivered: 5_000,
      redelivered: 0,
      acked: 5_000,
      lost: 0,
      duplicated: 0,
      corrupted: 0,
      ok: true,
    });
    assertEquals(result.failure ?? null, null);
    assert(result.leaderAfter !== result.leaderBefore);
    assert(result.pauseMs > 0 && result.pauseMs < 20_000, `paused for ${result.pauseMs} ms`);
    const [one, two] = result.consumers as [number, number];
    assertEquals(one + two, 5_000);
    assert(Math.abs(one - two) < 500, `they shared ${one} to ${two}`);
  },
);

processTest("flowmq demo tells a person what happens", { nodes: 0, seconds: 90 }, async (test) => {
  const text = await test.shell.output("flowmq demo --lines 500 --rate 500", 80);
  assertMatch(text, /kill -9 node \d, the leader/);
  assertMatch(text, /publishing paused for/);
  assertMatch(text, /Nothing lost, nothing acked came twice/);
});
