/**
 * The history of a partition: what happened to its messages within a window of time, and which acked
 * ones can be brought back.
 *
 * A queue whose `historyMs` is 0 has none, and pays nothing. Where there is one, each happening is
 * noted, and an acked message stays one bit: its entry is kept in the log, and its batch on record, until
 * its ack falls out of the window. The window passes in steps of a second; where the memory that the
 * shard has for histories is short, it is shorter.
 *
 * ```text
 *   acked ──▶ replayable ── replay ──▶ replaying ── outbox ──▶ a new message in the same partition
 *                 └── the window has passed: gone
 * ```
 *
 * A replay takes all messages that were acked since some time and until some entry of the log. So a
 * replay that is repeated finds nothing: what it put back and was acked again was acked later. They go
 * through the outbox of the shard (`outbox.ts`), in the order of their offsets, as it has room.
 *
 * @module
 */

import { type Happening, HAPPENING_BYTES, HappeningKind, Happenings } from "./happenings.ts";
import type { HappeningsCapture } from "./happenings.ts";
import { HistoryRoom } from "./history_room.ts";
import { invariant } from "./invariant.ts";
import type { HappeningsSnapshot, HistoryPart, OffsetRuns } from "./machine_snapshot.ts";
import { OffsetSet } from "./offset_set.ts";
import { FULL_RETRY_MS, type Outbox } from "./outbox.ts";

/** What a history needs of its shard. */
export interface HistoryShard {
  /** The log index of the command that is being applied. */
  readonly appliedIndex: number;
  /** The time of the log. */
  readonly nowMs: number;
  readonly historyRoom: HistoryRoom;
  readonly outbox: Pick<Outbox, "revive">;
  readonly sessions: { get(id: number): { readonly clientName: string } | undefined };
}

/** For a partition on its own: no shard that could remember anything. */
export const NO_SHARD: HistoryShard = {
  appliedIndex: 0,
  nowMs: 0,
  historyRoom: new HistoryRoom(0),
  outbox: { revive: () => false },
  sessions: new Map(),
};

/** What a history holds, for people. */
export interface HistoryReport {
  /** It knows all that happened since. */
  readonly sinceMs: number;
  /** How much has happened since. */
  readonly happenings: number;
  /** About how much memory that takes. */
  readonly bytes: number;
  /** Acked messages that can be brought back. */
  readonly replayable: number;
  /** Messages that are being brought back, and are not in the outbox yet. */
  readonly replaying: number;
}

/** What a history hands over to a capture. */
export interface HistoryState {
  readonly part: HistoryPart;
  readonly happenings: HappeningsCapture;
  readonly replayable: OffsetSet;
  readonly replaying: OffsetSet;
}

/** A client that something was done by. */
interface Client {
  readonly name: string;
  /** How many happenings say that. */
  happenings: number;
}

/** About what a client takes of memory, beside its name. */
const CLIENT_BYTES = 64;

/** How finely time passes for a history. */
const STEP_MS = 1_000;

/** The history of one partition. */
export class History {
  readonly #shard: HistoryShard;
  readonly #released: () => void;
  readonly #happenings = new Happenings();
  /** Acked within the window. */
  readonly #replayable = new OffsetSet();
  /** Taken for a replay, and not yet in the outbox. */
  readonly #replaying = new OffsetSet();
  /** By session. */
  readonly #clients = new Map<number, Client>();
  #windowMs = 0;
  /** All that happened at this time or later is known, as far as the window reaches. */
  #beganMs: number;
  /** When the next messages go to the outbox, where there are some. */
  #feedMs = 0;
  #bytes = 0;
  /** No offset below is replayable or replaying. */
  #low = Infinity;

  /**
   * Begins a history that keeps nothing yet.
   *
   * @param shard Its shard.
   * @param released Told when something had to be forgotten early: less of the log is needed, perhaps.
   */
  constructor(shard: HistoryShard, released: () => void) {
    this.#shard = shard;
    this.#released = released;
    this.#beganMs = shard.nowMs;
  }

  /** Nothing is kept, and nothing has to be brought back: it may go. */
  get isOver(): boolean {
    return this.#windowMs === 0 && this.#replaying.size === 0;
  }

  /** How much memory it takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that are being brought back. */
  get replaying(): number {
    return this.#replaying.size;
  }

  /** When time brings something to it, or `undefined` for never. */
  get firstDeadlineMs(): number | undefined {
    const { firstMs } = this.#happenings;
    const passesMs = firstMs === undefined ? Infinity : this.#endMs(firstMs);
    const first = this.#replaying.size === 0 ? passesMs : Math.min(passesMs, this.#feedMs);
    return first === Infinity ? undefined : first;
  }

  /**
   * Sets how long things are remembered.
   *
   * @param windowMs How long; 0 forgets all, but for what is being brought back.
   */
  setWindow(windowMs: number): void {
    if (windowMs > 0 && this.#windowMs === 0) this.#beganMs = this.#shard.nowMs;
    this.#windowMs = windowMs;
    if (windowMs > 0) return this.#shard.historyRoom.join(this);
    this.leave();
    this.#happenings.clear();
    this.#replayable.clear();
    this.#clients.clear();
    this.#bytes = 0;
  }

  /** Its partition goes: others have its room. */
  leave(): void {
    this.#shard.historyRoom.leave(this);
  }

  /**
   * Notes what happened to a message.
   *
   * @param kind What.
   * @param offset The message.
   * @param by Which client did it, and which of its consumers; `undefined` where time or the queue did.
   * @param deliveryCount Which delivery it is about, 0 for none.
   * @param detail For people.
   */
  note(
    kind: HappeningKind,
    offset: number,
    by?: { readonly sessionId: number; readonly consumerId: number },
    deliveryCount = 0,
    detail?: string,
  ): void {
    const { sessionId = 0, consumerId = 0 } = by ?? {};
    if (kind === HappeningKind.acked && this.#windowMs > 0) {
      this.#replayable.add(offset);
      this.#low = Math.min(this.#low, offset);
    }
    this.#add(kind, offset, 1, sessionId, consumerId, deliveryCount, detail);
  }

  /**
   * Notes what happened to neighbours at once.
   *
   * @param kind What.
   * @param offset The first of them.
   * @param count How many.
   * @param sessionId Whose client did it, 0 for nobody's.
   */
  noteAll(kind: HappeningKind, offset: number, count: number, sessionId = 0): void {
    this.#add(kind, offset, count, sessionId, 0, 0, undefined);
  }

  /** Forgets what has fallen out of the window. */
  passTime(): void {
    const { nowMs } = this.#shard;
    for (;;) {
      const { firstMs } = this.#happenings;
      if (firstMs === undefined || this.#endMs(firstMs) > nowMs) return;
      this.#forgetOldest();
    }
  }

  /** Forgets the oldest, as far as it has more than its share of the room. */
  trim(): void {
    const { share } = this.#shard.historyRoom;
    if (this.#bytes <= share) return;
    while (this.#bytes > share && this.#happenings.size > 0) {
      this.#beganMs = this.#forgetOldest().atMs + 1;
    }
    this.#released();
  }

  /**
   * Takes messages for a replay.
   *
   * @param sinceMs Those that were acked at this time or later,
   * @param untilIndex by the entry with this index, or one before it.
   * @returns How many.
   */
  replay(sinceMs: number, untilIndex: number): number {
    let count = 0;
    for (const offset of this.#happenings.acked(sinceMs, untilIndex)) {
      // Replayed before.
      if (!this.#replayable.has(offset)) continue;
      this.#replayable.delete(offset);
      this.#replaying.add(offset);
      count++;
    }
    this.#feedMs = this.#shard.nowMs;
    return count;
  }

  /**
   * Hands over messages that are being brought back, the oldest first.
   *
   * @param countMax How many.
   * @param take Takes one over; where it does not, it is asked again later.
   * @returns How many were taken.
   */
  feed(countMax: number, take: (offset: number) => boolean): number {
    if (this.#replaying.size === 0 || this.#feedMs > this.#shard.nowMs) return 0;
    let count = 0;
    for (const offset of this.#replaying.first(countMax)) {
      if (!take(offset)) {
        this.#feedMs = this.#shard.nowMs + FULL_RETRY_MS;
        break;
      }
      this.#replaying.delete(offset);
      this.note(HappeningKind.replayed, offset);
      count++;
    }
    return count;
  }

  /**
   * Finds the oldest message whose entry has to be kept.
   *
   * @param lowOffset The oldest message that is alive.
   * @returns Its offset: that one, or one before it.
   */
  lowestKept(lowOffset: number): number {
    if (this.#replayable.size === 0 && this.#replaying.size === 0) return this.#low = lowOffset;
    while (
      this.#low < lowOffset && !this.#replayable.has(this.#low) && !this.#replaying.has(this.#low)
    ) this.#low++;
    return Math.min(this.#low, lowOffset);
  }

  /**
   * Tells whether a message that was acked is kept, to be brought back.
   *
   * @param offset The message.
   * @returns Whether it is.
   */
  keeps(offset: number): boolean {
    return this.#replayable.has(offset) || this.#replaying.has(offset);
  }

  /**
   * Tells what happened to a message.
   *
   * @param offset The message.
   * @returns What is remembered, oldest first.
   */
  of(offset: number): Happening[] {
    const found: Happening[] = [];
    let waits = true;
    for (const happening of this.#happenings.of(offset)) {
      // A purge is noted for all, and happens to what waits.
      if (happening.kind === HappeningKind.purged && !waits) continue;
      waits = LEAVES_IT_WAITING.has(happening.kind);
      found.push(happening);
    }
    return found;
  }

  /**
   * Tells what the client of a session was called that has done something.
   *
   * @param sessionId The session.
   * @returns Its name, or `undefined` where it has done nothing.
   */
  clientName(sessionId: number): string | undefined {
    return this.#clients.get(sessionId)?.name;
  }

  /** What it holds. */
  get report(): HistoryReport {
    return {
      sinceMs: Math.max(this.#beganMs, this.#shard.nowMs - this.#windowMs),
      happenings: this.#happenings.size,
      bytes: this.#bytes,
      replayable: this.#replayable.size,
      replaying: this.#replaying.size,
    };
  }

  /**
   * Takes hold of it as it is now.
   *
   * @returns All of it, however it goes on.
   */
  capture(): HistoryState {
    return {
      part: {
        beganMs: this.#beganMs,
        feedMs: this.#feedMs,
        clients: Array.from(this.#clients, ([sessionId, { name }]) => [sessionId, name]),
      },
      happenings: this.#happenings.capture(),
      replayable: this.#replayable.capture(),
      replaying: this.#replaying.capture(),
    };
  }

  /**
   * Takes up what a snapshot says, before anything else.
   *
   * @param part What a capture gave.
   */
  restore({ beganMs, feedMs, clients }: HistoryPart): void {
    this.#beganMs = beganMs;
    this.#feedMs = feedMs;
    for (const [sessionId, name] of clients) {
      this.#clients.set(sessionId, { name, happenings: 0 });
      this.#bytes += CLIENT_BYTES + 2 * name.length;
    }
  }

  /**
   * Adds happenings as they were in a snapshot.
   *
   * @param part Some of them, behind those that are there.
   */
  restoreHappenings(part: HappeningsSnapshot): void {
    this.#happenings.restore(part);
    const details = new Map(part.details);
    for (const [at, sessionId] of part.sessionId.entries()) {
      if (sessionId > 0) this.#clients.get(sessionId)!.happenings++;
      this.#bytes += bytesOf(details.get(at));
    }
  }

  /**
   * Adds messages that can be brought back, as they were in a snapshot.
   *
   * @param runs Their offsets.
   */
  restoreReplayable(runs: OffsetRuns): void {
    this.#replayable.restore(runs);
    this.#low = Math.min(this.#low, runs.firstOffset);
  }

  /**
   * Adds messages that are being brought back, as they were in a snapshot.
   *
   * @param runs Their offsets.
   */
  restoreReplaying(runs: OffsetRuns): void {
    this.#replaying.restore(runs);
    this.#low = Math.min(this.#low, runs.firstOffset);
  }

  /**
   * Checks what must hold between two commands.
   *
   * @param isGone Tells whether a message is done with.
   */
  checkInvariants(isGone: (offset: number) => boolean): void {
    this.#replayable.checkInvariants();
    this.#replaying.checkInvariants();
    invariant(!this.isOver, "A history that is over is not kept");
    invariant(this.#bytes <= this.#shard.historyRoom.share, "A history has its share of the room");
    const acked = new Set<number>();
    const clients = new Map<number, number>();
    let bytes = 0;
    for (const { kind, offset, sessionId, detail } of this.#happenings) {
      if (kind === HappeningKind.acked) acked.add(offset);
      if (sessionId > 0) clients.set(sessionId, (clients.get(sessionId) ?? 0) + 1);
      bytes += bytesOf(detail);
    }
    for (const [sessionId, { name, happenings }] of this.#clients) {
      invariant(clients.get(sessionId) === happenings, "A client counts what it has done");
      bytes += CLIENT_BYTES + 2 * name.length;
    }
    invariant(clients.size === this.#clients.size, "Whoever has done something is known");
    invariant(bytes === this.#bytes, "A history counts its bytes");
    for (const offset of this.#replayable) {
      invariant(acked.has(offset) && isGone(offset), "What can be brought back was acked");
      invariant(!this.#replaying.has(offset), "What is brought back is taken once");
      invariant(offset >= this.#low, "No offset is kept below the lowest");
    }
    for (const offset of this.#replaying) {
      invariant(
        isGone(offset) && offset >= this.#low,
        "What is brought back was acked, and is kept",
      );
    }
  }

  #add(
    kind: HappeningKind,
    offset: number,
    count: number,
    sessionId: number,
    consumerId: number,
    deliveryCount: number,
    detail: string | undefined,
  ): void {
    if (this.#windowMs === 0) return;
    const { appliedIndex: index, nowMs: atMs } = this.#shard;
    this.#happenings.add({
      kind,
      offset,
      count,
      index,
      atMs,
      sessionId,
      consumerId,
      deliveryCount,
      ...(detail === undefined ? {} : { detail }),
    });
    if (sessionId > 0) this.#countClient(sessionId);
    this.#bytes += bytesOf(detail);
    this.trim();
  }

  #countClient(sessionId: number): void {
    const client = this.#clients.get(sessionId);
    if (client !== undefined) {
      client.happenings++;
      return;
    }
    const name = this.#shard.sessions.get(sessionId)?.clientName ?? "";
    this.#clients.set(sessionId, { name, happenings: 1 });
    this.#bytes += CLIENT_BYTES + 2 * name.length;
  }

  #forgetOldest(): Happening {
    const oldest = this.#happenings.shift();
    const { kind, offset, sessionId, detail } = oldest;
    if (kind === HappeningKind.acked && this.#replayable.has(offset)) {
      this.#replayable.delete(offset);
    }
    this.#bytes -= bytesOf(detail);
    const client = this.#clients.get(sessionId);
    if (client !== undefined && --client.happenings === 0) {
      this.#clients.delete(sessionId);
      this.#bytes -= CLIENT_BYTES + 2 * client.name.length;
    }
    return oldest;
  }

  /** When something that happened falls out of the window. */
  #endMs(atMs: number): number {
    return Math.ceil((atMs + this.#windowMs) / STEP_MS) * STEP_MS;
  }
}

const LEAVES_IT_WAITING: ReadonlySet<HappeningKind> = new Set([
  HappeningKind.published,
  HappeningKind.nacked,
  HappeningKind.returned,
  HappeningKind.leaseExpired,
  HappeningKind.sessionTimedOut,
]);

function bytesOf(detail: string | undefined): number {
  return HAPPENING_BYTES + (detail === undefined ? 0 : 2 * detail.length);
}
