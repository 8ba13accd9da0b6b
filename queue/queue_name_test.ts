import { assertEquals, assertStringIncludes } from "@std/assert";
import { queueNameProblem } from "./queue_name.ts";

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
