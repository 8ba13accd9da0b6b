/**
 * The data directory of a node, opened for looking only: the node may be running.
 *
 * @module
 */

import { type DataDirectoryMeta, denoFileSystem, ReadOnlyView } from "../storage/mod.ts";
import { readMeta, shardsIn } from "../storage/mod.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError } from "./failures.ts";

/** A data directory at one moment. */
export interface DataView extends Disposable {
  readonly files: ReadOnlyView;
  readonly directory: string;
  /** Its shards, ascending. */
  readonly shards: readonly number[];
  /** Whose it is. */
  readonly meta: DataDirectoryMeta | undefined;
  /** The process that uses it, where that can be told. */
  readonly holder: number | undefined;
}

/** What a tool needs to know of a data directory. */
export type DataViewOptions = {
  /** Leave a meta file that is damaged to whoever checks everything. */
  readonly ignoreMeta?: boolean;
};

/**
 * Opens a data directory for looking.
 *
 * @param path As it was typed.
 * @param options What may be wrong with it.
 * @returns The directory at this moment.
 * @throws {CommandError} If it is not there, or is something else.
 * @throws {CorruptFileError} If its meta file is damaged.
 */
export function openDataView(path: string, options: DataViewOptions = {}): DataView {
  const directory = path.length > 1 ? path.replace(/\/+$/, "") : path;
  checkDirectory(directory);
  const files = new ReadOnlyView(denoFileSystem(), directory);
  try {
    const shards = shardsIn(files, directory);
    if (shards.length === 0 && !files.exists(`${directory}/meta`)) {
      throw new CommandError(
        `${directory} is no data directory of a node: it has no meta file and no shards ` +
          "(it is what flowmq serve has as --data)",
        ExitCode.dataDirectory,
      );
    }
    return {
      files,
      directory,
      shards,
      meta: options.ignoreMeta ? undefined : readMeta(files, directory),
      holder: holderOf(directory),
      [Symbol.dispose]: () => files[Symbol.dispose](),
    };
  } catch (error) {
    files[Symbol.dispose]();
    throw error;
  }
}

function checkDirectory(directory: string): void {
  let isDirectory = false;
  try {
    isDirectory = Deno.statSync(directory).isDirectory;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CommandError(`there is no directory ${directory}`, ExitCode.dataDirectory);
  }
  if (isDirectory) return;
  throw new CommandError(`${directory} is not a directory`, ExitCode.dataDirectory);
}

/**
 * The process that holds the lock of a data directory. Trying the lock would keep a node from starting
 * at that very moment, so the system's list of locks is looked at, where it has one.
 */
function holderOf(directory: string): number | undefined {
  try {
    const { ino } = Deno.statSync(`${directory}/lock`);
    for (const line of Deno.readTextFileSync("/proc/locks").split("\n")) {
      const [, kind, , , pid, place = ""] = line.split(/\s+/);
      if (kind !== "FLOCK" || place.split(":")[2] !== String(ino)) continue;
      return Number(pid);
    }
  } catch {
    // Another system, or no such file: it is not known.
  }
  return undefined;
}

/**
 * Says whose a data directory is, and whether a node is running in it.
 *
 * @param view The directory.
 * @returns Half a line for people.
 */
export function describeOwner({ meta, holder }: DataView): string {
  const owner = meta === undefined
    ? "no node"
    : `node ${meta.nodeId} of cluster ${meta.clusterId ?? "unknown"}` +
      (meta.standing === "member" ? "" : ` (${meta.standing})`);
  return owner + (holder === undefined ? "" : `, in use by process ${holder}`);
}
