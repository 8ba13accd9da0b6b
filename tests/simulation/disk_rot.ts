/**
 * Where a bit may rot on a disk so that it matters and that somebody can tell.
 *
 * Left out is the end of the newest segment, behind the last mark that calls what is before it durable:
 * damage there looks like the tail that a crash tears off, which was never answered for
 * (`docs/FORMAT.md`). So are the gaps in the files of term and vote, which nobody reads, and one of the two:
 * with both copies of the newest slot damaged, it looks as if a crash had torn them.
 *
 * @module
 */

import { joinPath } from "../../storage/file_system.ts";
import { readLog } from "../../storage/log_recovery.ts";
import { logDirectoryOf } from "../../storage/shard_file.ts";
import type { SimulatedDisk } from "./disk.ts";
import type { Random } from "./random.ts";

/** A byte of a file. */
export interface Place {
  readonly path: string;
  readonly offset: number;
}

/** Where the two slots of term and vote are, and how long they are. */
const SLOT_BYTES = 64;
const SLOT_DISTANCE = 4_096;

/**
 * Picks a byte, first a file and then a place in it.
 *
 * @param disk The disk.
 * @param directory The data directory on it.
 * @param copy Which of the files of term and vote may rot.
 * @param random Chooses.
 * @returns The byte, or `undefined` where there is none.
 */
export function pickDurableByte(
  disk: SimulatedDisk,
  directory: string,
  copy: "a" | "b",
  random: Random,
): Place | undefined {
  // A node that was never a member has nothing that anybody counts on.
  if (!disk.exists(joinPath(directory, "shard-0", "configuration"))) return undefined;
  const sizes = new Map<string, number>([
    [joinPath(directory, "meta"), disk.readFile(joinPath(directory, "meta")).length],
  ]);
  for (const { name } of disk.list(directory)) {
    if (/^shard-\d+$/.test(name)) addShard(sizes, disk, joinPath(directory, name), copy);
  }
  const [path, bytes] = random.pick([...sizes]);
  if (path.includes("hard-state")) {
    return { path, offset: random.below(SLOT_BYTES) + random.pick([0, SLOT_DISTANCE]) };
  }
  return { path, offset: random.below(bytes) };
}

/** Adds the files of a shard, with how many bytes at their beginning are surely durable. */
function addShard(
  sizes: Map<string, number>,
  disk: SimulatedDisk,
  directory: string,
  copy: "a" | "b",
): void {
  const configuration = joinPath(directory, "configuration");
  if (!disk.exists(configuration)) return;
  try {
    const log = logDirectoryOf(disk, directory);
    const { archive, segments, provenBytes } = readLog(disk, log, undefined, 0);
    for (const { path, bytes } of archive) sizes.set(path, bytes);
    for (const [i, { path, bytes }] of segments.entries()) {
      const isNewest = i === segments.length - 1;
      if (!isNewest || provenBytes > 0) sizes.set(path, isNewest ? provenBytes : bytes);
    }
    for (const { name } of disk.list(log)) {
      const path = joinPath(log, name);
      if (name.endsWith(".snap")) sizes.set(path, disk.readFile(path).length);
    }
  } catch {
    // Damaged already, or being written.
    return;
  }
  sizes.set(configuration, disk.readFile(configuration).length);
  sizes.set(joinPath(directory, `hard-state-${copy}`), SLOT_DISTANCE + SLOT_BYTES);
}
