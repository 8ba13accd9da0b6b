/**
 * A shard with one partition that its queue had and one that it is getting, at the bounds of the rules of
 * decision 0028. What happens in general is compared with the naive model.
 */

import { assertEquals } from "@std/assert";
import { TestShard } from "./_test_shard.ts";
import type { MessageDetails, PublishCommand, QueueSettings } from "./commands.ts";
import { queueSettings } from "./settings.ts";

const [OLD, NEW] = [1, 2];

class Bench extends TestShard {
  readonly session: number;
  readonly #next = new Map<number, number>();
  readonly #settings: QueueSettings;

  constructor(settings: Partial<QueueSettings> = {}) {
    super();
    this.#settings = queueSettings(settings);
    this.apply({ kind: "openSession", timeoutMs: 100_000, clientName: "test" });
    this.session = this.index;
    this.#create(OLD, 0, 1);
  }

  #create(partitionId: number, partitionNumber: number, partitions: number): void {
    this.apply({
      kind: "createPartition",
      partitionId,
      queueId: 1,
      queueName: "jobs",
      partitionNumber,
      settings: { ...this.#settings, partitions },
      ...(partitionNumber === 0 ? {} : { growingFrom: 1 }),
    });
  }

  grow(): void {
    this.#create(NEW, 1, 2);
    this.#update(OLD, 1, 1);
  }

  end(): void {
    this.#update(NEW, 2);
    this.#update(OLD, 2);
  }

  #update(partitionId: number, revision: number, growingFrom?: number): void {
    this.apply({
      kind: "updatePartition",
      partitionId,
      revision,
      paused: false,
      settings: { ...this.#settings, partitions: 2 },
      ...(growingFrom === undefined ? {} : { growingFrom }),
    });
  }

  publish(partitionId: number, asked: MessageDetails, partitionCount = 2): string {
    const command = this.#publishing(partitionId, asked, partitionCount);
    const outcome = this.outcome(command);
    if (outcome === "published") this.#next.set(partitionId, command.baseSequence + 1);
    return outcome;
  }

  /** Why a publish would be refused before it goes through the log. */
  refusal(partitionId: number, asked: MessageDetails, partitionCount = 2): string | undefined {
    const command = this.#publishing(partitionId, asked, partitionCount);
    const reply = this.machine.earlyRefusal(command);
    return reply?.kind === "refused" ? reply.reason : undefined;
  }

  #publishing(partitionId: number, asked: MessageDetails, partitionCount: number): PublishCommand {
    return {
      kind: "publish",
      sessionId: this.session,
      partitionId,
      baseSequence: this.#next.get(partitionId) ?? 0,
      count: 1,
      bytes: 10,
      partitionCount,
      details: { hasOptions: Object.keys(asked).some((name) => name !== "key"), at: () => asked },
    };
  }

  /** The offsets that the consumer of a partition holds, once it has one. */
  consume(partitionId: number): number[] {
    this.apply({
      kind: "attachConsumer",
      sessionId: this.session,
      consumerId: partitionId,
      partitionId,
      prefetch: 100,
      drain: false,
    });
    return this.machine.leases(this.session, partitionId, partitionId).map(({ offset }) => offset);
  }

  settle(partitionId: number, operation: 0 | 1, ...offsets: number[]): void {
    this.apply({
      kind: "settle",
      sessionId: this.session,
      consumerId: partitionId,
      partitionId,
      operation,
      offsets,
      deliveryCounts: offsets.map(() => 1),
    });
  }

  get drained(): number[] {
    return this.machine.drained().map(({ partitionId }) => partitionId);
  }
}

Deno.test("a publish that knew fewer partitions is refused, and its number is free", () => {
  const bench = new Bench();
  assertEquals(bench.publish(OLD, { key: "a" }, 1), "published");
  bench.grow();
  assertEquals(bench.publish(OLD, { key: "a" }, 1), "queueGrown");
  assertEquals(bench.publish(OLD, { key: "b" }, 2), "published");
  // One that goes to its partition whatever there is, as that of a named producer.
  assertEquals(bench.publish(OLD, { key: "a" }, 0), "published");
  assertEquals(bench.consume(OLD), [0, 1, 2]);
});

Deno.test("a publish that was stored before the queue grew is recognised when it is repeated", () => {
  const bench = new Bench();
  const again = {
    kind: "publish",
    sessionId: bench.session,
    partitionId: OLD,
    baseSequence: 0,
    count: 1,
    bytes: 10,
    partitionCount: 1,
  } as const;
  bench.apply(again);
  bench.grow();
  const reply = bench.apply(again);
  assertEquals(reply.kind === "published" && reply.duplicate, true);
});

for (const order of ["fifo", "key"] as const) {
  Deno.test(`a new partition of a queue in order ${order} holds back messages with a key until the old ones are drained`, () => {
    const bench = new Bench({ order, backoffFirstMs: 50 });
    bench.publish(OLD, { key: "a" }, 1);
    bench.publish(OLD, {}, 1);
    bench.grow();
    bench.publish(OLD, { key: "stays" });
    bench.publish(NEW, { key: "a" });
    bench.publish(NEW, {});
    assertEquals(bench.consume(NEW), [1]);
    assertEquals(bench.machine.stats(NEW)?.ready, 1);
    assertEquals(
      bench.machine.look(NEW, { fromOffset: 0, messagesMax: 9, offsetsMax: 9 })?.messages[0]
        ?.block,
      { by: "growing" },
    );
    bench.restart();
    assertEquals(bench.consume(OLD), [0, 1, 2]);
    bench.settle(OLD, 0, 1);
    assertEquals(bench.drained, []);
    // One that comes back is waited for.
    bench.settle(OLD, 1, 0);
    assertEquals(bench.drained, []);
    bench.pass(100);
    bench.apply({
      kind: "settle",
      sessionId: bench.session,
      consumerId: OLD,
      partitionId: OLD,
      operation: 0,
      offsets: [0],
      deliveryCounts: [2],
    });
    // What came later is not waited for.
    assertEquals(bench.machine.stats(OLD)?.leased, 1);
    bench.restart();
    assertEquals(bench.drained, [OLD]);
    bench.end();
    assertEquals(bench.consume(NEW), [0, 1]);
    assertEquals([bench.drained, bench.machine.drainingCount], [[], 0]);
  });
}

Deno.test("messages with a delay of their own are waited for only where they are unique", () => {
  for (
    const [asked, drained] of [
      [{ key: "a", delayMs: 5_000 }, [OLD]],
      [{ key: "a", delayMs: 5_000, unique: "u" }, []],
    ] as const
  ) {
    const bench = new Bench();
    bench.publish(OLD, asked, 1);
    bench.grow();
    assertEquals(bench.drained, drained);
  }
});

Deno.test("a new partition takes unique messages when the old ones are drained", () => {
  const bench = new Bench();
  bench.publish(OLD, { unique: "u" }, 1);
  bench.grow();
  assertEquals(bench.publish(NEW, { unique: "u" }), "queueGrowing");
  assertEquals(bench.publish(NEW, { key: "k" }), "published");
  bench.consume(OLD);
  bench.settle(OLD, 0, 0);
  assertEquals(bench.drained, [OLD]);
  bench.end();
  assertEquals(bench.publish(NEW, { unique: "u" }), "published");
});

Deno.test("what a queue that grows does not take yet is refused before it goes through the log", () => {
  const bench = new Bench();
  bench.grow();
  assertEquals(bench.refusal(NEW, { unique: "u" }), "queueGrowing");
  assertEquals(bench.refusal(NEW, { key: "k" }), undefined);
  // By this the log tells that nothing behind it can be stored.
  assertEquals(bench.refusal(OLD, { key: "k" }, 1), undefined);
  bench.end();
  assertEquals(bench.refusal(NEW, { unique: "u" }), undefined);
});

Deno.test("a queue that grows drops nothing for that", () => {
  const bench = new Bench({ maxMessages: 4, overflow: "dropOldest" });
  for (let i = 0; i < 4; i++) bench.publish(OLD, {}, 1);
  bench.grow();
  assertEquals(bench.machine.stats(OLD)?.ready, 4);
  // Once it is over each has its share.
  bench.end();
  assertEquals(bench.machine.stats(OLD)?.ready, 2);
});

Deno.test("consumers of the old partitions are told", () => {
  const bench = new Bench();
  bench.consume(OLD);
  bench.grow();
  assertEquals(bench.machine.effects.queuesGrown, [
    { sessionId: bench.session, consumerId: OLD, partitionId: OLD },
  ]);
  bench.end();
  assertEquals(bench.machine.effects.queuesGrown, []);
});
