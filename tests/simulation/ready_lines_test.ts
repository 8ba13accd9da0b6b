import { assertEquals } from "@std/assert";
import { ReadyLines } from "./ready_lines.ts";

function linesOf(...messages: readonly [offset: number, priority: number][]) {
  const lines = new ReadyLines();
  for (const [offset, priority] of messages) lines.add({ offset, priority });
  return lines;
}

/** Takes everything out; tells the offsets. */
function drain(lines: ReadyLines<{ offset: number; priority: number }>, starvationLimit = 0) {
  const offsets: number[] = [];
  for (;;) {
    const next = lines.next(starvationLimit);
    if (next === undefined) return offsets;
    offsets.push(next.offset);
    lines.remove(next);
  }
}

Deno.test("ReadyLines gives the highest priority first, then the lowest offset", () => {
  assertEquals(drain(linesOf([0, 0], [1, 9], [2, 3], [3, 9], [4, 0])), [1, 3, 2, 0, 4]);
});

Deno.test("ReadyLines gives what comes back its old place", () => {
  const lines = linesOf([0, 0], [3, 0], [5, 0]);
  lines.add({ offset: 4, priority: 0 });
  lines.add({ offset: 1, priority: 0 });
  assertEquals(lines.oldest()?.offset, 0);
  assertEquals(drain(lines), [0, 1, 3, 4, 5]);
});

Deno.test("ReadyLines gives the oldest when older ones were passed over often enough", () => {
  assertEquals(drain(linesOf([0, 0], [1, 0], [2, 5], [3, 5], [4, 5], [5, 5]), 2), [
    2,
    3,
    0,
    4,
    5,
    1,
  ]);
});
