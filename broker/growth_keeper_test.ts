import { assertEquals } from "@std/assert";
import { ManualClock, settle } from "../client/_testing.ts";
import { type Command, queueSettings, ShardMachine } from "../queue/mod.ts";
import { GrowthKeeper } from "./growth_keeper.ts";
import { silentLogger } from "./logger.ts";

/** A clock by which whatever happens takes some time. */
class SlowClock extends ManualClock {
  stepMs = 0;
  #passedMs = 0;

  override monotonic(): number {
    return super.monotonic() + (this.#passedMs += this.stepMs);
  }
}

/** A shard with a partition of a queue that grows, and what its keeper says to shard 0. */
class Rig {
  readonly machine = new ShardMachine({ shard: 1 });
  readonly clock = new SlowClock();
  readonly said: string[] = [];
  isAvailable = true;
  readonly keeper: GrowthKeeper;
  #index = 0;

  constructor() {
    const identity = { partitionId: 7, queueId: 1, queueName: "a", partitionNumber: 0 };
    this.apply({ kind: "createPartition", ...identity, settings: queueSettings() });
    this.apply({ kind: "openSession", timeoutMs: 1_000_000, clientName: "" });
    const target = { sessionId: 2, partitionId: 7, baseSequence: 0 };
    this.apply({ kind: "publish", ...target, count: 1, bytes: 1 });
    this.keeper = new GrowthKeeper(
      () => this.machine,
      (command) => {
        if (command.kind !== "partitionSettled") throw new Error(command.kind);
        this.said.push(`${command.action} ${command.partitionId} at ${command.revision}`);
        return this.isAvailable ? Promise.resolve() : Promise.reject(new Error("no leader"));
      },
      this.clock,
      silentLogger,
    );
  }

  apply(command: Command): void {
    this.machine.apply({ index: ++this.#index, term: 1, timestampMs: 1_000 }, command);
    this.keeper?.check();
  }

  update(revision: number, partitions: number, growingFrom?: number): void {
    const settings = queueSettings({ partitions });
    const growth = growingFrom === undefined ? {} : { growingFrom };
    const command = { partitionId: 7, revision, settings, paused: false, ...growth };
    this.apply({ kind: "updatePartition", ...command });
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await settle();
  }
}

Deno.test("GrowthKeeper tells once that a partition is drained, until it has been heard", async () => {
  const rig = new Rig();
  rig.keeper.lead(true);
  assertEquals(rig.clock.timerCount, 0);
  rig.update(1, 2, 1);
  await rig.pass(1_000);
  assertEquals(rig.said, []);
  rig.isAvailable = false;
  rig.apply({ kind: "purgePartition", partitionId: 7 });
  await rig.pass(250);
  assertEquals(rig.said, ["drain 7 at 1", "drain 7 at 1"]);
  rig.isAvailable = true;
  await rig.pass(1_000);
  assertEquals(rig.said.length, 3);
  // Over, and again: that is other news.
  rig.update(2, 2);
  await rig.pass(1_000);
  assertEquals([rig.said.length, rig.clock.timerCount], [3, 0]);
  rig.update(3, 4, 2);
  await rig.pass(1_000);
  assertEquals(rig.said.slice(3), ["drain 7 at 3"]);
});

Deno.test("GrowthKeeper is silent unless it leads, and a new leader tells again", async () => {
  const rig = new Rig();
  rig.update(1, 2, 1);
  rig.apply({ kind: "purgePartition", partitionId: 7 });
  await rig.pass(1_000);
  assertEquals(rig.said, []);
  for (let i = 0; i < 2; i++) {
    rig.keeper.lead(true);
    await rig.pass(1_000);
    rig.keeper.lead(false);
    await rig.pass(1_000);
  }
  assertEquals(rig.said, ["drain 7 at 1", "drain 7 at 1"]);
  assertEquals(rig.clock.timerCount, 0);
});

Deno.test("GrowthKeeper looks less often where a look takes long", async () => {
  const rig = new Rig();
  rig.clock.stepMs = 50;
  rig.isAvailable = false;
  rig.update(1, 2, 1);
  rig.apply({ kind: "purgePartition", partitionId: 7 });
  rig.keeper.lead(true);
  await rig.pass(900);
  assertEquals(rig.said.length, 1);
  await rig.pass(200);
  assertEquals(rig.said.length, 2);
  rig.keeper.lead(false);
});
