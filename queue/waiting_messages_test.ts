import { assertEquals } from "@std/assert";
import { FRESH, WaitingMessages } from "./waiting_messages.ts";

function takeAll(waiting: WaitingMessages): string {
  const taken: string[] = [];
  while (waiting.ready > 0) {
    waiting.take(waiting.next(Infinity, 0));
    taken.push(`${waiting.offset}x${waiting.deliveryCount}p${waiting.priority}`);
    waiting.checkInvariants();
  }
  return taken.join(" ");
}

Deno.test("WaitingMessages.take() goes by priority, then by offset", () => {
  const waiting = new WaitingMessages();
  for (const [offset, count, priority] of [[5, 1, 0], [3, 2, 4], [9, 0, 4], [1, 0, 9]] as const) {
    waiting.addReady(offset, count, priority);
  }
  assertEquals(takeAll(waiting), "1x0p9 3x2p4 9x0p4 5x1p0");
});

Deno.test("WaitingMessages.next() puts the fresh message between others of no priority", () => {
  const waiting = new WaitingMessages();
  waiting.addReady(5, 1, 0);
  assertEquals([waiting.next(4, 0), waiting.next(6, 0), waiting.next(Infinity, 0)], [FRESH, 0, 0]);
  waiting.addReady(9, 0, 2);
  assertEquals([4, 4, 4, 6].map((fresh) => waiting.next(fresh, 2)), [2, 2, FRESH, 2]);
});

Deno.test("WaitingMessages.takeDue() goes by time, and passes over what was removed", () => {
  const waiting = new WaitingMessages();
  for (const [dueMs, offset] of [[30, 1], [10, 2], [20, 3], [10, 4]] as const) {
    waiting.addDelayed(dueMs, offset, 0, 0);
  }
  waiting.remove(2);
  waiting.remove(3);
  waiting.checkInvariants();
  assertEquals([waiting.delayed, waiting.firstDueMs], [2, 10]);
  const due: number[] = [];
  while (waiting.takeDue(30)) due.push(waiting.offset);
  assertEquals([due, waiting.takeDue(99), waiting.firstDueMs], [[4, 1], false, undefined]);
});

Deno.test("WaitingMessages forgets the numbers of very many removed messages", () => {
  const waiting = new WaitingMessages();
  for (let offset = 0; offset < 40_000; offset++) {
    if (offset % 2 === 0) waiting.addReady(offset, 1, offset % 3);
    else waiting.addDelayed(offset, offset, 1, 0);
  }
  for (let offset = 39_999; offset > 100; offset--) waiting.remove(offset);
  waiting.checkInvariants();
  assertEquals([waiting.ready, waiting.delayed], [51, 50]);
  const listed = [...waiting].map(({ offset }) => offset).sort((a, b) => a - b);
  assertEquals(listed, Array.from({ length: 101 }, (_, at) => at));
  const { size } = [...waiting.capture().delayed()].reduce(
    (seen, { offset }) => seen.add(offset),
    new Set(),
  );
  assertEquals(size, 50);
  waiting.clear();
  waiting.checkInvariants();
  assertEquals([waiting.ready, waiting.delayed, waiting.has(0)], [0, 0, false]);
});
