/**
 * Checks every byte of a data directory without changing any: what a start would refuse, and also what
 * it would mend or not look at.
 *
 * A file that is damaged does not end the check, so that all there is to know is known at once. What is
 * in a snapshot nobody here understands; whoever does passes a reader of it.
 *
 * @module
 */

import { checkLog, checkSnapshot } from "./consistency.ts";
import { crc32c } from "./crc32c.ts";
import { type DataDirectoryMeta, isLostShard, readMeta } from "./data_dir.ts";
import { CorruptFileError } from "./errors.ts";
import { type FileSystem, joinPath } from "./file_system.ts";
import { type Finding, findingOf } from "./findings.ts";
import { readHardState } from "./hard_state.ts";
import type { IndexSet } from "./index_set.ts";
import { segmentFirstIndex } from "./segment.ts";
import { readShardFile, type ShardFile } from "./shard_file.ts";
import {
  checkSnapshotFile,
  SnapshotFileReader,
  snapshotIndex,
  type StoredSnapshot,
} from "./snapshot_file.ts";
import { verifyHardState } from "./verify_hard_state.ts";
import { verifyLog } from "./verify_log.ts";

/** What may be in a data directory beside its shards. */
const directoryNames = new Set(["lock", "meta"]);

/** What may be in a shard beside its log. */
const shardNames = new Set(["configuration", "hard-state-a", "hard-state-b"]);

/**
 * Reads the state in a snapshot.
 *
 * @returns The entries of the log that it needs.
 * @throws {Error} with a message for people when it is no good state.
 */
export type ReadState = (shard: number, state: Iterable<Uint8Array>) => IndexSet;

/** What a look over a data directory has found. */
export interface Verification {
  /** Whose it is, where that can be read. */
  readonly meta: DataDirectoryMeta | undefined;
  /** Its shards. */
  readonly shards: readonly number[];
  /** How many good records there are in all logs. */
  readonly records: number;
  readonly findings: readonly Finding[];
}

/**
 * The shards that have a directory.
 *
 * @param files Where the data directory is.
 * @param directory The data directory.
 * @returns Their numbers, ascending.
 */
export function shardsIn(files: FileSystem, directory: string): number[] {
  return files.list(directory)
    .filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => shardNumber(name))
    .filter((shard) => shard !== undefined)
    .sort((a, b) => a - b);
}

function shardNumber(name: string): number | undefined {
  return /^shard-(0|[1-9]\d*)$/.test(name) ? Number(name.slice("shard-".length)) : undefined;
}

/**
 * Checks a data directory.
 *
 * @param files Where it is.
 * @param directory The directory.
 * @param readState Reads what is in a snapshot.
 * @returns What was found.
 */
export function verifyDataDirectory(
  files: FileSystem,
  directory: string,
  readState: ReadState,
): Verification {
  const findings: Finding[] = [];
  const meta = guard(findings, () => readMeta(files, directory));
  const shards = shardsIn(files, directory);
  for (const { name, isDirectory } of files.list(directory)) {
    if (isDirectory ? shardNumber(name) !== undefined : directoryNames.has(name)) continue;
    const path = joinPath(directory, name);
    const isLost = isDirectory && isLostShard(name);
    const reason = "a replica that was given up, until another one has taken its place";
    findings.push(isLost ? { kind: "remark", path, reason } : stranger(path, name));
  }
  const salt = crc32c(new TextEncoder().encode(meta?.incarnation ?? ""));
  let records = 0;
  for (const shard of shards) {
    const path = joinPath(directory, `shard-${shard}`);
    const found = new ShardVerifier(files, path, shard, salt, readState).run();
    findings.push(...found.findings);
    records += found.records;
  }
  return { meta, shards, records, findings };
}

/** Checks one shard. */
class ShardVerifier {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #shard: number;
  readonly #salt: number;
  readonly #readState: ReadState;
  readonly #findings: Finding[] = [];

  constructor(
    files: FileSystem,
    directory: string,
    shard: number,
    salt: number,
    readState: ReadState,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#shard = shard;
    this.#salt = salt;
    this.#readState = readState;
  }

  run(): { readonly findings: readonly Finding[]; readonly records: number } {
    const path = joinPath(this.#directory, "configuration");
    const before = this.#findings.length;
    const shardFile = guard(this.#findings, () => readShardFile(this.#files, this.#directory));
    if (shardFile === undefined && this.#findings.length === before) {
      return this.#verifyUnmade(path);
    }
    const hardState = guard(this.#findings, () => {
      return verifyHardState(this.#files, this.#directory, this.#shard);
    });
    this.#findings.push(...hardState ?? []);
    const logDirectory = joinPath(this.#directory, shardFile?.log ?? "");
    const log = verifyLog(this.#files, logDirectory, this.#shard, this.#salt);
    this.#findings.push(...log.findings);
    const snapshots = this.#verifySnapshots(logDirectory);
    this.#noteStrangers(shardFile, logDirectory);
    const { extent, records } = log;
    if (extent === undefined) return { findings: this.#findings, records };
    // Where none can be read, that has been said.
    if (snapshots.newest !== undefined || snapshots.damaged.length === 0) {
      guard(this.#findings, () => checkSnapshot(extent, snapshots, logDirectory));
    }
    for (const index of snapshots.live?.from(0) ?? []) {
      if (log.held.has(index)) continue;
      const reason = "it is missing, and the newest snapshot needs it";
      this.#findings.push({ kind: "damage", path: logDirectory, index, reason });
    }
    guard(this.#findings, () => {
      const hardState = readHardState(this.#files, this.#directory);
      if (hardState === undefined) throw new CorruptFileError(this.#directory, "no term and vote");
      checkLog(extent, hardState, this.#directory);
    });
    return { findings: this.#findings, records };
  }

  /** A shard whose making did not come to its end holds nothing, and is made anew. */
  #verifyUnmade(path: string) {
    const hasLog = this.#files.list(this.#directory)
      .some(({ name }) => segmentFirstIndex(name) !== undefined);
    const term = guard(this.#findings, () => readHardState(this.#files, this.#directory))?.term;
    const kind = hasLog || (term ?? 0) > 0 ? "damage" : "remark";
    this.#findings.push({ kind, path, reason: "it is missing" });
    return { findings: this.#findings, records: 0 };
  }

  #verifySnapshots(directory: string) {
    let newest: StoredSnapshot | undefined;
    let live: IndexSet | undefined;
    const damaged: string[] = [];
    for (const { name } of this.#files.list(directory)) {
      const index = snapshotIndex(name);
      if (index === undefined) continue;
      const path = joinPath(directory, name);
      const found = guard(this.#findings, () => this.#readSnapshot(path, index));
      if (found === undefined) damaged.push(path);
      else ({ stored: newest, live } = found);
    }
    return { newest, live, damaged };
  }

  #readSnapshot(path: string, index: number): { stored: StoredSnapshot; live: IndexSet } {
    const stored = checkSnapshotFile(this.#files, path, this.#shard);
    if (stored.index !== index) {
      throw new CorruptFileError(path, `its header says that it is of entry ${stored.index}`);
    }
    try {
      const state = new SnapshotFileReader(this.#files, path, stored).pieces();
      return { stored, live: this.#readState(this.#shard, state) };
    } catch (error) {
      throw new CorruptFileError(path, `its state: ${(error as Error).message}`);
    }
  }

  /** What is there and does not count. */
  #noteStrangers(shardFile: ShardFile | undefined, logDirectory: string): void {
    for (const { name, isDirectory } of this.#files.list(this.#directory)) {
      const isLog = logDirectory === this.#directory ? isLogFile(name) : name === shardFile?.log;
      if (isLog || (!isDirectory && shardNames.has(name))) continue;
      this.#findings.push(stranger(joinPath(this.#directory, name), name));
    }
    if (logDirectory === this.#directory) return;
    for (const { name } of this.#files.list(logDirectory)) {
      if (!isLogFile(name)) this.#findings.push(stranger(joinPath(logDirectory, name), name));
    }
  }
}

function isLogFile(name: string): boolean {
  return segmentFirstIndex(name) !== undefined || snapshotIndex(name) !== undefined;
}

function stranger(path: string, name: string): Finding {
  const isOurs = /\.(new|trash)$/.test(name) || isLogFile(name) || /^log-\d+$/.test(name);
  const reason = isOurs ? "left over, and does not count" : "nothing that FlowMQ has made";
  return { kind: "remark", path, reason };
}

/** Does a part of the check; damage that it throws becomes a finding. */
function guard<T>(findings: Finding[], check: () => T): T | undefined {
  try {
    return check();
  } catch (error) {
    findings.push(findingOf(error));
    return undefined;
  }
}
