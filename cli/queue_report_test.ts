import { assertEquals } from "@std/assert";
import type { ConsumerReport, PartitionActivity } from "../mod.ts";
import { MemoryTerminal } from "./memory_terminal.ts";
import { consumerTable, trafficLine } from "./queue_report.ts";

const { paint } = new MemoryTerminal().stdout;

const consumer: ConsumerReport = {
  sessionId: 4,
  consumerId: 1,
  clientName: "mailer",
  address: "10.0.0.1:4000",
  receiving: true,
  prefetch: 256,
  held: 2,
  heldSinceMs: 99_000,
};

function activity(fields: Partial<PartitionActivity> = {}): PartitionActivity {
  return {
    partitionId: 1,
    partition: 0,
    shard: 0,
    paused: false,
    nowMs: 100_000,
    rates: { published: 1.5, delivered: 1, acked: 0.25, windowMs: 5_000 },
    consumerCount: 0,
    consumers: [],
    ...fields,
  };
}

Deno.test("trafficLine() adds up rates and finds the oldest message", () => {
  assertEquals(trafficLine([activity()]), "1.5 published, 1.0 delivered and 0.3 acked a second");
  assertEquals(
    trafficLine([activity(), activity({ oldestAtMs: 40_000 }), activity({ oldestAtMs: 90_000 })]),
    "4.5 published, 3.0 delivered and 0.8 acked a second; the oldest message is 1 min 0 s old",
  );
});

Deno.test("consumerTable() shows what each consumer holds, and that one is not connected", () => {
  const { heldSinceMs: _, ...idle } = consumer;
  const away = { ...idle, clientName: "", address: null, receiving: false, held: 0 };
  assertEquals(
    consumerTable(
      [
        activity(),
        activity({ partition: 1, consumerCount: 2, consumers: [consumer, away] }),
      ],
      paint,
    ),
    [
      "",
      "partition  consumer  address        holds  prefetch  longest for",
      "        1  mailer    10.0.0.1:4000      2       256       1.00 s",
      "        1  -         not connected      0       256            -",
    ],
  );
});

Deno.test("consumerTable() is cut where it gets long, and absent where there is none", () => {
  assertEquals(consumerTable([activity()], paint), []);
  const consumers = Array.from({ length: 60 }, () => consumer);
  const lines = consumerTable([activity({ consumerCount: 1_060, consumers })], paint);
  assertEquals([lines.length, lines.at(-1)], [53, "and 1,010 more"]);
});
