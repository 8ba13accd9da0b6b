/**
 * The file `configuration` of a shard, and which directories there are beside it.
 *
 * It says which replica of the shard this is, who took part when the shard was made, and where log and
 * snapshots are: in the directory of the shard itself, or, since a log came from another node, in one
 * named `log-N` in it. Replacing this one file replaces the log. What it does not name is left over
 * from before, or from an attempt that came to nothing, and goes at the next start.
 *
 * @module
 */

import type { Configuration, NodeId } from "../raft/types.ts";
import { readCheckedFile, writeCheckedFile } from "./checked_file.ts";
import { isConfiguration } from "./configuration.ts";
import { CorruptFileError } from "./errors.ts";
import { attempt, attemptAsync } from "./failures.ts";
import { type FileSystem, joinPath, parentPath } from "./file_system.ts";
import { segmentFirstIndex } from "./segment.ts";
import { snapshotIndex } from "./snapshot_file.ts";

/** The newest format of the configuration file that we read, and the one that we write. */
const configurationVersion = 2;

/** What the file says. */
export interface ShardFile {
  /** The id of this replica in Raft. */
  readonly replica: NodeId;
  /** Who took part when the shard was made. */
  readonly configuration: Configuration;
  /** The directory of the log, `undefined` for the one of the shard itself. */
  readonly log: string | undefined;
}

/**
 * Reads the file.
 *
 * @param files Where the shard is.
 * @param directory Its directory.
 * @returns What it says, or `undefined` where there is none.
 * @throws {CorruptFileError} when it is not what was written.
 */
export function readShardFile(files: FileSystem, directory: string): ShardFile | undefined {
  const path = joinPath(directory, "configuration");
  const value = readCheckedFile(files, path, "configuration", configurationVersion);
  if (value === undefined) return undefined;
  if (!isConfiguration(value)) throw new CorruptFileError(path, "it holds no configuration");
  const { log, replica } = value as { log?: unknown; replica?: unknown };
  if (!Number.isSafeInteger(replica) || replica as number <= 0) {
    throw new CorruptFileError(path, "it names no replica");
  }
  if (log !== undefined && (typeof log !== "string" || !isLogDirectory(log))) {
    throw new CorruptFileError(path, "it names no directory of a log");
  }
  if (log !== undefined && !files.exists(joinPath(directory, log))) {
    throw new CorruptFileError(joinPath(directory, log), "it is missing");
  }
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = value;
  const configuration = { voters, votersOutgoing, learners, learnersNext, autoLeave };
  return { replica: replica as NodeId, configuration, log };
}

/**
 * Writes the file.
 *
 * @param files Where the shard is.
 * @param directory Its directory.
 * @param content What it is to say.
 * @returns When it is durable.
 */
export function writeShardFile(
  files: FileSystem,
  directory: string,
  { replica, configuration, log }: ShardFile,
): Promise<void> {
  const content = { ...configuration, replica, ...(log !== undefined && { log }) };
  const path = joinPath(directory, "configuration");
  return writeCheckedFile(files, path, "configuration", configurationVersion, content);
}

/**
 * Where the log of a shard is.
 *
 * @param files Where the shard is.
 * @param directory Its directory.
 * @returns The directory with segments and snapshots.
 */
export function logDirectoryOf(files: FileSystem, directory: string): string {
  return joinPath(directory, readShardFile(files, directory)?.log ?? "");
}

/** The directories of logs from other nodes, whole or not. */
function logDirectories(files: FileSystem, directory: string): string[] {
  return files.list(directory)
    .filter(({ name, isDirectory }) => isDirectory && isLogDirectory(name))
    .map(({ name }) => name);
}

/**
 * The number in the name of a log's directory.
 *
 * @param log The name, `undefined` for the directory of the shard itself.
 * @returns The number, 0 for the shard's own.
 */
export function logNumber(log: string | undefined): number {
  return log === undefined ? 0 : Number(log.slice("log-".length));
}

/**
 * Removes what a log has in a directory: its segments and snapshots.
 *
 * @param files Where it is.
 * @param directory The directory.
 * @param whole Whether the directory goes as well.
 * @returns When it is gone for good.
 */
export async function removeLog(
  files: FileSystem,
  directory: string,
  whole: boolean,
): Promise<void> {
  const names = files.list(directory).map(({ name }) => name).filter(isLogFile);
  for (const name of names) {
    const path = joinPath(directory, name);
    attempt("remove", path, () => files.remove(path));
  }
  if (whole) attempt("remove", directory, () => files.remove(directory));
  if (!whole && names.length === 0) return;
  const synced = whole ? parentPath(directory) : directory;
  await attemptAsync("sync", synced, () => files.syncDirectory(synced));
}

/**
 * Removes logs that do not count, and segments and snapshots that were never finished, or that are
 * not needed any more.
 *
 * @param files Where the shard is.
 * @param directory Its directory.
 * @param log The directory in it that has the log, `undefined` for itself.
 * @returns When they are gone for good.
 */
export async function removeLeftovers(
  files: FileSystem,
  directory: string,
  log: string | undefined,
): Promise<void> {
  // What was read may be in the page cache only: before the log that it names is there to stay, the
  // one before it must not go.
  if (log !== undefined) {
    await attemptAsync("sync", directory, () => files.syncDirectory(directory));
  }
  for (const name of logDirectories(files, directory)) {
    if (name !== log) await removeLog(files, joinPath(directory, name), true);
  }
  if (log !== undefined) await removeLog(files, directory, false);
  const current = joinPath(directory, log ?? "");
  for (const { name } of files.list(current)) {
    if (!isLeftOver(name)) continue;
    const path = joinPath(current, name);
    attempt("remove", path, () => files.remove(path));
  }
}

function isLogDirectory(name: string): boolean {
  return /^log-[1-9]\d*$/.test(name);
}

function isLogFile(name: string): boolean {
  return segmentFirstIndex(name) !== undefined || snapshotIndex(name) !== undefined ||
    isLeftOver(name);
}

/** A segment or a snapshot that was being written, or whose space was being given back. */
function isLeftOver(name: string): boolean {
  return /^\d{20}\.(seg|snap)\.(new|trash)$/.test(name);
}
