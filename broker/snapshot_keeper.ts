/**
 * Takes snapshots of a shard's machine, every so many bytes of log, and gives back the space of the log
 * that is then no longer needed.
 *
 * The state is copied in one go, between two turns of the shard's loop: that is a few milliseconds even
 * for millions of messages, since bodies are not in it. Encoding and writing it goes on in pieces, with
 * the loop's turns in between.
 *
 * What can go is what neither the snapshot refers to nor a follower is about to ask for: one that is
 * there and only a little behind is fed from the log, which is far cheaper than another snapshot.
 *
 * @module
 */

import type { Raft } from "../raft/mod.ts";
import type { ShardMachine } from "../queue/mod.ts";
import type { ShardStore, SnapshotInProgress } from "../storage/mod.ts";
import type { Clock } from "../client/runtime.ts";
import { encodeMachine } from "./machine_codec.ts";

/** What is to be done when a snapshot was taken, or failed. */
export interface SnapshotEvents {
  /** The state was copied; the machine still has it. */
  taken(index: number): void;
  /** The log begins at this index now. */
  compacted(firstIndex: number): void;
  failed(error: unknown): void;
}

/** How much is written at a time, between two turns of everybody else. */
const PIECE_BYTES = 1 << 20;

/** A follower that lacks more of the log than this many times the interval gets a snapshot instead. */
const FOLLOWER_INTERVALS_MAX = 4;

/** The snapshots of one shard. */
export class SnapshotKeeper {
  readonly #store: ShardStore;
  readonly #raft: Raft;
  readonly #clock: Clock;
  readonly #intervalBytes: number;
  readonly #events: SnapshotEvents;
  #bytesApplied = 0;
  #busy = false;

  /**
   * @param store Where log and snapshots are.
   * @param raft Knows what is applied, and how far the followers are.
   * @param clock Gives others their turn.
   * @param intervalBytes How much is applied from one snapshot to the next.
   * @param events Told what happens.
   */
  constructor(
    store: ShardStore,
    raft: Raft,
    clock: Clock,
    intervalBytes: number,
    events: SnapshotEvents,
  ) {
    this.#store = store;
    this.#raft = raft;
    this.#clock = clock;
    this.#intervalBytes = intervalBytes;
    this.#events = events;
  }

  /** So many bytes of entries were applied. */
  applied(bytes: number): void {
    this.#bytesApplied += bytes;
  }

  /** The machine was replaced by one that came with a snapshot. */
  restored(): void {
    this.#bytesApplied = 0;
  }

  /** Takes a snapshot if it is time. Called between two turns, when all that was handed out is applied. */
  check(machine: ShardMachine): void {
    if (this.#bytesApplied < this.#intervalBytes || this.#busy) return;
    const index = this.#raft.appliedIndex;
    if (index <= (this.#store.storedSnapshot?.index ?? 0)) return;
    this.#bytesApplied = 0;
    this.#busy = true;
    const neededIndex = Math.min(machine.lowestLiveEntryIndex() ?? Infinity, index + 1);
    const term = this.#store.term(index)!;
    const { configuration } = this.#raft;
    const writer = this.#store.beginSnapshot({ index, term, configuration, neededIndex });
    const snapshot = machine.snapshot();
    this.#events.taken(index);
    this.#write(writer, snapshot).catch((error) => this.#events.failed(error));
  }

  async #write(
    writer: SnapshotInProgress,
    snapshot: ReturnType<ShardMachine["snapshot"]>,
  ): Promise<void> {
    const pause = () => this.#pause();
    await pause();
    for (const part of encodeMachine(snapshot)) {
      for (let at = 0; at < part.length; at += PIECE_BYTES) {
        writer.write(part.subarray(at, at + PIECE_BYTES));
        if (part.length > PIECE_BYTES) await pause();
      }
    }
    const kept = await writer.finish(pause);
    this.#busy = false;
    if (kept) await this.compact();
  }

  /** Gives back the space of the log that is not needed any more. */
  async compact(): Promise<void> {
    const before = this.#store.firstIndex();
    await this.#store.compact(this.#lastUnneeded());
    const after = this.#store.firstIndex();
    if (after > before) this.#events.compacted(after);
  }

  /** What followers have that are there and not far behind. */
  #lastUnneeded(): number {
    let last = Infinity;
    if (this.#raft.role !== "leader") return last;
    const bytesMax = FOLLOWER_INTERVALS_MAX * this.#intervalBytes;
    for (const { id, matchIndex, recentlyActive, state } of this.#raft.status().progress) {
      if (id === this.#raft.id || !recentlyActive || state === "snapshot") continue;
      if (this.#store.bytesFrom(matchIndex + 1) <= bytesMax) last = Math.min(last, matchIndex);
    }
    return last;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimeout(resolve, 0));
  }
}
