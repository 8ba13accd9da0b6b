/**
 * A node's disk in the simulation of the bare core: what was written can be read at once, but only
 * what was synced survives a crash, and of the rest perhaps a part.
 *
 * @module
 */

import {
  type Configuration,
  type Entry,
  type HardState,
  type LogStorage,
  MemoryStorage,
  type Snapshot,
} from "../../raft/mod.ts";

/** One write on its way. */
export interface DiskWrite {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
}

/** A disk with a cache in front of it. */
export class SimulatedDisk implements LogStorage {
  /** With all writes. */
  #cached: MemoryStorage;
  /** What survives. */
  #durable: MemoryStorage;
  readonly #unsynced: DiskWrite[] = [];

  /** @param configuration The members of the new cluster. */
  constructor(configuration: Configuration) {
    this.#cached = new MemoryStorage(configuration);
    this.#durable = new MemoryStorage(configuration);
  }

  /** What would be there after a crash now, if none of the unsynced writes made it. */
  get durable(): MemoryStorage {
    return this.#durable;
  }

  /** Writes not yet synced. */
  get unsynced(): number {
    return this.#unsynced.length;
  }

  initialState(): { hardState: HardState; configuration: Configuration } {
    return this.#cached.initialState();
  }
  firstIndex(): number {
    return this.#cached.firstIndex();
  }
  lastIndex(): number {
    return this.#cached.lastIndex();
  }
  term(index: number): number | undefined {
    return this.#cached.term(index);
  }
  entries(low: number, high: number, bytesMax: number): Entry[] {
    return this.#cached.entries(low, high, bytesMax);
  }
  snapshot(): Snapshot | undefined {
    return this.#cached.snapshot();
  }

  /** Starts a write. */
  write(write: DiskWrite): void {
    apply(this.#cached, write);
    this.#unsynced.push(write);
  }

  /** Finishes the oldest write. */
  sync(): void {
    const write = this.#unsynced.shift();
    if (write !== undefined) apply(this.#durable, write);
  }

  /** Replaces the log up to a snapshot; the disk must be in sync. */
  compact(snapshot: Snapshot): void {
    this.#cached.compact(snapshot);
    this.#durable.compact(snapshot);
  }

  /**
   * Loses what is not synced, except for the first writes, and of the next one the first entries.
   *
   * @param survivors How many unsynced writes made it all the same.
   * @param entries How many entries of the write behind them made it, together with its hard state.
   */
  crash(survivors: number, entries: number): void {
    for (let i = 0; i < survivors; i++) this.sync();
    const torn = this.#unsynced[0];
    if (torn !== undefined && torn.snapshot === undefined && entries > 0) {
      apply(this.#durable, { ...torn, entries: torn.entries.slice(0, entries) });
    }
    this.#unsynced.length = 0;
    this.#cached = copy(this.#durable);
  }
}

function apply(storage: MemoryStorage, write: DiskWrite): void {
  if (write.snapshot !== undefined) storage.installSnapshot(write.snapshot);
  if (write.hardState !== undefined) storage.setHardState(write.hardState);
  storage.append(write.entries);
}

function copy(storage: MemoryStorage): MemoryStorage {
  const { hardState, configuration } = storage.initialState();
  const result = new MemoryStorage(configuration);
  const snapshot = storage.snapshot();
  if (snapshot !== undefined) result.installSnapshot(snapshot);
  result.setHardState(hardState);
  const [first, last] = [storage.firstIndex(), storage.lastIndex()];
  if (last >= first) result.append(storage.entries(first, last + 1, Infinity));
  return result;
}
