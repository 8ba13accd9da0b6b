/**
 * `flowmq bench`, in small: every workload runs to its end and says what it should, and what cannot be
 * measured has an exit code.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { processTest } from "./process_test_case.ts";
import type { Shell } from "./shell.ts";

/** What `--json` prints, as far as it is looked at. */
interface BenchRecord {
  readonly workload: string;
  readonly messages: number;
  readonly messagesPerSecond: number;
  readonly p50Ms: number;
  readonly p999Ms: number;
  readonly limitRatio: number;
  readonly limitP50Ratio: number;
  readonly limitP99Ratio: number;
  readonly limitRatioOfRuns: readonly number[];
  readonly limit: { readonly nodes: { readonly memoryPeakBytes: number } };
  readonly nodes: { readonly cpuSeconds: number; readonly memoryPeakBytes: number };
  readonly gaps: Readonly<Record<string, { readonly count: number; readonly maxMs: number }>>;
  readonly faultsInjected: Readonly<Record<string, number>>;
  readonly check: { readonly ok: boolean; readonly confirmed: number; readonly acked: number };
}

async function bench(shell: Shell, flags: string): Promise<BenchRecord[]> {
  const lines = await shell.output(`flowmq bench --json ${flags}`);
  return lines.trim().split("\n").map((line) => JSON.parse(line));
}

const small = [
  "publish --clients 2 --batch 8 --messages 4000",
  "publish-consume --messages 4000 --partitions 2",
  "latency --messages 50",
  "latency-at-rate --rate 200 --duration 500ms",
  "fan-in --clients 20 --messages 2000",
  "drain --messages 4000",
  "many-queues --queues 20 --messages 2000",
];

for (const flags of small) {
  const [name] = flags.split(" ");
  processTest(
    `flowmq bench --workload ${name} measures a cluster of its own, and its check holds`,
    { nodes: 0 },
    async ({ shell }) => {
      const [record, ...rest] = await bench(shell, `--workload ${flags} --check`);
      assertEquals([record!.workload, rest.length], [name, 0]);
      assert(record!.messagesPerSecond > 0);
      const { ok, confirmed, acked } = record!.check;
      assertEquals([ok, confirmed, acked], [true, record!.messages, record!.messages]);
      if (name !== "drain") assert(record!.p999Ms >= record!.p50Ms && record!.p50Ms > 0);
      if (Deno.build.os === "linux") assert(record!.nodes.memoryPeakBytes > 3 * 2 ** 20);
    },
  );
}

processTest(
  "flowmq bench --limit --runs measures the bare pipeline beside each run",
  { nodes: 0 },
  async ({ shell }) => {
    const [record, ...rest] = await bench(
      shell,
      "--workload publish --size 256 --clients 4 --batch 32 --messages 6000 --limit --runs 2",
    );
    assertEquals(rest.length, 0);
    assertEquals(record!.limitRatioOfRuns.length, 2);
    const [low, high] = record!.limitRatioOfRuns.toSorted((a, b) => a - b) as [number, number];
    assert(low > 0 && low <= record!.limitRatio && record!.limitRatio <= high);
    assert(record!.limitP50Ratio > 0 && record!.limitP99Ratio > 0);
    if (Deno.build.os === "linux") assert(record!.limit.nodes.memoryPeakBytes > 3 * 2 ** 20);
  },
);

processTest(
  "flowmq bench --limit compares latencies at a rate with the same open loop",
  { nodes: 0 },
  async ({ shell }) => {
    const [record] = await bench(
      shell,
      "--workload latency-at-rate --rate 200 --duration 500ms --limit",
    );
    // Both sides send at the rate that was asked for.
    assert(record!.limitRatio > 0.5 && record!.limitRatio < 1.5, `ratio ${record!.limitRatio}`);
    assert(record!.limitP50Ratio > 0);
  },
);

processTest(
  "flowmq bench --check --chaos kills leaders, and nothing is lost, duplicated or reordered",
  { nodes: 0 },
  async ({ shell }) => {
    const [record] = await bench(
      shell,
      "--workload publish-consume --check --chaos kill-leader --duration 3s",
    );
    assert(record!.faultsInjected["kill-leader"]! >= 1);
    assertEquals(record!.check.ok, true);
    assertEquals(record!.check.acked, record!.messages);
  },
);

processTest(
  "flowmq bench --workload failover measures how long publishing paused",
  { nodes: 0 },
  async ({ shell }) => {
    const [record] = await bench(shell, "--workload failover --faults 2 --chaos kill-leader,pause");
    assertEquals(Object.keys(record!.gaps), ["kill-leader", "pause"]);
    for (const { count, maxMs } of Object.values(record!.gaps)) {
      assertEquals(count, 1);
      assert(maxMs > 0);
    }
  },
);

processTest(
  "flowmq bench measures a cluster that runs, leaves nothing there, and never harms it",
  { nodes: 1 },
  async ({ shell }) => {
    const table = await shell.output("flowmq bench --workload publish --messages 1000 --check");
    assertMatch(table, /^publish +256 B +1 +1 +[\d,]+ /m);
    if (Deno.build.os === "linux") assertMatch(table, / [\d.]+ MiB +[\d.]+ MiB$/m);
    assertMatch(table, /^ok {2}publish.*: 1,000 messages confirmed, 1,000 acked, 0 lost/m);
    assertEquals(JSON.parse(`[${await shell.output("flowmq queue ls --json")}]`), []);
    for (const flags of ["--chaos pause", "--workload failover"]) {
      const { code, stderr } = await shell.run(`flowmq bench ${flags}`);
      assertEquals(code, 2);
      assertMatch(stderr, /^flowmq: .*kills nodes.*leave --server/);
    }
  },
);

processTest(
  "flowmq bench fails where there is nothing to measure",
  { nodes: 0 },
  async ({ shell }) => {
    const nobody = await shell.run("flowmq bench -s 127.0.0.1:1 --timeout 100ms");
    assertEquals([nobody.code, nobody.stdout], [3, ""]);
    const tooShort = await shell.run(
      "flowmq bench --workload publish --messages 100 --check --chaos pause",
    );
    assertEquals([tooShort.code, tooShort.stdout], [1, ""]);
    assertMatch(tooShort.stderr, /before the first one.*--messages or --duration/);
  },
);
