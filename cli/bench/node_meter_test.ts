import { assertEquals } from "@std/assert";
import type { ProcessUsage } from "../process_usage.ts";
import { NodeMeter } from "./node_meter.ts";

Deno.test("NodeMeter adds up what nodes used since it began, also one that was killed and restarted", () => {
  const usages = new Map<number, ProcessUsage>([
    [11, { cpuSeconds: 5, memoryBytes: 100, memoryPeakBytes: 150 }],
    [12, { cpuSeconds: 7, memoryBytes: 200, memoryPeakBytes: 200 }],
  ]);
  let pids: (number | undefined)[] = [11, 12];
  using meter = new NodeMeter(() => pids, (pid) => usages.get(pid));
  usages.set(11, { cpuSeconds: 6, memoryBytes: 110, memoryPeakBytes: 160 });
  usages.set(12, { cpuSeconds: 9, memoryBytes: 210, memoryPeakBytes: 500 });
  meter.sample();
  pids = [11, undefined];
  usages.delete(12);
  meter.sample();
  pids = [11, 13];
  usages.set(13, { cpuSeconds: 1, memoryBytes: 50, memoryPeakBytes: 60 });
  assertEquals(meter.usage(), {
    cpuSeconds: 1 + 2 + 1,
    memoryBytes: 110 + 50,
    memoryPeakBytes: 160 + 500,
  });
});

Deno.test("NodeMeter tells nothing where no process can be seen", () => {
  using meter = new NodeMeter(() => [undefined, 3], () => undefined);
  assertEquals(meter.usage(), undefined);
});
