/**
 * `flowmq log verify`.
 *
 * @module
 */

import { liveSetOf } from "../../broker/live_set.ts";
import { decodeMachine } from "../../broker/machine_codec.ts";
import { type Finding, verifyDataDirectory } from "../../storage/mod.ts";
import { defineCommand } from "../command.ts";
import { jsonFlag } from "../common_flags.ts";
import { describeOwner, openDataView } from "../data_view.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes, formatMany } from "../format.ts";
import type { Paint } from "../terminal.ts";

/** One line about a finding: which file, where in it, what. */
function findingLine({ kind, path, offset, index, reason }: Finding, paint: Paint): string {
  const place = [
    path,
    ...(offset === undefined ? [] : [`byte ${offset}`]),
    ...(index === undefined ? [] : [`index ${index}`]),
  ].join(", ");
  return `${kind === "damage" ? paint.red("damage") : paint.yellow("remark")}  ${place}: ${reason}`;
}

/** `flowmq log verify`. */
export const logVerify = defineCommand({
  name: "log verify",
  summary: "Check every byte of a node's data directory",
  synonyms: ["log check", "fsck", "check", "log fsck"],
  description: [
    "Reads all of it and changes nothing: meta file, configuration, term and vote in both copies, every " +
    "segment of the log, every snapshot and the entries that it needs. All damage is listed, with file, byte and log index.",
    "The exit code is 1 if anything is damaged, and 0 otherwise. What a crash may leave, such as a torn " +
    "end of the newest segment, is a remark: the next start sees to it. A node that is running looks " +
    "as if it had been killed at this moment.",
    "Damage to the very last records that a killed process wrote cannot be told from a torn end. After " +
    "a start or an orderly stop there is no such doubt.",
  ],
  positionals: [{ name: "DIR", help: "The data directory of a node." }],
  flags: { json: jsonFlag },
  examples: [
    { command: "flowmq log verify ./flowmq-data", note: "Everything." },
    {
      command: "flowmq log verify ./copy --json | jq -r '.findings[].path'",
      note: "The files that are not as they should be, in a copy.",
    },
  ],

  run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    using view = openDataView(positionals[0]!, { ignoreMeta: true });
    const { files, directory, holder } = view;
    const { meta, shards, records, findings } = verifyDataDirectory(
      files,
      directory,
      (shard, state) => liveSetOf(decodeMachine(shard, state)),
    );
    const damaged = findings.filter(({ kind }) => kind === "damage").length;
    const exitCode = damaged === 0 ? ExitCode.ok : ExitCode.failed;
    if (values.json) {
      terminal.stdout.line(JSON.stringify({
        directory,
        node: meta?.nodeId ?? null,
        clusterId: meta?.clusterId ?? null,
        inUseBy: holder ?? null,
        shards,
        files: files.fileCount,
        bytes: files.bytes,
        records,
        damaged,
        findings,
      }));
      return Promise.resolve(exitCode);
    }
    const { paint } = terminal.stdout;
    const verdict = damaged === 0
      ? paint.green("no damage")
      : paint.red(formatMany(damaged, "damaged place"));
    const summary = `${directory}: ${describeOwner({ ...view, meta })}: ` +
      `${formatMany(shards.length, "shard")}, ${formatMany(files.fileCount, "file")}, ` +
      `${formatMany(records, "record")}, ${formatBytes(files.bytes)}: ${verdict}`;
    const lines = [summary, ...findings.map((finding) => findingLine(finding, paint))];
    terminal.stdout.text(lines.join("\n") + "\n");
    return Promise.resolve(exitCode);
  },
});
