import { assertAlmostEquals, assertEquals } from "@std/assert";
import { keepUnderWay } from "./closed_loop.ts";
import { Histogram } from "./histogram.ts";
import { type ScheduleClock, sendOnSchedule } from "./schedule.ts";

/** A clock that stands still unless somebody waits, and may oversleep. */
class FakeClock implements ScheduleClock {
  timeMs = 1_000;
  readonly #oversleepMs: number;

  constructor(oversleepMs = 0) {
    this.#oversleepMs = oversleepMs;
  }

  now(): number {
    return this.timeMs;
  }

  sleep(ms: number): Promise<void> {
    this.timeMs += ms + this.#oversleepMs;
    return Promise.resolve();
  }
}

Deno.test("sendOnSchedule() sends each message when it is due", async () => {
  const clock = new FakeClock();
  const sent: number[][] = [];
  const plan = { ratePerSecond: 200, messages: 4 };
  const count = await sendOnSchedule(plan, clock, (number, dueAt) => {
    sent.push([number, dueAt, clock.now()]);
  });
  assertEquals(count, 4);
  assertEquals(sent, [
    [0, 1_000, 1_000],
    [1, 1_005, 1_005],
    [2, 1_010, 1_010],
    [3, 1_015, 1_015],
  ]);
});

Deno.test("sendOnSchedule() keeps the rate on a clock that oversleeps", async () => {
  const clock = new FakeClock(30);
  const due: number[] = [];
  await sendOnSchedule({ ratePerSecond: 1_000, messages: 500 }, clock, (_, dueAt) => {
    due.push(dueAt);
  });
  assertEquals(due.at(-1), 1_000 + 499);
  assertAlmostEquals(clock.now(), 1_499, 31);
});

Deno.test("sendOnSchedule() sends no more once it is stopped", async () => {
  const clock = new FakeClock();
  let sent = 0;
  const stopped = () => clock.now() >= 1_010;
  const plan = { ratePerSecond: 1_000, messages: 100 };
  assertEquals(await sendOnSchedule(plan, clock, () => sent++, stopped), 10);
  assertEquals(sent, 10);
});

/** A server that answers after 1 ms, except that it stands still from 2,000 to 3,000. */
function answeredAt(sentAt: number): number {
  return sentAt >= 2_000 && sentAt < 3_000 ? 3_001 : sentAt + 1;
}

Deno.test("an open loop counts the wait of every message that a stall of the server holds up", async () => {
  const clock = new FakeClock();
  const latency = new Histogram();
  await sendOnSchedule({ ratePerSecond: 1_000, messages: 3_000 }, clock, (_, dueAt) => {
    latency.record(answeredAt(clock.now()) - dueAt);
  });
  // 1,000 of 3,000 were due in the stall, and waited 500 ms in the middle.
  assertAlmostEquals(latency.percentileMs(1 - 500 / 3_000), 501, 10);
  assertAlmostEquals(latency.percentileMs(0.6), 1, 0.1);
  assertAlmostEquals(latency.maxMs, 1_001, 0.001);
});

Deno.test("an open loop counts from the due time where the bench itself was held up", async () => {
  const clock = new FakeClock();
  const latency = new Histogram();
  await sendOnSchedule({ ratePerSecond: 1_000, messages: 2_000 }, clock, (number, dueAt) => {
    if (number === 500) clock.timeMs += 1_000; // nothing is sent for a second
    latency.record(clock.now() + 1 - dueAt);
  });
  // From due times 1,500 to 2,500 everything was sent at 2,500: half of all, 500 ms on average.
  assertAlmostEquals(latency.percentileMs(0.75), 501, 10);
  assertAlmostEquals(latency.maxMs, 1_001, 0.001);
});

Deno.test("a closed loop sees the same stall once: that is why there is an open one", async () => {
  const clock = new FakeClock();
  const latency = new Histogram();
  const end = { calls: 3_000, over: () => false };
  await keepUnderWay(
    (done) => {
      const sentAt = clock.now();
      clock.timeMs = answeredAt(sentAt);
      latency.record(clock.now() - sentAt);
      Promise.resolve().then(done);
    },
    1,
    end,
    new AbortController().signal,
  );
  assertAlmostEquals(latency.percentileMs(0.999), 1, 0.1);
  assertAlmostEquals(latency.maxMs, 1_001, 0.001);
});
