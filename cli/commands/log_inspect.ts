/**
 * `flowmq log inspect`.
 *
 * @module
 */

import { nodeOf, type ReplicaId } from "../../broker/replica_id.ts";
import { defineCommand } from "../command.ts";
import { jsonFlag } from "../common_flags.ts";
import { type DataView, describeOwner, openDataView } from "../data_view.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes, formatCount, formatMany, formatTable } from "../format.ts";
import { type SegmentContents, type ShardContents, shardContents } from "../shard_contents.ts";
import type { Paint } from "../terminal.ts";

function sumOf(
  segments: readonly SegmentContents[],
  of: (segment: SegmentContents) => number,
): number {
  return segments.reduce((sum, segment) => sum + of(segment), 0);
}

const deadBytesOf = ({ bytes, liveBytes }: SegmentContents): number => bytes - liveBytes;

function jsonLine({ meta, holder }: DataView, contents: ShardContents): string {
  const { shard, hardState, configuration, snapshot, segments, terms, tornTails } = contents;
  return JSON.stringify({
    node: meta?.nodeId ?? null,
    clusterId: meta?.clusterId ?? null,
    incarnation: meta?.incarnation ?? null,
    standing: meta?.standing ?? null,
    inUseBy: holder ?? null,
    shard,
    replica: contents.replica ?? meta?.nodeId ?? null,
    hardState: hardState ?? null,
    configuration: configuration ?? null,
    snapshot: snapshot ?? null,
    terms,
    ready: contents.ready,
    leased: contents.leased,
    segments: segments.map((segment) => ({ ...segment, deadBytes: deadBytesOf(segment) })),
    tornTails,
  });
}

/** A replica by the number of its node, and by its own where that is another one. */
function replicaText(replica: ReplicaId): string {
  const node = nodeOf(replica);
  return node === replica ? `node ${node}` : `node ${node} (replica ${replica})`;
}

/** The members in words. */
function membersText({ voters, votersOutgoing, learners }: NonNullable<
  ShardContents["configuration"]
>): string {
  const list = (replicas: readonly ReplicaId[]): string => replicas.map(replicaText).join(", ");
  return `${list(voters)} voting` +
    (votersOutgoing.length === 0 ? "" : `, until then ${list(votersOutgoing)}`) +
    (learners.length === 0 ? "" : `, ${list(learners)} learning`);
}

function headLines(contents: ShardContents, paint: Paint): string[] {
  const { shard, hardState, configuration, snapshot, segments, ready, leased } = contents;
  const bytes = sumOf(segments, ({ bytes }) => bytes);
  const live = sumOf(segments, ({ liveBytes }) => liveBytes);
  const state = hardState === undefined
    ? "no term and vote"
    : `term ${formatCount(hardState.term)}, ` +
      (hardState.vote === 0 ? "no vote" : `vote for ${replicaText(hardState.vote)}`) +
      (hardState.commit === 0 ? "" : `, committed to ${formatCount(hardState.commit)} at least`);
  return [
    `${paint.bold(`shard ${shard}`)}: ${state}` +
    (configuration === undefined ? "" : `; began with ${membersText(configuration)}`),
    `  log: ${formatMany(segments.length, "segment")}, ` +
    `${formatMany(sumOf(segments, ({ records }) => records), "record")}, ${formatBytes(bytes)}: ` +
    `${formatBytes(live)} live, ${formatBytes(bytes - live)} dead`,
    `  messages: ${formatCount(ready)} ready, ${formatCount(leased)} leased`,
    snapshot === undefined
      ? "  snapshot: none"
      : `  snapshot: of entry ${formatCount(snapshot.index)} (term ${
        formatCount(snapshot.term)
      }), ` +
        `${formatBytes(snapshot.bytes)}, needs the log from entry ${
          formatCount(snapshot.neededIndex)
        }`,
    ...contents.tornTails.map(({ path, offset, index, bytes, reason }) =>
      `  ${paint.yellow("torn")}: ${path}, byte ${offset}, index ${index}: ${reason}; ` +
      `${formatMany(bytes, "byte")} go at the next start`
    ),
  ];
}

function tableLines({ segments }: ShardContents, paint: Paint): string[] {
  if (segments.length === 0) return [];
  const right = { align: "right" } as const;
  return formatTable(
    [
      { title: "  segment" },
      { title: "first", ...right },
      { title: "last", ...right },
      { title: "records", ...right },
      { title: "terms", ...right },
      { title: "bytes", ...right },
      { title: "live", ...right },
      { title: "dead", ...right },
    ],
    segments.map((segment) => {
      const { path, firstIndex, lastIndex, sparse, records, terms, bytes, liveBytes } = segment;
      return [
        `  ${path.slice(path.lastIndexOf("/") + 1)}`,
        formatCount(firstIndex),
        lastIndex < firstIndex ? "-" : formatCount(lastIndex),
        formatCount(records) + (sparse ? " (sparse)" : ""),
        terms === null ? "-" : terms[0] === terms[1] ? `${terms[0]}` : `${terms[0]}-${terms[1]}`,
        formatBytes(bytes),
        formatBytes(liveBytes),
        formatBytes(deadBytesOf(segment)),
      ];
    }),
    paint.dim,
  );
}

/** `flowmq log inspect`. */
export const logInspect = defineCommand({
  name: "log inspect",
  summary: "Show what is in a node's data directory: segments, snapshots, terms",
  synonyms: ["inspect", "log ls", "log show", "log info", "log stat"],
  description: [
    "Reads the files; the node may be running or stopped. Nothing is written, and no lock is taken.",
    "Live bytes are those of records with a message that is not acked. All others are dead: messages " +
    "that were acked, acks, sessions, what keeps the file in order. Dead bytes are given back once a " +
    "snapshot makes the log before it superfluous: a segment with little alive is then rewritten to " +
    "a sparse one.",
    "With --json each line is an object about one shard.",
  ],
  positionals: [{ name: "DIR", help: "The data directory of a node." }],
  flags: { json: jsonFlag },
  examples: [
    { command: "flowmq log inspect ./flowmq-data", note: "A table for each shard." },
    {
      command: "flowmq log inspect ./flowmq-data --json | jq '[.segments[].deadBytes] | add'",
      note: "How much is dead, shard by shard.",
    },
  ],

  run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    using view = openDataView(positionals[0]!);
    const { files, directory, shards } = view;
    const { paint } = terminal.stdout;
    if (!values.json) {
      terminal.stdout.line(
        `${directory}: ${describeOwner(view)}: ${formatMany(shards.length, "shard")}, ` +
          `${formatMany(files.fileCount, "file")}, ${formatBytes(files.bytes)}`,
      );
    }
    for (const shard of shards) {
      const contents = shardContents(files, `${directory}/shard-${shard}`, shard);
      const lines = values.json
        ? [jsonLine(view, contents)]
        : ["", ...headLines(contents, paint), ...tableLines(contents, paint)];
      for (const line of lines) terminal.stdout.line(line);
    }
    return Promise.resolve(ExitCode.ok);
  },
});
