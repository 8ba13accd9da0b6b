import { assert, assertEquals } from "@std/assert";
import type { QueueSettings, Reply } from "./commands.ts";
import type { MachineLimits } from "./limits.ts";
import { LiveEntries } from "./live_entries.ts";
import { queueSettings } from "./settings.ts";
import { TestShard } from "./_test_shard.ts";

/** A machine with partition 1 of queue `jobs`, a session, and a consumer of it. */
class Shard extends TestShard {
  readonly sessionId: number;
  #sequence = 0;
  #revision = 0;

  constructor(settings: Partial<QueueSettings> = {}, limits: Partial<MachineLimits> = {}) {
    super(limits);
    this.apply({
      kind: "createPartition",
      partitionId: 1,
      queueId: 1,
      queueName: "jobs",
      partitionNumber: 0,
      settings: queueSettings({ historyMs: 60_000, backoffFirstMs: 0, ...settings }),
    });
    const reply = this.apply({ kind: "openSession", timeoutMs: 5_000_000, clientName: "worker" });
    this.sessionId = (reply as Reply & { kind: "sessionOpened" }).sessionId;
    const consumer = { sessionId: this.sessionId, consumerId: 5, partitionId: 1 };
    this.apply({ kind: "attachConsumer", ...consumer, prefetch: 1_000, drain: false });
  }

  /** @returns The entry. */
  publish(count: number): number {
    const { sessionId } = this;
    const baseSequence = this.#sequence;
    this.#sequence += count;
    this.apply({ kind: "publish", sessionId, partitionId: 1, baseSequence, count, bytes: count });
    return this.index;
  }

  settle(operation: 0 | 1 | 2 | 3, offsets: number[], reason?: string): void {
    const { sessionId } = this;
    const deliveryCounts = offsets.map((offset) =>
      this.machine.leases(sessionId, 5, 1).find((held) => held.offset === offset)?.deliveryCount ??
        1
    );
    const said = reason === undefined ? {} : { reason };
    const words = { operation, offsets, deliveryCounts, ...said };
    this.apply({ kind: "settle", sessionId, consumerId: 5, partitionId: 1, ...words });
  }

  edit(settings: Partial<QueueSettings>): void {
    this.apply({
      kind: "updatePartition",
      partitionId: 1,
      settings: queueSettings({ historyMs: 60_000, backoffFirstMs: 0, ...settings }),
      paused: false,
      revision: ++this.#revision,
    });
  }

  replay(sinceMs = 0, untilIndex = this.index): number {
    const reply = this.apply({ kind: "replay", partitionId: 1, sinceMs, untilIndex });
    return (reply as Reply & { kind: "replayed" }).count;
  }

  /** The offsets of the messages that are on their way back, in order; they arrive. */
  arrive(): number[] {
    this.apply({ kind: "tick" });
    const transfers = [...this.machine.transferLanes()].flatMap((lane) => [
      ...lane.transfers.values(),
    ]);
    this.apply({ kind: "transferDone", ids: transfers.map(({ id }) => id) });
    return transfers.map(({ replayOf }) => replayOf!.offset);
  }

  history(offset: number): string[] {
    const { happenings } = this.machine.messageHistory(1, offset)!;
    return happenings.map(({ what, detail }) => detail === undefined ? what : `${what} ${detail}`);
  }

  get report() {
    return this.machine.historyReport(1);
  }

  live(): number[] {
    const found = new Set<number>();
    const entries = new LiveEntries((index) => found.add(index));
    for (const part of this.machine.capture().parts()) entries.take(part);
    while (entries.step());
    return [...found].sort((a, b) => a - b);
  }
}

Deno.test("a history tells what happened to a message, by whom and why, also when it is gone", () => {
  const shard = new Shard({ maxDeliveries: 3 });
  const published = shard.publish(3);
  shard.settle(1, [0], "no such address");
  shard.settle(0, [0, 1]);
  shard.settle(3, [2], "not mine");
  assertEquals(shard.history(0), [
    "published",
    "leased",
    "nacked no such address",
    "leased",
    "acked",
  ]);
  assertEquals(shard.history(1), ["published", "leased", "acked"]);
  assertEquals(shard.history(2), ["published", "leased", "rejected not mine", "dead rejected"]);
  assertEquals(shard.history(3), []);
  shard.restart();
  const { happenings, sinceMs } = shard.machine.messageHistory(1, 0)!;
  const { sessionId } = shard;
  const by = { sessionId, clientName: "worker" };
  assertEquals(happenings[0], { what: "published", atMs: 10_000, index: published, ...by });
  assertEquals(happenings.at(-1), {
    what: "acked",
    atMs: 10_000,
    index: published + 2,
    ...by,
    consumerId: 5,
    deliveryCount: 2,
  });
  assertEquals(sinceMs, 10_000);
});

Deno.test("a history tells what time, the queue and its owner did", () => {
  const shard = new Shard({ leaseMs: 1_000, ttlMs: 5_000 });
  shard.publish(2);
  shard.nowMs += 1_000;
  shard.apply({ kind: "tick" });
  assertEquals(shard.history(0), ["published", "leased", "leaseExpired", "leased"]);
  const consumer = { sessionId: shard.sessionId, consumerId: 5, partitionId: 1 };
  shard.apply({ kind: "detachConsumer", ...consumer });
  assertEquals(shard.history(0).at(-1), "returned");
  shard.apply({ kind: "removeMessage", partitionId: 1, offset: 1 });
  assertEquals(shard.history(1).at(-1), "removed");
  shard.nowMs += 10_000;
  shard.apply({ kind: "tick" });
  assertEquals(shard.history(0).at(-1), "expired");
  shard.publish(2);
  shard.apply({ kind: "attachConsumer", ...consumer, prefetch: 1, drain: false });
  shard.apply({ kind: "purgePartition", partitionId: 1 });
  assertEquals([shard.history(1).at(-1), shard.history(2), shard.history(3)], [
    "removed",
    ["published", "leased"],
    ["published", "purged"],
  ]);
  shard.edit({ maxMessages: 1, overflow: "dropOldest" });
  shard.publish(1);
  assertEquals(shard.history(4), ["published", "dropped"]);
});

Deno.test("an acked message stays in the log while its history reaches back to it, and no longer", () => {
  const shard = new Shard({ leaseMs: 3_600_000 });
  const first = shard.publish(2);
  const second = shard.publish(1);
  shard.settle(0, [0, 2]);
  assertEquals([shard.live(), shard.machine.lowestLiveEntryIndex()], [[first, second], first]);
  shard.nowMs += 30_000;
  shard.settle(0, [1]);
  shard.restart();
  assertEquals(shard.live(), [first, second]);
  assertEquals(shard.report?.replayable, 3);
  assertEquals(shard.machine.findMessage(1, 1), {
    offset: 1,
    state: "acked",
    deliveryCount: 1,
    entryIndex: first,
    position: 1,
  });
  assertEquals(shard.machine.findMessage(1, 3), undefined);
  // The acks of 0 and 2 fall out of the window.
  shard.nowMs += 30_000;
  assertEquals(shard.machine.nextDeadlineMs(), shard.nowMs);
  shard.apply({ kind: "tick" });
  assertEquals([shard.live(), shard.report?.replayable], [[first], 1]);
  assertEquals([0, 1, 2].map((offset) => shard.machine.findMessage(1, offset)?.state), [
    undefined,
    "acked",
    undefined,
  ]);
  shard.nowMs += 30_000;
  shard.apply({ kind: "tick" });
  assertEquals([shard.live(), shard.machine.lowestLiveEntryIndex()], [[], undefined]);
  assertEquals([shard.report?.happenings, shard.machine.nextDeadlineMs()], [0, undefined]);
});

Deno.test("a replay takes what was acked since, in the order of the offsets, and each once", () => {
  const shard = new Shard();
  shard.publish(6);
  shard.settle(0, [5, 1]);
  shard.nowMs += 1_000;
  shard.settle(0, [4, 0]);
  const untilIndex = shard.index;
  shard.settle(0, [3]);
  const sinceMs = shard.nowMs;
  assertEquals(shard.replay(sinceMs, untilIndex), 2);
  shard.restart();
  assertEquals(shard.report?.replaying, 2);
  // A repeat, before they have arrived and after.
  assertEquals(shard.replay(sinceMs, untilIndex), 0);
  assertEquals(shard.arrive(), [0, 4]);
  assertEquals(shard.replay(sinceMs, untilIndex), 0);
  assertEquals(shard.history(4).at(-1), "replayed");
  assertEquals(shard.replay(0, untilIndex), 2);
  assertEquals(shard.arrive(), [1, 5]);
  assertEquals(shard.replay(), 1);
  assertEquals(shard.arrive(), [3]);
  assertEquals([shard.replay(), shard.report?.replayable], [0, 0]);
});

Deno.test("what came back and was acked again is brought back by another replay, not by a repeat", () => {
  const shard = new Shard();
  shard.publish(1);
  shard.settle(0, [0]);
  const untilIndex = shard.index;
  assertEquals([shard.replay(0, untilIndex), shard.arrive()], [1, [0]]);
  const transfer = { partitionId: 1, sourceShard: 0, firstId: 1, lastId: 1, count: 1, bytes: 1 };
  shard.apply({ kind: "transfer", ...transfer });
  shard.settle(0, [1]);
  assertEquals(shard.replay(0, untilIndex), 0);
  assertEquals([shard.replay(), shard.arrive()], [1, [1]]);
});

Deno.test("a replay goes to the outbox in portions, and leaves half of it to others", () => {
  const shard = new Shard({}, { outboxTransfers: 8, dueAtOnce: 3 });
  shard.publish(9);
  shard.settle(0, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const entry = shard.machine.lowestLiveEntryIndex();
  assertEquals(shard.replay(), 9);
  assertEquals(shard.machine.nextDeadlineMs(), shard.nowMs);
  shard.apply({ kind: "tick" });
  assertEquals([shard.machine.outboxSize, shard.report?.replaying], [3, 6]);
  shard.apply({ kind: "tick" });
  assertEquals([shard.machine.outboxSize, shard.report?.replaying], [4, 5]);
  assertEquals(shard.machine.nextDeadlineMs(), shard.nowMs + 1_000);
  // The history may end meanwhile: what is on its way back comes back.
  shard.edit({ historyMs: 0 });
  assertEquals([shard.report?.replayable, shard.report?.replaying], [0, 5]);
  shard.restart();
  assertEquals([
    shard.live(),
    shard.outcome({ kind: "replay", partitionId: 1, sinceMs: 0, untilIndex: 99 }),
  ], [
    [entry],
    "noHistory",
  ]);
  const arrived = shard.arrive();
  while (shard.report !== undefined) {
    shard.nowMs += 1_000;
    arrived.push(...shard.arrive());
  }
  assertEquals(arrived, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(shard.live(), []);
});

Deno.test("messages that expire together leave no room in a command for those that come back", () => {
  const shard = new Shard({ ttlMs: 2_000 }, { dueAtOnce: 2 });
  shard.publish(1);
  shard.settle(0, [0]);
  const { sessionId } = shard;
  shard.apply({ kind: "detachConsumer", sessionId, consumerId: 5, partitionId: 1 });
  shard.publish(5);
  assertEquals(shard.replay(), 1);
  shard.nowMs += 2_000;
  shard.apply({ kind: "tick" });
  assertEquals([shard.machine.stats(1)?.expired, shard.report?.replaying], [5, 1]);
  shard.apply({ kind: "tick" });
  assertEquals([shard.machine.outboxSize, shard.report?.replaying], [1, 0]);
});

Deno.test("a history that is short of room forgets its oldest, and tells from when on it knows all", () => {
  const shard = new Shard({}, { historyBytes: 2_000 });
  for (let i = 0; i < 30; i++) {
    shard.nowMs += 10;
    shard.publish(1);
    shard.settle(0, [i]);
  }
  const { bytes, happenings, sinceMs, replayable } = shard.report!;
  assert(bytes <= 2_000 && happenings === Math.floor((2_000 - 64 - 12) / 50));
  // Of each message three things: the last acks are remembered.
  assertEquals(replayable, Math.ceil(happenings / 3));
  assertEquals([shard.history(29).length, shard.history(0)], [3, []]);
  assert(sinceMs > 10_000 && sinceMs <= shard.nowMs);
  const live = shard.live();
  assertEquals([live.length, live[0]], [replayable, shard.machine.lowestLiveEntryIndex()]);
  // A second one takes half of the room.
  shard.apply({
    kind: "createPartition",
    partitionId: 2,
    queueId: 2,
    queueName: "others",
    partitionNumber: 0,
    settings: queueSettings({ historyMs: 1_000 }),
  });
  assert(shard.report!.bytes <= 1_000 && shard.live().length < live.length);
  assertEquals(shard.live()[0], shard.machine.lowestLiveEntryIndex());
  shard.restart();
  shard.apply({ kind: "deletePartition", partitionId: 2 });
  shard.publish(20);
  assert(shard.report!.bytes > 1_000);
});

Deno.test("a queue without history keeps nothing, and says so", () => {
  const shard = new Shard({ historyMs: 0 });
  shard.publish(1);
  shard.settle(0, [0]);
  const replay = { kind: "replay", partitionId: 1, sinceMs: 0, untilIndex: 9 } as const;
  assertEquals(shard.outcome(replay), "noHistory");
  assertEquals([shard.report, shard.machine.messageHistory(1, 0), shard.live()], [
    undefined,
    undefined,
    [],
  ]);
  assertEquals(shard.outcome({ ...replay, partitionId: 9 }), "partitionNotFound");
  shard.edit({ historyMs: 5_000 });
  assertEquals(shard.outcome({ ...replay, sinceMs: -1 }), "invalidArgument");
  assertEquals([shard.replay(), shard.report?.sinceMs], [0, shard.nowMs]);
  shard.publish(1);
  shard.settle(0, [1]);
  assertEquals(shard.report?.replayable, 1);
  shard.edit({ historyMs: 0 });
  assertEquals([shard.report, shard.live()], [undefined, []]);
});

Deno.test("a partition takes no more replays while too many messages are on their way back", () => {
  const shard = new Shard({}, { replaying: 1, outboxTransfers: 1 });
  shard.publish(3);
  shard.settle(0, [0, 1]);
  assertEquals(shard.replay(), 2);
  // One of them goes to the outbox, and fills it.
  shard.settle(0, [2]);
  const replay = { kind: "replay", partitionId: 1, sinceMs: 0, untilIndex: 99 } as const;
  assertEquals(shard.outcome(replay), "overloaded");
  assertEquals(shard.arrive(), [0]);
  shard.nowMs += 1_000;
  assertEquals([shard.arrive(), shard.outcome(replay)], [[1], "replayed"]);
});
