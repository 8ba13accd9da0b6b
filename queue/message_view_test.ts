import { assertEquals } from "@std/assert";
import { ShardMachine } from "./machine.ts";
import type { LookOptions } from "./message_view.ts";
import { queueSettings } from "./settings.ts";

const LEASE_MS = 1_000;

/** A machine with a partition, a publisher's session (2) and a consumer's (3). */
function setUp() {
  let machine = new ShardMachine({ shard: 0 });
  let index = 0;
  let nowMs = 10_000;
  const apply = (command: Parameters<ShardMachine["apply"]>[1]) => {
    machine.apply({ index: ++index, term: 1, timestampMs: nowMs }, command);
    machine.checkInvariants();
    return index;
  };
  apply({
    kind: "createPartition",
    partitionId: 1,
    queueId: 1,
    queueName: "jobs",
    partitionNumber: 0,
    settings: queueSettings({ leaseMs: LEASE_MS, backoffFirstMs: 0 }),
  });
  const session = { kind: "openSession", timeoutMs: 60_000 } as const;
  apply({ ...session, clientName: "publisher" });
  apply({ ...session, clientName: "consumer" });
  const consumer = { sessionId: 3, consumerId: 7, partitionId: 1 };
  let sequence = 0;
  return {
    apply,
    pass: (ms: number) => nowMs += ms,
    publish(count: number): number {
      const baseSequence = sequence;
      sequence += count;
      const batch = { sessionId: 2, partitionId: 1, baseSequence, count, bytes: count };
      return apply({ kind: "publish", ...batch });
    },
    attach: (prefetch: number) =>
      apply({ kind: "attachConsumer", ...consumer, prefetch, drain: false }),
    settle: (operation: 0 | 1 | 2, offsets: number[], deliveryCount = 1) =>
      apply({
        kind: "settle",
        ...consumer,
        operation,
        offsets,
        deliveryCounts: offsets.map(() => deliveryCount),
      }),
    look(options: Partial<LookOptions> = {}) {
      return machine.look(1, { fromOffset: 0, messagesMax: 100, offsetsMax: 100, ...options })!;
    },
    restart() {
      machine = ShardMachine.restore({ shard: 0 }, structuredClone([...machine.capture().parts()]));
    },
    flow: () => machine.flow(1),
    consumers: () => machine.consumers(1),
    nowMs: () => nowMs,
  };
}

Deno.test("look() shows where each message stands, and changes nothing", () => {
  const shard = setUp();
  const first = shard.publish(2);
  const second = shard.publish(2);
  shard.attach(2);
  shard.pass(100);
  shard.settle(1, [0]);
  const seen = shard.look();
  const lease = { sessionId: 3, consumerId: 7 };
  const [now, before] = [shard.nowMs(), shard.nowMs() - 100];
  assertEquals(seen, {
    messages: [
      {
        offset: 0,
        state: "leased",
        deliveryCount: 2,
        entryIndex: first,
        position: 0,
        lease: { ...lease, sinceMs: now, endsAtMs: now + LEASE_MS },
      },
      {
        offset: 1,
        state: "leased",
        deliveryCount: 1,
        entryIndex: first,
        position: 1,
        lease: { ...lease, sinceMs: before, endsAtMs: before + LEASE_MS },
      },
      { offset: 2, state: "ready", deliveryCount: 0, entryIndex: second, position: 0 },
      { offset: 3, state: "ready", deliveryCount: 0, entryIndex: second, position: 1 },
    ],
    nextOffset: undefined,
  });
  shard.restart();
  assertEquals(shard.look(), seen);
});

Deno.test("look() passes over what is gone, and says where to go on", () => {
  const shard = setUp();
  shard.publish(10);
  shard.attach(8);
  shard.settle(0, [1, 2, 3, 4, 5, 6]);
  const offsets = (options: Partial<LookOptions>) => {
    const { messages, nextOffset } = shard.look(options);
    return [messages.map(({ offset }) => offset), nextOffset];
  };
  assertEquals(offsets({}), [[0, 7, 8, 9], undefined]);
  assertEquals(offsets({ messagesMax: 2 }), [[0, 7], 8]);
  assertEquals(offsets({ offsetsMax: 3 }), [[0], 3]);
  assertEquals(offsets({ fromOffset: 3, offsetsMax: 3 }), [[], 6]);
  assertEquals(offsets({ fromOffset: 8 }), [[8, 9], undefined]);
  assertEquals(offsets({ fromOffset: 99 }), [[], undefined]);
  shard.settle(0, [0]);
  assertEquals(offsets({ offsetsMax: 1 }), [[7], 8]);
});

Deno.test("look() shows messages of one state only", () => {
  const shard = setUp();
  shard.publish(3);
  shard.attach(1);
  const offsets = (state: "ready" | "leased" | "delayed") =>
    shard.look({ state }).messages.map(({ offset }) => offset);
  assertEquals([offsets("ready"), offsets("leased"), offsets("delayed")], [[1, 2], [0], []]);
});

Deno.test("an extended lease has begun anew, and a consumer's oldest lease is known", () => {
  const shard = setUp();
  shard.attach(2);
  assertEquals(shard.consumers()[0]!.heldSinceMs, undefined);
  shard.publish(2);
  const before = shard.nowMs();
  assertEquals(shard.consumers()[0]!.heldSinceMs, before);
  shard.pass(400);
  shard.settle(2, [0]);
  assertEquals(shard.look().messages.map(({ lease }) => lease?.sinceMs), [before + 400, before]);
  assertEquals(shard.consumers()[0]!.heldSinceMs, before + 400);
});

Deno.test("flow() counts every delivery, on a machine restored of a snapshot, too", () => {
  const shard = setUp();
  shard.attach(2);
  shard.publish(3);
  shard.settle(1, [0]);
  shard.settle(0, [1]);
  shard.publish(5);
  shard.apply({ kind: "purgePartition", partitionId: 1 });
  const flow = { published: 8, delivered: 4, acked: 1 };
  assertEquals(shard.flow(), flow);
  shard.restart();
  assertEquals(shard.flow(), flow);
});
