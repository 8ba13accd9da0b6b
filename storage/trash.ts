/**
 * What a log does not need any more, until its space is given back.
 *
 * To remove a long file keeps the disk busy: while the file system commits that 64 MiB are free, every
 * sync on the disk waits for tens of milliseconds, those of other processes as well. So a file loses its
 * name first, which is quick: nobody takes `NAME.trash` for anything. Once that is durable, and not
 * before, for until then a crash may bring the name back, the file is cut from its end, step by step,
 * each with a sync of its own, and what is left at last is removed. Nobody who writes waits for that.
 *
 * A file that somebody reads (`FileHandle.share()`) must not get shorter meanwhile: it is removed
 * as it is, and its space comes back when it is closed. What a crash leaves in the trash goes at the next
 * start (`shard_file.ts`).
 *
 * @module
 */

import { DiskFullError } from "./errors.ts";
import { attempt, attemptAsync } from "./failures.ts";
import type { FileSystem } from "./file_system.ts";
import type { SpareSegments } from "./spare_segments.ts";

/**
 * How much of a file is given back in a step, at most. In steps of 1 MiB it takes 80 ms to free 64 MiB,
 * little more than at once, and no other sync on the disk waits for more than 5 ms.
 */
const biteBytesMax = 1024 * 1024;

/** A long file goes in so many steps, at least: so what becomes of 64 MiB is tried on small ones, too. */
const bitesMin = 4;

/** The trash in the directory of a log. */
export class Trash {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #biteBytes: number;
  /** All that was discarded so far, one file after the other. After a failure nothing is freed any more. */
  #emptied: Promise<void> = Promise.resolve();
  #isStopped = false;

  /**
   * @param files Where the log is.
   * @param directory Its directory.
   * @param fileBytes How long its files get.
   */
  constructor(files: FileSystem, directory: string, fileBytes: number) {
    this.#files = files;
    this.#directory = directory;
    this.#biteBytes = Math.max(1, Math.min(biteBytesMax, Math.ceil(fileBytes / bitesMin)));
  }

  /**
   * Takes files out of the way, in this order. Their space follows, unless one is kept to be written
   * again.
   *
   * @param paths The files, all in the directory.
   * @param spares What may keep them.
   * @returns When a power cut would not bring back their names.
   * @throws {StorageFailedError} when the file system fails.
   */
  async discard(paths: readonly string[], spares?: SpareSegments): Promise<void> {
    if (paths.length === 0) return;
    const discarded = paths.map((path) => this.#rename(path)).filter((path) => path !== undefined);
    const directory = this.#directory;
    await attemptAsync("sync", directory, () => this.#files.syncDirectory(directory));
    for (const path of discarded) {
      this.#emptied = this.#emptied.then(() => this.#free(path, spares));
    }
    // Who asks is told; who does not must not be ended by it.
    this.#emptied.catch(() => {});
  }

  /**
   * Waits for the space of all that was discarded so far.
   *
   * @returns When it is given back, or nothing more is done about it: see {@linkcode stop}.
   * @throws {StorageFailedError} when the file system fails, now or before.
   */
  emptied(): Promise<void> {
    return this.#emptied;
  }

  /**
   * Gives back nothing more. What is left stays where it is, also what is discarded from now on.
   *
   * @returns When no file is in use any more. Never rejects.
   */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#emptied.catch(() => {});
  }

  /** @returns The path that the file has now, or `undefined` where it is gone. */
  #rename(path: string): string | undefined {
    const discarded = `${path}.trash`;
    try {
      attempt("rename", path, () => this.#files.rename(path, discarded));
      return discarded;
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      // A directory may have no room for another name. To remove one takes none.
      attempt("remove", path, () => this.#files.remove(path));
      return undefined;
    }
  }

  async #free(path: string, spares: SpareSegments | undefined): Promise<void> {
    if (this.#isStopped || await spares?.keep(path)) return;
    await this.#shorten(path);
    if (!this.#isStopped) attempt("remove", path, () => this.#files.remove(path));
  }

  /** Cuts a file down to what can be removed at once. */
  async #shorten(path: string): Promise<void> {
    const file = attempt("open", path, () => this.#files.open(path, { write: true }));
    try {
      const bite = this.#biteBytes;
      let size = file.size();
      if (size <= bite || !await attemptAsync("lock", path, () => file.tryLock())) return;
      while (size > bite && !this.#isStopped) {
        // At multiples of the step no block is freed in part, and written for that.
        size = (Math.ceil(size / bite) - 1) * bite;
        await attemptAsync("truncate", path, () => file.truncate(size));
        await attemptAsync("sync", path, () => file.syncData());
      }
    } finally {
      file.close();
    }
  }
}
