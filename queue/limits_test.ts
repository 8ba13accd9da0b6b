import { assertEquals, assertThrows } from "@std/assert";
import { DEFAULT_LIMITS, resolveLimits } from "./limits.ts";

Deno.test("resolveLimits() fills in the defaults", () => {
  assertEquals(resolveLimits(undefined), DEFAULT_LIMITS);
  assertEquals(resolveLimits({ sessions: 5 }), { ...DEFAULT_LIMITS, sessions: 5 });
});

Deno.test("resolveLimits() throws on a limit that is no positive integer", () => {
  for (const sessions of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(
      () => resolveLimits({ sessions }),
      RangeError,
      `Cannot use limit "sessions" as it must be a positive integer: current value is ${sessions}`,
    );
  }
});
