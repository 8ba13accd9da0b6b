/**
 * The data directory of a node: whose it is, and that only one process uses it.
 *
 * ```text
 * flowmq-data/
 *   lock      locked by the process that uses the directory; holds its id
 *   meta      cluster, node and incarnation (`checked_file.ts`)
 *   shard-0/  one directory a shard (`shard_store.ts`)
 * ```
 *
 * @module
 */

import { readCheckedFile, writeCheckedFile } from "./checked_file.ts";
import { crc32c } from "./crc32c.ts";
import {
  CorruptFileError,
  DataDirectoryLockedError,
  DataDirectoryMismatchError,
} from "./errors.ts";
import { type FileHandle, type FileSystem, joinPath, readFull, writeAll } from "./file_system.ts";
import { asFailure, makeDirectoryDurable } from "./failures.ts";

/** The newest format of the meta file that we read, and the one that we write. */
const metaVersion = 1;

/** Names that may be in a directory before it is ours. */
const harmlessNames = new Set(["lock", "meta.new", "lost+found"]);

/** Whose a data directory is. */
export interface DataDirectoryMeta {
  /** The cluster, or `null` while the node does not know it. */
  readonly clusterId: string | null;
  readonly nodeId: number;
  /** Chosen at random when the directory was made: a directory that was wiped has another. */
  readonly incarnation: string;
}

/** How to open a {@linkcode DataDirectory}. */
export interface DataDirectoryOptions {
  /** The node that uses the directory. */
  readonly nodeId: number;
  /** The cluster it belongs to, if that is known. */
  readonly clusterId?: string | undefined;
  /** The id of this process, for the error that another one gets. */
  readonly pid?: number | undefined;
  /** A source of random numbers from 0 to 1. */
  readonly random: () => number;
}

/** A data directory, locked for this process. */
export class DataDirectory {
  /** Where it is. */
  readonly path: string;
  readonly #files: FileSystem;
  readonly #lock: FileHandle;
  #meta: DataDirectoryMeta;

  private constructor(
    files: FileSystem,
    path: string,
    lock: FileHandle,
    meta: DataDirectoryMeta,
  ) {
    this.#files = files;
    this.path = path;
    this.#lock = lock;
    this.#meta = meta;
  }

  /**
   * Opens a data directory, or makes one.
   *
   * @param files Where it is.
   * @param path The directory.
   * @param options Who opens it.
   * @returns The directory, which nobody else can open until it is closed.
   * @throws {DataDirectoryLockedError} when another process uses it.
   * @throws {DataDirectoryMismatchError} when it belongs to another node or cluster.
   * @throws {UnsupportedFormatError} when a newer program made it.
   * @throws {CorruptFileError} when its meta file is damaged or missing.
   * @throws {StorageFailedError} when the file system fails.
   */
  static async open(
    files: FileSystem,
    path: string,
    options: DataDirectoryOptions,
  ): Promise<DataDirectory> {
    let lock: FileHandle | undefined;
    try {
      // A directory with a meta file was once made to the end.
      if (!files.exists(joinPath(path, "meta"))) await makeDirectoryDurable(files, path);
      lock = await takeLock(files, path, options.pid);
      const meta = await readOrMakeMeta(files, path, options);
      return new DataDirectory(files, path, lock, meta);
    } catch (error) {
      lock?.close();
      throw asFailure("open", path, error);
    }
  }

  /** Whose it is. */
  get meta(): DataDirectoryMeta {
    return this.#meta;
  }

  /** A secret number of this directory, for {@linkcode ShardStoreOptions}. */
  get salt(): number {
    return crc32c(new TextEncoder().encode(this.#meta.incarnation));
  }

  /** The directory of a shard. */
  shardDirectory(shard: number): string {
    return joinPath(this.path, `shard-${shard}`);
  }

  /**
   * Notes the cluster, once the node knows it.
   *
   * @param clusterId The cluster.
   * @returns When it is durable.
   * @throws {DataDirectoryMismatchError} when the directory belongs to another cluster.
   * @throws {StorageFailedError} when the file system fails.
   */
  async setClusterId(clusterId: string): Promise<void> {
    checkCluster(this.path, this.#meta.clusterId, clusterId);
    if (this.#meta.clusterId === clusterId) return;
    const meta = { ...this.#meta, clusterId };
    await writeCheckedFile(this.#files, joinPath(this.path, "meta"), "meta", metaVersion, meta);
    this.#meta = meta;
  }

  /** Lets others use the directory. */
  close(): void {
    this.#lock.close();
  }
}

async function takeLock(
  files: FileSystem,
  path: string,
  pid: number | undefined,
): Promise<FileHandle> {
  const lockPath = joinPath(path, "lock");
  const file = files.open(lockPath, { read: true, write: true, create: true });
  try {
    if (!await file.tryLock()) throw new DataDirectoryLockedError(path, readPid(file));
    file.truncateSync(0);
    if (pid !== undefined) writeAll(file, new TextEncoder().encode(`${pid}\n`), 0);
    return file;
  } catch (error) {
    file.close();
    throw asFailure("lock", lockPath, error);
  }
}

function readPid(file: FileHandle): number | undefined {
  const bytes = new Uint8Array(20);
  const text = new TextDecoder().decode(bytes.subarray(0, readFull(file, bytes, 0)));
  return /^\d+\n$/.test(text) ? Number(text) : undefined;
}

async function readOrMakeMeta(
  files: FileSystem,
  path: string,
  options: DataDirectoryOptions,
): Promise<DataDirectoryMeta> {
  const metaPath = joinPath(path, "meta");
  const found = readCheckedFile(files, metaPath, "meta", metaVersion);
  if (found !== undefined) {
    const meta = found as DataDirectoryMeta;
    if (!Number.isSafeInteger(meta.nodeId) || typeof meta.incarnation !== "string") {
      throw new CorruptFileError(metaPath, "it names no node");
    }
    checkCluster(path, meta.clusterId, options.clusterId);
    if (meta.nodeId !== options.nodeId) {
      throw new DataDirectoryMismatchError(path, "nodeId", `${meta.nodeId}`, `${options.nodeId}`);
    }
    if (meta.clusterId !== null || options.clusterId === undefined) {
      // The process that renamed it to its name may not have lived to sync that.
      await files.syncDirectory(path);
      return meta;
    }
  } else if (files.list(path).some(({ name }) => !harmlessNames.has(name))) {
    throw new CorruptFileError(metaPath, "it is missing in a directory that is not empty");
  }
  const meta: DataDirectoryMeta = {
    clusterId: options.clusterId ?? null,
    nodeId: options.nodeId,
    incarnation: (found as DataDirectoryMeta | undefined)?.incarnation ??
      newIncarnation(options.random),
  };
  await writeCheckedFile(files, metaPath, "meta", metaVersion, meta);
  return meta;
}

function checkCluster(path: string, found: string | null, expected: string | undefined): void {
  if (found !== null && expected !== undefined && found !== expected) {
    throw new DataDirectoryMismatchError(path, "clusterId", found, expected);
  }
}

/** 96 random bits. */
function newIncarnation(random: () => number): string {
  return Array.from({ length: 3 }, () => {
    return Math.floor(random() * 0x1_0000_0000).toString(16).padStart(8, "0");
  }).join("");
}
