import { assertEquals } from "@std/assert";
import { type Reply, type ScheduleTiming, ShardMachine } from "../queue/mod.ts";
import { queueSettings } from "../queue/settings.ts";
import { decodeCommand, decodeMessage, messageEnd, messageStart } from "../wire/mod.ts";
import { silentLogger } from "./logger.ts";
import { ScheduleKeeper } from "./schedule_keeper.ts";
import type { OutcomeCallback } from "./shard.ts";

/** A shard whose leader this node is, on a clock that stands still unless it is told to go on. */
class FakeShard {
  readonly id = 0;
  readonly machine = new ShardMachine({ shard: 0 });
  nowMs = Date.UTC(2026, 0, 1);
  /** The bodies that were published, with the due times that they were for. */
  readonly published: string[] = [];
  readonly proposals: { readonly command: Uint8Array; readonly done: OutcomeCallback }[] = [];
  readonly keeper: ScheduleKeeper;
  hasRoom = true;
  #index = 0;
  #timers = new Map<number, { readonly atMs: number; readonly callback: () => void }>();
  #timerId = 0;

  constructor() {
    const clock = {
      now: () => this.nowMs,
      monotonic: () => this.nowMs,
      setTimeout: (callback: () => void, ms: number) => {
        this.#timers.set(++this.#timerId, { atMs: this.nowMs + ms, callback });
        return this.#timerId;
      },
      clearTimeout: (id: number) => void this.#timers.delete(id),
    };
    this.keeper = new ScheduleKeeper(this, () => this.hasRoom, clock, silentLogger);
    this.#apply({
      kind: "createPartition",
      partitionId: 1,
      queueId: 1,
      queueName: "reports",
      partitionNumber: 0,
      settings: queueSettings(),
    });
  }

  get timers(): number {
    return this.#timers.size;
  }

  add(id: string, timing: ScheduleTiming, nextMs: number): void {
    const message = { headers: { kind: "x" }, body: new TextEncoder().encode(id) };
    this.#apply({ kind: "addSchedule", partitionId: 1, id, timing, message, nextMs });
    this.keeper.check();
  }

  propose(command: Uint8Array, done: OutcomeCallback): void {
    this.proposals.push({ command, done });
  }

  /** Time passes, without anything being committed. */
  pass(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a[1].atMs - b[1].atMs)[0];
      if (next === undefined || next[1].atMs > end) break;
      this.nowMs = Math.max(this.nowMs, next[1].atMs);
      this.#timers.delete(next[0]);
      next[1].callback();
    }
    this.nowMs = end;
  }

  /** All that was proposed is committed and applied. */
  commit(): void {
    for (const { command, done } of this.proposals.splice(0)) {
      const reply = this.#apply(decodeCommand(command));
      if (reply.kind === "published") {
        const start = messageStart(command, 0);
        const { headers, body } = decodeMessage(command, start, messageEnd(command, 0));
        const text = new TextDecoder().decode(body);
        assertEquals([headers["kind"], headers["flowmq-schedule"]], ["x", text]);
        this.published.push(`${text} ${headers["flowmq-schedule-due-at"]}`);
      }
      done({ kind: "applied", reply, index: this.#index, term: 1 });
    }
    this.keeper.check();
  }

  /** Nothing that was proposed becomes of anything. */
  lose(): void {
    for (const { done } of this.proposals.splice(0)) done({ kind: "leadershipLost" });
    this.keeper.check();
  }

  #apply(command: Parameters<ShardMachine["apply"]>[1]): Reply {
    const meta = { index: ++this.#index, term: 1, timestampMs: this.nowMs };
    return this.machine.apply(meta, command);
  }
}

const minutely = { cron: "* * * * *", timeZone: "UTC" };

Deno.test("ScheduleKeeper fires a schedule at its due time, and again at the next", () => {
  const shard = new FakeShard();
  shard.keeper.lead(true);
  shard.add("beat", minutely, shard.nowMs + 60_000);
  shard.pass(59_999);
  assertEquals(shard.proposals.length, 0);
  shard.pass(1);
  shard.commit();
  shard.pass(60_000);
  shard.commit();
  assertEquals(shard.published, ["beat 2026-01-01T00:01:00.000Z", "beat 2026-01-01T00:02:00.000Z"]);
});

Deno.test("ScheduleKeeper, when it begins to lead, fires the newest due time that was missed", () => {
  const shard = new FakeShard();
  shard.add("cron", minutely, shard.nowMs + 60_000);
  shard.add("every", { everyMs: 7_000 }, shard.nowMs + 7_000);
  shard.pass(10 * 60_000 + 30_000);
  assertEquals(shard.proposals.length, 0);
  shard.keeper.lead(true);
  shard.commit();
  shard.commit();
  assertEquals(shard.published, [
    "cron 2026-01-01T00:10:00.000Z",
    "every 2026-01-01T00:10:30.000Z",
  ]);
});

Deno.test("ScheduleKeeper proposes again what was lost, after a pause, while it leads", () => {
  const shard = new FakeShard();
  shard.keeper.lead(true);
  shard.add("beat", minutely, shard.nowMs + 60_000);
  shard.pass(60_000);
  shard.lose();
  assertEquals(shard.proposals.length, 0);
  shard.pass(50);
  shard.commit();
  assertEquals(shard.published, ["beat 2026-01-01T00:01:00.000Z"]);
  shard.pass(60_000);
  assertEquals(shard.proposals.length, 1);
  shard.keeper.lead(false);
  shard.lose();
  shard.pass(60_000);
  assertEquals([shard.proposals.length, shard.timers], [0, 0]);
});

Deno.test("ScheduleKeeper waits for room", () => {
  const shard = new FakeShard();
  shard.keeper.lead(true);
  shard.hasRoom = false;
  shard.add("beat", minutely, shard.nowMs + 60_000);
  shard.pass(61_500);
  assertEquals(shard.proposals.length, 0);
  shard.hasRoom = true;
  shard.pass(1_000);
  shard.commit();
  assertEquals(shard.published, ["beat 2026-01-01T00:01:00.000Z"]);
});

Deno.test("ScheduleKeeper notices that its clock was set forward", () => {
  const shard = new FakeShard();
  shard.keeper.lead(true);
  shard.add("beat", minutely, shard.nowMs + 60_000);
  // All that waits for a timer waits on.
  shard.nowMs += 3_600_000;
  shard.keeper.check();
  shard.commit();
  assertEquals(shard.published, ["beat 2026-01-01T01:00:00.000Z"]);
});

Deno.test("ScheduleKeeper fires many schedules that are due at once in rounds, and all of them", () => {
  const shard = new FakeShard();
  shard.keeper.lead(true);
  const dueMs = shard.nowMs + 60_000;
  for (let i = 0; i < 100; i++) shard.add(`beat-${i}`, minutely, dueMs);
  shard.pass(60_000);
  assertEquals(shard.proposals.length, 32);
  while (shard.proposals.length > 0) shard.commit();
  assertEquals(shard.published.length, 100);
  assertEquals(new Set(shard.published).size, 100);
});

Deno.test("ScheduleKeeper fires what it can where it cannot read one schedule", () => {
  const shard = new FakeShard();
  shard.keeper.lead(true);
  shard.add("unknown", { cron: "* * * * *", timeZone: "Moon/Tranquility" }, shard.nowMs + 1_000);
  shard.add("beat", minutely, shard.nowMs + 60_000);
  shard.pass(60_000);
  shard.commit();
  assertEquals(shard.published, ["beat 2026-01-01T00:01:00.000Z"]);
});
