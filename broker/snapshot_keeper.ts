/**
 * Takes snapshots of a shard's machine, every so many bytes of log, and gives back the space of the log
 * that is then no longer needed.
 *
 * Taking hold of the state, between two turns of the shard's loop, costs microseconds even for millions
 * of messages, since what grows with them is shared and not copied. Encoding and writing it goes on in
 * slices, with the loop's turns in between, while the machine goes on.
 *
 * How much log there is from one snapshot to the next grows with the state, so that writing snapshots,
 * and reading them back, is a bounded part of what is written to the log.
 *
 * What can go is what neither the snapshot refers to nor a follower is about to ask for: one that is
 * there and only a little behind is fed from the log, which is far cheaper than another snapshot. Whole
 * segments go from the beginning; others of which little is alive are rewritten, slowly, to just that.
 * Which entries are alive is found while the snapshot is written, and counts once it is on disk.
 *
 * @module
 */

import type { Raft } from "../raft/mod.ts";
import type { MachineCapture, ShardMachine } from "../queue/mod.ts";
import {
  DiskFullError,
  type Rewritten,
  type ShardStore,
  type SnapshotInProgress,
} from "../storage/mod.ts";
import type { Clock } from "../client/runtime.ts";
import { concatBytes } from "../wire/mod.ts";
import { LiveSetBuilder } from "./live_set.ts";
import { encodeMachine } from "./machine_codec.ts";
import { Slices } from "./slices.ts";

/** What is to be done when a snapshot was taken, or failed. */
export interface SnapshotEvents {
  /** The state was taken hold of; the machine still has it. */
  taken(index: number): void;
  /** The log begins at this index now. */
  compacted(firstIndex: number): void;
  /** Segments were rewritten to what is alive in them. */
  rewritten(done: Rewritten): void;
  failed(error: unknown): void;
}

/** How much is written at a time. */
const PIECE_BYTES = 256 << 10;

/**
 * Bytes of log, at least, from one snapshot to the next for each byte of the state: what snapshots are
 * written adds a quarter to what the log is written, at most.
 */
const LOG_PER_STATE = 4;

/** How soon a snapshot that the disk had no room for is tried again, in milliseconds. */
const RETRY_MS = 2_000;

/** A follower that lacks more of the log than this many times the interval gets a snapshot instead. */
const FOLLOWER_INTERVALS_MAX = 4;

/**
 * How much is read and written in a millisecond to rewrite segments: 32 MB a second, a small part of
 * what a disk does.
 */
const REWRITE_BYTES_PER_MS = 32 << 10;

/** The snapshots of one shard. */
export class SnapshotKeeper {
  readonly #store: ShardStore;
  readonly #raft: Raft;
  readonly #clock: Clock;
  readonly #intervalBytes: number;
  readonly #events: SnapshotEvents;
  #bytesApplied = 0;
  #busy = false;
  /** Space is being given back; and whether there is reason to look once more. */
  #reclaiming = false;
  #reclaimAgain = false;
  /** When to try again after the disk was full; 0 for no reason to wait. */
  #retryAtMs = 0;

  /**
   * @param store Where log and snapshots are.
   * @param raft Knows what is applied, and how far the followers are.
   * @param clock Gives others their turn.
   * @param intervalBytes How much is applied from one snapshot to the next, as long as the state is small.
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
    if (this.#busy || this.#bytesApplied < this.#interval) return;
    if (this.#retryAtMs > 0 && this.#clock.monotonic() < this.#retryAtMs) return;
    const index = this.#raft.appliedIndex;
    if (index <= (this.#store.storedSnapshot?.index ?? 0)) return;
    this.#bytesApplied = 0;
    this.#retryAtMs = 0;
    this.#busy = true;
    const neededIndex = Math.min(machine.lowestLiveEntryIndex() ?? Infinity, index + 1);
    const term = this.#store.term(index)!;
    const { configuration } = this.#raft;
    let writer: SnapshotInProgress | undefined;
    const failed = (error: unknown) => this.#failed(error, writer);
    try {
      writer = this.#store.beginSnapshot({ index, term, configuration, neededIndex });
    } catch (error) {
      return failed(error);
    }
    const capture = machine.capture();
    this.#events.taken(index);
    this.#write(writer, capture).catch(failed);
  }

  /** A full disk is no reason to end: the log is as good without this snapshot. */
  #failed(error: unknown, writer: SnapshotInProgress | undefined): void {
    if (!(error instanceof DiskFullError)) return this.#events.failed(error);
    try {
      writer?.discard();
    } catch (failure) {
      return this.#events.failed(failure);
    }
    this.#busy = false;
    this.#retryAtMs = this.#clock.monotonic() + RETRY_MS;
    this.#bytesApplied = Infinity;
  }

  /** How much is to be applied from the newest snapshot to the next. */
  get #interval(): number {
    const stateBytes = this.#store.storedSnapshot?.bytes ?? 0;
    return Math.max(this.#intervalBytes, LOG_PER_STATE * stateBytes);
  }

  async #write(writer: SnapshotInProgress, capture: MachineCapture): Promise<void> {
    const slices = new Slices(this.#clock);
    await slices.pause();
    const live = new LiveSetBuilder();
    let pieces: Uint8Array[] = [];
    let bytes = 0;
    for (const piece of encodeMachine(live.watch(capture.parts()))) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes >= PIECE_BYTES) {
        writer.write(concatBytes(pieces));
        pieces = [];
        bytes = 0;
      }
      do await slices.step(); while (live.step());
    }
    writer.write(concatBytes(pieces));
    const kept = await writer.finish(live.set, () => slices.pause());
    this.#busy = false;
    // The snapshot is there; whatever fails now is of another kind.
    if (kept) this.reclaim().catch((error) => this.#events.failed(error));
  }

  /**
   * Gives back the space of the log that is not needed any more: first that of whole segments at its
   * beginning, then that of what is dead in others.
   */
  async reclaim(): Promise<void> {
    this.#reclaimAgain = true;
    if (this.#reclaiming) return;
    this.#reclaiming = true;
    while (this.#reclaimAgain) {
      this.#reclaimAgain = false;
      const before = this.#store.firstIndex();
      await this.#store.compact(this.#lastUnneeded());
      await this.#rewrite();
      const after = this.#store.firstIndex();
      if (after > before) this.#events.compacted(after);
    }
    this.#reclaiming = false;
  }

  /** Rewrites segments, until a newer snapshot knows more. */
  #rewrite(): Promise<void> {
    return this.#store.rewriteSegments(this.#lastUnneeded(), {
      pace: (bytes) => {
        return new Promise((resolve) => {
          this.#clock.setTimeout(resolve, bytes / REWRITE_BYTES_PER_MS);
        });
      },
      spareBytesMax: FOLLOWER_INTERVALS_MAX * this.#interval,
      isOver: () => this.#reclaimAgain,
      done: (rewritten) => this.#events.rewritten(rewritten),
    });
  }

  /** What followers have that are there and not far behind. */
  #lastUnneeded(): number {
    let last = Infinity;
    if (this.#raft.role !== "leader") return last;
    const bytesMax = FOLLOWER_INTERVALS_MAX * this.#interval;
    for (const { id, matchIndex, recentlyActive, state } of this.#raft.status().progress) {
      if (id === this.#raft.id || !recentlyActive || state === "snapshot") continue;
      if (this.#store.bytesFrom(matchIndex + 1) <= bytesMax) last = Math.min(last, matchIndex);
    }
    return last;
  }
}
