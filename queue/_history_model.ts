/**
 * The histories of partitions once more, as naive as can be: all that is remembered is a list, and every
 * question is answered by going over it.
 *
 * @module
 */

import { type Happening, HappeningKind } from "./happenings.ts";
import type { HistoryReport } from "./history.ts";

/** The history of one partition. */
export class HistoryModel {
  windowMs = 0;
  beganMs = 0;
  happenings: Happening[] = [];
  /** Taken for a replay, ever. */
  readonly replayed = new Set<number>();
  /** Of these, what is not in the outbox yet. */
  replaying: number[] = [];
  feedMs = 0;

  /** Acked messages that can be brought back. */
  get replayable(): number[] {
    return this.happenings
      .filter(({ kind, offset }) => kind === HappeningKind.acked && !this.replayed.has(offset))
      .map(({ offset }) => offset);
  }

  /** What is acked, and kept all the same. */
  get kept(): Set<number> {
    return new Set([...this.replayable, ...this.replaying]);
  }

  bytes(names: ReadonlyMap<number, string>): number {
    const sessions = new Set(this.happenings.map(({ sessionId }) => sessionId));
    sessions.delete(0);
    const texts = this.happenings.map(({ detail = "" }) => detail);
    return 50 * this.happenings.length + 2 * texts.join("").length +
      64 * sessions.size + 2 * [...sessions].map((id) => names.get(id)!).join("").length;
  }

  firstDeadlineMs(): number {
    const passesMs = this.happenings.map(({ atMs }) => this.#endMs(atMs));
    return Math.min(...passesMs, this.replaying.length === 0 ? Infinity : this.feedMs);
  }

  forget(nowMs: number): void {
    this.happenings = this.happenings.filter(({ atMs }) => this.#endMs(atMs) > nowMs);
  }

  trim(share: number, names: ReadonlyMap<number, string>): void {
    while (this.bytes(names) > share) this.beganMs = this.happenings.shift()!.atMs + 1;
  }

  setWindow(windowMs: number, nowMs: number): void {
    if (windowMs > 0 && this.windowMs === 0) this.beganMs = nowMs;
    if (windowMs === 0) this.happenings = [];
    this.windowMs = windowMs;
  }

  replay(sinceMs: number, untilIndex: number, nowMs: number): number {
    const acked = this.happenings.filter(({ kind, offset, atMs, index }) =>
      kind === HappeningKind.acked && !this.replayed.has(offset) && atMs >= sinceMs &&
      index <= untilIndex
    );
    for (const { offset } of acked) {
      this.replayed.add(offset);
      this.replaying.push(offset);
    }
    this.replaying.sort((a, b) => a - b);
    this.feedMs = nowMs;
    return acked.length;
  }

  of(offset: number): Happening[] {
    let waits = true;
    return this.happenings.filter((happening) => {
      const isAbout = offset >= happening.offset && offset < happening.offset + happening.count;
      if (!isAbout || (happening.kind === HappeningKind.purged && !waits)) return false;
      waits = [1, 4, 6, 7, 8].includes(happening.kind);
      return true;
    });
  }

  report(nowMs: number, names: ReadonlyMap<number, string>): HistoryReport | undefined {
    if (this.windowMs === 0 && this.replaying.length === 0) return undefined;
    return {
      sinceMs: Math.max(this.beganMs, nowMs - this.windowMs),
      happenings: this.happenings.length,
      bytes: this.bytes(names),
      replayable: this.replayable.length,
      replaying: this.replaying.length,
    };
  }

  #endMs(atMs: number): number {
    const ms = atMs + this.windowMs;
    return ms % 1_000 === 0 ? ms : ms - ms % 1_000 + 1_000;
  }
}
