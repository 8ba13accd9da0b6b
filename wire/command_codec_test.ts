import { assertEquals, assertThrows } from "@std/assert";
import { array, assert, nat, property, tuple, uint8Array } from "fast-check";
import { type Command, type SettleCommand, SettleOperation } from "../queue/commands.ts";
import {
  checkSettleCommand,
  decodeCommand,
  type EncodableCommand,
  encodeCommand,
  encodeSettleFrame,
  readQueueSettings,
  settleCount,
  settleSessionId,
} from "./command_codec.ts";
import { commandPartitionId, commandTimestampMs, stampCommand } from "./command_header.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame } from "./frame.ts";
import { delayMsMax } from "./limits.ts";
import { encodePublishCommand } from "./publish_batch.ts";
import { queueSettings } from "../queue/mod.ts";

const big = Number.MAX_SAFE_INTEGER;

const commands: EncodableCommand[] = [
  {
    kind: "settle",
    sessionId: big,
    consumerId: 0xffff_ffff,
    partitionId: 0xffff_fffe,
    operation: SettleOperation.extend,
    offsets: [0, 5, big],
    deliveryCounts: [1, 2, 0xffff_ffff],
  },
  {
    kind: "settle",
    sessionId: 1,
    consumerId: 2,
    partitionId: 3,
    operation: SettleOperation.nack,
    offsets: [7, 8],
    deliveryCounts: [1, 2],
    delayMs: 0,
    reason: "später",
  },
  {
    kind: "settle",
    sessionId: 1,
    consumerId: 2,
    partitionId: 3,
    operation: SettleOperation.reject,
    offsets: [7],
    deliveryCounts: [1],
    reason: "r".repeat(1_024),
  },
  { kind: "openSession", timeoutMs: 30_000, clientName: "naïve client" },
  { kind: "openSession", timeoutMs: 30_000, clientName: "one", producer: "importer" },
  { kind: "attachSession", sessionId: big },
  { kind: "detachSession", sessionId: 4, attachIndex: 9 },
  { kind: "closeSession", sessionId: 4 },
  {
    kind: "attachConsumer",
    sessionId: 4,
    consumerId: 5,
    partitionId: 6,
    prefetch: 100,
    drain: true,
  },
  {
    kind: "attachConsumer",
    sessionId: 4,
    consumerId: 5,
    partitionId: 6,
    prefetch: 100,
    drain: false,
    leaseMs: 5_000,
  },
  { kind: "detachConsumer", sessionId: 4, consumerId: 5, partitionId: 6 },
  { kind: "beginTerm" },
  { kind: "tick" },
  { kind: "tick", mark: 77 },
  {
    kind: "createPartition",
    partitionId: 6,
    queueId: 7,
    queueName: "orders",
    partitionNumber: 3,
    settings: queueSettings({ partitions: 4, leaseMs: 1_000 }),
    paused: true,
    revision: 3,
  },
  {
    kind: "createPartition",
    partitionId: 6,
    queueId: 7,
    queueName: "orders",
    partitionNumber: 3,
    settings: queueSettings({ partitions: 4 }),
    paused: false,
    revision: 4,
    growingFrom: 2,
  },
  { kind: "deletePartition", partitionId: 6 },
  {
    kind: "createQueue",
    name: "orders",
    settings: queueSettings({ partitions: 4, leaseMs: 1_000 }),
    shardCount: 8,
    acceptExisting: false,
  },
  { kind: "editQueue", name: "orders", settings: { leaseMs: 500 }, paused: true },
  { kind: "editQueue", name: "orders", settings: {} },
  { kind: "editQueue", name: "orders", settings: { partitions: 9 }, shardCount: 3 },
  {
    kind: "updatePartition",
    partitionId: 9,
    revision: big,
    settings: queueSettings({ partitions: 4 }),
    paused: true,
  },
  {
    kind: "updatePartition",
    partitionId: 9,
    revision: 1,
    settings: queueSettings({ partitions: 4 }),
    paused: false,
    growingFrom: 3,
  },
  { kind: "purgePartition", partitionId: 9 },
  { kind: "deleteQueue", name: "orders" },
  { kind: "partitionSettled", partitionId: 6, action: "create", revision: 3 },
  { kind: "partitionSettled", partitionId: 6, action: "delete", revision: 0 },
  { kind: "partitionSettled", partitionId: 6, action: "drain", revision: 5 },
  {
    kind: "addSchedule",
    partitionId: 6,
    id: "daily",
    timing: { cron: "0 6 * * *", timeZone: "Europe/Berlin" },
    message: { key: "k", headers: { a: "b" }, body: new Uint8Array([1, 2]) },
    nextMs: 1_800_000_000_000,
  },
  {
    kind: "addSchedule",
    partitionId: 6,
    id: "often",
    timing: { everyMs: 5_000 },
    message: { headers: {}, body: new Uint8Array(0) },
    nextMs: 1_800_000_000_000,
  },
  { kind: "removeSchedule", partitionId: 6, id: "daily" },
  { kind: "pauseSchedule", partitionId: 6, id: "daily" },
  { kind: "resumeSchedule", partitionId: 6, id: "daily", number: 12, nextMs: 0 },
];

Deno.test("decodeCommand() gives back every kind of command that encodeCommand() was given", () => {
  for (const command of commands) {
    const bytes = encodeCommand(command);
    assertEquals(decodeCommand(bytes), command as Command);
    assertEquals(commandTimestampMs(bytes), 0);
    stampCommand(bytes, 1_700_000_000_123);
    assertEquals(commandTimestampMs(bytes), 1_700_000_000_123);
    assertEquals(decodeCommand(bytes), command as Command);
    assertEquals(commandPartitionId(bytes), "partitionId" in command ? command.partitionId : 0);
  }
});

Deno.test("decodeCommand() tells a publish command by its numbers", () => {
  const bytes = encodePublishCommand(
    { sessionId: 2 ** 40, partitionId: 3, baseSequence: 2 ** 35 },
    [{ body: "abc" }, { body: "" }],
  );
  assertEquals(decodeCommand(bytes), {
    kind: "publish",
    sessionId: 2 ** 40,
    partitionId: 3,
    baseSequence: 2 ** 35,
    count: 2,
    bytes: 5,
    partitionCount: 0,
  });
});

Deno.test("encodeSettleFrame() makes a frame of the same command", () => {
  const command = commands[0]!;
  if (command.kind !== "settle") throw new TypeError("not a settle");
  const frame = decodeFrame(encodeSettleFrame(21, 4, 9, command));
  assertEquals([frame.type, frame.shard, frame.correlationId], [21, 4, 9]);
  assertEquals(frame.payload, encodeCommand(command));
  checkSettleCommand(frame.payload);
  assertEquals(settleSessionId(frame.payload), big);
  assertEquals(settleCount(frame.payload), 3);
});

Deno.test("checkSettleCommand() refuses wrong lengths, operations and counts", () => {
  const whole = encodeCommand(commands[0]!);
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => checkSettleCommand(whole.subarray(0, length)), MalformedFrameError);
  }
  const changed = (at: number, value: number) => {
    const bytes = whole.slice();
    bytes[at] = value;
    return bytes;
  };
  for (
    const [at, value] of [[0, 1], [1, 2], [2, 1], [28, 4], [29, 1], [32, 0], [32, 4], [36, 1], [
      37,
      9,
    ], [
      47,
      1,
    ]]
  ) {
    assertThrows(() => checkSettleCommand(changed(at!, value!)), MalformedFrameError);
  }
});

Deno.test("decodeCommand() throws MalformedFrameError and nothing else on damaged bytes", () => {
  const publish = encodePublishCommand({ sessionId: 1, partitionId: 2, baseSequence: 3 }, [{
    body: "abc",
    key: "k",
  }]);
  const all = [publish, ...commands.map(encodeCommand)];
  const damage = array(tuple(nat({ max: 120 }), nat({ max: 255 })), { maxLength: 3 });
  const check = (bytes: Uint8Array) => {
    try {
      decodeCommand(bytes);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
    }
  };
  assert(
    property(
      tuple(nat({ max: all.length - 1 }), damage, nat({ max: 10 })),
      ([which, changes, cut]: [number, [number, number][], number]) => {
        const whole = all[which]!;
        const bytes = whole.slice(0, Math.max(0, whole.length - cut));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        check(bytes);
      },
    ),
    { numRuns: 2_000 },
  );
  assert(property(uint8Array({ maxLength: 80 }), check));
});

Deno.test("decodeCommand() refuses unknown kinds and versions", () => {
  const bytes = encodeCommand({ kind: "tick" });
  bytes[0] = 99;
  assertThrows(() => decodeCommand(bytes), MalformedFrameError, "unknown kind: 99");
  bytes[0] = 10;
  bytes[1] = 2;
  assertThrows(() => decodeCommand(bytes), MalformedFrameError, "layout version 2");
});

Deno.test("readQueueSettings() fills in what is missing, and refuses what is of another type", () => {
  assertEquals(readQueueSettings({ leaseMs: 500 }), queueSettings({ leaseMs: 500 }));
  assertEquals(readQueueSettings({}), queueSettings());
  assertThrows(
    () => readQueueSettings({ leaseMs: "500" }),
    MalformedFrameError,
    "Cannot read setting leaseMs as it is no number",
  );
});

Deno.test("checkSettleCommand() refuses options that do not fit the operation, or are out of range", () => {
  const settle = { ...settleOf(SettleOperation.nack), delayMs: 5, reason: "r" };
  checkSettleCommand(encodeCommand(settle));
  const wrong: [Partial<SettleCommand>, string][] = [
    [{ operation: SettleOperation.ack }, "a delay by operation 0"],
    [{ operation: SettleOperation.reject }, "a delay by operation 3"],
    [{ delayMs: delayMsMax + 1 }, "delayMs"],
    [{ delayMs: -1 }, "delayMs"],
    [{ reason: "ü".repeat(513) }, "1026 bytes"],
  ];
  for (const [change, message] of wrong) {
    const bytes = encodeCommand({ ...settle, ...change });
    assertThrows(() => checkSettleCommand(bytes), MalformedFrameError, message);
  }
  const extend = encodeCommand({ ...settleOf(SettleOperation.extend), reason: "r" });
  assertThrows(() => checkSettleCommand(extend), MalformedFrameError, "operation 2 with a reason");
  const long = encodeCommand({ ...settleOf(SettleOperation.nack), reason: "r".repeat(5_000) });
  assertThrows(() => checkSettleCommand(long), MalformedFrameError);
});

function settleOf(operation: SettleOperation): SettleCommand {
  return {
    kind: "settle",
    sessionId: 1,
    consumerId: 2,
    partitionId: 3,
    operation,
    offsets: [7],
    deliveryCounts: [1],
  };
}
Deno.test("decodeCommand() reads commands from before queues could be changed", () => {
  const created = {
    kind: "createPartition",
    partitionId: 6,
    queueId: 7,
    queueName: "orders",
    partitionNumber: 3,
    settings: queueSettings(),
  } as const;
  const settled = { kind: "partitionSettled", partitionId: 6, action: "create" } as const;
  assertEquals(decodeCommand(encodeCommand(created)), { ...created, paused: false, revision: 0 });
  assertEquals(decodeCommand(encodeCommand(settled)), { ...settled, revision: 0 });
});
