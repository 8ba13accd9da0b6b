import { assert, assertEquals, assertRejects } from "@std/assert";
import { keepUnderWay } from "./closed_loop.ts";

const never = new AbortController().signal;

Deno.test("keepUnderWay() has as many calls under way as it may, and no more", async () => {
  let underWay = 0;
  let most = 0;
  const made = await keepUnderWay(
    (done) => {
      most = Math.max(most, ++underWay);
      Promise.resolve().then(() => {
        underWay--;
        done();
      });
    },
    3,
    { calls: 10, over: () => false },
    never,
  );
  assertEquals([made, most, underWay], [10, 3, 0]);
});

Deno.test("keepUnderWay() waits for what is under way when the time is over", async () => {
  let calls = 0;
  let ended = 0;
  const made = await keepUnderWay(
    (done) => {
      calls++;
      setTimeout(() => (ended++, done()), 1);
    },
    4,
    { calls: Infinity, over: () => calls >= 8 },
    never,
  );
  assertEquals([made, calls, ended], [8, 8, 8]);
});

Deno.test("keepUnderWay() makes no call where the time was over before it began", async () => {
  const end = { calls: Infinity, over: () => true };
  assertEquals(await keepUnderWay(() => assert(false), 4, end, never), 0);
});

Deno.test("keepUnderWay() fails with the first call that fails, and when it is stopped", async () => {
  const end = { calls: 5, over: () => false };
  await assertRejects(
    () => keepUnderWay((_, failed) => failed(new Error("refused")), 2, end, never),
    Error,
    "refused",
  );
  const controller = new AbortController();
  const stuck = keepUnderWay(() => {}, 2, end, controller.signal);
  controller.abort(new Error("stopped"));
  await assertRejects(() => stuck, Error, "stopped");
});
