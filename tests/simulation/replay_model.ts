/**
 * What a partition must remember of acked messages, and which of them come back: a list of acks, and the
 * messages that were asked for and are not on their way yet.
 *
 * @module
 */

/** An ack that is remembered. */
interface Ack {
  readonly offset: number;
  readonly atMs: number;
  /** The entry. */
  readonly index: number;
}

/** The acked messages of one partition. */
export class ReplayModel {
  #acks: Ack[] = [];
  /** Asked for, and not in the outbox yet. */
  #wanted: number[] = [];

  /** Messages that come back, and are not on their way yet. */
  get wanted(): number {
    return this.#wanted.length;
  }

  /** A message was acked. */
  acked(ack: Ack): void {
    this.#acks.push(ack);
  }

  /** Forgets what has fallen out of a window, which passes in steps of a second. */
  forget(nowMs: number, historyMs: number): void {
    const isOver = ({ atMs }: Ack) => Math.ceil((atMs + historyMs) / 1_000) * 1_000 <= nowMs;
    while (this.#acks.length > 0 && isOver(this.#acks[0]!)) this.#acks.shift();
  }

  /** There is no history any more. */
  end(): void {
    this.#acks = [];
  }

  /** Somebody asks for what was acked between. @returns How many messages come back. */
  replay(sinceMs: number, untilIndex: number): number {
    const isMeant = ({ atMs, index }: Ack) => atMs >= sinceMs && index <= untilIndex;
    const meant = this.#acks.filter(isMeant);
    this.#acks = this.#acks.filter((ack) => !isMeant(ack));
    this.#wanted.push(...meant.map(({ offset }) => offset));
    return meant.length;
  }

  /** What goes on its way back now, in order. */
  take(): number[] {
    return this.#wanted.splice(0).sort((a, b) => a - b);
  }
}
