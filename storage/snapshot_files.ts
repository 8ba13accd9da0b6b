/**
 * The snapshots in the directory of a log: one, and for a moment the one before it as well.
 *
 * @module
 */

import { CorruptFileError } from "./errors.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import {
  checkSnapshotFile,
  snapshotIndex,
  snapshotName,
  type StoredSnapshot,
} from "./snapshot_file.ts";
import type { Trash } from "./trash.ts";

/** What was found. */
export interface FoundSnapshots {
  /** The newest one that can be read. */
  readonly newest: StoredSnapshot | undefined;
  /** The files of newer ones that cannot. */
  readonly damaged: readonly string[];
}

/**
 * Finds the newest snapshot that is good.
 *
 * @param files Where they are.
 * @param directory The directory.
 * @param shard The shard that they must be of, if that is known.
 * @returns The snapshot, and which ones are damaged.
 */
export function findSnapshots(
  files: FileSystem,
  directory: string,
  shard: number | undefined,
): FoundSnapshots {
  const damaged: string[] = [];
  for (const index of snapshotIndexes(files, directory).reverse()) {
    const path = joinPath(directory, snapshotName(index));
    try {
      const stored = checkSnapshotFile(files, path, shard);
      if (stored.index === index) return { newest: stored, damaged };
    } catch (error) {
      if (!(error instanceof CorruptFileError)) throw error;
    }
    damaged.push(path);
  }
  return { newest: undefined, damaged };
}

/**
 * Removes all snapshots but one.
 *
 * @param files Where they are.
 * @param directory The directory.
 * @param index The index of the one that stays.
 * @param trash Takes the others.
 * @returns When they are gone for good.
 */
export async function removeSnapshotsBut(
  files: FileSystem,
  directory: string,
  index: number,
  trash: Trash,
): Promise<void> {
  const others = snapshotIndexes(files, directory).filter((other) => other !== index);
  await trash.discard(others.map((other) => joinPath(directory, snapshotName(other))));
}

/** The indexes of the finished snapshots, ascending. */
function snapshotIndexes(files: FileSystem, directory: string): number[] {
  return files.list(directory)
    .filter(({ isDirectory }) => !isDirectory)
    .map(({ name }) => snapshotIndex(name))
    .filter((index) => index !== undefined);
}
