import { assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import type { Schedule } from "../queue/schedule.ts";
import { decodeCommand } from "./command_codec.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeMessage } from "./message_record.ts";
import { messageBounds } from "./publish_batch.ts";
import { decodeFireSchedule, encodeFireSchedule } from "./schedule_codec.ts";

const schedule = {
  partitionId: 6,
  id: "daily",
  number: 2 ** 50,
  timing: { everyMs: 1_000 },
  message: { key: "k", headers: { a: "b" }, body: new TextEncoder().encode("sales") },
  paused: false,
  nextMs: 1_800_000_000_000,
  lastMs: 0,
  fired: 0,
};
const dueMs = 1_800_000_001_000;
const nextMs = 1_800_000_002_000;

Deno.test("a command that fires a schedule holds its message where that of a publish is", () => {
  const command = encodeFireSchedule(schedule, dueMs, nextMs);
  const { bytes, details, ...rest } = decodeFireSchedule(command);
  assertEquals(rest, { kind: "fireSchedule", partitionId: 6, number: 2 ** 50, dueMs, nextMs });
  assertEquals(details?.at(0), { key: "k" });
  assertObjectMatch(decodeCommand(command), { ...rest, bytes });
  const bounds = { start: 0, end: 0 };
  messageBounds(command, 0, bounds);
  assertEquals(bounds.end - bounds.start, bytes);
  const { key, headers, body } = decodeMessage(command, bounds.start, bounds.end);
  assertEquals([key, new TextDecoder().decode(body)], ["k", "sales"]);
  assertEquals(headers, {
    a: "b",
    "flowmq-schedule": "daily",
    "flowmq-schedule-due-at": new Date(dueMs).toISOString(),
  });
});

Deno.test("a command that fires a schedule says how long its message lives, and its priority", () => {
  const plain = { headers: {}, body: schedule.message.body };
  const details = (message: Schedule["message"]) =>
    decodeFireSchedule(encodeFireSchedule({ ...schedule, message }, dueMs, nextMs)).details?.at(0);
  assertEquals(details(plain), undefined);
  assertEquals(details({ ...plain, priority: 0 }), undefined);
  const asked = { ttlMs: 60_000, priority: 9 };
  assertEquals(details({ ...plain, ...asked }), asked);
  assertEquals(details({ ...plain, key: "k", ttlMs: 1 }), { key: "k", ttlMs: 1 });
});

Deno.test("decodeFireSchedule() throws on what is cut off", () => {
  const command = encodeFireSchedule(schedule, dueMs, 0);
  for (const length of [0, 40, 44, 48]) {
    assertThrows(() => decodeFireSchedule(command.subarray(0, length)), MalformedFrameError);
  }
});
