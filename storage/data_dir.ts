/**
 * The data directory of a node: whose it is, how far it has come, and that only one process uses it.
 *
 * ```text
 * flowmq-data/
 *   lock           locked by the process that uses the directory; holds its id
 *   meta           cluster, node, incarnation and standing (`checked_file.ts`)
 *   shard-0/       one directory a shard (`shard_store.ts`)
 *   lost-shard-0/  a replica that was given up, until another one has taken its place
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
import { asFailure, attempt, attemptAsync, makeDirectoryDurable } from "./failures.ts";

/** The newest format of the meta file that we read, and the one that we write. */
const metaVersion = 2;

/** Names that may be in a directory before it is ours. */
const harmlessNames = new Set(["lock", "meta.new", "lost+found"]);

/** What comes before the name of a shard's directory that was given up. */
const lostPrefix = "lost-";

/**
 * How far a data directory has come.
 *
 * - `blank`: it never held anything that anybody counts on;
 * - `founding`: the node has decided that the cluster begins now, and with whom;
 * - `member`: it has a replica of every shard, or had one: where one is missing, it was lost;
 * - `lost`: what it held cannot be told any more. Such a node never founds a cluster.
 */
export type Standing = "blank" | "founding" | "member" | "lost";

/** The nodes that a cluster began with, each with the incarnation of its directory at that time. */
export type Founders = Readonly<Record<number, string>>;

/** Whose a data directory is. */
export interface DataDirectoryMeta {
  /** The cluster, or `null` while the node does not know it. */
  readonly clusterId: string | null;
  readonly nodeId: number;
  /** Chosen at random when the directory was made: a directory that was wiped has another. */
  readonly incarnation: string;
  readonly standing: Standing;
  /** Whom the cluster began with, where this node was among them. */
  readonly founders?: Founders;
  /** A replica of this node that any new one must come after: others know it. */
  readonly newestReplica?: number;
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
  /**
   * Other nodes hold what this one does: a damaged meta file is replaced, and everything in the
   * directory given up.
   *
   * @default {false}
   */
  readonly replaceable?: boolean;
}

/** A data directory, locked for this process. */
export class DataDirectory {
  /** Where it is. */
  readonly path: string;
  readonly #files: FileSystem;
  readonly #lock: FileHandle;
  #meta: DataDirectoryMeta;
  #writing: Promise<void> = Promise.resolve();
  /** What was wrong with the meta file that was replaced. */
  readonly damage: CorruptFileError | undefined;

  private constructor(files: FileSystem, path: string, lock: FileHandle, found: FoundMeta) {
    this.#files = files;
    this.path = path;
    this.#lock = lock;
    this.#meta = found.meta;
    this.damage = found.damage;
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
      return new DataDirectory(files, path, lock, await openMeta(files, path, options));
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

  /** Whether there is anything of a shard. */
  hasShard(shard: number): boolean {
    return this.#files.exists(this.shardDirectory(shard));
  }

  /** Whether a replica of a shard was given up, and is still kept. */
  hasLost(shard: number): boolean {
    return this.#files.exists(joinPath(this.path, `${lostPrefix}shard-${shard}`));
  }

  /**
   * Notes how far the node has come.
   *
   * @param standing The standing.
   * @param founders Whom the cluster began with, if this node was among them.
   * @returns When it is durable.
   * @throws {StorageFailedError} when the file system fails.
   */
  async setStanding(standing: Standing, founders?: Founders): Promise<void> {
    await this.#write({ standing, ...(founders && { founders }) });
  }

  /**
   * Notes a replica of this node that others know, and that any new one must come after.
   *
   * @param replica Its id.
   * @returns When it is durable.
   * @throws {StorageFailedError} when the file system fails.
   */
  async setNewestReplica(replica: number): Promise<void> {
    await this.#write({ newestReplica: replica });
  }

  /** Changes the meta file, one change after the other. */
  #write(change: Partial<DataDirectoryMeta>): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      // Whoever hears late of an older replica says nothing new: its name must not be given again.
      const newestReplica = Math.max(this.#meta.newestReplica ?? 0, change.newestReplica ?? 0);
      const meta = { ...this.#meta, ...change, ...(newestReplica > 0 && { newestReplica }) };
      await writeMeta(this.#files, this.path, meta);
      this.#meta = meta;
    });
    return this.#writing;
  }

  /**
   * Gives up what there is of a shard: nothing of it is used any more. It is kept beside the rest, in
   * case that no other node has it, until {@linkcode discardLost}; of several only the first, since what
   * came later was but an incomplete copy.
   *
   * @param shard The shard.
   * @returns When it is durable.
   * @throws {StorageFailedError} when the file system fails.
   */
  async giveUp(shard: number): Promise<void> {
    await setAside(this.#files, this.path, `shard-${shard}`);
  }

  /**
   * Removes what was given up of a shard: another replica has taken its place.
   *
   * @param shard The shard.
   * @returns When it is gone for good.
   * @throws {StorageFailedError} when the file system fails.
   */
  async discardLost(shard: number): Promise<void> {
    if (!this.hasLost(shard)) return;
    const path = joinPath(this.path, `${lostPrefix}shard-${shard}`);
    attempt("remove", path, () => removeTree(this.#files, path));
    await attemptAsync("sync", this.path, () => this.#files.syncDirectory(this.path));
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

/** What {@linkcode openMeta} has found, or made. */
interface FoundMeta {
  readonly meta: DataDirectoryMeta;
  readonly damage?: CorruptFileError;
}

async function openMeta(
  files: FileSystem,
  path: string,
  options: DataDirectoryOptions,
): Promise<FoundMeta> {
  try {
    const meta = readMeta(files, path);
    if (meta === undefined) return { meta: await makeMeta(files, path, options, "blank") };
    checkOwner(path, meta, options);
    if (meta.clusterId === null && options.clusterId !== undefined) {
      const known = { ...meta, clusterId: options.clusterId };
      await writeMeta(files, path, known);
      return { meta: known };
    }
    // The process that renamed it to its name may not have lived to sync that.
    await files.syncDirectory(path);
    return { meta };
  } catch (error) {
    if (!(error instanceof CorruptFileError) || !options.replaceable) throw error;
    // A stranger's directory is none of ours, however little is left of ours.
    if (!files.list(path).some(({ name }) => isOurs(name))) throw error;
    for (const { name } of files.list(path)) {
      if (isShardDirectory(name)) await setAside(files, path, name);
    }
    return { meta: await makeMeta(files, path, options, "lost"), damage: error };
  }
}

/**
 * Reads whose a data directory is, without opening it.
 *
 * @param files Where it is.
 * @param path The directory.
 * @returns What its meta file says, or `undefined` in a directory that is empty.
 * @throws {CorruptFileError} when the file is damaged, or missing in a directory that is not empty.
 * @throws {UnsupportedFormatError} when a newer program made it.
 */
export function readMeta(files: FileSystem, path: string): DataDirectoryMeta | undefined {
  const metaPath = joinPath(path, "meta");
  const found = readCheckedFile(files, metaPath, "meta", metaVersion);
  if (found === undefined) {
    if (!files.list(path).some(({ name }) => !harmlessNames.has(name))) return undefined;
    throw new CorruptFileError(metaPath, "it is missing in a directory that is not empty");
  }
  const meta = found as DataDirectoryMeta;
  if (!Number.isSafeInteger(meta.nodeId) || typeof meta.incarnation !== "string") {
    throw new CorruptFileError(metaPath, "it names no node");
  }
  // Version 1 knew no standing: its directories belong to members.
  return { ...meta, standing: meta.standing ?? "member" };
}

function checkOwner(path: string, meta: DataDirectoryMeta, options: DataDirectoryOptions): void {
  const { clusterId, nodeId } = options;
  if (meta.clusterId !== null && clusterId !== undefined && meta.clusterId !== clusterId) {
    throw new DataDirectoryMismatchError(path, "clusterId", meta.clusterId, clusterId);
  }
  if (meta.nodeId !== nodeId) {
    throw new DataDirectoryMismatchError(path, "nodeId", `${meta.nodeId}`, `${nodeId}`);
  }
}

async function makeMeta(
  files: FileSystem,
  path: string,
  { clusterId, nodeId, random }: DataDirectoryOptions,
  standing: Standing,
): Promise<DataDirectoryMeta> {
  const meta = {
    clusterId: clusterId ?? null,
    nodeId,
    incarnation: newIncarnation(random),
    standing,
  };
  await writeMeta(files, path, meta);
  return meta;
}

function writeMeta(files: FileSystem, path: string, meta: DataDirectoryMeta): Promise<void> {
  return writeCheckedFile(files, joinPath(path, "meta"), "meta", metaVersion, meta);
}

/**
 * Tells whether a directory in a data directory is that of a replica that was given up.
 *
 * @param name Its name.
 * @returns Whether it is.
 */
export function isLostShard(name: string): boolean {
  return name.startsWith(lostPrefix) && isShardDirectory(name.slice(lostPrefix.length));
}

function isShardDirectory(name: string): boolean {
  return /^shard-\d+$/.test(name);
}

/** Whether only a data directory has something of that name. */
function isOurs(name: string): boolean {
  return isShardDirectory(name.startsWith(lostPrefix) ? name.slice(lostPrefix.length) : name);
}

/** Renames a shard's directory out of the way, or removes it where one was kept before. */
async function setAside(files: FileSystem, path: string, name: string): Promise<void> {
  const from = joinPath(path, name);
  const to = joinPath(path, `${lostPrefix}${name}`);
  if (!files.exists(from)) return;
  attempt("give up", from, () => {
    if (files.exists(to)) removeTree(files, from);
    else files.rename(from, to);
  });
  await attemptAsync("sync", path, () => files.syncDirectory(path));
}

/** Removes a directory with all that is in it. */
function removeTree(files: FileSystem, path: string): void {
  for (const { name, isDirectory } of files.list(path)) {
    const inner = joinPath(path, name);
    if (isDirectory) removeTree(files, inner);
    else files.remove(inner);
  }
  files.remove(path);
}

/** 96 random bits. */
function newIncarnation(random: () => number): string {
  return Array.from({ length: 3 }, () => {
    return Math.floor(random() * 0x1_0000_0000).toString(16).padStart(8, "0");
  }).join("");
}
