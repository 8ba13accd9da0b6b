/**
 * Random steps for the comparison with the naive model, weighted such that most of them meet something.
 *
 * @module
 */

import fc from "fast-check";
import type {
  Command,
  MessageDetails,
  PartitionSettledCommand,
  QueueSettings,
} from "./commands.ts";
import { queueSettings } from "./settings.ts";
import type { Step } from "./_step_commands.ts";

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
/** Of a queue. */
export const settings: fc.Arbitrary<QueueSettings> = fc.record({
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

/** What happens next. */
export const step: fc.Arbitrary<Step> = fc.oneof(
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
export const setUp = (settings: QueueSettings): Command[] => [
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
