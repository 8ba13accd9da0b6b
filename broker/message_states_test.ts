import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { queueSettings, ShardMachine } from "../queue/mod.ts";
import { liveSetOf } from "./live_set.ts";
import { batchesOf, MessageStates } from "./message_states.ts";
import { StepWriter } from "../queue/step_codec.ts";

const settings = queueSettings({ backoffFirstMs: 0 });
const identity = { queueId: 1, queueName: "jobs", partitionNumber: 0, settings };

/** A machine with one partition and one consumer, and beside it a plain list of what must be true. */
class Rig {
  readonly machine = new ShardMachine({ shard: 0 });
  /** By offset: the entry, and whether it was acked. */
  readonly messages: { readonly entryIndex: number; acked: boolean }[] = [];
  #index = 0;
  #sequence = 0;

  constructor(prefetch: number) {
    this.#apply({ kind: "createPartition", partitionId: 5, ...identity });
    this.#apply({ kind: "openSession", timeoutMs: 10_000, clientName: "test" });
    this.#apply({
      kind: "attachConsumer",
      sessionId: 2,
      consumerId: 1,
      partitionId: 5,
      prefetch,
      drain: false,
    });
  }

  publish(count: number): void {
    const baseSequence = this.#sequence;
    this.#sequence += count;
    this.#apply({ kind: "publish", sessionId: 2, partitionId: 5, baseSequence, count, bytes: 1 });
    for (let i = 0; i < count; i++) this.messages.push({ entryIndex: this.#index, acked: false });
  }

  /** Acks (0) or gives back (1) some of what the consumer holds. */
  settle(operation: 0 | 1, picks: readonly number[]): void {
    const held = this.machine.leases(2, 1, 5);
    const chosen = [...new Set(picks.map((pick) => held[pick % held.length]))]
      .filter((one) => one !== undefined);
    if (chosen.length === 0) return;
    this.#apply({
      kind: "settle",
      sessionId: 2,
      consumerId: 1,
      partitionId: 5,
      operation,
      offsets: chosen.map(({ offset }) => offset),
      deliveryCounts: chosen.map(({ deliveryCount }) => deliveryCount),
    });
    if (operation === 0) { for (const { offset } of chosen) this.messages[offset]!.acked = true; }
  }

  #apply(command: Parameters<ShardMachine["apply"]>[1]): void {
    const index = ++this.#index;
    const reply = this.machine.apply({ index, term: 1, timestampMs: 1_000 + index }, command);
    assert(reply.kind !== "refused");
  }
}

Deno.test("MessageStates says of each message what the machine knows", () => {
  const step = fc.oneof(
    fc.record({ publish: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ operation: fc.constantFrom(0 as const, 1 as const), picks: fc.array(fc.nat(9)) }),
  );
  fc.assert(fc.property(fc.nat(4), fc.array(step, { maxLength: 40 }), (prefetch, steps) => {
    const rig = new Rig(prefetch + 1);
    for (const step of steps) {
      if ("publish" in step) rig.publish(step.publish);
      else rig.settle(step.operation, step.picks);
    }
    const states = new MessageStates(rig.machine);
    const held = new Set(rig.machine.leases(2, 1, 5).map(({ offset }) => offset));
    const live = new Set<number>();
    for (const [offset, { entryIndex, acked }] of rig.messages.entries()) {
      const expected = acked ? "acked" : held.has(offset) ? "leased" : "ready";
      assertEquals(states.stateOf(5, offset), expected);
      if (!acked) live.add(entryIndex);
    }
    assertEquals([...states.liveEntries()], [...live]);
    assertEquals([...liveSetOf(rig.machine).from(0)], [...live], "as the log keeps them");
  }));
});

Deno.test("MessageStates calls messages of a partition that is not there gone", () => {
  const states = new MessageStates(new Rig(1).machine);
  assertEquals(states.stateOf(6, 0), "gone");
});

Deno.test("batchesOf() lists the batches, also over a step that starts a new run", () => {
  const steps = (...numbers: [number, number][]) => {
    const writer = new StepWriter();
    for (const [offsetStep, indexStep] of numbers) writer.add(offsetStep, indexStep);
    return writer.finish();
  };
  const batches = [
    { firstOffset: 3, entryIndex: 7, steps: steps([2, 1], [4, 5]) },
    { firstOffset: 2 ** 33, entryIndex: 40, steps: steps() },
  ];
  assertEquals([...batchesOf({ batches, nextOffset: 2 ** 33 + 2 })], [
    { firstOffset: 3, entryIndex: 7, endOffset: 5 },
    { firstOffset: 5, entryIndex: 8, endOffset: 9 },
    { firstOffset: 9, entryIndex: 13, endOffset: 2 ** 33 },
    { firstOffset: 2 ** 33, entryIndex: 40, endOffset: 2 ** 33 + 2 },
  ]);
  assertEquals([...batchesOf({ batches: [], nextOffset: 0 })], []);
});
