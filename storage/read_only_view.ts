/**
 * A directory as it is at one moment, for reading: also while a node uses it.
 *
 * All files are opened at once, and each is read up to the length that it had then. So it does not
 * matter what the node appends, replaces or removes meanwhile; all there is to see of it is that the
 * newest segment may end in the middle of a write. Nothing can be written. The files of logs are locked
 * as ones that are read, so that a node which gives back their space does not cut them off meanwhile
 * (`trash.ts`); no write waits for that.
 *
 * @module
 */

import { CorruptFileError } from "./errors.ts";
import {
  type DirectoryEntry,
  errorCode,
  type FileHandle,
  type FileSystem,
  joinPath,
  type OpenOptions,
  readFull,
} from "./file_system.ts";
import { usedBytes } from "./record_group.ts";
import { decodeSegmentHeader, segmentFirstIndex, segmentHeaderBytes } from "./segment.ts";

/** How often to begin again because files were made or removed between listing and opening them. */
const attemptsMax = 20;

/** What is no part of it: what `fsck` found, which is closed to most, and what is being given back. */
function isForeign(name: string): boolean {
  return name === "lost+found" || name.endsWith(".trash");
}

/** A directory that does not change. */
export class ReadOnlyView implements FileSystem, Disposable {
  readonly #directories = new Map<string, DirectoryEntry[]>();
  readonly #files = new Map<string, FrozenFile>();

  /**
   * Opens everything in a directory.
   *
   * @param files Where it is.
   * @param directory The directory. Paths in the view begin with it.
   * @throws What the file system throws, such as for a directory that is not there.
   */
  constructor(files: FileSystem, directory: string) {
    for (let attempt = 1;; attempt++) {
      try {
        this.#open(files, directory);
        // What was replaced meanwhile must not be seen with what it was replaced for.
        if (this.#isStillSo(files) || attempt === attemptsMax) return;
        this[Symbol.dispose]();
      } catch (error) {
        this[Symbol.dispose]();
        const vanished = errorCode(error) === "ENOENT" && files.exists(directory);
        if (!vanished || attempt === attemptsMax) throw error;
      }
    }
  }

  /** How many files there are. */
  get fileCount(): number {
    return this.#files.size;
  }

  /** How many bytes there are in all files. */
  get bytes(): number {
    let bytes = 0;
    for (const file of this.#files.values()) bytes += file.size();
    return bytes;
  }

  open(path: string, { read, write, create, createNew }: OpenOptions): FileHandle {
    if (!read || write || create || createNew) throw refusal("write to", path);
    const file = this.#files.get(path);
    if (file === undefined) throw missing(path);
    return file;
  }

  list(path: string): DirectoryEntry[] {
    const entries = this.#directories.get(path);
    if (entries === undefined) throw missing(path);
    return entries;
  }

  exists(path: string): boolean {
    return this.#files.has(path) || this.#directories.has(path);
  }

  readFile(path: string): Uint8Array {
    const file = this.open(path, { read: true });
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, readFull(file, bytes, 0));
  }

  makeDirectory(path: string): void {
    throw refusal("make", path);
  }

  rename(from: string, _to: string): void {
    throw refusal("rename", from);
  }

  remove(path: string): void {
    throw refusal("remove", path);
  }

  syncDirectory(path: string): Promise<void> {
    return Promise.reject(refusal("sync", path));
  }

  freeBytes(_path: string): number {
    return 0;
  }

  /** Closes all files. */
  [Symbol.dispose](): void {
    for (const file of this.#files.values()) file.end();
    this.#files.clear();
    this.#directories.clear();
  }

  /** Whether the same files are there as were opened. */
  #isStillSo(files: FileSystem): boolean {
    return [...this.#directories].every(([directory, entries]) => {
      const names = files.list(directory).filter(({ name }) => !isForeign(name));
      return names.length === entries.length &&
        names.every(({ name }, i) => name === entries[i]!.name);
    });
  }

  #open(files: FileSystem, directory: string): void {
    const entries = files.list(directory).filter(({ name }) => !isForeign(name));
    this.#directories.set(directory, entries);
    const newest = entries.findLast(({ name }) => segmentFirstIndex(name) !== undefined)?.name;
    for (const { name, isDirectory } of entries) {
      const path = joinPath(directory, name);
      if (isDirectory) this.#open(files, path);
      else this.#files.set(path, new FrozenFile(path, openShared(files, path), name === newest));
    }
  }
}

function openShared(files: FileSystem, path: string): FileHandle {
  const file = files.open(path, { read: true });
  // Nothing else gets shorter; above all, the lock of the directory is left alone.
  if (!/\.(seg|snap)$/.test(path) || file.share()) return file;
  // It has just lost its name, and its end is being given back.
  file.close();
  throw missing(path);
}

/** How much is read at once to find out where a file ends in zeros. */
const chunkBytes = 64 * 1024;

/**
 * A file with the length that it had when it was opened. The newest segment of a log may end in room for
 * what is to be written: that reads as zeros.
 */
class FrozenFile implements FileHandle {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #size: number;
  /** Where that room begins. The node may write there meanwhile. */
  readonly #roomFrom: number;

  constructor(path: string, file: FileHandle, isNewestSegment: boolean) {
    this.#path = path;
    this.#file = file;
    this.#size = file.size();
    this.#roomFrom = isNewestSegment ? this.#findRoom() : this.#size;
  }

  #findRoom(): number {
    try {
      const head = new Uint8Array(segmentHeaderBytes);
      const length = readFull(this.#file, head, 0);
      const header = decodeSegmentHeader(head.subarray(0, length), this.#path);
      return header?.firstGroup === undefined ? this.#findZeros() : usedBytes(this.#file, header);
    } catch {
      return this.#size; // whoever reads that part is told
    }
  }

  /** Where the zeros begin that the file ends in. */
  #findZeros(): number {
    const chunk = new Uint8Array(chunkBytes);
    for (let end = this.#size; end > 0; end -= chunkBytes) {
      const start = Math.max(0, end - chunkBytes);
      const length = readFull(this.#file, chunk.subarray(0, end - start), start);
      const last = chunk.subarray(0, length).findLastIndex((byte) => byte !== 0);
      if (last >= 0) return start + last + 1;
    }
    return 0;
  }

  readSync(buffer: Uint8Array, position: number): number {
    const length = Math.min(buffer.length, this.#size - position);
    if (length <= 0) return 0;
    try {
      const count = this.#file.readSync(buffer.subarray(0, length), position);
      buffer.fill(0, Math.min(count, Math.max(0, this.#roomFrom - position)), count);
      return count;
    } catch (error) {
      // A disk that cannot read a part of a file any more is damage like any other.
      const reason = `it cannot be read at byte ${position}: ${(error as Error).message}`;
      throw new CorruptFileError(this.#path, reason);
    }
  }

  size(): number {
    return this.#size;
  }

  writeSync(_bytes: Uint8Array, _position: number): number {
    throw refusal("write to", this.#path);
  }

  truncateSync(_size: number): void {
    throw refusal("truncate", this.#path);
  }

  truncate(_size: number): Promise<void> {
    return Promise.reject(refusal("truncate", this.#path));
  }

  syncData(): Promise<void> {
    return Promise.reject(refusal("sync", this.#path));
  }

  tryLock(): Promise<boolean> {
    return Promise.reject(refusal("lock", this.#path));
  }

  /** It is shared already. */
  share(): boolean {
    return true;
  }

  /** The file stays open for whoever reads it next, until the view ends. */
  close(): void {}

  end(): void {
    this.#file.close();
  }
}

function refusal(operation: string, path: string): TypeError {
  return new TypeError(`Cannot ${operation} ${path} as it is seen through a view that only reads`);
}

function missing(path: string): Error {
  return Object.assign(new Error(`No such file or directory: ${path}`), { code: "ENOENT" });
}
