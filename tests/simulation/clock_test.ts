import { assertEquals, assertRejects } from "@std/assert";
import { Timeline } from "./clock.ts";

Deno.test("Timeline runs events in the order of their times, ties in the order of planning", async () => {
  const timeline = new Timeline();
  const seen: string[] = [];
  timeline.after(5, () => seen.push(`c ${timeline.nowMs}`));
  timeline.after(1, () => seen.push(`a ${timeline.nowMs}`));
  timeline.after(1, () => seen.push(`b ${timeline.nowMs}`));
  timeline.after(-3, () => seen.push(`first ${timeline.nowMs}`));
  await timeline.run(() => false);
  assertEquals(seen, ["first 0", "a 1", "b 1", "c 5"]);
});

Deno.test("Timeline lets every microtask run before the next event", async () => {
  const timeline = new Timeline();
  const seen: string[] = [];
  timeline.after(1, () => {
    void (async () => {
      for (let i = 0; i < 1_000; i++) await null;
      // What a microtask plans comes before events that are later.
      timeline.after(0, () => seen.push("planned by a microtask"));
      seen.push("microtasks are done");
    })();
  });
  timeline.after(1.001, () => seen.push("next event"));
  await timeline.run(() => false);
  assertEquals(seen, ["microtasks are done", "planned by a microtask", "next event"]);
});

Deno.test("Timeline.cancel() calls an event off, however many there are", async () => {
  const timeline = new Timeline();
  let happened = 0;
  const events = Array.from({ length: 20_000 }, (_, i) => timeline.after(i % 97, () => happened++));
  events.forEach((event, i) => {
    if (i % 10 !== 0) timeline.cancel(event);
  });
  await timeline.run(() => false);
  assertEquals(happened, 2_000);
  timeline.cancel(events[0]!);
});

Deno.test("Timeline.pass() stops in time, and goes on from there", async () => {
  const timeline = new Timeline();
  const seen: number[] = [];
  for (const ms of [10, 20, 30]) timeline.after(ms, () => seen.push(ms));
  await timeline.pass(25);
  assertEquals([timeline.nowMs, ...seen], [25, 10, 20]);
  await timeline.pass(25);
  assertEquals([timeline.nowMs, ...seen], [50, 10, 20, 30]);
});

Deno.test("Timeline.run() rejects with what an event throws or fail() was given", async () => {
  const timeline = new Timeline();
  timeline.after(1, () => {
    throw new Error("thrown");
  });
  timeline.after(2, () => timeline.fail(new Error("given")));
  await assertRejects(() => timeline.run(() => false), Error, "thrown");
  await assertRejects(() => timeline.run(() => false), Error, "given");
});
