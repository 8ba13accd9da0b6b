import { assertThrows } from "@std/assert";
import type { Schedule } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";
import { ScheduleModel } from "./schedule_model.ts";

const entry: Entry = { index: 9, term: 1, kind: 0, data: new Uint8Array() };

/** With a schedule for every second, whose first due time is 1,000. */
function setUp(): ScheduleModel {
  const model = new ScheduleModel((invariant) => {
    throw new Error(invariant);
  });
  const timing = { everyMs: 1_000 };
  const message = { headers: {}, body: new Uint8Array() };
  const schedule = { id: "beat", partitionId: 1, number: 3, timing, message, nextMs: 1_000 };
  const made = { ...schedule, paused: false, lastMs: 0, fired: 0 } as unknown as Schedule;
  model.apply(
    entry,
    { kind: "addSchedule", partitionId: 1, id: "beat", timing, message, nextMs: 1_000 },
    { kind: "schedule", schedule: made, created: true },
    0,
  );
  return model;
}

/** Fires the newest due time at once, and the others never. */
function fireLast(model: ScheduleModel, nowMs: number): void {
  const dueMs = nowMs - nowMs % 1_000;
  model.apply(
    entry,
    { kind: "fireSchedule", partitionId: 1, number: 3, dueMs, nextMs: dueMs + 1_000, bytes: 1 },
    { kind: "ok" },
    nowMs,
  );
}

Deno.test("ScheduleModel finds due times that are passed over while somebody leads", () => {
  const model = setUp();
  for (let ms = 1_000; ms <= 3_500; ms += 500) model.passed(ms, ms, 0);
  assertThrows(() => fireLast(model, 3_500), Error, "no due time is passed over");
});

Deno.test("ScheduleModel lets due times pass while a disk is full, and for a moment after that", () => {
  const model = setUp();
  model.passed(1_000, 1_000, Infinity);
  model.passed(6_500, 6_500, Infinity);
  model.passed(7_500, 7_500, 7_000);
  fireLast(model, 7_500);
  for (let ms = 8_000; ms <= 10_500; ms += 500) model.passed(ms, ms, 7_000);
  assertThrows(() => fireLast(model, 10_500), Error, "no due time is passed over");
});

Deno.test("ScheduleModel does not take what was proposed before a silence for late", () => {
  const model = setUp();
  // The leader's clock was set forward, and it was cut off after it had fired for the newest due time.
  model.passed(2_500, 500, 0);
  model.passed(2_500, 3_500, 0);
  fireLast(model, 2_500);
});
