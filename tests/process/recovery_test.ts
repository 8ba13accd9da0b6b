/**
 * A node that is killed in the middle of writing, again and again.
 *
 * SIGKILL loses what the process had not handed to the system, at any point of a write; what the system
 * had not brought to the disk is lost in the simulator only.
 *
 * @module
 */

import { assertEquals, assertGreater } from "@std/assert";
import { processTest } from "./process_test_case.ts";
import { pause } from "./waiting.ts";
import { Workload } from "./workload.ts";

processTest(
  "twenty kills of a node under full load leave everything that was confirmed",
  { nodes: 1 },
  async (test) => {
    const connect = (name: string) => test.connect(name);
    const node = test.cluster.node(1);
    await using published = await Workload.start(connect, {
      publishers: 2,
      consumers: 0,
      inFlight: 1_000,
    });
    for (let kill = 0; kill < 20; kill++) {
      await published.progressed(1_000);
      // Not always the same moment of a write.
      await pause(kill * 3 % 20);
      await node.kill();
      await node.start();
    }
    await published.stopPublishing();
    const { history } = published;
    await using consumed = await Workload.start(
      connect,
      { publishers: 0, consumers: 2, prefetch: 2_000 },
      history,
    );
    await consumed.finish();
    console.log(history.summary());
    assertEquals(history.check(), []);
    const { confirmed, delivered, acked } = history.totals;
    assertGreater(confirmed, 20_000);
    assertEquals(acked, delivered);
    assertEquals(history.firstError, undefined);
  },
);
