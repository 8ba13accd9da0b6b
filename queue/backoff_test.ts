import { assert, assertEquals } from "@std/assert";
import { backoffMs } from "./backoff.ts";

const settings = {
  backoffFirstMs: 1_000,
  backoffMaxMs: 8_000,
  backoffFactor: 2,
  backoffJitterPercent: 20,
};

Deno.test("backoffMs() spreads waits over all of the jitter, and no further", () => {
  const waits = Array.from({ length: 1_000 }, (_, offset) => backoffMs(settings, 3, offset, 2));
  const [least, most] = [Math.min(...waits), Math.max(...waits)];
  assert(least >= 1_600 && least < 1_620, `the shortest is ${least}`);
  assert(most <= 2_400 && most > 2_380, `the longest is ${most}`);
  assertEquals(waits, waits.map((_, offset) => backoffMs(settings, 3, offset, 2)));
});

Deno.test("backoffMs() stays within the longest wait, however often a message failed", () => {
  const steady = { ...settings, backoffJitterPercent: 0 };
  assertEquals(backoffMs(steady, 1, 1, 2 ** 28), 8_000);
  assertEquals(backoffMs({ ...steady, backoffFactor: 1 }, 1, 1, 2 ** 28), 1_000);
  assertEquals(backoffMs({ ...steady, backoffFirstMs: 0 }, 1, 1, 5), 0);
  assertEquals(backoffMs({ ...steady, backoffMaxMs: 10 }, 1, 1, 1), 10);
});
