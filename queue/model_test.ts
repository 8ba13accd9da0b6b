/**
 * The machine against the naive model: the same random commands, and after each one the same reply,
 * the same effects, and the same answers to every question.
 *
 * `FLOWMQ_MODEL_RUNS` sets how many sequences are tried; a failure prints the shortest one found, and
 * the seed that finds it again.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Model } from "./_model.ts";
import type { ModelReply } from "./_model_reply.ts";
import type { ModelEffects } from "./_model_shard.ts";
import { settlingCommand } from "./catalog.ts";
import type {
  Command,
  CommandMeta,
  Effects,
  MessageDetails,
  PartitionSettledCommand,
  QueueSettings,
  Reply,
  Transfer,
} from "./commands.ts";
import { HappeningKind } from "./happenings.ts";
import { LiveEntries } from "./live_entries.ts";
import { ShardMachine } from "./machine.ts";
import type { MachineCapture } from "./machine_capture.ts";
import { hashAll } from "./state_hash.ts";
import { queueSettings } from "./settings.ts";

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

/** What to do next. Numbers named `pick…` choose among what there is when the step is taken. */
type Step =
  | { kind: "command"; command: Command; passMs: number }
  | {
    kind: "publish";
    pickSession: number;
    partitionId: number;
    sequence: "next" | "repeat" | "gap" | "overlap";
    pickBatch: number;
    count: number;
    partitionCount: number | undefined;
    /** What each message asks for; `undefined` for a plain batch. */
    details: MessageDetails[] | undefined;
    passMs: number;
  }
  | {
    kind: "settle";
    pickConsumer: number;
    operation: 0 | 1 | 2 | 3;
    delayMs: number | undefined;
    reason: string | undefined;
    /** About one of the messages held, or about one that may not be. */
    words: { which: number; isHeld: boolean; countOff: number }[];
    otherConsumer: boolean;
    passMs: number;
  }
  /** An ack that publishes, of one message. */
  | {
    kind: "settleAndPublish";
    pickConsumer: number;
    which: number;
    countOff: number;
    sequence: number;
    answered: number;
    targets: number;
    passMs: number;
  }
  /** Somebody wants acked messages back. */
  | {
    kind: "replay";
    partitionId: number;
    sinceMs: number;
    indexBack: number;
    passMs: number;
  }
  /** The keeper takes something out of the outbox. */
  | { kind: "transferDone"; count: number; passMs: number }
  | {
    kind: "ofSession";
    pickSession: number;
    make: (sessionId: number, attachIndex: number) => Command;
    passMs: number;
  }
  /** The keeper of schedules fires one, or somebody lets it go on, at times near the one it waits for. */
  | {
    kind: "schedule";
    pickSchedule: number;
    what: "fire" | "resume";
    offMs: number;
    afterMs: number;
    passMs: number;
  }
  /** The queue of a partition has changed, and is growing further, is not growing, or as it was. */
  | {
    kind: "update";
    partitionId: number;
    settings: QueueSettings;
    paused: boolean;
    revision: number;
    growth: "same" | "over" | "more";
    passMs: number;
  }
  /** The keeper takes one item off the catalog's list. */
  | { kind: "keeper"; pickItem: number }
  /** A partition of a queue that grows is drained, now or in an earlier growth. */
  | { kind: "drained"; pickPartition: number; lessRevision: number; passMs: number }
  | { kind: "passToDeadline"; lessMs: number }
  | { kind: "failover" }
  | { kind: "capture" };

const passMs = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 2, arbitrary: fc.integer({ min: 20, max: 400 }) },
  { weight: 1, arbitrary: fc.integer({ min: -50, max: 2_000 }) },
);
const pick = fc.nat(20);
const partitionId = fc.integer({ min: 1, max: 4 });
const consumerId = fc.integer({ min: 1, max: 2 });
const prefetch = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);
/** Most commands are about the partitions of the set-up. */
const knownPartition = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 2 }) },
  { weight: 2, arbitrary: fc.constant(3) },
  { weight: 1, arbitrary: partitionId },
);
const leaseMs = fc.constantFrom(100, 250, 1_000);
const limits = {
  maxMessages: fc.constantFrom(0, 0, 0, 3, 8),
  maxBytes: fc.constantFrom(0, 0, 0, 25, 90),
  overflow: fc.constantFrom<"reject" | "dropOldest">("reject", "dropOldest"),
};
const settings: fc.Arbitrary<QueueSettings> = fc.record({
  partitions: fc.integer({ min: 1, max: 3 }),
  leaseMs,
  maxDeliveries: fc.constantFrom(0, 2, 3),
  backoffFirstMs: fc.constantFrom(0, 20, 100),
  backoffMaxMs: fc.constantFrom(50, 1_000),
  backoffFactor: fc.constantFrom(1, 2),
  ttlMs: fc.constantFrom(0, 0, 400),
  deadLetterExpired: fc.boolean(),
  starvationLimit: fc.constantFrom(0, 0, 1, 3),
  order: fc.constantFrom("fifo", "fifo", "key"),
  keyConcurrency: fc.constantFrom(0, 0, 0, 2),
  keyRatePerSecond: fc.constantFrom(0, 0, 0, 1, 3, 20),
  fairKeys: fc.boolean(),
  historyMs: fc.constantFrom(0, 300, 2_500),
  ...limits,
}, { requiredKeys: ["partitions"] }).map(queueSettings);
/** Half of the messages of such a batch are plain all the same. */
const messageDetails: fc.Arbitrary<MessageDetails> = fc.oneof(
  fc.constant({}),
  fc.record({
    delayMs: fc.constantFrom(30, 200),
    atMs: fc.constantFrom(500, 1_500),
    ttlMs: fc.constantFrom(20, 150, 600),
    priority: fc.integer({ min: 0, max: 9 }),
    unique: fc.constantFrom("u", "v", "w"),
    key: fc.constantFrom("a", "b", "c"),
  }, { requiredKeys: [] }),
  fc.record({ key: fc.constantFrom("a", "b") }),
);
const scheduleId = fc.constantFrom("x", "y");
const queueName = fc.constantFrom("a", "b", "c");
const action = fc.constantFrom<PartitionSettledCommand["action"]>(
  "create",
  "update",
  "delete",
  "drain",
);
const revision = fc.integer({ min: 0, max: 3 });

function command(arbitrary: fc.Arbitrary<Command>): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constant("command" as const), command: arbitrary, passMs });
}

function ofSession(
  arbitrary: fc.Arbitrary<(sessionId: number, attachIndex: number) => Command>,
): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constant("ofSession" as const),
    pickSession: pick,
    make: arbitrary,
    passMs,
  });
}

const createPartition = command(
  fc.record({ partitionId, settings, isNew: fc.boolean() }).map((
    { partitionId, settings, isNew },
  ) => ({
    kind: "createPartition",
    partitionId,
    queueId: 1,
    queueName: partitionId % 2 === 0 ? "a.dead" : "a",
    partitionNumber: partitionId - 1,
    settings,
    ...(isNew && partitionId > 2 ? { growingFrom: 2 } : {}),
  })),
);

const openSession = command(
  fc.record({
    timeoutMs: fc.constantFrom(100, 300, 1_000),
    producer: fc.constantFrom(undefined, undefined, "p", "q"),
  }).map(({ timeoutMs, producer }) => ({
    kind: "openSession",
    timeoutMs,
    clientName: "model",
    ...(producer === undefined ? {} : { producer }),
  })),
);

const attachConsumer = ofSession(
  fc.record({
    consumerId,
    partitionId: knownPartition,
    prefetch,
    drain: fc.boolean(),
    leaseMs: fc.constantFrom(0, 0, 0, 120, 700),
  }).map((fields) =>
    describe(
      (sessionId: number): Command => ({ kind: "attachConsumer", sessionId, ...fields }),
      `attachConsumer ${JSON.stringify(fields)}`,
    )
  ),
);

/** A value, or now and then one of the others; of a boolean, the other one. */
function mostly<T extends number | boolean>(value: T, ...others: T[]): fc.Arbitrary<T> {
  const rare = others.length === 0 ? [!value as T] : others;
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(value) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) },
  );
}

/** Lets a counter-example show what a function would make. */
function describe<T extends object>(value: T, text: string): T {
  return Object.assign(value, { [fc.toStringMethod]: () => text });
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      pickSession: pick,
      partitionId: knownPartition,
      sequence: fc.oneof(
        { weight: 6, arbitrary: fc.constant("next" as const) },
        { weight: 3, arbitrary: fc.constant("repeat" as const) },
        { weight: 1, arbitrary: fc.constantFrom("gap" as const, "overlap" as const) },
      ),
      pickBatch: pick,
      count: fc.integer({ min: 1, max: 5 }),
      partitionCount: fc.constantFrom(undefined, undefined, 3, 2, 1),
      details: fc.oneof(
        { weight: 2, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.array(messageDetails, { minLength: 5, maxLength: 5 }) },
      ),
      passMs,
    }),
  },
  {
    weight: 30,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      pickConsumer: pick,
      operation: fc.constantFrom(
        0 as const,
        0 as const,
        1 as const,
        1 as const,
        2 as const,
        3 as const,
      ),
      delayMs: fc.constantFrom(undefined, undefined, 0, 70),
      reason: fc.constantFrom(undefined, "broken"),
      words: fc.array(
        fc.record({
          which: fc.nat(9),
          isHeld: mostly(true),
          countOff: mostly(0, -1, 1),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      otherConsumer: mostly(false),
      passMs,
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("settleAndPublish" as const),
      pickConsumer: pick,
      which: fc.nat(9),
      countOff: mostly(0, -1, 1),
      sequence: fc.nat(12),
      answered: fc.nat(8),
      targets: fc.integer({ min: 1, max: 3 }),
      passMs,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("transferDone" as const),
      count: fc.nat(4),
      passMs,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("command" as const),
      command: fc.record({
        kind: fc.constant("transfer" as const),
        partitionId: knownPartition,
        sourceShard: fc.nat(1),
        firstId: fc.integer({ min: 1, max: 12 }),
        length: fc.nat(3),
      }).map(({ length, ...rest }): Command => ({
        ...rest,
        lastId: rest.firstId + length,
        count: length + 1,
        bytes: 5 * (length + 1),
      })),
      passMs,
    }),
  },
  { weight: 16, arbitrary: attachConsumer },
  { weight: 7, arbitrary: openSession },
  {
    weight: 4,
    arbitrary: command(
      fc.record({ partitionId: knownPartition, offset: fc.nat(40) }).map((fields) => ({
        kind: "removeMessage",
        ...fields,
      })),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("replay" as const),
      partitionId: knownPartition,
      sinceMs: fc.constantFrom(0, 1_200, 2_000),
      /** So many entries ago, as a request that comes late. */
      indexBack: fc.constantFrom(0, 0, 0, 3, 20),
      passMs,
    }),
  },
  { weight: 5, arbitrary: createPartition },
  {
    weight: 4,
    arbitrary: ofSession(
      fc.record({ consumerId, partitionId }).map((fields) =>
        describe(
          (sessionId: number): Command => ({ kind: "detachConsumer", sessionId, ...fields }),
          `detachConsumer ${JSON.stringify(fields)}`,
        )
      ),
    ),
  },
  {
    weight: 12,
    arbitrary: ofSession(
      fc.constantFrom<"attachSession" | "closeSession">(
        "attachSession",
        "attachSession",
        "attachSession",
        "attachSession",
        "closeSession",
      ).map((kind) => describe((sessionId: number): Command => ({ kind, sessionId }), kind)),
    ),
  },
  {
    weight: 5,
    // Now and then the end of an older connection, which must change nothing.
    arbitrary: ofSession(
      fc.constantFrom(0, 0, 0, 1).map((less) =>
        describe(
          (sessionId: number, attachIndex: number): Command => ({
            kind: "detachSession",
            sessionId,
            attachIndex: attachIndex - less,
          }),
          `detachSession ${less === 0 ? "" : "of an older connection"}`,
        )
      ),
    ),
  },
  { weight: 3, arbitrary: command(fc.constant({ kind: "beginTerm" })) },
  { weight: 5, arbitrary: command(fc.constant({ kind: "tick" })) },
  {
    weight: 1,
    arbitrary: command(
      partitionId.map((partitionId) => ({ kind: "deletePartition", partitionId })),
    ),
  },
  {
    weight: 2,
    arbitrary: command(
      fc.record({ name: queueName, settings, acceptExisting: fc.boolean() }).map((fields) => ({
        kind: "createQueue",
        shardCount: 2,
        ...fields,
      })),
    ),
  },
  {
    weight: 3,
    arbitrary: command(
      fc.record({ name: queueName, leaseMs, partitions: fc.constantFrom(1, 2, 3, 4), ...limits }, {
        requiredKeys: ["name"],
      }).chain(({ name, ...settings }) =>
        fc.record({ paused: fc.boolean() }, { requiredKeys: [] })
          .map((state) => ({ kind: "editQueue", name, settings, shardCount: 2, ...state }))
      ),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("update" as const),
      partitionId: knownPartition,
      settings,
      paused: mostly(false),
      revision: fc.integer({ min: 0, max: 30 }),
      growth: fc.constantFrom("same" as const, "over" as const, "more" as const),
      passMs,
    }),
  },
  {
    weight: 2,
    arbitrary: command(
      knownPartition.map((partitionId) => ({ kind: "purgePartition", partitionId })),
    ),
  },
  { weight: 1, arbitrary: command(queueName.map((name) => ({ kind: "deleteQueue", name }))) },
  {
    weight: 3,
    arbitrary: command(
      fc.record({
        partitionId: knownPartition,
        id: scheduleId,
        timing: fc.constantFrom({ everyMs: 1_000 }, { everyMs: 2_000 }),
        message: fc.constant({ headers: {}, body: new Uint8Array([1]) }),
        nextMs: fc.integer({ min: 1_000, max: 4_000 }),
      }).map((fields) => ({ kind: "addSchedule", ...fields })),
    ),
  },
  {
    weight: 1,
    arbitrary: command(
      fc.record({
        kind: fc.constantFrom("removeSchedule" as const, "pauseSchedule" as const),
        partitionId: knownPartition,
        id: scheduleId,
      }),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("schedule" as const),
      pickSchedule: pick,
      what: fc.constantFrom("fire" as const, "fire" as const, "resume" as const),
      offMs: fc.constantFrom(0, 0, 0, 200, -1),
      afterMs: fc.constantFrom(300, 300, 0, -1),
      passMs,
    }),
  },
  {
    weight: 3,
    arbitrary: command(
      fc.record({ partitionId: fc.integer({ min: 1, max: 8 }), action, revision }).map((
        fields,
      ) => ({
        kind: "partitionSettled",
        ...fields,
      })),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("keeper" as const), pickItem: pick }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("drained" as const),
      pickPartition: pick,
      lessRevision: fc.constantFrom(0, 0, 0, 1),
      passMs,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("passToDeadline" as const),
      lessMs: fc.constantFrom(0, 1),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: "failover" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "capture" as const }) },
);

/** What is there before the random part, so that most of it meets something. */
const setUp = (settings: QueueSettings): Command[] => [
  ...[1, 2].map((partitionId): Command => ({
    kind: "createPartition",
    partitionId,
    queueId: 1,
    queueName: "a",
    partitionNumber: partitionId - 1,
    settings,
  })),
  { kind: "openSession", timeoutMs: 300, clientName: "one" },
  { kind: "openSession", timeoutMs: 400, clientName: "two" },
  {
    kind: "attachConsumer",
    sessionId: 3,
    consumerId: 1,
    partitionId: 1,
    prefetch: 2,
    drain: false,
  },
  {
    kind: "attachConsumer",
    sessionId: 4,
    consumerId: 1,
    partitionId: 1,
    prefetch: 3,
    drain: false,
  },
  // What the catalog knows of it.
  {
    kind: "createQueue",
    name: "a",
    settings: { ...settings, partitions: 2 },
    shardCount: 2,
    acceptExisting: false,
  },
  ...[1, 2].map((partitionId): Command => ({
    kind: "partitionSettled",
    partitionId,
    action: "create",
    revision: 0,
  })),
  // One that its queue has just got.
  {
    kind: "createPartition",
    partitionId: 3,
    queueId: 1,
    queueName: "a",
    partitionNumber: 2,
    settings,
    growingFrom: 2,
  },
  {
    kind: "attachConsumer",
    sessionId: 4,
    consumerId: 1,
    partitionId: 3,
    prefetch: 2,
    drain: false,
  },
];

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
    const command = this.#resolve(step);
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

  #resolve(
    step: Exclude<
      Step,
      { kind: "capture" | "failover" | "keeper" | "passToDeadline" }
    >,
  ): Command | undefined {
    switch (step.kind) {
      case "command":
        return step.command;
      case "ofSession": {
        const sessionId = this.#pickSession(step.pickSession);
        const session = this.model.sessions.find(sessionId);
        return step.make(sessionId, session?.attachIndex ?? 0);
      }
      case "publish": {
        const sessionId = this.#pickSession(step.pickSession);
        const { partitionId, count, pickBatch, details, partitionCount } = step;
        const published = this.model.sessions.find(sessionId)
          ?.published.get(partitionId);
        const batches = published?.batches ?? [];
        const batch = batches[batches.length - 1 - pickBatch % 5];
        const next = published?.next ?? 0;
        const [baseSequence, batchCount] = step.sequence === "next" || batch === undefined
          ? [next, count]
          : step.sequence === "gap"
          ? [next + pickBatch + 1, count]
          : step.sequence === "repeat"
          ? [batch.base, batch.count]
          : [batch.base, batch.count + 1];
        return {
          kind: "publish",
          sessionId,
          partitionId,
          baseSequence,
          count: batchCount,
          // Batches of different sizes, which do not always divide by their messages.
          bytes: batchCount * 10 + baseSequence % 7,
          ...(partitionCount === undefined ? {} : { partitionCount }),
          ...(details === undefined ? {} : {
            details: {
              hasOptions: details.some((one) => Object.keys(one).length > 0),
              at: (position) => details[position] ?? {},
            },
          }),
        };
      }
      case "update": {
        const { partitionId, settings, paused, revision, growth } = step;
        const { number = 0, growingFrom: before } =
          this.model.partitions.find(({ id }) => id === partitionId) ?? {};
        const more = Math.max(number, before ?? 0) + 1;
        const growingFrom = growth === "over" ? undefined : growth === "same" ? before : more;
        return {
          kind: "updatePartition",
          partitionId,
          settings,
          paused,
          revision,
          ...(growingFrom === undefined ? {} : { growingFrom }),
        };
      }
      case "drained": {
        const growing = this.model.catalog.queues.flatMap(({ draining, grownAt }) =>
          draining.map((partitionId) => ({ partitionId, revision: grownAt }))
        );
        const { partitionId, revision } = growing[step.pickPartition % growing.length] ?? {};
        if (partitionId === undefined || revision === undefined) return undefined;
        return {
          kind: "partitionSettled",
          partitionId,
          action: "drain",
          revision: revision - step.lessRevision,
        };
      }
      case "schedule": {
        const { all } = this.model.schedules;
        const schedule = all[step.pickSchedule % all.length];
        if (schedule === undefined) return undefined;
        const { partitionId, id, number, nextMs: waitsFor } = schedule;
        const dueMs = waitsFor + step.offMs;
        const nextMs = step.afterMs < 0 ? 0 : dueMs + step.afterMs;
        return step.what === "fire"
          ? { kind: "fireSchedule", partitionId, number, dueMs, nextMs, bytes: 4 }
          : { kind: "resumeSchedule", partitionId, id, number, nextMs };
      }
      case "replay": {
        const { kind, partitionId, sinceMs, indexBack } = step;
        return { kind, partitionId, sinceMs, untilIndex: Math.max(0, this.#index - indexBack) };
      }
      case "transferDone":
        return {
          kind: "transferDone",
          ids: this.model.outbox.transfers.slice(0, step.count).map(({ id }) => id),
        };
      case "settleAndPublish": {
        const all = this.model.partitions.flatMap(({ consumers }) => consumers.all);
        const consumer = all[step.pickConsumer % all.length];
        if (consumer === undefined) return undefined;
        const held = this.model.held(consumer);
        const { offset, deliveryCount } = held[step.which % held.length] ??
          { offset: step.which, deliveryCount: 1 };
        const { sessionId, consumerId, partitionId } = consumer;
        return {
          kind: "settleAndPublish",
          sessionId,
          consumerId,
          partitionId,
          offsets: [offset],
          deliveryCounts: [deliveryCount + step.countOff],
          sequence: step.sequence,
          answeredBelow: step.answered,
          targets: Array.from(
            { length: step.targets },
            (_, partition) => ({ queue: "next", partition }),
          ),
        };
      }
      case "settle": {
        const all = this.model.partitions.flatMap(({ consumers }) => consumers.all);
        const busy = all.filter((consumer) => this.model.held(consumer).length > 0);
        // Most often one with something to settle.
        const consumers = busy.length === 0 || step.pickConsumer === 0 ? all : busy;
        const consumer = consumers[step.pickConsumer % consumers.length];
        if (consumer === undefined) return undefined;
        const held = this.model.held(consumer);
        const words = step.words.map(({ which, isHeld, countOff }) => {
          const message = isHeld ? held[which % held.length] : undefined;
          const { offset, deliveryCount } = message ?? { offset: which, deliveryCount: 1 };
          return { offset, deliveryCount: deliveryCount + countOff };
        });
        const { sessionId, consumerId, partitionId } = consumer;
        return {
          kind: "settle",
          sessionId,
          consumerId: step.otherConsumer ? consumerId + 1 : consumerId,
          partitionId,
          operation: step.operation,
          offsets: words.map(({ offset }) => offset),
          deliveryCounts: words.map(({ deliveryCount }) => deliveryCount),
          ...(step.delayMs === undefined ? {} : { delayMs: step.delayMs }),
          ...(step.reason === undefined ? {} : { reason: step.reason }),
        };
      }
    }
  }

  #pickSession(pick: number): number {
    const { all: sessions } = this.model.sessions;
    // Most often one of the two oldest; now and then one that does not exist.
    if (pick === 20) return 1_000_000;
    const among = pick < 14 ? Math.min(2, sessions.length) : sessions.length;
    return sessions[pick % among]?.id ?? 1_000_000;
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
