import { assertEquals } from "@std/assert";
import { LeaseWatch } from "./lease_watch.ts";

function watched(id: number, firstDeadlineMs: number | undefined) {
  return { identity: { id }, firstDeadlineMs };
}

Deno.test("LeaseWatch.due() finds the partition whose lease ends first", () => {
  const watch = new LeaseWatch<ReturnType<typeof watched>>();
  const late = watched(1, 300);
  const early = watched(2, 200);
  watch.watch(late);
  watch.watch(early);
  assertEquals(watch.firstDeadlineMs(), 200);
  assertEquals(watch.due(199), undefined);
  assertEquals(watch.due(200), early);
});

Deno.test("LeaseWatch.firstDeadlineMs() sees that leases have been acked since", () => {
  const watch = new LeaseWatch<ReturnType<typeof watched>>();
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

Deno.test("LeaseWatch.forget() leaves nothing to look at", () => {
  const watch = new LeaseWatch<ReturnType<typeof watched>>();
  watch.watch(watched(1, 100));
  watch.watch(watched(2, undefined));
  watch.forget(1);
  watch.forget(3);
  assertEquals(watch.firstDeadlineMs(), undefined);
});
