import { assertEquals } from "@std/assert";
import { InflightWindow } from "./inflight.ts";
import { Progress } from "./progress.ts";

function makeProgress(nextIndex: number, matchIndex = 0): Progress {
  return new Progress(nextIndex, matchIndex, true, new InflightWindow(2, 1000));
}

Deno.test("Progress in probe waits for an answer after each append", () => {
  const progress = makeProgress(10);
  progress.sent(3, 30, 5);
  assertEquals([progress.blocked, progress.nextIndex], [true, 10]);
  progress.acknowledge(12);
  assertEquals([progress.blocked, progress.nextIndex, progress.matchIndex], [false, 13, 12]);
});

Deno.test("Progress in replicate runs ahead until its window is full", () => {
  const progress = makeProgress(10, 9);
  progress.becomeReplicate();
  progress.sent(3, 30, 5);
  assertEquals([progress.blocked, progress.nextIndex], [false, 13]);
  progress.sent(1, 10, 5);
  assertEquals([progress.blocked, progress.nextIndex], [true, 14]);
});

Deno.test("Progress in snapshot is blocked, and goes on behind the snapshot", () => {
  const progress = makeProgress(3);
  progress.becomeSnapshot(100);
  assertEquals(progress.blocked, true);
  progress.becomeProbe();
  assertEquals([progress.blocked, progress.nextIndex], [false, 101]);
});

Deno.test("Progress.reject() goes to the hint, but never behind what is known to match", () => {
  const progress = makeProgress(100, 20);
  assertEquals(progress.reject(99, 50), true);
  assertEquals(progress.nextIndex, 51);
  assertEquals(progress.reject(50, 3), true);
  assertEquals(progress.nextIndex, 21);
});

Deno.test("Progress.reject() ignores a refusal that is late", () => {
  const probing = makeProgress(100);
  assertEquals(probing.reject(50, 10), false);
  assertEquals(probing.nextIndex, 100);
  const replicating = makeProgress(100, 60);
  replicating.becomeReplicate();
  assertEquals(replicating.reject(60, 10), false);
});

Deno.test("Progress.lacksCommit() is true only where a commit index can do something", () => {
  const progress = makeProgress(11, 10);
  progress.becomeReplicate();
  assertEquals(progress.lacksCommit(5), true);
  progress.sent(2, 20, 10);
  assertEquals([progress.lacksCommit(10), progress.lacksCommit(11)], [false, true]);
  progress.sent(0, 0, 12);
  // The follower was sent nothing behind 12 that could be committed.
  assertEquals(progress.lacksCommit(13), false);
});
