/**
 * Whether the library that does the harm sees every storage call: the same run is watched by strace, which
 * sees what the kernel sees, and both must have counted the same.
 *
 * @module
 */

import type { SelfCommand } from "../../cli/self_command.ts";
import { PlainDisk } from "./disks.ts";
import { runTrial } from "./trial.ts";

/** How strace calls what the library counts. */
const names: Readonly<Record<string, string>> = {
  pwrite64: "pwrite",
  openat: "open",
  creat: "open",
  renameat: "rename",
  renameat2: "rename",
  unlinkat: "unlink",
  mkdirat: "mkdir",
};

/** All calls by which a program can change files; the library knows some of them only. */
const traced = [
  ...[
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "sync_file_range",
  ],
  ...["ftruncate", "truncate", "fallocate", "copy_file_range", "sendfile", "splice"],
  ...["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"],
  ...["unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "open", "openat", "creat"],
  ...["io_uring_enter", "mmap"],
];

/** Counts by the name of the call. */
type Counts = Record<string, number>;

/** Runs a trial without harm under strace. @returns Where the two disagree, in words. */
export async function compareWithStrace(
  program: SelfCommand,
): Promise<{ readonly calls: number; readonly differences: readonly string[] }> {
  await using disk = await PlainDisk.make();
  const log = await Deno.makeTempFile({ prefix: "flowmq-strace-" });
  try {
    // With -D the program is the child, and gets the signals.
    const options = ["-D", "-A", "-f", "-y", "-qq", "-e", `trace=${traced.join(",")}`, "-o", log];
    // Both lives of a trial without harm, one after the other.
    const { calls, violations } = await runTrial({
      program: { path: "strace", args: [...options, program.path, ...program.args] },
      disk,
      harms: [],
    });
    const counted: Counts = {};
    for (const { name } of calls.flat()) counted[name] = (counted[name] ?? 0) + 1;
    const seen = await countTraced(log, disk.directory);
    const differences = Object.keys({ ...counted, ...seen })
      .filter((name) => counted[name] !== seen[name])
      .map((name) => `${name}: ${counted[name] ?? 0} counted, ${seen[name] ?? 0} seen by strace`);
    return { calls: calls.flat().length, differences: [...differences, ...violations] };
  } finally {
    await Deno.remove(log);
  }
}

async function countTraced(log: string, directory: string): Promise<Counts> {
  const counts: Counts = {};
  for (const line of (await Deno.readTextFile(log)).split("\n")) {
    const [, call, rest = ""] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
    if (call === undefined || !rest.includes(directory)) continue;
    if (/^(open|openat)$/.test(call) && !/O_CREAT|O_TRUNC/.test(rest)) continue;
    const isDirectoryRemoved = call === "unlinkat" && rest.includes("AT_REMOVEDIR");
    const name = isDirectoryRemoved ? "rmdir" : names[call] ?? call;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
