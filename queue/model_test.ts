/**
 * The machine against the naive model: the same random commands, and after each one the same reply,
 * the same effects, and the same answers to every question.
 *
 * The steps are made in `_random_steps.ts`, and become commands in `_step_commands.ts`.
 *
 * `FLOWMQ_MODEL_RUNS` sets how many sequences are tried; a failure prints the shortest one found, and
 * the seed that finds it again.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Model } from "./_model.ts";
import type { ModelReply } from "./_model_reply.ts";
import type { ModelEffects } from "./_model_shard.ts";
import { settings, setUp, step } from "./_random_steps.ts";
import { commandOf, type Step } from "./_step_commands.ts";
import { settlingCommand } from "./catalog.ts";
import type { Command, CommandMeta, Effects, Reply, Transfer } from "./commands.ts";
import { HappeningKind } from "./happenings.ts";
import { LiveEntries } from "./live_entries.ts";
import { ShardMachine } from "./machine.ts";
import type { MachineCapture } from "./machine_capture.ts";
import { hashAll } from "./state_hash.ts";

const RUNS = Number(Deno.env.get("FLOWMQ_MODEL_RUNS") ?? 2_000);
const LIMITS = {
  windowBatches: 3,
  producerRetentionMs: 1_500,
  namedProducerRetentionMs: 2_500,
  dueAtOnce: 4,
  outboxTransfers: 6,
  historyBytes: 4_000,
};
const OPTIONS = { shard: 0, limits: LIMITS };

/** A machine and a model side by side. */
class Pair {
  machine = new ShardMachine(OPTIONS);
  readonly model = new Model(LIMITS);
  readonly log: { meta: CommandMeta; command: Command }[] = [];
  readonly captures: { capture: MachineCapture; stateHash: string }[] = [];
  #index = 0;
  #clockMs = 1_000;

  take(step: Step): void {
    if (step.kind === "failover") return this.#failover();
    if (step.kind === "capture") return this.#capture();
    if (step.kind === "keeper") return this.#keep(step.pickItem);
    if (step.kind === "passToDeadline") {
      const deadlineMs = this.model.nextDeadlineMs();
      if (deadlineMs !== undefined) this.#clockMs = deadlineMs - step.lessMs;
      return this.apply({ kind: "tick" });
    }
    this.#clockMs += step.passMs;
    const command = commandOf(step, this.model, this.#index);
    if (command !== undefined) this.apply(command);
  }

  apply(command: Command): void {
    const index = ++this.#index;
    const meta = { index, term: 1 + Math.floor(index / 10), timestampMs: this.#clockMs };
    this.log.push({ meta, command });
    const expected = this.model.apply(meta, command);
    const reply = plainReply(this.machine.apply(meta, command));
    assertSame(reply, expected, "reply");
    assertSame(plainEffects(this.machine.effects), this.model.effects, "effects");
    this.machine.checkInvariants();
    this.#compareAnswers();
    this.#clockMs = Math.max(this.#clockMs, this.model.nowMs - 50);
  }

  #compareAnswers(): void {
    const { machine, model } = this;
    assertSame(machine.nextDeadlineMs(), model.nextDeadlineMs(), "nextDeadlineMs");
    assertSame(machine.partitions(), model.partitions.map(({ id }) => id), "partitions");
    assertSame(
      machine.sessions(),
      model.sessions.all.map((s) => model.sessions.info(s)),
      "sessions",
    );
    for (const partition of model.partitions) {
      assertSame(machine.stats(partition.id), partition.stats(), "stats");
      this.#compareHistory(partition);
      for (const consumer of partition.consumers.all) {
        const { sessionId, consumerId, partitionId } = consumer;
        const leases = machine.leases(sessionId, consumerId, partitionId);
        assertSame(leases, partition.consumers.leases(consumer), "leases");
      }
    }
    assertSame(transfersOf(machine), model.outbox.transfers, "the outbox");
    const lowest = model.lowestLiveEntryIndex();
    assertSame(machine.lowestLiveEntryIndex(), lowest, "lowestLiveEntryIndex");
    const live = new Set<number>();
    const entries = new LiveEntries((index) => live.add(index));
    for (const part of machine.capture().parts()) entries.take(part);
    while (entries.step());
    assertSame([...live].sort((a, b) => a - b), model.liveEntries(), "live entries");
    const queues = model.catalog.queues.map(({ info }) => info);
    assertSame(machine.queues(), queues.sort((a, b) => a.name < b.name ? -1 : 1), "queues");
    const schedules = model.partitions.flatMap(({ id }) => model.schedules.of(id));
    const found = model.partitions.flatMap(({ id }) => machine.schedules(id));
    assertSame(found, schedules, "schedules");
    assertSame(machine.nextScheduleMs(), model.schedules.nextMs(), "nextScheduleMs");
    const byId = (a: { partitionId: number }, b: { partitionId: number }) =>
      a.partitionId - b.partitionId;
    assertSame(machine.drained().sort(byId), model.drained().sort(byId), "drained");
    assertSame(
      machine.partitionsToSettle(),
      model.catalog.partitionsToSettle(),
      "partitionsToSettle",
    );
  }

  /** All of what is held, and what happened to one message: another one each time. */
  #compareHistory({ id, history, messages }: Model["partitions"][number]): void {
    const { machine, model: { nowMs, clientNames } } = this;
    const report = history.report(nowMs, clientNames);
    assertSame(machine.historyReport(id), report, "what a history holds");
    const offset = this.#index % (messages.length + 1);
    const found = machine.messageHistory(id, offset)?.happenings;
    const expected = report && history.of(offset).map((happening) => {
      const { kind, atMs, index, sessionId, consumerId, deliveryCount, detail } = happening;
      const what = Object.entries(HappeningKind).find(([, one]) => one === kind)![0];
      const clientName = clientNames.get(sessionId);
      return {
        what,
        atMs,
        index,
        sessionId: sessionId || undefined,
        clientName,
        consumerId: consumerId || undefined,
        deliveryCount: deliveryCount || undefined,
        detail,
      };
    });
    assertSame(found, expected, "what happened to a message");
  }

  /** As if the other shard were this one too. */
  #keep(pickItem: number): void {
    const items = this.model.catalog.partitionsToSettle();
    const item = items[pickItem % items.length];
    if (item === undefined) return;
    this.apply(settlingCommand(item));
    const { partitionId, action, revision } = item;
    this.apply({ kind: "partitionSettled", partitionId, action, revision });
  }

  /** Another node goes on from a snapshot. */
  #failover(): void {
    const parts = structuredClone([...this.machine.capture().parts()]);
    const restored = ShardMachine.restore(OPTIONS, parts);
    assertEquals(restored.stateHash(), this.machine.stateHash());
    this.machine = restored;
    this.#compareAnswers();
  }

  /** Holds on to the state of this moment while the machine goes on. */
  #capture(): void {
    const capture = this.machine.capture();
    this.captures.push({ capture, stateHash: this.machine.stateHash() });
  }
}

/** In the order of their ids. */
function transfersOf(machine: ShardMachine): Transfer[] {
  return [...machine.transferLanes()].flatMap(({ transfers }) => [...transfers.values()])
    .sort((a, b) => a.id - b.id);
}

function plainReply(reply: Reply): ModelReply {
  if (reply.kind === "refused") return { kind: "refused", reason: reply.reason };
  if (reply.kind === "settled") return { kind: "settled", statuses: [...reply.statuses] };
  return reply;
}

function plainEffects(effects: Effects): ModelEffects {
  const { deliveries, drained, sessionsEnded, consumersEnded, queuesGrown } = effects;
  const plain: ModelEffects = {
    deliveries: [],
    drained: [...drained],
    sessionsEnded: [...sessionsEnded],
    consumersEnded: [...consumersEnded],
    queuesGrown: [...queuesGrown],
  };
  for (let at = 0; at < deliveries.count; at++) {
    plain.deliveries.push({
      sessionId: deliveries.sessionId[at]!,
      consumerId: deliveries.consumerId[at]!,
      partitionId: deliveries.partitionId[at]!,
      offset: deliveries.offset[at]!,
      deliveryCount: deliveries.deliveryCount[at]!,
      entryIndex: deliveries.entryIndex[at]!,
      position: deliveries.position[at]!,
    });
  }
  return plain;
}

/** Much faster than `assertEquals` where the two are the same, which is nearly always. */
function assertSame(actual: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    assertEquals(actual, expected, `The machine and the model differ in ${what}`);
  }
}

Deno.test("ShardMachine.apply() does what the naive model does", () => {
  fc.assert(
    fc.property(settings, fc.array(step, { minLength: 60, maxLength: 120 }), (settings, steps) => {
      const pair = new Pair();
      for (const command of setUp(settings)) pair.apply(command);
      for (const step of steps) pair.take(step);
      for (const { capture, stateHash } of pair.captures) {
        assertEquals(hashAll(capture.parts()), stateHash, "A capture has changed");
      }
      // Replay without the failovers.
      const replayed = new ShardMachine(OPTIONS);
      for (const { meta, command } of pair.log) replayed.apply(meta, command);
      assertEquals(replayed.stateHash(), pair.machine.stateHash());
    }),
    { numRuns: RUNS },
  );
});
