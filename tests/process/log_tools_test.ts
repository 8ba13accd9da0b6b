/**
 * `flowmq log` beside nodes that write, roll segments, take snapshots and give space back.
 */

import { assertEquals, assertGreater } from "@std/assert";
import { processTest } from "./process_test_case.ts";
import { Workload } from "./workload.ts";

processTest("flowmq log looks at nodes under load, and sees what was confirmed", {
  serveArguments: ["--segment-bytes=64KiB", "--snapshot-bytes=256KiB"],
}, async (test) => {
  const json = async (line: string) => {
    const { code, stdout, stderr } = await test.shell.run(line);
    assertEquals([code, stderr], [0, ""], line);
    return stdout.split("\n").filter(Boolean).map((one) => JSON.parse(one));
  };
  const connect = (name: string) => test.connect(name);
  await using workload = await Workload.start(connect, { ratePerSecond: 1_000 });
  let firstIndex = 1;
  for (let round = 0; round < 6; round++) {
    const node = test.cluster.nodes[round % 3]!;
    const directory = node.settings.dataDirectory;
    const [shard] = await json(`flowmq log inspect ${directory} --json`);
    assertEquals([shard.node, shard.inUseBy], [node.id, node.pid]);
    firstIndex = Math.max(firstIndex, shard.segments[0].firstIndex);
    const [report] = await json(`flowmq log verify ${directory} --json`);
    assertEquals(report.damaged, 0, JSON.stringify(report.findings));
    await json(`flowmq log dump ${directory} --queue work --json`);
    await workload.progressed(500);
  }
  assertGreater(firstIndex, 1);
  await workload.finish();
  assertEquals(workload.history.check(), []);

  const kept = (await connect("kept")).queue("kept");
  await Promise.all(Array.from({ length: 300 }, (_, i) => kept.publish(`${i}`)));
  const { nodeId } = await (await test.nemesis()).leader();
  const { dataDirectory } = test.cluster.node(nodeId).settings;
  const messages = await json(`flowmq log dump ${dataDirectory} --queue kept --json`);
  const numbers = [...Array(300).keys()];
  assertEquals(messages.map(({ body }) => Number(body)), numbers);
  assertEquals(messages.map(({ offset }) => offset), numbers);
  assertEquals(new Set(messages.map(({ state }) => state)), new Set(["ready"]));
});
