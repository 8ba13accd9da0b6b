import { assertEquals } from "@std/assert";
import { DeadlineWatch } from "./deadline_watch.ts";

function watched(id: number, firstDeadlineMs: number | undefined) {
  return { identity: { id }, firstDeadlineMs, watchedMs: Infinity };
}

Deno.test("DeadlineWatch.due() finds the partition that time brings something to first", () => {
  const watch = new DeadlineWatch<ReturnType<typeof watched>>();
  const late = watched(1, 300);
  const early = watched(2, 200);
  watch.watch(late);
  watch.watch(early);
  assertEquals(watch.firstDeadlineMs(), 200);
  assertEquals(watch.due(199), undefined);
  assertEquals(watch.due(200), early);
});

Deno.test("DeadlineWatch.firstDeadlineMs() sees that leases have been acked since", () => {
  const watch = new DeadlineWatch<ReturnType<typeof watched>>();
  const first = watched(1, 100);
  const second = watched(2, 200);
  watch.watch(first);
  watch.watch(second);
  first.firstDeadlineMs = 500;
  assertEquals(watch.firstDeadlineMs(), 200);
  second.firstDeadlineMs = undefined;
  assertEquals(watch.firstDeadlineMs(), 500);
  assertEquals(watch.due(499), undefined);
  second.firstDeadlineMs = 400;
  watch.watch(second);
  assertEquals(watch.due(499), second);
  watch.checkInvariants(first);
  watch.checkInvariants(second);
});

Deno.test("DeadlineWatch.forget() leaves nothing to look at", () => {
  const watch = new DeadlineWatch<ReturnType<typeof watched>>();
  const first = watched(1, 100);
  watch.watch(first);
  watch.watch(watched(2, undefined));
  watch.forget(first);
  watch.forget(watched(3, 100));
  assertEquals(watch.firstDeadlineMs(), undefined);
});

Deno.test("DeadlineWatch.watch() looks earlier at a partition that has something earlier to wait for", () => {
  const watch = new DeadlineWatch<ReturnType<typeof watched>>();
  const partition = watched(1, 500);
  watch.watch(partition);
  partition.firstDeadlineMs = 200;
  watch.watch(partition);
  assertEquals(watch.firstDeadlineMs(), 200);
  assertEquals(watch.due(200), partition);
  watch.checkInvariants(partition);
});
