/**
 * Hashes the state of a shard at marks in its log, for whoever compares replicas.
 *
 * A mark is an entry that every replica applies. A node that was asked about a mark beforehand copies
 * the state of its machine right after it, as for a snapshot, and hashes the copy in pieces, with the turns of
 * everybody else in between. One that was not asked does nothing; so marks cost nothing when a log is
 * gone through again.
 *
 * @module
 */

import type { ShardMachine } from "../queue/mod.ts";
import { crc32c } from "../storage/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import { encodeMachine } from "./machine_codec.ts";

/** Told the hash, or `undefined` where nobody will know it any more. */
export type HashCallback = (hash: MarkedHash | undefined) => void;

/** The hash of a state, and where in the log it is that of. */
export interface MarkedHash {
  readonly index: number;
  readonly term: number;
  readonly hash: string;
}

/** The most marks that are waited for: each one that comes costs a copy of the state. */
const MARKS_MAX = 8;

/** A mark that has not come for so long never will. */
const WAIT_MS_MAX = 60_000;

/** How much is hashed at a time, between two turns of everybody else. */
const PIECE_BYTES = 1 << 20;

interface Waiting {
  readonly done: HashCallback[];
  readonly timer: TimerId;
}

/** The hashes of one shard that somebody waits for. */
export class StateHashes {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  /** States that are being hashed. */
  #busy = 0;

  /** @param clock Gives others their turn. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Waits for a mark that is not in the log yet.
   *
   * @param mark Its number.
   * @param done Told the hash of the state right after it.
   */
  want(mark: number, done: HashCallback): void {
    const known = this.#waiting.get(mark);
    if (known !== undefined) return void known.done.push(done);
    if (this.#waiting.size + this.#busy >= MARKS_MAX) return done(undefined);
    const timer = this.#clock.setTimeout(() => this.#settle(mark, undefined), WAIT_MS_MAX);
    this.#waiting.set(mark, { done: [done], timer });
  }

  /** A mark was applied: the machine has the state right after it. */
  applied(mark: number, index: number, term: number, machine: ShardMachine): void {
    const waiting = this.#waiting.get(mark);
    if (waiting === undefined) return;
    this.#waiting.delete(mark);
    this.#clock.clearTimeout(waiting.timer);
    this.#busy++;
    const parts = encodeMachine(machine.capture().parts());
    void this.#hash(parts).then((hash) => {
      this.#busy--;
      for (const done of waiting.done) done({ index, term, hash });
    });
  }

  /** Nobody is answered any more. */
  close(): void {
    for (const mark of [...this.#waiting.keys()]) this.#settle(mark, undefined);
  }

  #settle(mark: number, hash: MarkedHash | undefined): void {
    const waiting = this.#waiting.get(mark);
    if (waiting === undefined) return;
    this.#waiting.delete(mark);
    this.#clock.clearTimeout(waiting.timer);
    for (const done of waiting.done) done(hash);
  }

  /** The checksum and the length of the state: 32 bits tell a replica that went astray from the others. */
  async #hash(parts: Iterable<Uint8Array>): Promise<string> {
    let crc = 0;
    let bytes = 0;
    let sincePause = 0;
    for (const part of parts) {
      crc = crc32c(part, crc);
      bytes += part.length;
      sincePause += part.length;
      if (sincePause < PIECE_BYTES) continue;
      sincePause = 0;
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, 0));
    }
    return `${crc.toString(16).padStart(8, "0")}-${bytes.toString(16)}`;
  }
}
