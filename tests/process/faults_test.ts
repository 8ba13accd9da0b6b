/**
 * Nodes that are killed and paused while messages are published and consumed.
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import type { History } from "./history.ts";
import { processTest } from "./process_test_case.ts";
import { pause, until } from "./waiting.ts";
import { Workload } from "./workload.ts";

/** Fast enough to have messages everywhere all the time, slow enough for two cores. */
const pace = { ratePerSecond: 2_000 } as const;

/**
 * Everything was confirmed, came once, and was acked; and nothing else happened. The consumers lived
 * all the time, so that no fault of a node is a reason to take a message from them.
 */
function assertKeptPromises(history: History): void {
  console.log(history.summary());
  assertEquals(history.check(), []);
  const { published } = history.totals;
  assertEquals(
    history.totals,
    {
      published,
      confirmed: published,
      unconfirmed: 0,
      delivered: published,
      redelivered: 0,
      acked: published,
      ackFailures: 0,
    },
    `the first error was: ${history.firstError}`,
  );
}

processTest(
  "ten kills, every node in turn, lose nothing and bring no acked message back",
  {},
  async (test) => {
    const nemesis = await test.nemesis();
    await using work = await Workload.start((name) => test.connect(name), pace);
    await nemesis.killInTurn(10, () => work.progressed(500));
    await work.finish();
    assertKeptPromises(work.history);
  },
);

processTest("three kills of whoever leads lose nothing", {}, async (test) => {
  const nemesis = await test.nemesis();
  await using work = await Workload.start((name) => test.connect(name), pace);
  for (let kill = 0; kill < 3; kill++) {
    await nemesis.killAndRestart(await nemesis.leadingNode(), () => work.progressed(500));
  }
  await work.finish();
  assertKeptPromises(work.history);
});

processTest(
  "all nodes killed at once still have everything that was confirmed",
  {},
  async (test) => {
    const nemesis = await test.nemesis();
    await using work = await Workload.start((name) => test.connect(name), pace);
    for (let round = 0; round < 4; round++) {
      await work.progressed(1_000);
      await nemesis.killAllAndRestart();
    }
    await work.progressed(1_000);
    await work.finish();
    assertKeptPromises(work.history);
  },
);

processTest(
  "a backlog that nobody has consumed yet outlives the death of all nodes",
  {},
  async (test) => {
    const nemesis = await test.nemesis();
    const connect = (name: string) => test.connect(name);
    await using published = await Workload.start(connect, { consumers: 0, inFlight: 1_000 });
    await published.progressed(20_000);
    await nemesis.killAllAndRestart();
    await published.progressed(1_000);
    await published.stopPublishing();
    await using consumed = await Workload.start(
      connect,
      { publishers: 0, consumers: 2, prefetch: 1_000 },
      published.history,
    );
    await consumed.finish();
    assertKeptPromises(published.history);
  },
);

processTest(
  "a paused leader is replaced, and confirms nothing a second time when it goes on",
  {},
  async (test) => {
    const nemesis = await test.nemesis();
    await using work = await Workload.start((name) => test.connect(name), pace);
    for (let round = 0; round < 2; round++) {
      await work.progressed(500);
      const { before, after } = await nemesis.pauseLeader(() => work.progressed(500));
      assertNotEquals(after.nodeId, before.nodeId);
      assertGreater(after.shard.term, before.shard.term);
      const now = await nemesis.leader();
      assert(
        now.shard.term >= after.shard.term,
        "the paused leader must not bring an old term back",
      );
    }
    await work.finish();
    assertKeptPromises(work.history);
  },
);

processTest("a paused follower holds nobody up, and catches up afterwards", {}, async (test) => {
  const nemesis = await test.nemesis();
  await using work = await Workload.start((name) => test.connect(name), pace);
  await work.progressed(500);
  await nemesis.pauseFollower(() => work.progressed(2_000));
  await work.finish();
  assertKeptPromises(work.history);
});

processTest(
  "a leader without its followers confirms nothing, so nothing confirmed dies with it",
  {},
  async (test) => {
    const nemesis = await test.nemesis();
    await using work = await Workload.start((name) => test.connect(name), pace);
    for (let round = 0; round < 2; round++) {
      await work.progressed(500);
      const dead = await nemesis.isolateAndKillLeader(async () => {
        // What the followers had answered before they were paused is still counted.
        await pause(300);
        const { confirmed } = work.history.totals;
        await pause(500);
        assertEquals(
          work.history.totals.confirmed,
          confirmed,
          "there was no majority to confirm it",
        );
      });
      // Without the dead node: whatever only it had must not be missed.
      await work.progressed(500);
      await nemesis.restart(dead);
      await nemesis.untilLevel(dead);
    }
    await work.finish();
    assertKeptPromises(work.history);
  },
);

processTest(
  "a pipe from flowmq pub to flowmq sub delivers every line in order while leaders are killed",
  {},
  async (test) => {
    const { shell, directory } = test;
    const lines = 100_000;
    const nemesis = await test.nemesis();
    const admin = await test.connect("admin");
    await admin.createQueue("pipe");
    await using sub = shell.start(
      `exec flowmq sub pipe --count ${lines} --prefetch 1000 > ${directory}/received`,
    );
    await using pub = shell.start(`seq 1 ${lines} | flowmq pub pipe`);
    const acked = async () => (await admin.queue("pipe").info()).acked;
    for (const part of [0.1, 0.4]) {
      await until(`${part * lines} lines have come`, async () => await acked() >= part * lines);
      await nemesis.killAndRestart(await nemesis.leadingNode(), async () => {
        await admin.queue("elsewhere").publish("the cluster works again");
      });
    }
    const published = await pub.result();
    assertEquals({ code: published.code }, { code: 0 }, published.stderr);
    const consumed = await sub.result();
    assertEquals({ code: consumed.code }, { code: 0 }, consumed.stderr);
    const difference = await shell.run(`seq 1 ${lines} | diff - ${directory}/received | head`);
    assertEquals(difference.stdout, "");
    assertEquals((await admin.queue("pipe").info()).redelivered, 0);
  },
);
