/**
 * The beginning of a log on disk: from which segments on it is kept, and which of them are rewritten to
 * what is alive.
 *
 * What the log gives up goes, or lies in front of it as an archive (`archive.ts`): for Raft it is gone
 * either way, and a snapshot stands for it.
 *
 * A rewriting is safe wherever it ends. The new segment is whole and durable before it takes a name, that
 * of the first segment that it stands for. Only once the directory is durable with it do the others go.
 * If the name is lost in a crash, all is as before; if others come back, they lie within the range of the
 * new one, and the next start removes them. Nothing is dropped from the beginning meanwhile, so that
 * never two things are half done.
 *
 * @module
 */

import { Archive } from "./archive.ts";
import { attemptAsync } from "./failures.ts";
import type { FileSystem } from "./file_system.ts";
import type { IndexSet } from "./index_set.ts";
import { invariant } from "./invariant.ts";
import type { SegmentedLogOptions } from "./log_options.ts";
import { completeOptions } from "./log_options.ts";
import type { RecordEntry } from "./record.ts";
import { estimateLiveBytes, RewriteChooser } from "./rewrite_choice.ts";
import { type Pace, rewriteSegments, type Rewriting } from "./segment_rewriter.ts";
import type { SegmentedLog } from "./segmented_log.ts";
import type { ArchivedSegment } from "./sparse_segment.ts";

/** What a rewriting came to. */
export interface Rewritten {
  /** How many segments became one. */
  readonly segments: number;
  /** How many of them were sparse before. */
  readonly merged: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** How to go about rewriting. */
export interface RewriteWork {
  /** Called between pieces of work. */
  readonly pace: Pace;
  /**
   * How much of the newest log is left as it is, at most, for nodes that are a little behind: there is
   * no need for more than it would cost to send them what is alive.
   */
  readonly spareBytesMax: number;
  /** Whether to stop after what is under way: there is always some progress before. */
  readonly isOver: () => boolean;
  /** Told of each new segment. */
  readonly done: (rewritten: Rewritten) => void;
}

/** A log, and what lies in front of it. */
export class LogFront {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #options: Required<SegmentedLogOptions>;
  readonly #log: SegmentedLog;
  readonly #archive: Archive;
  #rewriting = false;
  #isStopped = false;
  #isRetired = false;

  /**
   * @param files Where the log is.
   * @param directory Its directory.
   * @param options Its settings.
   * @param log The log.
   * @param archived What lies in front of it.
   */
  constructor(
    files: FileSystem,
    directory: string,
    options: SegmentedLogOptions,
    log: SegmentedLog,
    archived: readonly ArchivedSegment[],
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#options = completeOptions(options);
    this.#log = log;
    this.#archive = new Archive(files, this.#options, archived);
  }

  /** The first index that is kept in any form. */
  get firstIndex(): number {
    return this.#archive.firstIndex ?? this.#log.firstIndex;
  }

  /** How many bytes there are in front of the log. */
  get bytes(): number {
    return this.#archive.bytes;
  }

  /** How many segments there are in front of the log. */
  get segmentCount(): number {
    return this.#archive.segments.length;
  }

  /** How much memory entries in front of the log take. */
  get memoryBytes(): number {
    return this.#archive.memoryBytes;
  }

  /** All segments as they are now, the oldest first. */
  get segments(): ArchivedSegment[] {
    return [...this.#archive.segments, ...this.#log.segments];
  }

  /** An entry of the log, or one in front of it that is needed. */
  entry(index: number): RecordEntry {
    return index >= this.#log.firstIndex ? this.#log.entry(index) : this.#archive.entry(index);
  }

  /**
   * Ends a rewriting that is under way as soon as possible, and leaves nothing of it behind. The space of
   * what is not needed any more is not given back from now on.
   */
  stop(): void {
    this.#isStopped = true;
    void this.#log.trash.stop();
  }

  /** The log does not count any more: nothing is begun with any file from now on. */
  retire(): void {
    this.stop();
    this.#isRetired = true;
  }

  /**
   * Gives up whole segments at the beginning. Their files go with the next plan of the log.
   *
   * @param lastIndex The last index that may go.
   * @returns How many segments go.
   */
  truncatePrefix(lastIndex: number): number {
    if (this.#rewriting) return 0;
    return this.#log.truncatePrefix(lastIndex, this.#archive.truncatePrefix(lastIndex));
  }

  /**
   * Rewrites all segments that are worth it, a few at a time.
   *
   * @param lastIndex The last index that may leave the log.
   * @param live The entries up to there that are needed, now and ever after.
   * @param work How to go about it.
   * @returns When all has been looked at, or it is over.
   * @throws {CorruptRecordError} when a record that is needed is damaged or missing.
   * @throws {StorageFailedError} when the file system fails.
   */
  async rewrite(lastIndex: number, live: IndexSet, work: RewriteWork): Promise<void> {
    if (this.#rewriting) return;
    this.#rewriting = true;
    try {
      const segments = [...this.#archive.segments, ...this.#log.closedSegments(lastIndex)];
      const liveBytes: number[] = [];
      let liveTotal = 0;
      for (const segment of segments) {
        if (this.#isStopped) return;
        liveTotal += liveBytes[liveBytes.push(estimateLiveBytes(segment, live)) - 1]!;
        await work.pace(0);
      }
      const last = this.#lastToLeave(Math.min(liveTotal, work.spareBytesMax));
      const chooser = new RewriteChooser(this.#options.segmentBytesMax);
      for (const [i, segment] of segments.entries()) {
        if (segment.lastIndex > last) break;
        const chosen = chooser.next(segment, liveBytes[i]!);
        if (chosen.length > 0 && !await this.#become(chosen, live, work)) return;
      }
      const chosen = chooser.finish();
      if (chosen.length > 0) await this.#become(chosen, live, work);
    } finally {
      this.#rewriting = false;
    }
  }

  /** The last index that may leave the log, so that so many bytes of it stay for those who are behind. */
  #lastToLeave(spareBytes: number): number {
    let bytes = 0;
    for (const segment of this.#log.segments.reverse()) {
      if (bytes >= spareBytes) return segment.lastIndex;
      bytes += segment.bytes;
    }
    return this.#log.firstIndex - 1;
  }

  /** Makes one segment of some. @returns Whether to go on. */
  async #become(
    chosen: readonly ArchivedSegment[],
    live: IndexSet,
    { pace, isOver, done }: RewriteWork,
  ): Promise<boolean> {
    if (this.#isStopped) return false;
    const { shard, segmentBytesMax } = this.#options;
    const rewriting = await rewriteSegments(
      this.#files,
      this.#directory,
      shard,
      chosen,
      live,
      segmentBytesMax,
      pace,
      { isStopped: () => this.#isStopped, isRetired: () => this.#isRetired },
    );
    if (rewriting === undefined || this.#isRetired) return false;
    if (!this.#isStillThere(rewriting)) {
      rewriting.writer.discard();
      return false;
    }
    await this.#replace(rewriting);
    done(summary(rewriting));
    return !this.#isStopped && !isOver();
  }

  /** Whether the log has not been cut back into what was copied. */
  #isStillThere({ sources }: Rewriting): boolean {
    const { lastIndex } = sources.at(-1)!;
    return lastIndex < this.#log.firstIndex ||
      this.#log.closedSegments(lastIndex).at(-1)?.lastIndex === lastIndex;
  }

  async #replace({ sources, result, writer }: Rewriting): Promise<void> {
    // From the rename on, whoever reads must know of the new file: no await in between.
    writer.publish();
    if (result.lastIndex >= this.#log.firstIndex) {
      const released = this.#log.closedSegments(result.lastIndex);
      this.#log.releasePrefix(result.lastIndex);
      this.#archive.replace(released);
    }
    const leftOver = this.#archive.replace([result]);
    invariant(leftOver.length === sources.length - 1, "what was copied is replaced");
    await this.#syncDirectory();
    if (this.#isRetired) return;
    const { trash, spares } = this.#log;
    await trash.discard(leftOver.map(({ path }) => path), spares);
  }

  async #syncDirectory(): Promise<void> {
    const directory = this.#directory;
    await attemptAsync("sync", directory, () => this.#files.syncDirectory(directory));
  }
}

function summary({ sources, result }: Rewriting): Rewritten {
  let bytesBefore = 0;
  for (const { bytes } of sources) bytesBefore += bytes;
  return {
    segments: sources.length,
    merged: sources.filter(({ sparse }) => sparse).length,
    bytesBefore,
    bytesAfter: result.bytes,
  };
}
