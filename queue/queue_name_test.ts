import { assertEquals, assertStringIncludes } from "@std/assert";
import { queueNameProblem, queueSettingsProblem, sameSettings } from "./queue_name.ts";

Deno.test("queueNameProblem() counts bytes of UTF-8, not characters", () => {
  for (const name of ["a", "a".repeat(255), "ü".repeat(127), "€".repeat(85), "😀".repeat(63)]) {
    assertEquals(queueNameProblem(name), undefined, name);
  }
  for (const name of ["", "a".repeat(256), "ü".repeat(128), "€".repeat(86), "😀".repeat(64)]) {
    assertStringIncludes(queueNameProblem(name)!, "1 to 255 bytes", name);
  }
});

Deno.test("queueNameProblem() refuses control characters, half characters and other types", () => {
  for (const name of ["a\n", "\u0000", "tab\there", "\u007f", "\u0085", "\u009f"]) {
    assertStringIncludes(queueNameProblem(name)!, "control characters", name);
  }
  assertStringIncludes(queueNameProblem("\ud83d")!, "well-formed");
  assertStringIncludes(queueNameProblem(7)!, "text");
  assertEquals(queueNameProblem("\u00a0 ~ü/._-"), undefined);
});

Deno.test("queueSettingsProblem() has bounds for every field", () => {
  const good = { partitions: 1, leaseMs: 30_000 };
  const day = 24 * 60 * 60 * 1_000;
  for (const partitions of [1, 1_024]) {
    assertEquals(queueSettingsProblem({ ...good, partitions }), undefined);
  }
  for (const partitions of [0, 1_025, 1.5, NaN, -1]) {
    assertStringIncludes(queueSettingsProblem({ ...good, partitions })!, "partitions");
  }
  for (const leaseMs of [100, day]) {
    assertEquals(queueSettingsProblem({ ...good, leaseMs }), undefined);
  }
  for (const leaseMs of [99, day + 1, 100.5, Infinity]) {
    assertStringIncludes(queueSettingsProblem({ ...good, leaseMs })!, "milliseconds");
  }
});

Deno.test("sameSettings() compares every field", () => {
  const settings = { partitions: 2, leaseMs: 1_000 };
  assertEquals(sameSettings(settings, { ...settings }), true);
  assertEquals(sameSettings(settings, { ...settings, partitions: 3 }), false);
  assertEquals(sameSettings(settings, { ...settings, leaseMs: 999 }), false);
});
