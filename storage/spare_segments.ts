/**
 * Segments that a log does not need any more, and writes again: they become its next ones.
 *
 * Nothing is freed then, and nothing has to be found free: a sync of what goes over bytes that the file has
 * already takes the file system no journal, a third to a half less time, and nobody's syncs wait for the
 * commit of what was given back. What the file held before still lies behind what is written
 * (`record_group.ts`).
 *
 * A few are kept, of about the length of a segment, and only while the disk has room for many more. They
 * wait in the trash: after a crash, or an orderly end, the next start removes them.
 *
 * @module
 */

import { attempt, attemptAsync } from "./failures.ts";
import type { FileSystem } from "./file_system.ts";
import type { SegmentedLogOptions } from "./log_options.ts";

/** None is kept where the disk has not got room for so many more. */
const roomMin = 8;

/** The spare segments of a log. */
export class SpareSegments {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #fileBytes: number;
  readonly #countMax: number;
  #paths: string[] = [];

  /**
   * @param files Where the log is.
   * @param directory Its directory.
   * @param options Its settings.
   */
  constructor(files: FileSystem, directory: string, options: Required<SegmentedLogOptions>) {
    this.#files = files;
    this.#directory = directory;
    this.#fileBytes = options.segmentBytesMax;
    this.#countMax = options.sparesMax;
  }

  /**
   * Keeps a file, if it is of use.
   *
   * @param path The file: a segment of this log, all of whose indexes are below those that are to come,
   *   under a name that it has for good.
   * @returns Whether it is kept.
   * @throws {StorageFailedError} when the file system fails.
   */
  async keep(path: string): Promise<boolean> {
    if (!this.#hasUse()) return false;
    const file = attempt("open", path, () => this.#files.open(path, { write: true }));
    try {
      const size = file.size();
      if (size < this.#fileBytes / 2 || size > this.#fileBytes * 2) return false;
      // Whoever reads it must go on seeing what it was.
      if (!await attemptAsync("lock", path, () => file.tryLock()) || !this.#hasUse()) return false;
    } finally {
      file.close();
    }
    this.#paths.push(path);
    return true;
  }

  /** Hands out a file to be written again, if there is one. */
  take(): string | undefined {
    return this.#paths.shift();
  }

  /**
   * Gives back the space of all: somebody needs it.
   *
   * @throws {StorageFailedError} when the file system fails.
   */
  giveBack(): void {
    for (const path of this.#paths.splice(0)) {
      attempt("remove", path, () => this.#files.remove(path));
    }
  }

  #hasUse(): boolean {
    return this.#paths.length < this.#countMax &&
      this.#files.freeBytes(this.#directory) >= roomMin * this.#fileBytes;
  }
}
