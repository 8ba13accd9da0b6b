import { assert, assertEquals, assertNotEquals, assertObjectMatch } from "@std/assert";
import {
  assert as assertProperty,
  constantFrom,
  integer,
  oneof,
  property,
  record,
} from "fast-check";
import { array, constant } from "fast-check";
import type { Command } from "./commands.ts";
import type { MachineLimits } from "./limits.ts";
import { LiveEntries } from "./live_entries.ts";
import type { Schedule } from "./schedule.ts";
import { queueSettings } from "./settings.ts";
import { TestShard } from "./_test_shard.ts";

const message = { headers: { type: "report" }, body: new Uint8Array([1, 2, 3]) };
const everySecond = { everyMs: 1_000 };

/** A machine with the partitions 1 and 2, and the log it is fed with. */
class Shard extends TestShard {
  constructor(limits: Partial<MachineLimits> = {}) {
    super(limits);
    for (const partitionId of [1, 2]) {
      this.apply({
        kind: "createPartition",
        partitionId,
        queueId: 1,
        queueName: "jobs",
        partitionNumber: partitionId - 1,
        settings: queueSettings({ partitions: 2 }),
      });
    }
  }

  /** Makes a schedule. @returns Its number. */
  add(id: string, nextMs: number, partitionId = 1): number {
    const reply = this.apply(addCommand(id, nextMs, partitionId));
    if (reply.kind !== "schedule") throw new Error(`Expected a schedule: ${reply.kind}`);
    return reply.schedule.number;
  }

  fire(number: number, dueMs: number, nextMs: number, partitionId = 1): string {
    return this.outcome({ kind: "fireSchedule", partitionId, number, dueMs, nextMs, bytes: 4 });
  }

  find(id: string): Schedule | undefined {
    return this.machine.findSchedule(1, id);
  }
}

function addCommand(id: string, nextMs: number, partitionId = 1): Command {
  return { kind: "addSchedule", partitionId, id, timing: everySecond, message, nextMs };
}

Deno.test("a schedule is fired once for a due time, however often that is proposed", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  shard.nowMs = 11_000;
  assertEquals(shard.fire(number, 11_000, 12_000), "published");
  assertEquals(shard.fire(number, 11_000, 12_000), "invalidArgument");
  assertEquals(shard.machine.stats(1)?.published, 1);
  assertEquals([shard.find("beat")?.lastMs, shard.find("beat")?.fired], [11_000, 1]);
  assertEquals(shard.machine.nextScheduleMs(), 12_000);
});

Deno.test("a schedule is not fired before its time, by the time of the log", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  shard.nowMs = 10_999;
  assertEquals(shard.fire(number, 11_000, 12_000), "invalidArgument");
  assertEquals(shard.fire(number, 10_500, 12_000), "invalidArgument");
  assertEquals(shard.machine.stats(1)?.published, 0);
});

Deno.test("firing the newest of several due times passes the others over", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  shard.nowMs = 14_200;
  assertEquals(shard.fire(number, 14_000, 15_000), "published");
  assertEquals(shard.fire(number, 12_000, 13_000), "invalidArgument");
  assertEquals(shard.machine.stats(1)?.published, 1);
});

Deno.test("a schedule whose last due time was fired stays, and is never due again", () => {
  const shard = new Shard();
  const number = shard.add("once", 11_000);
  shard.nowMs = 11_000;
  assertEquals(shard.fire(number, 11_000, 0), "published");
  assertEquals(shard.machine.nextScheduleMs(), undefined);
  shard.nowMs = 99_000;
  assertEquals(shard.fire(number, 99_000, 0), "invalidArgument");
  assertEquals(shard.find("once")?.fired, 1);
});

Deno.test("a message of a schedule is delivered and kept like any other", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  const reply = shard.apply({ kind: "openSession", timeoutMs: 5_000, clientName: "test" });
  const sessionId = reply.kind === "sessionOpened" ? reply.sessionId : 0;
  const consumer = { sessionId, consumerId: 1, partitionId: 1 };
  shard.apply({ kind: "attachConsumer", ...consumer, prefetch: 1, drain: false });
  shard.nowMs = 11_000;
  shard.fire(number, 11_000, 12_000);
  const { deliveries } = shard.machine.effects;
  assertEquals([deliveries.count, deliveries.entryIndex[0]], [1, shard.index]);
  assertEquals(shard.machine.lowestLiveEntryIndex(), shard.index);
  const live: number[] = [];
  const entries = new LiveEntries((index) => live.push(index));
  for (const part of shard.machine.capture().parts()) entries.take(part);
  while (entries.step());
  assertEquals(live, [shard.index]);
  shard.apply({ kind: "settle", ...consumer, operation: 0, offsets: [0], deliveryCounts: [1] });
  assertEquals(shard.machine.lowestLiveEntryIndex(), undefined);
});

Deno.test("a message of a schedule lives as long, and goes before others, as it asks for", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  shard.nowMs = 11_000;
  const details = { hasOptions: true, at: () => ({ ttlMs: 300, priority: 5 }) };
  const fire = { kind: "fireSchedule", partitionId: 1, number, bytes: 3, details } as const;
  assertEquals(shard.outcome({ ...fire, dueMs: 11_000, nextMs: 12_000 }), "published");
  assertEquals(shard.machine.nextDeadlineMs(), 11_300);
  const returned = [...shard.machine.capture().parts()].find(({ kind }) => kind === "returned");
  assertObjectMatch(returned!, { priority: Uint8Array.of(5) });
  shard.nowMs = 11_300;
  shard.apply({ kind: "tick" });
  assertEquals(shard.machine.stats(1)?.expired, 1);
});

Deno.test("making a schedule again is fine where it does the same, refused where it does not", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  const again = shard.apply(addCommand("beat", 11_700));
  assert(again.kind === "schedule" && !again.created && again.schedule.number === number);
  assertEquals(shard.machine.nextScheduleMs(), 11_000);
  const others: Command[] = [
    { ...addCommand("beat", 11_000), timing: { everyMs: 2_000 } } as Command,
    { ...addCommand("beat", 11_000), timing: { cron: "* * * * *", timeZone: "UTC" } } as Command,
    { ...addCommand("beat", 11_000), message: { ...message, key: "k" } } as Command,
    { ...addCommand("beat", 11_000), message: { ...message, headers: {} } } as Command,
    { ...addCommand("beat", 11_000), message: { ...message, ttlMs: 1 } } as Command,
    { ...addCommand("beat", 11_000), message: { ...message, priority: 1 } } as Command,
    { ...addCommand("beat", 11_000), message: { ...message, body: new Uint8Array(3) } } as Command,
  ];
  for (const other of others) assertEquals(shard.outcome(other), "scheduleExists");
  assertEquals(shard.outcome(addCommand("beat", 11_000, 2)), "schedule");
});

Deno.test("a schedule that rests is not fired, and goes on with a due time after now", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  assertEquals(shard.outcome({ kind: "pauseSchedule", partitionId: 1, id: "beat" }), "schedule");
  shard.nowMs = 15_500;
  assertEquals(shard.machine.nextScheduleMs(), undefined);
  assertEquals([...shard.machine.schedulesDue(15_500)], []);
  assertEquals(shard.fire(number, 15_000, 16_000), "invalidArgument");
  const resume = { kind: "resumeSchedule", partitionId: 1, id: "beat" } as const;
  assertEquals(
    shard.outcome({ ...resume, number: number + 1, nextMs: 16_500 }),
    "scheduleNotFound",
  );
  assertEquals(shard.outcome({ ...resume, number, nextMs: 16_500 }), "schedule");
  // Once it goes on, to say so again changes nothing.
  assertEquals(shard.outcome({ ...resume, number, nextMs: 99_000 }), "schedule");
  assertEquals(shard.machine.nextScheduleMs(), 16_500);
});

Deno.test("a late word of a schedule that was replaced does not fire the new one", () => {
  const shard = new Shard();
  const old = shard.add("beat", 11_000);
  assertEquals(shard.outcome({ kind: "removeSchedule", partitionId: 1, id: "beat" }), "ok");
  const number = shard.add("beat", 11_000);
  assertNotEquals(number, old);
  shard.nowMs = 11_000;
  assertEquals(shard.fire(old, 11_000, 12_000), "scheduleNotFound");
  assertEquals(shard.fire(number, 11_000, 12_000, 2), "scheduleNotFound");
  assertEquals(shard.fire(number, 11_000, 12_000), "published");
});

Deno.test("schedules go with their queue, and can be made in one that lives only", () => {
  const shard = new Shard();
  const number = shard.add("beat", 11_000);
  shard.add("other", 12_000, 2);
  shard.apply({ kind: "deletePartition", partitionId: 1 });
  assertEquals(shard.machine.nextScheduleMs(), 12_000);
  shard.nowMs = 11_000;
  assertEquals(shard.fire(number, 11_000, 12_000), "partitionNotFound");
  assertEquals(shard.outcome(addCommand("beat", 13_000)), "partitionNotFound");
  const name = { partitionId: 1, id: "beat" };
  assertEquals(shard.outcome({ kind: "removeSchedule", ...name }), "partitionNotFound");
});

Deno.test("schedules have limits, which are told", () => {
  const shard = new Shard({ schedulesPerPartition: 2, schedulesPerShard: 3 });
  shard.add("a", 11_000);
  shard.add("b", 11_000);
  assertEquals(shard.outcome(addCommand("c", 11_000)), "limitReached");
  shard.add("c", 11_000, 2);
  assertEquals(shard.outcome(addCommand("d", 11_000, 2)), "limitReached");
  shard.apply({ kind: "removeSchedule", partitionId: 1, id: "a" });
  assertEquals(shard.outcome(addCommand("d", 11_000, 2)), "schedule");
});

Deno.test("a schedule with a field out of range is refused", () => {
  const shard = new Shard();
  const fields: Record<string, unknown>[] = [
    { id: "" },
    { id: "a\nb" },
    { id: "x".repeat(256) },
    { nextMs: 0 },
    { timing: { everyMs: 999 } },
    { timing: { cron: "x".repeat(256), timeZone: "UTC" } },
    { message: { ...message, body: new Uint8Array(65_536) } },
    { message: { ...message, key: "é".repeat(32_768) } },
    { message: { ...message, ttlMs: 0 } },
    { message: { ...message, priority: 10 } },
  ];
  for (const field of fields) {
    const command = { ...addCommand("beat", 11_000), ...field } as Command;
    assertEquals(shard.outcome(command), "invalidArgument", JSON.stringify(field).slice(0, 60));
  }
});

Deno.test("whatever happens to schedules, each due time is fired once, in order, and restarts change nothing", () => {
  const id = constantFrom("a", "b");
  const step = oneof(
    record({ what: constant("add" as const), id, delay: integer({ min: 1, max: 3_000 }) }),
    record({ what: constantFrom("remove", "pause", "resume", "restart", "fire"), id }),
    record({ what: constant("pass" as const), ms: integer({ min: 1, max: 4_000 }) }),
    record({
      what: constant("fireAnything" as const),
      number: integer({ min: 1, max: 40 }),
      dueMs: integer({ min: 9_000, max: 40_000 }),
      after: integer({ min: -1, max: 2_000 }),
    }),
  );
  assertProperty(property(array(step, { maxLength: 40 }), (steps) => {
    const shard = new Shard();
    const fired = new Map<number, number>();
    let published = 0;
    const fire = (number: number, dueMs: number, nextMs: number) => {
      const before = shard.machine.schedules(1).find((one) => one.number === number);
      if (shard.fire(number, dueMs, nextMs) !== "published") return;
      published++;
      assert(!before!.paused && dueMs <= shard.nowMs);
      assert(dueMs >= before!.nextMs && dueMs > (fired.get(number) ?? 0));
      fired.set(number, dueMs);
    };
    for (const step of steps) {
      const name = { partitionId: 1, id: "id" in step ? step.id : "" };
      const schedule = shard.find(name.id);
      switch (step.what) {
        case "add":
          shard.apply(addCommand(name.id, shard.nowMs + step.delay));
          break;
        case "remove":
          shard.apply({ kind: "removeSchedule", ...name });
          break;
        case "pause":
          shard.apply({ kind: "pauseSchedule", ...name });
          break;
        case "resume": {
          const number = schedule?.number ?? 0;
          shard.apply({ kind: "resumeSchedule", ...name, number, nextMs: shard.nowMs + 1_000 });
          break;
        }
        case "restart":
          shard.restart();
          break;
        case "pass":
          shard.nowMs += step.ms;
          break;
        case "fire":
          for (const one of [...shard.machine.schedulesDue(shard.nowMs)]) {
            fire(one.number, one.nextMs, one.nextMs + 1_000);
          }
          break;
        case "fireAnything":
          fire(step.number, step.dueMs, step.after < 0 ? 0 : step.dueMs + step.after);
          break;
      }
    }
    assertEquals(shard.machine.stats(1)?.published, published);
  }));
});
