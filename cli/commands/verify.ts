/**
 * `flowmq verify`.
 *
 * @module
 */

import type { ShardComparison } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { type Verdict, verdictsOf } from "../comparison_verdict.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatCount, formatMany, formatTable } from "../format.ts";
import type { Paint } from "../terminal.ts";

function paintVerdict(verdict: Verdict, problem: string | undefined, paint: Paint): string {
  switch (verdict) {
    case "same":
      return paint.green("same");
    case "differs":
      return paint.red("DIFFERS from most");
    case "disputed":
      return paint.red("DIFFERS, and none has most on its side");
    case "unknown":
      return paint.yellow(`unknown: ${problem}`);
  }
}

/** One line that says it all. */
function summary(verdicts: readonly Verdict[], shards: number, paint: Paint): string {
  const count = (...kinds: Verdict[]): number =>
    verdicts.filter((verdict) => kinds.includes(verdict)).length;
  const wrong = count("differs", "disputed");
  const unknown = count("unknown");
  const parts = [
    ...(wrong > 0 ? [paint.red(`${formatMany(wrong, "replica")} of them differing`)] : []),
    ...(unknown > 0 ? [paint.yellow(`${formatMany(unknown, "replica")} not heard of`)] : []),
    ...(wrong + unknown === 0 ? [paint.green("all the same")] : []),
  ];
  return `${formatMany(shards, "shard")}, ${formatMany(verdicts.length, "replica")}: ` +
    parts.join(", ");
}

function jsonLines(comparisons: readonly ShardComparison[]): string[] {
  return comparisons.flatMap(({ shard, replicas }) => {
    const verdicts = verdictsOf(replicas);
    return replicas.map(({ nodeId, address, index, hash, problem }, i) =>
      JSON.stringify({
        shard,
        node: nodeId,
        address,
        index: index ?? null,
        hash: hash ?? null,
        verdict: verdicts[i],
        problem: problem ?? null,
      })
    );
  });
}

function tableLines(comparisons: readonly ShardComparison[], paint: Paint): string[] {
  return formatTable(
    [
      { title: "shard", align: "right" },
      { title: "node", align: "right" },
      { title: "address" },
      { title: "index", align: "right" },
      { title: "hash" },
      { title: "verdict" },
    ],
    comparisons.flatMap(({ shard, replicas }) => {
      const verdicts = verdictsOf(replicas);
      return replicas.map(({ nodeId, address, index, hash, problem }, i) => [
        String(shard),
        String(nodeId),
        address ?? "unknown",
        index === undefined ? "-" : formatCount(index),
        hash ?? "-",
        paintVerdict(verdicts[i]!, problem, paint),
      ]);
    }),
    paint.dim,
  );
}

/** `flowmq verify`. */
export const verify = defineCommand({
  name: "verify",
  summary: "Compare the state of all replicas, and name one that differs",
  synonyms: ["compare", "cluster verify", "cluster check"],
  description: [
    "Puts a mark into the log of each shard; every node hashes the state that its replica has right " +
    "after it. Replicas carry out the same log, so they must all come to the same state. It can be run " +
    "at any time: the cost is that of a snapshot.",
    "The exit code is 0 if all replicas of all shards are the same, and 1 if one differs or did not " +
    "answer. Nodes of different versions may differ without any fault. A replica that differs has " +
    "met a bug or bad memory: stop its node, remove its data directory, and start it again, and it gets " +
    "its state from the others.",
  ],
  positionals: [],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq verify", note: "A table." },
    {
      command: "flowmq verify --json | jq 'select(.verdict != \"same\")'",
      note: "Only what is not as it should be.",
    },
  ],

  async run({ flags: values }, terminal): Promise<ExitCode> {
    const comparisons = await withClient(
      values,
      terminal,
      "flowmq verify",
      (client) => client.compareReplicas({ signal: terminal.interrupted }),
    );
    const verdicts = comparisons.flatMap(({ replicas }) => verdictsOf(replicas));
    const { paint } = terminal.stdout;
    const lines = values.json
      ? jsonLines(comparisons)
      : [summary(verdicts, comparisons.length, paint), "", ...tableLines(comparisons, paint)];
    terminal.stdout.text(lines.join("\n") + "\n");
    return verdicts.every((verdict) => verdict === "same") ? ExitCode.ok : ExitCode.failed;
  },
});
