import { assertEquals, assertThrows } from "@std/assert";
import type { Entry } from "../../raft/mod.ts";
import {
  type Command,
  type Effects,
  type QueueSettings,
  queueSettings,
  type Reply,
  ShardMachine,
} from "../../queue/mod.ts";
import {
  decodeCommand,
  type EncodableCommand,
  encodeCommand,
  encodePublishCommand,
  type MessageOptions,
  stampCommand,
} from "../../wire/mod.ts";
import { KeyOrderChecker } from "./key_order_checker.ts";
import { ShardModel } from "./queue_model.ts";
import { Violation, World } from "./world.ts";

const partitionId = 1;
const leaseMs = 1_000;

/** The production machine with the model behind it; tests falsify what the model is told. */
class Pair {
  readonly model = new ShardModel(0, new World(1), {
    places: new Map(),
    outboxes: [],
    keyOrder: new KeyOrderChecker(),
  });
  readonly machine = new ShardMachine({ shard: 0 });
  #index = 0;
  #sentId = 0;

  /** Applies a command to both, after `falsify` changed what the machine said. */
  apply(
    data: Uint8Array,
    timestampMs: number,
    falsify: (reply: Reply, effects: Effects) => [Reply, Effects] = (...all) => all,
  ): Reply {
    stampCommand(data, timestampMs);
    const index = ++this.#index;
    const entry: Entry = { index, term: 1, kind: 0, data };
    const reply = this.machine.apply({ index, term: 1, timestampMs }, decodeCommand(data));
    const transfers = [...this.machine.transferLanes()]
      .flatMap((lane) => [...lane.transfers.values()])
      .filter(({ id }) => id > this.#sentId);
    this.#sentId = this.machine.newestTransferId;
    this.model.apply(entry, ...falsify(reply, this.machine.effects), transfers);
    return reply;
  }

  command(
    command: EncodableCommand,
    timestampMs = 0,
    falsify?: (reply: Reply, effects: Effects) => [Reply, Effects],
  ): Reply {
    return this.apply(encodeCommand(command), timestampMs, falsify);
  }

  publish(sessionId: number, baseSequence: number, ...ids: string[]): Uint8Array {
    return this.publishWith(sessionId, baseSequence, {}, ...ids);
  }

  publishWith(
    sessionId: number,
    baseSequence: number,
    options: MessageOptions,
    ...ids: string[]
  ): Uint8Array {
    return encodePublishCommand(
      { sessionId, partitionId, baseSequence },
      ids.map((id) => ({ body: new TextEncoder().encode(`${id} padding`), options })),
    );
  }
}

/** A partition with two consumers of one message each, and a publisher. */
function setUp(changes: Partial<QueueSettings> = {}) {
  const pair = new Pair();
  const settings = queueSettings({ leaseMs, backoffFirstMs: 0, ...changes });
  pair.command({
    kind: "createPartition",
    partitionId,
    queueId: 1,
    queueName: "queue",
    partitionNumber: 0,
    settings,
  });
  const session = () => {
    const reply = pair.command({ kind: "openSession", timeoutMs: 5_000, clientName: "test" });
    return (reply as Reply & { kind: "sessionOpened" }).sessionId;
  };
  const publisher = session();
  const consumers = [session(), session()] as const;
  for (const sessionId of consumers) {
    const prefetch = 1;
    pair.command(
      {
        kind: "attachConsumer",
        sessionId,
        consumerId: 1,
        partitionId,
        prefetch,
        drain: false,
      } as Command & EncodableCommand,
    );
  }
  return { pair, publisher, consumers };
}

function settle(sessionId: number, offset: number, deliveryCount: number): EncodableCommand {
  return {
    kind: "settle",
    sessionId,
    consumerId: 1,
    partitionId,
    operation: 0,
    offsets: [offset],
    deliveryCounts: [deliveryCount],
  };
}

function assertViolation(run: () => void, invariant: string): void {
  const error = assertThrows(run, Violation) as Violation;
  assertEquals(error.invariant, invariant);
}

/** The effects with one more delivery. */
function withDelivery(
  effects: Effects,
  sessionId: number,
  offset: number,
  deliveryCount: number,
  entryIndex: number,
): Effects {
  return {
    ...effects,
    drained: effects.drained,
    sessionsEnded: effects.sessionsEnded,
    deliveries: {
      count: 1,
      sessionId: [sessionId],
      consumerId: [1],
      partitionId: [partitionId],
      offset: [offset],
      deliveryCount: [deliveryCount],
      entryIndex: [entryIndex],
      position: [0],
    },
  };
}

Deno.test("ShardModel agrees with the machine on a message that is delivered, lost and acked", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publish(publisher, 0, "a"), 10);
  const [message] = pair.model.partitions.get(partitionId)!.messages;
  assertEquals(message!.lease?.consumer.sessionId, consumers[0]);
  pair.command({ kind: "tick" }, 10 + leaseMs);
  assertEquals(message!.deliveryCount, 2);
  assertEquals(message!.lease?.consumer.sessionId, consumers[1]);
  pair.command(settle(consumers[0], 0, 1), 20 + leaseMs);
  assertEquals(message!.state, "leased");
  pair.command(settle(consumers[1], 0, 2), 20 + leaseMs);
  assertEquals(message!.state, "acked");
  assertEquals(pair.model.waiting(), 0);
});

Deno.test("ShardModel finds a message that is stored twice", () => {
  const { pair, publisher } = setUp();
  pair.apply(pair.publish(publisher, 0, "a"), 10);
  assertViolation(() => pair.apply(pair.publish(publisher, 1, "a"), 10), "exactly-once publish");
});

Deno.test("ShardModel finds a repeated publish with another receipt", () => {
  const { pair, publisher } = setUp();
  pair.apply(pair.publish(publisher, 0, "a"), 10);
  pair.apply(pair.publish(publisher, 1, "b"), 10);
  assertViolation(
    () =>
      pair.apply(pair.publish(publisher, 0, "a"), 10, (reply, effects) => [
        { ...reply, firstOffset: 1 } as Reply,
        effects,
      ]),
    "a repeated publish gets the first receipt",
  );
});

Deno.test("ShardModel finds a message that is given to a second consumer", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publish(publisher, 0, "a"), 10);
  assertViolation(
    () =>
      pair.command({ kind: "tick" }, 20, (reply, effects) => [
        reply,
        withDelivery(effects, consumers[1], 0, 2, 6),
      ]),
    "a message has one holder",
  );
});

Deno.test("ShardModel finds a delivery after an ack", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publish(publisher, 0, "a"), 10);
  pair.command(settle(consumers[0], 0, 1), 20);
  assertViolation(
    () =>
      pair.command({ kind: "tick" }, 30, (reply, effects) => [
        reply,
        withDelivery(effects, consumers[1], 0, 2, 6),
      ]),
    "no delivery after an ack",
  );
});

Deno.test("ShardModel finds a delivery count that does not rise by one", () => {
  const { pair, publisher } = setUp();
  assertViolation(
    () =>
      pair.apply(pair.publish(publisher, 0, "a"), 10, (reply, effects) => [reply, {
        ...effects,
        sessionsEnded: effects.sessionsEnded,
        drained: effects.drained,
        deliveries: { ...effects.deliveries, count: 1, deliveryCount: [2] },
      }]),
    "delivery counts rise by one",
  );
});

Deno.test("ShardModel finds a consumer that gets more than its credit", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publish(publisher, 0, "a", "b"), 10);
  pair.apply(pair.publish(publisher, 2, "c"), 10);
  assertViolation(
    () =>
      pair.command({ kind: "tick" }, 20, (reply, effects) => [
        reply,
        withDelivery(effects, consumers[0], 2, 1, 8),
      ]),
    "credit is kept",
  );
});

Deno.test("ShardModel finds a consumer that is served while it is not attached", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publish(publisher, 0, "a", "b"), 10);
  pair.apply(pair.publish(publisher, 2, "c"), 10);
  pair.command({ kind: "detachSession", sessionId: consumers[1], attachIndex: consumers[1] }, 20);
  pair.command(settle(consumers[1], 1, 1), 20);
  assertViolation(
    () =>
      pair.command({ kind: "tick" }, 20, (reply, effects) => [
        reply,
        withDelivery(effects, consumers[1], 2, 1, 8),
      ]),
    "only attached consumers are served",
  );
});

Deno.test("ShardModel finds an ack that is taken from a consumer that holds nothing", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publish(publisher, 0, "a"), 10);
  assertViolation(
    () =>
      pair.command(settle(consumers[1], 0, 1), 20, (_, effects) => [
        { kind: "settled", statuses: new Uint8Array(1) },
        effects,
      ]),
    "only the holder settles",
  );
  assertViolation(
    () =>
      pair.command(settle(consumers[0], 0, 1), 20, (_, effects) => [
        { kind: "settled", statuses: new Uint8Array([1]) },
        effects,
      ]),
    "the holder can settle",
  );
});

Deno.test("ShardModel finds a session that ends before its time-out", () => {
  const { pair, consumers } = setUp();
  pair.command({ kind: "detachSession", sessionId: consumers[0], attachIndex: consumers[0] }, 100);
  assertViolation(
    () =>
      pair.command({ kind: "tick" }, 200, (reply, effects) => [reply, {
        ...effects,
        deliveries: effects.deliveries,
        drained: effects.drained,
        sessionsEnded: [{ sessionId: consumers[0] }],
      }]),
    "sessions live to their time-out",
  );
});

/** What a message is, told by the model: its state, and how often it was delivered. */
function stateOf({ model }: Pair, offset: number): string {
  const { state, deliveryCount } = model.partitions.get(partitionId)!.messages[offset]!;
  return `${state} ${deliveryCount}`;
}

Deno.test("ShardModel agrees with the machine on messages that wait, expire and die", () => {
  const { pair, publisher, consumers } = setUp({ maxDeliveries: 2 });
  const [one, two] = consumers;
  pair.apply(pair.publishWith(publisher, 0, { delayMs: 500 }, "late"), 0);
  pair.apply(pair.publishWith(publisher, 1, { ttlMs: 300 }, "short"), 0);
  pair.apply(pair.publish(publisher, 2, "held"), 0);
  pair.apply(pair.publishWith(publisher, 3, { ttlMs: 300 }, "unseen"), 0);
  const states = () => [0, 1, 2, 3].map((offset) => stateOf(pair, offset));
  assertEquals(states(), ["delayed 0", "leased 1", "leased 1", "ready 0"]);
  pair.command({ kind: "tick" }, 300);
  assertEquals(states(), ["delayed 0", "leased 1", "leased 1", "expired 0"]);
  const nack = { ...settle(one, 1, 1), operation: 1 } as EncodableCommand;
  pair.command(nack, 400);
  pair.command({ kind: "tick" }, 500);
  assertEquals(states(), ["leased 1", "expired 1", "leased 1", "expired 0"]);
  pair.command(settle(one, 0, 1), 600);
  pair.command({ kind: "tick" }, leaseMs);
  pair.command({ kind: "tick" }, 2 * leaseMs);
  assertEquals(states(), ["acked 1", "expired 1", "dead 2", "expired 0"]);
  assertEquals(pair.model.outbox.size, 1);
  assertEquals(pair.model.waiting(), 1);
  assertEquals(pair.machine.stats(partitionId)!.dead, 1);
  pair.command(settle(two, 2, 2), 2 * leaseMs);
});

Deno.test("ShardModel finds a message that goes before one of a higher priority", () => {
  const { pair, publisher, consumers } = setUp();
  pair.command({ kind: "detachSession", sessionId: consumers[1], attachIndex: consumers[1] }, 0);
  pair.apply(pair.publish(publisher, 0, "a", "b"), 10);
  pair.apply(pair.publishWith(publisher, 2, { priority: 5 }, "c"), 10);
  assertViolation(
    () =>
      pair.command(settle(consumers[0], 0, 1), 20, (reply, effects) => [
        reply,
        withDelivery(effects, consumers[0], 1, 1, 8),
      ]),
    "in order of priority, then first in, first out",
  );
});

Deno.test("ShardModel finds a message that is delivered before its time", () => {
  const { pair, publisher, consumers } = setUp();
  pair.apply(pair.publishWith(publisher, 0, { delayMs: 500 }, "a"), 10);
  assertViolation(
    () =>
      pair.command({ kind: "tick" }, 509, (reply, effects) => [
        reply,
        withDelivery(effects, consumers[0], 0, 1, 7),
      ]),
    "no delivery before its time",
  );
});

Deno.test("ShardModel finds a message that is stored beside one with its unique text", () => {
  const { pair, publisher } = setUp();
  pair.apply(pair.publishWith(publisher, 0, { unique: "u" }, "a"), 10);
  assertViolation(
    () =>
      pair.apply(
        pair.publishWith(publisher, 1, { unique: "u" }, "b"),
        10,
        (reply, effects) => [{ ...reply, repeats: undefined } as unknown as Reply, effects],
      ),
    "a unique message is stored once",
  );
});
