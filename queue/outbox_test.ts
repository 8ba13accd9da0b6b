import { assert, assertEquals } from "@std/assert";
import type { Command, Death, Reply } from "./commands.ts";
import { SettleStatus } from "./commands.ts";
import { deadLetterQueueOf, isDeadLetterQueue } from "./dead_letter_queue.ts";
import { LiveEntries } from "./live_entries.ts";
import { ShardMachine } from "./machine.ts";
import { Outbox } from "./outbox.ts";
import { queueSettings } from "./settings.ts";

const death: Death = {
  queue: "mail",
  partition: 0,
  offset: 17,
  entryIndex: 230,
  position: 1,
  deliveryCount: 10,
  reason: "maxDeliveries",
  atMs: 1_000,
};

Deno.test("Outbox.bury() sends a message to the dead-letter queue of its queue, with what it knows", () => {
  const outbox = new Outbox(10);
  assert(outbox.bury({ ...death, detail: "no such address" }));
  assertEquals([...outbox.values()], [{
    id: 1,
    target: { queue: "mail.dead", partition: 0 },
    entryIndex: 230,
    position: 1,
    death: {
      queue: "mail",
      partition: 0,
      offset: 17,
      deliveryCount: 10,
      reason: "maxDeliveries",
      detail: "no such address",
      atMs: 1_000,
    },
  }]);
  outbox.checkInvariants();
});

Deno.test("Outbox.bury() takes no more than there is room for, and takes again when there is some", () => {
  const outbox = new Outbox(2);
  assert(outbox.bury(death));
  assert(outbox.bury({ ...death, queue: "other" }));
  assertEquals(outbox.bury(death), false);
  assertEquals(outbox.room, 0);
  outbox.done(1);
  outbox.done(1);
  assert(outbox.bury({ ...death, entryIndex: 7 }));
  assertEquals([...outbox.values()].map(({ id }) => id), [2, 3]);
  assertEquals(outbox.firstEntryIndex, 7);
  assertEquals([...outbox.lanes].map(({ target }) => target.queue), ["other.dead", "mail.dead"]);
  outbox.checkInvariants();
});

Deno.test("deadLetterQueueOf() cuts a name that would become too long, between characters", () => {
  const name = deadLetterQueueOf("é".repeat(127));
  assertEquals(name, `${"é".repeat(125)}.dead`);
  assertEquals(deadLetterQueueOf("x".repeat(250)).length, 255);
  assert(isDeadLetterQueue(name));
});

/** A machine whose session 2 has consumer 1 on partition 5, which holds what was published there. */
class Rig {
  machine: ShardMachine;
  #index = 0;

  constructor(messages: number, outboxTransfers = 100) {
    const limits = { outboxTransfers };
    this.machine = new ShardMachine({ shard: 0, limits });
    this.createPartition(5);
    this.apply({ kind: "openSession", timeoutMs: 10_000, clientName: "test" });
    this.apply({
      kind: "attachConsumer",
      sessionId: 2,
      consumerId: 1,
      partitionId: 5,
      prefetch: 100,
      drain: false,
    });
    this.apply({
      kind: "publish",
      sessionId: 2,
      partitionId: 5,
      baseSequence: 0,
      count: messages,
      bytes: 10,
    });
  }

  get index(): number {
    return this.#index;
  }

  createPartition(partitionId: number): void {
    this.apply({
      kind: "createPartition",
      partitionId,
      queueId: partitionId,
      queueName: `queue-${partitionId}`,
      partitionNumber: 0,
      settings: queueSettings({ leaseMs: 5_000 }),
    } as Command);
  }

  apply(command: Command, ms = 0): Reply {
    const index = ++this.#index;
    const timestampMs = this.machine.timestampMs + ms;
    const reply = this.machine.apply({ index, term: 1, timestampMs }, command);
    this.machine.checkInvariants();
    return reply;
  }

  ack(
    offsets: number[],
    sequence: number,
    { answeredBelow = 0, publish = 1 } = {},
  ): Reply {
    return this.apply({
      kind: "settleAndPublish",
      sessionId: 2,
      consumerId: 1,
      partitionId: 5,
      offsets,
      deliveryCounts: offsets.map(() => 1),
      sequence,
      answeredBelow,
      targets: Array.from({ length: publish }, () => ({ queue: "next", partition: 3 })),
    });
  }

  transfer(firstId: number, lastId: number, count = lastId - firstId + 1): Reply {
    return this.apply({
      kind: "transfer",
      partitionId: 5,
      sourceShard: 4,
      firstId,
      lastId,
      count,
      bytes: 1,
    });
  }

  /** Goes on from a snapshot of itself. */
  restart(outboxTransfers = 100): void {
    const hash = this.machine.stateHash();
    const parts = structuredClone([...this.machine.capture().parts()]);
    this.machine = ShardMachine.restore({ shard: 0, limits: { outboxTransfers } }, parts);
    this.machine.checkInvariants();
    assertEquals(this.machine.stateHash(), hash);
  }

  live(): number[] {
    const found = new Set<number>();
    const live = new LiveEntries((index) => found.add(index));
    for (const part of this.machine.capture().parts()) live.take(part);
    while (live.step());
    return [...found].sort((a, b) => a - b);
  }
}

function statusesOf(reply: Reply): number[] | string {
  if (reply.kind === "settled") return [...reply.statuses];
  return reply.kind === "refused" ? reply.reason : reply.kind;
}

Deno.test("settleAndPublish acks and puts the messages into the outbox, and its entry stays alive", () => {
  const rig = new Rig(2);
  assertEquals(statusesOf(rig.ack([0, 1], 0, { publish: 2 })), [0, 0]);
  assertEquals(rig.machine.stats(5)?.acked, 2);
  const { transfers } = rig.machine.transferLane({ queue: "next", partition: 3 })!;
  assertEquals(
    [...transfers.values()].map(({ id, entryIndex, position }) => [
      id,
      entryIndex,
      position,
    ]),
    [[1, 5, 0], [2, 5, 1]],
  );
  assertEquals(rig.live(), [5]);
  assertEquals(rig.machine.lowestLiveEntryIndex(), 5);
  rig.apply({ kind: "transferDone", ids: [1, 2, 2] });
  assertEquals(rig.machine.outboxSize, 0);
  assertEquals(rig.live(), []);
  assertEquals(rig.machine.lowestLiveEntryIndex(), undefined);
});

Deno.test("settleAndPublish does nothing where one of the leases is lost", () => {
  const rig = new Rig(3);
  rig.ack([1], 0);
  const { leaseLost, notDone } = SettleStatus;
  assertEquals(statusesOf(rig.ack([0, 1, 2], 1)), [notDone, leaseLost, notDone]);
  assertEquals(rig.machine.outboxSize, 1);
  assertEquals(rig.machine.stats(5)?.leased, 2);
});

Deno.test("settleAndPublish does not take a message that was acked otherwise for its own doing", () => {
  const rig = new Rig(1);
  rig.apply({
    kind: "settle",
    sessionId: 2,
    consumerId: 1,
    partitionId: 5,
    operation: 0,
    offsets: [0],
    deliveryCounts: [1],
  });
  assertEquals(statusesOf(rig.ack([0], 0)), [SettleStatus.leaseLost]);
  assertEquals(rig.machine.outboxSize, 0);
});

Deno.test("settleAndPublish is done once however often it comes, also after a restart", () => {
  const rig = new Rig(2);
  assertEquals(statusesOf(rig.ack([0], 0)), [0]);
  assertEquals(statusesOf(rig.ack([0], 0)), [0]);
  rig.restart();
  assertEquals(statusesOf(rig.ack([0], 0)), [0]);
  assertEquals(rig.machine.outboxSize, 1);
  // Once the client has the answer nobody asks again: it is forgotten.
  assertEquals(statusesOf(rig.ack([1], 1, { answeredBelow: 1 })), [0]);
  assertEquals(statusesOf(rig.ack([0], 0)), [SettleStatus.leaseLost]);
  assertEquals(rig.machine.outboxSize, 2);
});

Deno.test("settleAndPublish waits while the outbox is full, and the message stays leased", () => {
  const rig = new Rig(2, 1);
  assertEquals(statusesOf(rig.ack([0], 0, { publish: 2 })), "overloaded");
  assertEquals(statusesOf(rig.ack([0], 0)), [0]);
  assertEquals(statusesOf(rig.ack([1], 1)), "overloaded");
  assertEquals(rig.machine.stats(5)?.leased, 1);
  rig.restart(1);
  rig.apply({ kind: "transferDone", ids: [1] });
  assertEquals(statusesOf(rig.ack([1], 1)), [0]);
});

Deno.test("settleAndPublish refuses what no well-made client sends", () => {
  const rig = new Rig(3);
  assertEquals(statusesOf(rig.ack([1, 0], 0)), "invalidArgument");
  assertEquals(statusesOf(rig.ack([1, 1], 0)), "invalidArgument");
  assertEquals(statusesOf(rig.ack([], 0)), "invalidArgument");
  assertEquals(statusesOf(rig.ack([0], 0, { publish: 0 })), "invalidArgument");
  assertEquals(statusesOf(rig.ack([0], 0, { publish: 1_025 })), "invalidArgument");
  assertEquals(statusesOf(rig.ack([0], 0, { answeredBelow: 1 })), "invalidArgument");
  assertEquals(statusesOf(rig.ack([0], 65_536)), "invalidArgument");
  assertEquals(rig.machine.stats(5)?.leased, 3);
});

Deno.test("transfer is stored once, whatever part of it comes again", () => {
  const rig = new Rig(1);
  const taken = (reply: Reply) => reply.kind === "transferred" ? reply : undefined;
  assertEquals(taken(rig.transfer(3, 5, 2)), { kind: "transferred", takenId: 5, firstOffset: 1 });
  assertEquals(taken(rig.transfer(3, 5, 2)), { kind: "transferred", takenId: 5 });
  assertEquals(taken(rig.transfer(4, 9, 3)), { kind: "transferred", takenId: 5 });
  rig.restart();
  assertEquals(taken(rig.transfer(3, 4)), { kind: "transferred", takenId: 5 });
  assertEquals(taken(rig.transfer(6, 9, 3)), { kind: "transferred", takenId: 9, firstOffset: 3 });
  assertEquals(rig.machine.stats(5)?.published, 6);
});

Deno.test("transfer to a partition that is gone is refused, and one of its name begins anew", () => {
  const rig = new Rig(1);
  rig.transfer(1, 1);
  rig.apply({ kind: "deletePartition", partitionId: 5 });
  assertEquals(statusesOf(rig.transfer(2, 2)), "partitionNotFound");
  assertEquals(statusesOf(rig.transfer(3, 2)), "invalidArgument");
});
