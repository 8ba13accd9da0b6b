import { assert, assertEquals, assertThrows } from "@std/assert";
import { ScheduleError, ScheduleTimes } from "./schedule_times.ts";

function cron(expression: string, timeZone = "UTC"): ScheduleTimes {
  return new ScheduleTimes({ cron: expression, timeZone });
}

const may = Date.UTC(2026, 4, 1);
const day = 24 * 60 * 60 * 1_000;

Deno.test("ScheduleTimes.upTo() finds the newest of many due times, as counting through them does", () => {
  const times = [
    ["* * * * *", 2 * 60 * 60 * 1_000],
    ["*/7 3 * * *", 3 * day],
    ["15,45 * 8-9 * * *", day],
    ["0 0 1 * *", 400 * day],
  ] as const;
  for (const [expression, span] of times) {
    const schedule = cron(expression);
    const first = schedule.after(may);
    for (let i = 0; i <= 40; i++) {
      const nowMs = first + Math.floor(span * i / 40) + i * 37;
      let dueMs = first;
      let nextMs = schedule.after(dueMs);
      while (nextMs <= nowMs) nextMs = schedule.after(dueMs = nextMs);
      assertEquals(schedule.upTo(first, nowMs), { dueMs, nextMs }, `${expression} at ${nowMs}`);
    }
  }
});

Deno.test("ScheduleTimes.upTo() keeps the beat of a schedule with equal distances", () => {
  const times = new ScheduleTimes({ everyMs: 5_000 });
  assertEquals(times.upTo(1_200, 1_200), { dueMs: 1_200, nextMs: 6_200 });
  assertEquals(times.upTo(1_200, 6_199), { dueMs: 1_200, nextMs: 6_200 });
  assertEquals(times.upTo(1_200, 1_000_000), { dueMs: 996_200, nextMs: 1_001_200 });
});

Deno.test("ScheduleTimes goes forward where clocks are set forward and back", () => {
  for (const expression of ["*/15 * * * *", "30 2 * * *", "0 1-3 * * *"]) {
    const times = cron(expression, "Europe/Berlin");
    for (const change of [Date.UTC(2026, 2, 29), Date.UTC(2026, 9, 25)]) {
      let ms = change - day;
      while (ms < change + 2 * day) {
        const next = times.after(ms);
        assert(next > ms, `${expression}: ${next} after ${ms}`);
        ms = next;
      }
    }
  }
});

Deno.test("ScheduleTimes reads expressions in their time zone", () => {
  assertEquals(cron("0 9 * * *", "Asia/Tokyo").after(may), may + day);
  assertEquals(cron("@daily").after(may), may + day);
  assertEquals(cron("*/10 * * * * *").after(may), may + 10_000);
});

Deno.test("ScheduleTimes says that there is no due time", () => {
  assertEquals(cron("0 0 30 2 *").after(may), 0);
});

Deno.test("ScheduleTimes tells people what it cannot read", () => {
  const cases = [
    [
      "61 * * * *",
      "UTC",
      'Cannot read the cron expression "61 * * * *": Invalid value for minute: 61',
    ],
    [
      "2030-01-01T00:00:00",
      "UTC",
      "it takes five fields (minute, hour, day, month, weekday), or six",
    ],
    ["", "UTC", "it takes five fields"],
    ["* * * *", "UTC", "five, six, or seven space separated parts"],
    [
      "* * * * *",
      "Mars/Olympus",
      'Cannot find the time zone "Mars/Olympus": it takes a name such as',
    ],
  ] as const;
  for (const [expression, timeZone, message] of cases) {
    assertThrows(() => cron(expression, timeZone), ScheduleError, message);
  }
});
