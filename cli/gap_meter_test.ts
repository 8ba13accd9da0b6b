import { assertEquals } from "@std/assert";
import { GapMeter } from "./gap_meter.ts";

Deno.test("GapMeter finds the longest gap since its restart", () => {
  const meter = new GapMeter();
  for (const time of [0, 500, 510, 520]) meter.event(time);
  assertEquals(meter.longestMs(), 500);
  meter.restart();
  assertEquals(meter.longestMs(), 0);
  meter.event(670);
  meter.event(680);
  assertEquals(meter.longestMs(), 150);
});

Deno.test("GapMeter counts an open gap when it is told the time", () => {
  const meter = new GapMeter();
  assertEquals(meter.longestMs(100), 0);
  meter.event(100);
  assertEquals(meter.longestMs(), 0);
  assertEquals(meter.longestMs(175), 75);
});
