import { assertEquals } from "@std/assert";
import { ManualClock } from "../client/_testing.ts";
import { queueSettings, ShardMachine } from "../queue/mod.ts";
import { FlowMeter } from "./flow_meter.ts";

/** A machine with partitions to publish to, and a meter that is checked every 100 ms. */
function setUp() {
  const clock = new ManualClock();
  const meter = new FlowMeter(clock);
  const machine = new ShardMachine({ shard: 0 });
  let index = 0;
  const apply = (command: Parameters<ShardMachine["apply"]>[1]) =>
    machine.apply({ index: ++index, term: 1, timestampMs: 1_000 }, command);
  const create = (partitionId: number) =>
    apply({
      kind: "createPartition",
      partitionId,
      queueId: partitionId,
      queueName: `queue ${partitionId}`,
      partitionNumber: 0,
      settings: queueSettings({}),
    });
  apply({ kind: "openSession", timeoutMs: 60_000, clientName: "" });
  create(1);
  const sequences = new Map<number, number>();
  return {
    create,
    begin: () => meter.begin(machine),
    publish(count: number, partitionId = 1) {
      const baseSequence = sequences.get(partitionId) ?? 0;
      sequences.set(partitionId, baseSequence + count);
      apply({ kind: "publish", sessionId: 1, partitionId, baseSequence, count, bytes: count });
    },
    async pass(ms: number) {
      for (let left = ms; left > 0; left -= 100) {
        await clock.advance(Math.min(left, 100));
        meter.check(machine);
      }
    },
    published(partitionId = 1) {
      const { published, windowMs } = meter.rates(machine, partitionId);
      return [published, windowMs];
    },
  };
}

Deno.test("a rate is the average since the node began to lead, while that is short", async () => {
  const { begin, publish, pass, published } = setUp();
  publish(1_000);
  assertEquals(published(), [0, 0]);
  begin();
  publish(20);
  await pass(2_000);
  assertEquals(published(), [10, 2_000]);
});

Deno.test("what is longer ago than ten seconds does not count any more", async () => {
  const { begin, publish, pass, published } = setUp();
  begin();
  publish(1_000);
  await pass(7_000);
  assertEquals(published(), [1_000 * 1_000 / 7_000, 7_000]);
  await pass(3_500);
  assertEquals(published(), [0, 5_500]);
  publish(11);
  assertEquals(published(), [2, 5_500]);
});

Deno.test("a partition that was made since begins with nothing, and one that is not there has no rate", async () => {
  const { begin, create, publish, pass, published } = setUp();
  begin();
  create(2);
  publish(5, 2);
  await pass(1_000);
  assertEquals(published(2), [5, 1_000]);
  assertEquals(published(3), [0, 0]);
});
