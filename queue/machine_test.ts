import { assertEquals, assertThrows } from "@std/assert";
import { settlingCommand } from "./catalog.ts";
import type { Command, Reply } from "./commands.ts";
import { InvariantError } from "./invariant.ts";
import { ShardMachine } from "./machine.ts";
import { queueSettings } from "./settings.ts";
import { JobsShard, LEASE_MS } from "./_jobs_shard.ts";

Deno.test("ShardMachine delivers across sessions in turns and says where the messages are", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const [one, two] = [shard.session(), shard.session()];
  shard.attach(one);
  shard.attach(two);
  shard.publish(one, 0, 2);
  const published = shard.index;
  assertEquals(shard.delivered(), `${one}:0 ${two}:1`);
  const { deliveries } = shard.machine.effects;
  assertEquals(deliveries.entryIndex.slice(0, 2), [published, published]);
  assertEquals(deliveries.position.slice(0, 2), [0, 1]);
  assertEquals(deliveries.consumerId.slice(0, 2), [1, 1]);
  assertEquals(deliveries.partitionId.slice(0, 2), [1, 1]);
});

Deno.test("ShardMachine.apply() gives a repeated publish the whole first receipt", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  const first = shard.publish(session, 0, 3);
  shard.publish(session, 3, 1);
  shard.nowMs += 500;
  assertEquals(shard.publish(session, 0, 3), { ...first, duplicate: true } as Reply);
  assertEquals(shard.machine.stats(1)?.published, 4);
});

Deno.test("ShardMachine.apply() refuses a gap, and a repeat older than the window", () => {
  const shard = new JobsShard({ windowBatches: 2 });
  shard.partition(1);
  const session = shard.session();
  const reason = (base: number, count: number) => {
    const reply = shard.publish(session, base, count);
    return reply.kind === "refused" ? reply.reason : reply.kind;
  };
  assertEquals(reason(1, 1), "sequenceGap");
  for (let base = 0; base < 4; base++) assertEquals(reason(base, 1), "published");
  assertEquals(reason(1, 1), "sequenceTooOld");
  assertEquals(reason(2, 2), "invalidArgument");
  assertEquals(reason(5, 1), "sequenceGap");
  assertEquals(reason(4, 1), "published");
});

Deno.test("ShardMachine.apply() lets a refused batch use up its sequence numbers", () => {
  const shard = new JobsShard();
  const session = shard.session();
  const publish = (base: number) => {
    const reply = shard.publish(session, base, 1);
    return reply.kind === "refused" ? reply.reason : reply.kind;
  };
  assertEquals(publish(0), "partitionNotFound");
  assertEquals(publish(1), "partitionNotFound");
  shard.partition(1);
  assertEquals(publish(1), "partitionNotFound", "the first answer");
  assertEquals(publish(2), "published");
});

Deno.test("ShardMachine.apply() returns leases that ran out before it carries out the command", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session);
  shard.publish(session, 0, 1);
  assertEquals(shard.machine.nextDeadlineMs(), 10_000 + LEASE_MS);
  shard.nowMs += LEASE_MS;
  const late = shard.settle(session, [0]);
  assertEquals(late, { kind: "settled", statuses: new Uint8Array([1]) });
  assertEquals(shard.delivered(), `${session}:0x2`);
});

Deno.test("ShardMachine.apply() never lets time move back", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session);
  shard.publish(session, 0, 1);
  shard.nowMs -= 5_000;
  shard.publish(session, 1, 1);
  assertEquals(shard.machine.timestampMs, 10_000);
  assertEquals(shard.machine.nextDeadlineMs(), 10_000 + LEASE_MS);
});

Deno.test("ShardMachine keeps leases over a lost connection, and hands out nothing meanwhile", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session, { prefetch: 2 });
  shard.publish(session, 0, 1);
  shard.apply({ kind: "detachSession", sessionId: session, attachIndex: session });
  shard.publish(session, 1, 1);
  assertEquals(shard.delivered(), "");
  shard.apply({ kind: "attachSession", sessionId: session });
  assertEquals(shard.delivered(), "", "not before the client has said what it holds");
  assertEquals(shard.attach(session, { prefetch: 2 }), "ok");
  assertEquals(shard.delivered(), `${session}:1`);
  assertEquals(shard.machine.leases(session, 1, 1).map(({ offset }) => offset), [0, 1]);
});

Deno.test("ShardMachine ends a session that stays away, and keeps its window for a while", () => {
  const shard = new JobsShard({ producerRetentionMs: 20_000 });
  shard.partition(1, 60_000);
  const [gone, other] = [shard.session(1_000), shard.session()];
  shard.attach(gone);
  shard.publish(gone, 0, 1);
  shard.attach(other);
  shard.apply({ kind: "detachSession", sessionId: gone, attachIndex: gone });
  shard.pass(999);
  assertEquals(shard.delivered(), "");
  shard.pass(1);
  assertEquals(shard.machine.effects.sessionsEnded, [{ sessionId: gone }]);
  assertEquals(shard.delivered(), `${other}:0x2`);
  assertEquals(shard.machine.session(gone)?.state, "ended");
  const repeat = shard.publish(gone, 0, 1);
  assertEquals(repeat.kind === "published" && repeat.duplicate, true);
  shard.pass(10_000);
  assertEquals(shard.outcome({ kind: "attachSession", sessionId: gone }), "ok");
  shard.pass(100_000);
  assertEquals(shard.machine.session(gone)?.state, "attached");
});

Deno.test("ShardMachine forgets an ended session when its retention is over", () => {
  const shard = new JobsShard({ producerRetentionMs: 20_000 });
  shard.partition(1);
  const session = shard.session(1_000);
  shard.publish(session, 0, 1);
  shard.apply({ kind: "detachSession", sessionId: session, attachIndex: session });
  shard.pass(1_000);
  shard.attach(session);
  assertEquals(shard.delivered(), "", "attached to a session that is not");
  shard.pass(19_999);
  assertEquals(shard.machine.sessions().length, 1);
  shard.pass(1);
  assertEquals(shard.machine.sessions(), []);
  assertEquals(shard.machine.consumers(1), []);
  assertEquals(shard.outcome({ kind: "attachSession", sessionId: session }), "sessionNotFound");
});

Deno.test("ShardMachine gives sessions and leases their full time when a new leader begins", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const [away, present] = [shard.session(1_000), shard.session()];
  shard.attach(present);
  shard.publish(present, 0, 1);
  shard.apply({ kind: "detachSession", sessionId: away, attachIndex: away });
  shard.nowMs += 30_000;
  shard.apply({ kind: "beginTerm" });
  assertEquals(shard.machine.effects.sessionsEnded, []);
  assertEquals(shard.machine.session(away)?.deadlineMs, shard.nowMs + 1_000);
  assertEquals(shard.machine.session(present)?.state, "detached");
  assertEquals(shard.delivered(), "");
  shard.apply({ kind: "attachSession", sessionId: present });
  shard.attach(present);
  const ack = shard.settle(present, [0]);
  assertEquals(ack, { kind: "settled", statuses: new Uint8Array([0]) });
});

Deno.test("ShardMachine hands back at once what a closed session or a detached consumer held", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const [one, two] = [shard.session(), shard.session()];
  shard.attach(one, { prefetch: 1 });
  shard.publish(one, 0, 1);
  shard.attach(two, { prefetch: 1 });
  shard.apply({ kind: "closeSession", sessionId: one });
  assertEquals(shard.delivered(), `${two}:0x2`);
  assertEquals(shard.machine.session(one), undefined);
  assertEquals(shard.machine.effects.sessionsEnded, [], "its client knows");
  const three = shard.session();
  shard.attach(three);
  shard.apply({ kind: "detachConsumer", sessionId: two, consumerId: 1, partitionId: 1 });
  assertEquals(shard.delivered(), `${three}:0x3`);
});

Deno.test("ShardMachine changes a consumer that is attached again", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session, { prefetch: 1 });
  shard.publish(session, 0, 4);
  assertEquals(shard.delivered(), `${session}:0`);
  shard.attach(session, { prefetch: 3 });
  assertEquals(shard.delivered(), `${session}:1 ${session}:2`);
  shard.attach(session, { prefetch: 1 });
  shard.settle(session, [0, 1]);
  assertEquals(shard.delivered(), "");
  shard.settle(session, [2]);
  assertEquals(shard.delivered(), `${session}:3`);
  assertEquals(shard.machine.consumers(1), [{
    sessionId: session,
    clientName: "test",
    consumerId: 1,
    prefetch: 1,
    held: 1,
    heldSinceMs: shard.nowMs,
    receiving: true,
  }]);
});

Deno.test("ShardMachine serves a consumer of several partitions in each of them", () => {
  const shard = new JobsShard();
  shard.partition(1);
  shard.partition(2);
  const session = shard.session();
  shard.attach(session, { prefetch: 1 });
  shard.attach(session, { prefetch: 1, partitionId: 2 });
  shard.publish(session, 0, 2, 1);
  assertEquals(shard.delivered(), `${session}:0`);
  shard.publish(session, 0, 2, 2);
  assertEquals(shard.delivered(), `${session}:0`);
  assertEquals(shard.machine.session(session)?.consumers, 2);
  assertEquals(shard.machine.session(session)?.producers, 2);
});

Deno.test("ShardMachine says drained when there is nothing, at once or after the last message", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session, { drain: true });
  const drained = [{ sessionId: session, consumerId: 1, partitionId: 1 }];
  assertEquals(shard.machine.effects.drained, drained);
  shard.publish(session, 0, 1);
  assertEquals(shard.machine.effects.drained, [], "once");
  shard.attach(session, { drain: true, prefetch: 1 });
  assertEquals(shard.machine.effects.drained, drained);
  shard.publish(session, 1, 1);
  shard.attach(session, { drain: true, prefetch: 1 });
  assertEquals(shard.machine.effects.drained, []);
  shard.settle(session, [0]);
  assertEquals(shard.machine.effects.drained, drained);
});

Deno.test("ShardMachine deletes a partition with leases out, consumers attached and windows", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session);
  shard.publish(session, 0, 3);
  assertEquals(shard.outcome({ kind: "deletePartition", partitionId: 1 }), "ok");
  assertEquals(shard.machine.effects.consumersEnded, [
    { sessionId: session, consumerId: 1, partitionId: 1 },
  ]);
  assertEquals(shard.machine.session(session)?.consumers, 0);
  assertEquals(shard.machine.nextDeadlineMs(), undefined);
  assertEquals(shard.machine.stats(1), undefined);
  assertEquals(shard.publish(session, 3, 1).kind, "refused");
  assertEquals(shard.settle(session, [0]).kind, "refused");
  assertEquals(shard.attach(session), "partitionNotFound");
  assertEquals(shard.outcome({ kind: "deletePartition", partitionId: 1 }), "ok");
});

Deno.test("ShardMachine does not let a late createPartition revive a deleted partition", () => {
  const shard = new JobsShard();
  shard.partition(1);
  shard.apply({ kind: "deletePartition", partitionId: 1 });
  shard.apply({ kind: "deletePartition", partitionId: 2 });
  shard.partition(1);
  shard.partition(2);
  assertEquals(shard.machine.partitions(), []);
  shard.restart();
  shard.partition(1);
  assertEquals(shard.machine.partitions(), []);
});

Deno.test("ShardMachine deletes a partition that just became due", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session);
  shard.publish(session, 0, 1);
  shard.nowMs += LEASE_MS;
  shard.apply({ kind: "deletePartition", partitionId: 1 });
  assertEquals(shard.delivered(), "");
});

Deno.test("ShardMachine.apply() has an answer to everything about things that are not there", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  const sessionId = 999;
  assertEquals(shard.outcome({ kind: "attachSession", sessionId }), "sessionNotFound");
  assertEquals(shard.outcome({ kind: "detachSession", sessionId, attachIndex: 1 }), "ok");
  assertEquals(shard.outcome({ kind: "closeSession", sessionId }), "ok");
  assertEquals(shard.attach(sessionId), "sessionNotFound");
  assertEquals(shard.attach(session, { partitionId: 9 }), "partitionNotFound");
  const detach = { kind: "detachConsumer", consumerId: 1, partitionId: 1 } as const;
  assertEquals(shard.outcome({ ...detach, sessionId }), "ok");
  assertEquals(shard.outcome({ ...detach, sessionId: session }), "ok");
  assertEquals(shard.publish(sessionId, 0, 1), {
    kind: "refused",
    reason: "sessionNotFound",
    message: "There is no session 999",
  });
  assertEquals(shard.settle(sessionId, [0]).kind, "refused");
  assertEquals(shard.settle(session, [0]), { kind: "settled", statuses: new Uint8Array([1]) });
  assertEquals(shard.machine.leases(session, 1, 1), []);
  assertEquals(shard.machine.leases(sessionId, 1, 1), []);
  assertEquals(shard.machine.consumers(9), []);
  assertEquals(shard.machine.partition(9), undefined);
});

Deno.test("ShardMachine.apply() refuses numbers out of range", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  const refused = (reply: Reply) => reply.kind === "refused" && reply.reason;
  for (const [base, count] of [[-1, 1], [0, 0], [0, 65_537], [0, 1.5], [2 ** 53 - 1, 1]] as const) {
    assertEquals(refused(shard.publish(session, base, count)), "invalidArgument");
  }
  assertEquals(shard.publish(session, 0, 65_536).kind, "published");
  for (const prefetch of [0, -1, 65_537, 0.5, NaN]) {
    assertEquals(shard.attach(session, { prefetch }), "invalidArgument");
  }
  assertEquals(shard.attach(session, { consumerId: 2 ** 32 }), "invalidArgument");
  assertEquals(
    refused(shard.settle(session, [0, 1], { deliveryCounts: [1] })),
    "invalidArgument",
  );
  assertEquals(refused(shard.settle(session, [], { operation: 4 as 0 })), "invalidArgument");
  assertEquals(refused(shard.settle(session, [], { delayMs: -1 })), "invalidArgument");
  assertEquals(shard.attach(session, { consumerId: 3, leaseMs: 99 }), "invalidArgument");
  for (const timeoutMs of [99, 24 * 60 * 60 * 1_000 + 1, NaN]) {
    const open: Command = { kind: "openSession", timeoutMs, clientName: "" };
    assertEquals(shard.outcome(open), "invalidArgument");
  }
  const clientName = "x".repeat(256);
  assertEquals(
    shard.outcome({ kind: "openSession", timeoutMs: 100, clientName }),
    "invalidArgument",
  );
  for (const partitionId of [0, 2 ** 32, 1.5]) {
    assertEquals(shard.outcome({ kind: "deletePartition", partitionId }), "invalidArgument");
  }
  assertEquals(shard.machine.consumers(1), []);
});

Deno.test("ShardMachine.apply() refuses what would go over a limit, and has room again later", () => {
  const shard = new JobsShard({
    sessions: 2,
    consumersPerPartition: 1,
    partitionsPerShard: 2,
    producersPerSession: 2,
  });
  shard.partition(1);
  shard.partition(2);
  shard.partition(3);
  assertEquals(shard.machine.partitions(), [1, 2]);
  const [one, two] = [shard.session(), shard.session()];
  const open: Command = { kind: "openSession", timeoutMs: 100, clientName: "" };
  assertEquals(shard.outcome(open), "limitReached");
  assertEquals(shard.attach(one), "ok");
  assertEquals(shard.attach(two), "limitReached");
  assertEquals(shard.attach(one, { prefetch: 3 }), "ok", "it is attached already");
  for (const partitionId of [1, 2]) shard.publish(one, 0, 1, partitionId);
  assertEquals(shard.publish(one, 0, 1, 7), {
    kind: "refused",
    reason: "limitReached",
    message: "The number of partitions a session publishes to has reached its limit of 2",
  });
  shard.apply({ kind: "closeSession", sessionId: one });
  assertEquals(shard.attach(two), "ok");
  assertEquals(shard.outcome(open), "sessionOpened");
});

Deno.test("ShardMachine runs a queue through its life with a keeper beside it", () => {
  const shard = new JobsShard();
  const create = (acceptExisting: boolean): Command => ({
    kind: "createQueue",
    name: "jobs",
    settings: queueSettings({ partitions: 2, leaseMs: LEASE_MS }),
    shardCount: 1,
    acceptExisting,
  });
  const keep = () => {
    for (const item of shard.machine.partitionsToSettle()) {
      const { action, partitionId, revision } = item;
      shard.apply(settlingCommand(item));
      shard.apply({ kind: "partitionSettled", partitionId, action, revision });
    }
  };
  const created = shard.apply(create(false));
  assertEquals(created.kind === "queue" && created.created, true);
  assertEquals(shard.machine.findQueue("jobs")?.state, "creating");
  keep();
  assertEquals(shard.machine.findQueue("jobs")?.state, "ready");
  assertEquals(shard.machine.partition(2), {
    id: 2,
    queueId: 1,
    queueName: "jobs",
    number: 1,
    settings: queueSettings({ partitions: 2, leaseMs: LEASE_MS }),
    paused: false,
    revision: 0,
  });
  const edit = {
    kind: "editQueue",
    name: "jobs",
    settings: { leaseMs: 700 },
    paused: true,
  } as const;
  shard.apply(edit);
  assertEquals(shard.machine.isQueueSettled("jobs"), false);
  shard.restart();
  keep();
  assertEquals(shard.machine.isQueueSettled("jobs"), true);
  shard.restart();
  const { settings, paused } = shard.machine.partition(2)!;
  assertEquals([settings.leaseMs, paused], [700, true]);
  const late = { kind: "updatePartition", partitionId: 2, revision: 0, settings, paused: false };
  shard.apply(late as Command);
  assertEquals(shard.machine.partition(2)!.paused, true, "what is late changes nothing");
  shard.apply({ ...edit, settings: { leaseMs: LEASE_MS }, paused: false });
  keep();
  shard.restart();
  assertEquals(shard.outcome(create(true)), "queue");
  assertEquals(shard.outcome({ kind: "deleteQueue", name: "jobs" }), "ok");
  assertEquals(shard.outcome(create(true)), "queueDeleting");
  keep();
  assertEquals(shard.machine.queues(), []);
  assertEquals(shard.machine.partitions(), []);
  assertEquals(shard.outcome(create(false)), "queue");
  assertEquals(shard.machine.partitionsToSettle().map(({ partitionId }) => partitionId), [3, 4]);
});

Deno.test("ShardMachine keeps a catalog in shard 0 only", () => {
  const shard = new JobsShard({}, 1);
  const settings = queueSettings({ leaseMs: LEASE_MS });
  for (
    const command of [
      { kind: "createQueue", name: "a", settings, shardCount: 2, acceptExisting: true },
      { kind: "deleteQueue", name: "a" },
      { kind: "partitionSettled", partitionId: 1, action: "create" },
    ] as Command[]
  ) assertEquals(shard.outcome(command), "invalidArgument");
  assertEquals(shard.machine.findQueue("a"), undefined);
  assertEquals(shard.machine.queues(), []);
  assertEquals(shard.machine.partitionsToSettle(), []);
  assertEquals("catalog" in shard.machine.capture().parts().next().value!, false);
});

Deno.test("ShardMachine.nextDeadlineMs() follows leases and sessions, whichever is first", () => {
  const shard = new JobsShard();
  assertEquals(shard.machine.nextDeadlineMs(), undefined);
  shard.partition(1, 1_000);
  shard.partition(2, 300);
  const session = shard.session(500);
  shard.attach(session);
  shard.attach(session, { partitionId: 2 });
  shard.publish(session, 0, 1);
  assertEquals(shard.machine.nextDeadlineMs(), 11_000);
  shard.publish(session, 0, 1, 2);
  assertEquals(shard.machine.nextDeadlineMs(), 10_300);
  shard.settle(session, [0], { partitionId: 2 });
  assertEquals(shard.machine.nextDeadlineMs(), 11_000);
  shard.apply({ kind: "detachSession", sessionId: session, attachIndex: session });
  assertEquals(shard.machine.nextDeadlineMs(), 10_500);
  shard.pass(500);
  assertEquals(shard.machine.nextDeadlineMs(), 610_500);
});

Deno.test("ShardMachine.effects begins anew with every command, also after very many deliveries", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.publish(session, 0, 65_536);
  shard.publish(session, 65_536, 65_536);
  for (const consumerId of [1, 2]) shard.attach(session, { consumerId, prefetch: 65_536 });
  shard.pass(LEASE_MS);
  assertEquals(shard.machine.effects.deliveries.count, 131_072);
  shard.pass(1);
  assertEquals(shard.machine.effects.deliveries.count, 0);
  shard.settle(session, [0], { operation: 1, deliveryCounts: [2] });
  assertEquals(shard.delivered(), `${session}:0x3`);
});

Deno.test("ShardMachine.apply() stops the process when the log goes backwards", () => {
  const shard = new JobsShard();
  shard.partition(1);
  shard.index--;
  assertThrows(() => shard.apply({ kind: "tick" }), InvariantError);
});

Deno.test("ShardMachine throws on a shard number that is none", () => {
  for (const shard of [-1, 0.5, 65_536]) {
    assertThrows(() => new ShardMachine({ shard }), RangeError, `current value is ${shard}`);
  }
});

Deno.test("ShardMachine takes no notice of the end of a connection that the session has replaced", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session);
  shard.outcome({ kind: "attachSession", sessionId: session });
  shard.apply({ kind: "detachSession", sessionId: session, attachIndex: session });
  assertEquals(shard.machine.session(session)?.state, "attached");
  shard.publish(session, 0, 1);
  assertEquals(shard.delivered(), `${session}:0`);
  shard.apply({ kind: "detachSession", sessionId: session, attachIndex: shard.index - 2 });
  assertEquals(shard.machine.session(session)?.state, "detached");
});

Deno.test("a full queue refuses without using the producer's numbers, and knows what it has", () => {
  const shard = new JobsShard();
  shard.apply({
    kind: "createPartition",
    partitionId: 1,
    queueId: 1,
    queueName: "jobs",
    partitionNumber: 0,
    settings: queueSettings({ maxMessages: 3 }),
  });
  const sessionId = shard.session();
  const batch = (baseSequence: number, count: number) =>
    ({ kind: "publish", sessionId, partitionId: 1, baseSequence, count, bytes: 9 }) as const;
  const first = shard.apply(batch(0, 2));
  assertEquals(shard.machine.earlyRefusal(batch(2, 4)), undefined, "there is room for one");
  assertEquals(shard.outcome(batch(2, 4)), "published");
  const refusal = shard.apply(batch(6, 1));
  assertEquals(refusal, {
    kind: "refused",
    reason: "queueFull",
    message: 'Queue "jobs" is full: 3 messages are the most allowed',
  });
  assertEquals(shard.machine.earlyRefusal(batch(6, 1)), refusal);
  assertEquals(shard.outcome(batch(7, 1)), "sequenceGap", "what follows waits for it");
  assertEquals(shard.machine.earlyRefusal(batch(0, 2)), undefined);
  assertEquals(shard.apply(batch(0, 2)), { ...first, duplicate: true } as Reply);
  shard.restart();
  shard.apply({ kind: "purgePartition", partitionId: 1 });
  assertEquals(shard.machine.earlyRefusal(batch(6, 1)), undefined);
  assertEquals(shard.outcome(batch(6, 1)), "published");
});
