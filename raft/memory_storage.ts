/**
 * A log in memory: for tests, and for seeing what the core asks of a storage.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { EMPTY_CONFIGURATION } from "./membership.ts";
import type {
  Configuration,
  Entry,
  HardState,
  LogStorage,
  Snapshot,
  SnapshotMetadata,
} from "./types.ts";

/** Keeps hard state, log and snapshot in memory, and what it is given at once. */
export class MemoryStorage implements LogStorage {
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot: Snapshot | undefined;
  /** What the log starts behind. */
  #base: SnapshotMetadata;
  #entries: Entry[] = [];

  /**
   * @param configuration The members of a new cluster; the snapshot's, once there is one.
   *
   * @example An empty log of a single node
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { bootstrapConfiguration } from "./membership.ts";
   *
   * const storage = new MemoryStorage(bootstrapConfiguration([1]));
   * assertEquals(storage.lastIndex(), 0);
   * ```
   */
  constructor(configuration: Configuration = EMPTY_CONFIGURATION) {
    this.#base = { index: 0, term: 0, configuration };
  }

  /** What the core starts from. */
  initialState(): { hardState: HardState; configuration: Configuration } {
    return { hardState: this.#hardState, configuration: this.#base.configuration };
  }

  /** The hard state kept last. */
  get hardState(): HardState {
    return this.#hardState;
  }

  /** The first index behind the snapshot. */
  firstIndex(): number {
    return this.#base.index + 1;
  }

  /** The last index. */
  lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  /** The term at an index, if it is known. */
  term(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  /** Entries of a range, as many as fit. */
  entries(low: number, high: number, bytesMax: number): Entry[] {
    const from = low - this.#base.index - 1;
    const end = high - this.#base.index - 1;
    invariant(
      from >= 0 && from < end && end <= this.#entries.length,
      () => `the log holds ${low}..${high}`,
    );
    let to = from;
    let bytes = 0;
    while (to < end) {
      bytes += this.#entries[to]!.data.byteLength;
      if (bytes > bytesMax && to > from) break;
      to++;
    }
    return this.#entries.slice(from, to);
  }

  /** The newest snapshot. */
  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /**
   * Keeps a hard state.
   *
   * @param hardState Replaces the one before.
   */
  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /**
   * Adds entries; those from the first new index on are replaced.
   *
   * @param entries Consecutive, starting in the log or right behind it.
   */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const at = first.index - this.#base.index - 1;
    invariant(at >= 0 && at <= this.#entries.length, () => `entry ${first.index} follows the log`);
    this.#entries.length = at;
    for (const entry of entries) this.#entries.push(entry);
  }

  /**
   * Replaces the log by a snapshot that came from another node.
   *
   * @param snapshot The snapshot.
   */
  installSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#base = snapshot.metadata;
    this.#entries = [];
  }

  /**
   * Keeps a snapshot that this node made, and drops the log that it stands for.
   *
   * @param snapshot Its index is in the log.
   */
  compact(snapshot: Snapshot): void {
    const { index } = snapshot.metadata;
    invariant(
      index > this.#base.index && index <= this.lastIndex(),
      () => `a snapshot is made of what the log holds: index ${index}`,
    );
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = snapshot.metadata;
    this.#snapshot = snapshot;
  }
}
