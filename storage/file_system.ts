/**
 * What the storage layer asks of files, so that it runs the same on a real disk and on the
 * simulator's.
 *
 * The promises a file system makes here are those of POSIX, no more. What was written can be read at
 * once, by anybody, and survives the end of the process; it survives a power cut only after
 * `syncData()` of its file. A file that was created, renamed or removed is surely so after a power
 * cut only once `syncDirectory()` of its directory has resolved.
 *
 * Short calls are synchronous: they touch the page cache, and a hop to another thread costs more
 * than they do. Only what waits for the disk returns a promise. A failed call throws an error whose
 * `code` is the system's (`ENOENT`, `ENOSPC`), see {@linkcode errorCode}.
 *
 * Paths are joined with `/`.
 *
 * @module
 */

/** How to open a file. */
export interface OpenOptions {
  /** Open for reading. */
  readonly read?: boolean;
  /** Open for writing. */
  readonly write?: boolean;
  /** Make the file where there is none. */
  readonly create?: boolean;
  /** Make the file, and fail where there is one. */
  readonly createNew?: boolean;
}

/** An open file. */
export interface FileHandle {
  /**
   * Writes some bytes.
   *
   * @param bytes The bytes.
   * @param position Where in the file the first of them goes.
   * @returns How many were written: fewer than asked for is no error.
   */
  writeSync(bytes: Uint8Array, position: number): number;
  /**
   * Reads some bytes.
   *
   * @param buffer Where they go.
   * @param position Where in the file the first of them is.
   * @returns How many were read: 0 at the end of the file, else perhaps fewer than there are.
   */
  readSync(buffer: Uint8Array, position: number): number;
  /** Cuts the file, or lengthens it with zeros, to `size` bytes. */
  truncateSync(size: number): void;
  /** The same, for cuts that give back so much that others should not have to wait. */
  truncate(size: number): Promise<void>;
  /** Resolves when all that was written, and the size, would survive a power cut. */
  syncData(): Promise<void>;
  /** The size of the file in bytes. */
  size(): number;
  /**
   * Takes the file for this process, until it is closed or the process ends.
   *
   * @returns Whether it was free: nobody else had taken it, or reads it.
   */
  tryLock(): Promise<boolean>;
  /**
   * Says that the file is being read, until it is closed: so nobody gets it with `tryLock()`.
   *
   * @returns Whether nobody has it.
   */
  share(): boolean;
  /** Gives the handle up. */
  close(): void;
}

/** One name in a directory. */
export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** The files of a machine. */
export interface FileSystem {
  /** Opens a file. */
  open(path: string, options: OpenOptions): FileHandle;
  /** What is in a directory, in the order of the names. */
  list(path: string): DirectoryEntry[];
  /** Makes a directory and those above it; one that is there already is no error. */
  makeDirectory(path: string): void;
  /** Gives a file another name, replacing a file that has it. */
  rename(from: string, to: string): void;
  /** Removes a file, or a directory that is empty. */
  remove(path: string): void;
  /** Whether there is a file or directory. */
  exists(path: string): boolean;
  /** The whole of a file. */
  readFile(path: string): Uint8Array;
  /** Resolves when the names in a directory would survive a power cut. */
  syncDirectory(path: string): Promise<void>;
  /** How many more bytes there is room for where a path is; `Infinity` where nobody knows. */
  freeBytes(path: string): number;
}

/**
 * Joins the parts of a path.
 *
 * @param parts The parts; empty ones are left out.
 * @returns The path.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(joinPath("data", "shard-0", "x.seg"), "data/shard-0/x.seg");
 * assertEquals(joinPath("/", "data"), "/data");
 * ```
 */
export function joinPath(...parts: string[]): string {
  let path = "";
  for (const part of parts) {
    if (part !== "") path += path === "" || path.endsWith("/") ? part : `/${part}`;
  }
  return path;
}

/**
 * The directory that a path is in.
 *
 * @param path The path.
 * @returns The directory, `.` for a bare name.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parentPath("data/shard-0/"), "data");
 * assertEquals(parentPath("/data"), "/");
 * assertEquals(parentPath("data"), ".");
 * ```
 */
export function parentPath(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : trimmed.slice(0, slash);
}

/**
 * The system's name for why a call failed.
 *
 * @param error What a call of a {@linkcode FileSystem} threw.
 * @returns Such as `ENOENT`, or `undefined` where the error is none of the system's.
 */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/**
 * Writes all of some bytes, in as many calls as it takes.
 *
 * @param file Where to.
 * @param bytes The bytes.
 * @param position Where in the file the first of them goes.
 */
export function writeAll(file: FileHandle, bytes: Uint8Array, position: number): void {
  let done = file.writeSync(bytes, position);
  while (done < bytes.length) {
    const count = file.writeSync(bytes.subarray(done), position + done);
    if (count === 0) throw new Error("The file system takes no more bytes and does not say why");
    done += count;
  }
}

/**
 * Reads until a buffer is full or the file ends.
 *
 * @param file Where from.
 * @param buffer Where to.
 * @param position Where in the file to begin.
 * @returns How many bytes were read.
 */
export function readFull(file: FileHandle, buffer: Uint8Array, position: number): number {
  let done = 0;
  while (done < buffer.length) {
    const count = file.readSync(done === 0 ? buffer : buffer.subarray(done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
