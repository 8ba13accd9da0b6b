/**
 * The files of the machine we run on.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import type { DirectoryEntry, FileHandle, FileSystem, OpenOptions } from "./file_system.ts";

/**
 * How long to wait for a lock where it cannot merely be tried. A free lock is had in microseconds;
 * a process that has it keeps it until its end.
 */
const lockWaitMs = 300;

/**
 * The files of the machine we run on.
 *
 * @returns A file system that uses `Deno`.
 */
export function denoFileSystem(): FileSystem {
  return new DenoFileSystem();
}

class DenoFileSystem implements FileSystem {
  open(path: string, options: OpenOptions): FileHandle {
    return new DenoFileHandle(Deno.openSync(path, options));
  }

  list(path: string): DirectoryEntry[] {
    return [...Deno.readDirSync(path)]
      .map(({ name, isDirectory }) => ({ name, isDirectory }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  makeDirectory(path: string): void {
    Deno.mkdirSync(path, { recursive: true });
  }

  rename(from: string, to: string): void {
    Deno.renameSync(from, to);
  }

  remove(path: string): void {
    Deno.removeSync(path);
  }

  exists(path: string): boolean {
    try {
      Deno.lstatSync(path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  readFile(path: string): Uint8Array {
    return Deno.readFileSync(path);
  }

  async syncDirectory(path: string): Promise<void> {
    // Windows has no handle of a directory to sync: its file system journals names by itself.
    if (Deno.build.os === "windows") return;
    using directory = Deno.openSync(path, { read: true });
    await directory.sync();
  }

  freeBytes(path: string): number {
    try {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    } catch (error) {
      // Deno may have been started without the permission to ask.
      if ((error as Error).name === "NotCapable") return Infinity;
      throw error;
    }
  }
}

/** A file with one position of its own, which is moved only where it is not yet right. */
class DenoFileHandle implements FileHandle {
  readonly #file: Deno.FsFile;
  #position = 0;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  writeSync(bytes: Uint8Array, position: number): number {
    this.#seek(position);
    const count = this.#file.writeSync(bytes);
    this.#position += count;
    return count;
  }

  readSync(buffer: Uint8Array, position: number): number {
    this.#seek(position);
    const count = this.#file.readSync(buffer) ?? 0;
    this.#position += count;
    return count;
  }

  truncateSync(size: number): void {
    this.#file.truncateSync(size);
  }

  truncate(size: number): Promise<void> {
    return this.#file.truncate(size);
  }

  syncData(): Promise<void> {
    return this.#file.syncData();
  }

  size(): number {
    return this.#file.statSync().size;
  }

  async tryLock(): Promise<boolean> {
    const file = this.#file as Deno.FsFile & { tryLock?(exclusive: boolean): Promise<boolean> };
    if (typeof file.tryLock === "function") return await file.tryLock(true);
    // To wait for one that is not free takes a thread, until it is.
    if (isLocked(file.statSync())) return false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), lockWaitMs);
    });
    const locked = file.lock(true).then(() => true, (error) => {
      // The caller closes the file when the time is over; a lock that comes later has no taker.
      if (error instanceof Deno.errors.BadResource) return false;
      throw error;
    });
    try {
      return await Promise.race([locked, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  share(): boolean {
    // On Windows nobody could write to the file then.
    if (Deno.build.os === "windows") return true;
    const file = this.#file as Deno.FsFile & { tryLockSync?(exclusive: boolean): boolean };
    try {
      if (typeof file.tryLockSync === "function") return file.tryLockSync(false);
      // Who has taken it has it for a moment.
      file.lockSync(false);
    } catch {
      // A file system without locks: no node uses this directory.
    }
    return true;
  }

  close(): void {
    this.#file.close();
  }

  #seek(position: number): void {
    if (position === this.#position) return;
    this.#position = this.#file.seekSync(position, Deno.SeekMode.Start);
  }
}

/** Whether somebody has a lock of a file, where the system lists them. */
function isLocked({ dev, ino }: Deno.FileInfo): boolean {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const hex = (number: number) => number.toString(16).padStart(2, "0");
  try {
    return Deno.readTextFileSync("/proc/locks").includes(` ${hex(major)}:${hex(minor)}:${ino} `);
  } catch {
    return false;
  }
}
