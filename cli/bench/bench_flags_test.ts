import { assertEquals, assertThrows } from "@std/assert";
import { parseArguments } from "../arguments.ts";
import { bench } from "../commands/bench.ts";
import { UsageError } from "../failures.ts";
import { loadsOf } from "./bench_flags.ts";
import { describeLoad, warmUpLoad } from "./load.ts";

function loads(line: string) {
  const words = line === "" ? [] : line.split(" ");
  const { flags, given } = parseArguments(words, bench, () => undefined);
  return loadsOf(flags, given);
}

Deno.test("flags change the load of a workload", () => {
  const [load] = loads(
    "--workload publish --size 1KiB --clients 4 --batch 32 --messages 3000 --partitions 2",
  );
  const { size, clients, batch, messages, partitions, window } = load!;
  assertEquals([size, clients, batch, messages, partitions], [1_024, 4, 32, 3_000, 2]);
  assertEquals(window, 1_000);
});

Deno.test("--messages stands instead of a time and --duration instead of a count; both may be given", () => {
  const amount = (line: string) => {
    const [load] = loads(line);
    return [load!.messages, load!.durationMs];
  };
  assertEquals(amount("--workload publish --duration 2s"), [0, 2_000]);
  assertEquals(amount("--workload latency-at-rate --messages 50"), [50, 0]);
  assertEquals(amount("--workload publish --duration 2s --messages 9"), [9, 2_000]);
  assertEquals(amount("--workload publish --chaos pause"), [0, 10_000]);
  assertEquals(amount("--workload publish --chaos pause --messages 7"), [7, 0]);
});

Deno.test("without a workload all are measured; failover only on a cluster of its own", () => {
  assertEquals(loads("").at(-1)!.workload, "failover");
  assertEquals(loads("-s 10.0.0.1").some(({ workload }) => workload === "failover"), false);
  assertEquals(loads("--nodes 1").some(({ workload }) => workload === "failover"), false);
});

Deno.test("flags that do not go together are refused, with what to do", () => {
  for (
    const [line, message] of [
      ["--rate 5", "--rate needs a workload: --workload latency-at-rate"],
      ["--workload latency --clients 2", "--clients does not go with --workload latency"],
      ["--workload publish --rate 2", "--rate does not go with --workload publish"],
      ["--chaos pause -s 10.0.0.1", "takes the temporary cluster only: leave --server"],
      ["--workload failover -s 10.0.0.1", "--workload failover kills nodes"],
      ["--chaos pause --nodes 2", "--chaos needs --nodes 3 or more"],
      ["--chaos kill", "it takes one or more of kill-leader, pause, restart"],
      ["--workload publish --check --size 15", "--check needs --size 16 or more"],
      ["--workload latency-at-rate --size 7", "needs --size 8 or more"],
      ["--workload drain --limit", "--limit does not go with --workload drain"],
      ["--workload publish --size 1MiB --batch 9", "over 8388608 bytes"],
      [
        "--workload many-queues --queues 100000 --partitions 100",
        "more than 1048576 partitions: take fewer",
      ],
    ] as const
  ) {
    assertThrows(() => loads(line), UsageError, message);
  }
});

Deno.test("a warm-up is the load itself, for three seconds at most", () => {
  const [load] = loads("--workload publish --messages 1000000 --duration 60s");
  assertEquals(warmUpLoad(load!), { ...load!, durationMs: 3_000 });
  assertEquals(warmUpLoad({ ...load!, durationMs: 0 }), { ...load!, durationMs: 3_000 });
  assertEquals(warmUpLoad({ ...load!, durationMs: 500 }), { ...load!, durationMs: 500 });
});

Deno.test("describeLoad() says what matters of a load", () => {
  const [batches] = loads("--workload publish --clients 4 --batch 32");
  assertEquals(describeLoad(batches!), "publish, 256 B, 4 clients, batches of 32");
  const [rate] = loads("--workload latency-at-rate --rate 5000");
  assertEquals(
    describeLoad(rate!),
    "latency-at-rate, 256 B, 1 client, 1 consumer, 5,000 messages/s, 5.00 s",
  );
});
