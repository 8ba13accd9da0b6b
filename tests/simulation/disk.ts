/**
 * A disk in memory, as hostile as POSIX allows.
 *
 * What may break: at a power cut ({@linkcode SimulatedDisk.crash}) of all that was not synced any
 * part may be lost. A write survives sector by sector, in no order, a sector even in part; the file's
 * length may be ahead of its content, which is zero there then; a truncation may be undone. Names that
 * were made, renamed or removed without a sync of their directory may be as before, each on its own.
 * A sync can fail, and then what it was to keep is lost even though it can still be read. Writes can
 * be short, the disk can be full, syncs take time, a bit can rot.
 *
 * What does not break: what was synced stays, unless a test damages it ({@linkcode
 * SimulatedDisk.flipBit}); a rename survives as a whole or not at all; the end of a process alone
 * ({@linkcode SimulatedDisk.kill}) loses nothing.
 *
 * @module
 */

import type {
  DirectoryEntry,
  FileHandle,
  FileSystem,
  OpenOptions,
} from "../../storage/file_system.ts";
import { joinPath, parentPath } from "../../storage/file_system.ts";
import {
  type Chance,
  DirectoryNode,
  type DiskCounts,
  DiskState,
  FileNode,
  filesOf,
  loseChanges,
  loseNames,
  type Node,
} from "./disk_state.ts";
import { copyOf } from "./slab.ts";

export type { DiskCounts };

/** The clock on which syncs take their time. */
export interface DiskClock {
  setTimeout(callback: () => void, ms: number): number;
}

/** Settings of a {@linkcode SimulatedDisk}. */
export interface SimulatedDiskOptions {
  readonly clock: DiskClock;
  /** Where chance comes from, for crashes, short writes and the length of syncs. */
  readonly random: () => number;
  /** How long a sync takes, at least. @default {0.5} */
  readonly syncMsMin?: number;
  /** How long a sync takes, at most. @default {2} */
  readonly syncMsMax?: number;
  /** How often a write takes only a part of the bytes, from 0 to 1. @default {0} */
  readonly shortWriteChance?: number;
  /** How many bytes fit. @default {Infinity} */
  readonly capacityBytes?: number;
}

/** What the operating system would say. */
class SystemError extends Error {
  override name = "SystemError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${message} (${code})`);
    this.code = code;
  }
}

/** A disk in memory. */
export class SimulatedDisk implements FileSystem {
  readonly #options: Required<SimulatedDiskOptions>;
  readonly #state: DiskState;
  #dead = false;
  #syncFailures = 0;
  #syncFailureCode = "EIO";

  /** How many bytes fit; to fill the disk, set it to {@linkcode usedBytes}. */
  capacityBytes: number;
  /** How long a sync takes, at least. */
  syncMsMin: number;
  /** How long a sync takes, at most. */
  syncMsMax: number;
  /** How often a write takes only a part of the bytes. */
  shortWriteChance: number;

  /**
   * @param options The settings.
   * @param state What is on the disk, where it survived from another: see {@linkcode crash}.
   */
  constructor(options: SimulatedDiskOptions, state: DiskState = new DiskState()) {
    this.#options = {
      syncMsMin: 0.5,
      syncMsMax: 2,
      shortWriteChance: 0,
      capacityBytes: Infinity,
      ...options,
    };
    this.capacityBytes = this.#options.capacityBytes;
    this.syncMsMin = this.#options.syncMsMin;
    this.syncMsMax = this.#options.syncMsMax;
    this.shortWriteChance = this.#options.shortWriteChance;
    this.#state = state;
  }

  /** How often what happened, on this disk and those it survived from. */
  get counts(): Readonly<DiskCounts> {
    return this.#state.counts;
  }

  /** How many bytes there are in all files. */
  get usedBytes(): number {
    return this.#state.usedBytes;
  }

  /**
   * Lets syncs fail.
   *
   * @param count How many of the next ones.
   * @param code What the system says then.
   */
  failSyncs(count = 1, code = "EIO"): void {
    this.#syncFailures = count;
    this.#syncFailureCode = code;
  }

  /**
   * Damages a file, on disk and in what is read from it.
   *
   * @param path The file.
   * @param offset The byte.
   * @param bit The bit, from 0.
   */
  flipBit(path: string, offset: number, bit: number): void {
    const node = this.#file(path);
    if (offset >= node.size) throw new RangeError(`Cannot flip a bit behind the end of ${path}`);
    node.bytes[offset]! ^= 1 << bit;
  }

  /**
   * Ends the process that uses the disk: handles and locks are gone, and what it wrote is there, but
   * not more durable than before.
   *
   * @returns The disk for the next process. This one is dead: every call fails, and no sync that was
   *   under way ends.
   */
  kill(): SimulatedDisk {
    this.#dead = true;
    for (const node of filesOf(this.#state.root)) node.unlock();
    return this.#heir();
  }

  /**
   * Cuts the power.
   *
   * @param random Where chance comes from, if not from the options.
   * @returns The disk with what has survived. This one is dead, as after {@linkcode kill}.
   */
  crash(random: () => number = this.#options.random): SimulatedDisk {
    this.#state.counts.crashes++;
    // Some crashes are kinder than others, so that tests see everything from all lost to all kept.
    const keepChance = [0, 1, random(), random()][Math.floor(random() * 4)]!;
    const chance: Chance = { random, keepChance, counts: this.#state.counts };
    const files = new Set(filesOf(this.#state.root));
    loseNames(this.#state.root, chance);
    for (const node of filesOf(this.#state.root)) files.add(node);
    for (const node of files) loseChanges(node, chance);
    this.#state.usedBytes = 0;
    for (const node of filesOf(this.#state.root)) this.#state.usedBytes += node.size;
    return this.kill();
  }

  open(path: string, options: OpenOptions): FileHandle {
    this.#check();
    const { directory, name } = this.#parent(path);
    let node = directory.names.get(name);
    if (node instanceof DirectoryNode) throw new SystemError("EISDIR", `${path} is a directory`);
    if (node !== undefined && options.createNew) {
      throw new SystemError("EEXIST", `${path} exists`);
    }
    if (node === undefined) {
      if (!options.create && !options.createNew) throw notFound(path);
      node = new FileNode();
      directory.change({ kind: "set", name, node });
    }
    return new SimulatedFile(this, node, path, options);
  }

  list(path: string): DirectoryEntry[] {
    this.#check();
    return [...this.#directory(path).names]
      .map(([name, node]) => ({ name, isDirectory: node instanceof DirectoryNode }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  makeDirectory(path: string): void {
    this.#check();
    let directory = this.#state.root;
    for (const name of partsOf(path)) {
      let next = directory.names.get(name);
      if (next === undefined) {
        next = new DirectoryNode();
        directory.change({ kind: "set", name, node: next });
      }
      if (next instanceof FileNode) throw new SystemError("ENOTDIR", `${path} is a file`);
      directory = next;
    }
  }

  rename(from: string, to: string): void {
    this.#check();
    const source = this.#parent(from);
    const target = this.#parent(to);
    if (source.directory !== target.directory) {
      throw new SystemError("EXDEV", `${from} and ${to} are in different directories`);
    }
    if (!source.directory.names.has(source.name)) throw notFound(from);
    const replaced = source.directory.names.get(target.name);
    if (replaced instanceof FileNode && source.name !== target.name) {
      this.#state.usedBytes -= replaced.size;
    }
    source.directory.change({ kind: "rename", from: source.name, to: target.name });
    if (from.endsWith(".trash")) this.#state.counts.filesReused++;
  }

  remove(path: string): void {
    this.#check();
    const { directory, name } = this.#parent(path);
    const node = directory.names.get(name);
    if (node === undefined) throw notFound(path);
    if (node instanceof DirectoryNode && node.names.size > 0) {
      throw new SystemError("ENOTEMPTY", `${path} is not empty`);
    }
    if (node instanceof FileNode) this.#state.usedBytes -= node.size;
    directory.change({ kind: "remove", name });
  }

  exists(path: string): boolean {
    this.#check();
    return this.#find(path) !== undefined;
  }

  readFile(path: string): Uint8Array {
    this.#check();
    const node = this.#file(path);
    return node.bytes.slice(0, node.size);
  }

  syncDirectory(path: string): Promise<void> {
    this.#check();
    const directory = this.#directory(path);
    const covered = new Set(directory.changes);
    return this.#sync(path, () => directory.settle(covered), () => {});
  }

  freeBytes(_path: string): number {
    this.#check();
    return Math.max(0, this.capacityBytes - this.#state.usedBytes);
  }

  /** Writes to a file; for {@linkcode SimulatedFile}. */
  write(node: FileNode, bytes: Uint8Array, position: number): number {
    this.#check(position);
    let length = bytes.length;
    if (length > 1 && this.#options.random() < this.shortWriteChance) {
      length = 1 + Math.floor(this.#options.random() * (length - 1));
      this.#state.counts.shortWrites++;
    }
    const room = this.capacityBytes - this.#state.usedBytes;
    const growth = position + length - node.size;
    if (growth > Math.max(0, room)) length -= growth - Math.max(0, room);
    if (length <= 0 && bytes.length > 0) {
      this.#state.counts.fullErrors++;
      throw new SystemError("ENOSPC", "No space left on the simulated disk");
    }
    const sizeBefore = node.size;
    node.changes.push({
      kind: "write",
      sizeBefore,
      position,
      length,
      before: copyOf(node.bytes.subarray(
        position,
        Math.max(position, Math.min(position + length, sizeBefore)),
      )),
      lost: false,
    });
    node.resize(Math.max(sizeBefore, position + length));
    node.bytes.set(bytes.subarray(0, length), position);
    this.#state.usedBytes += node.size - sizeBefore;
    this.#state.counts.writes++;
    this.#state.counts.bytesWritten += length;
    return length;
  }

  /** Reads from a file; for {@linkcode SimulatedFile}. */
  read(node: FileNode, buffer: Uint8Array, position: number): number {
    this.#check(position);
    const bytes = node.bytes.subarray(position, Math.min(node.size, position + buffer.length));
    if (position >= node.size) return 0;
    buffer.set(bytes);
    return bytes.length;
  }

  /** Changes the length of a file; for {@linkcode SimulatedFile}. */
  truncate(node: FileNode, size: number): void {
    this.#check(size);
    node.changes.push({
      kind: "truncate",
      sizeBefore: node.size,
      position: size,
      length: 0,
      before: node.bytes.slice(size, Math.max(size, node.size)),
      lost: false,
    });
    this.#state.usedBytes += size - node.size;
    node.resize(size);
  }

  /** Syncs a file; for {@linkcode SimulatedFile}. */
  syncFile(node: FileNode, path: string): Promise<void> {
    this.#check();
    const covered = new Set(node.changes);
    return this.#sync(path, () => node.settle(covered), () => {
      for (const change of covered) change.lost = true;
    });
  }

  #sync(path: string, settle: () => void, lose: () => void): Promise<void> {
    this.#state.counts.syncs++;
    const fails = this.#syncFailures > 0;
    if (fails) this.#syncFailures--;
    const ms = this.syncMsMin + this.#options.random() * (this.syncMsMax - this.syncMsMin);
    return new Promise((resolve, reject) => {
      this.#options.clock.setTimeout(() => {
        if (this.#dead) return;
        if (fails) {
          this.#state.counts.failedSyncs++;
          lose();
          reject(
            new SystemError(this.#syncFailureCode, `Input/output error while syncing ${path}`),
          );
        } else {
          settle();
          resolve();
        }
      }, ms);
    });
  }

  #heir(): SimulatedDisk {
    const options = {
      ...this.#options,
      capacityBytes: this.capacityBytes,
      syncMsMin: this.syncMsMin,
      syncMsMax: this.syncMsMax,
      shortWriteChance: this.shortWriteChance,
    };
    return new SimulatedDisk(options, this.#state);
  }

  #check(position = 0): void {
    if (this.#dead) throw new SystemError("EIO", "The simulated machine is off");
    if (position < 0) throw new SystemError("EINVAL", `There is no position ${position}`);
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#state.root;
    for (const name of partsOf(path)) {
      if (!(node instanceof DirectoryNode)) return undefined;
      node = node.names.get(name);
    }
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#find(path);
    if (!(node instanceof FileNode)) throw notFound(path);
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (!(node instanceof DirectoryNode)) throw notFound(path);
    return node;
  }

  #parent(path: string): { directory: DirectoryNode; name: string } {
    const name = partsOf(path).at(-1);
    if (name === undefined) throw new SystemError("EISDIR", `${path} is a directory`);
    return { directory: this.#directory(parentPath(path)), name };
  }
}

class SimulatedFile implements FileHandle {
  readonly #disk: SimulatedDisk;
  readonly #node: FileNode;
  readonly #path: string;
  readonly #options: OpenOptions;
  #closed = false;

  constructor(disk: SimulatedDisk, node: FileNode, path: string, options: OpenOptions) {
    this.#disk = disk;
    this.#node = node;
    this.#path = path;
    this.#options = options;
  }

  writeSync(bytes: Uint8Array, position: number): number {
    this.#check(this.#options.write);
    return this.#disk.write(this.#node, bytes, position);
  }

  readSync(buffer: Uint8Array, position: number): number {
    this.#check(this.#options.read);
    return this.#disk.read(this.#node, buffer, position);
  }

  truncateSync(size: number): void {
    this.#check(this.#options.write);
    this.#disk.truncate(this.#node, size);
  }

  // deno-lint-ignore require-await -- what fails rejects
  async truncate(size: number): Promise<void> {
    this.truncateSync(size);
  }

  syncData(): Promise<void> {
    this.#check(true);
    return this.#disk.syncFile(this.#node, this.#path);
  }

  size(): number {
    this.#check(true);
    return this.#node.size;
  }

  tryLock(): Promise<boolean> {
    this.#check(true);
    if (this.#node.sharedBy.size === 0) this.#node.lockedBy ??= this;
    return Promise.resolve(this.#node.lockedBy === this);
  }

  share(): boolean {
    this.#check(true);
    if (this.#node.lockedBy !== undefined) return false;
    this.#node.sharedBy.add(this);
    return true;
  }

  close(): void {
    this.#node.unlock(this);
    this.#closed = true;
  }

  #check(allowed: boolean | undefined): void {
    if (this.#closed || !allowed) {
      throw new SystemError("EBADF", `${this.#path} is closed, or not open for this`);
    }
  }
}

function partsOf(path: string): string[] {
  return joinPath(path).split("/").filter((part) => part !== "" && part !== ".");
}

function notFound(path: string): SystemError {
  return new SystemError("ENOENT", `${path} is not there`);
}
