import { assertEquals } from "@std/assert";
import { MemoryOutput } from "./memory_terminal.ts";
import { ProgressLine } from "./progress.ts";

Deno.test("ProgressLine writes over its line, not too often, and takes it away", () => {
  let now = 0;
  const output = new MemoryOutput(true);
  {
    using progress = new ProgressLine(output, () => now);
    progress.update(() => "one");
    now += 50;
    progress.update(() => "too soon");
    now += 51;
    progress.update(() => "two");
  }
  assertEquals(output.all, "\rone\x1b[K\rtwo\x1b[K\r\x1b[K");
});

Deno.test("ProgressLine writes nothing where nobody watches", () => {
  const output = new MemoryOutput(false);
  using progress = new ProgressLine(output);
  progress.update(() => "one");
  progress.clear();
  assertEquals(output.all, "");
});

Deno.test("ProgressLine cuts what is wider than the terminal", () => {
  const output = new MemoryOutput(true);
  const progress = new ProgressLine(output);
  progress.update(() => "x".repeat(500));
  assertEquals(output.all.length, "\r".length + output.columns - 1 + "\x1b[K".length);
});
