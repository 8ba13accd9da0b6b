/**
 * Frames of Raft that come twice, or later than those that were sent behind them.
 *
 * On one TCP connection neither happens. Over several it does, as seen by Raft: what was sent on the old
 * connection comes in while the new one is in use, and what was sent before a break is sent again
 * after it. So Raft has to stand it at any time, and here it gets it without waiting for a break.
 * Everything else on a stream between brokers relies on the order of that stream, and keeps it.
 *
 * @module
 */

import { readU32 } from "../../wire/bytes.ts";
import { PeerFrameType } from "../../wire/mod.ts";
import type { Counters } from "./counters.ts";
import type { Random } from "./random.ts";
import { copyOf } from "./slab.ts";

/** How often it happens, as chances of each frame. */
export interface FrameFaults {
  readonly duplicateChance: number;
  readonly lateChance: number;
}

/** Nothing of the kind. */
export const ORDERLY_FRAMES: FrameFaults = { duplicateChance: 0, lateChance: 0 };

/** How many frames may overtake one. */
const OVERTAKEN_MAX = 20;

const NOTHING = new Uint8Array(0);

/** One direction of a stream between brokers. */
export class FrameShuffler {
  readonly #faults: () => FrameFaults;
  readonly #random: Random;
  readonly #counters: Counters;
  /** The beginning of a frame. */
  #rest = NOTHING;
  #held: { readonly frame: Uint8Array; overtakenBy: number }[] = [];

  /**
   * @param faults Asked for each frame.
   * @param random Decides.
   * @param counters Told how often.
   */
  constructor(faults: () => FrameFaults, random: Random, counters: Counters) {
    this.#faults = faults;
    this.#random = random;
    this.#counters = counters;
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @param bytes They stay as they are.
   * @returns What goes on its way now: whole frames.
   */
  take(bytes: Uint8Array): Uint8Array[] {
    let stream = bytes;
    if (this.#rest.length > 0) {
      stream = new Uint8Array(this.#rest.length + bytes.length);
      stream.set(this.#rest);
      stream.set(bytes, this.#rest.length);
    }
    const out: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      const end = at + frameBytes(stream, at);
      if (!(end <= stream.length)) break;
      this.#pass(stream.subarray(at, end), out);
      at = end;
    }
    this.#rest = at === stream.length ? NOTHING : stream.slice(at);
    return out;
  }

  #pass(frame: Uint8Array, out: Uint8Array[]): void {
    const { duplicateChance, lateChance } = this.#faults();
    const random = this.#random;
    const isRaft = frame[4] === PeerFrameType.raft;
    const isLate = isRaft && random.chance(lateChance);
    const isTwice = isRaft && random.chance(duplicateChance);
    if (!isLate) out.push(frame);
    if (this.#held.length > 0) this.#letPass(out);
    if (isLate) this.#hold(frame, "network: frames reordered");
    if (isTwice) this.#hold(frame, "network: frames duplicated");
  }

  /** One more has passed those that are held. */
  #letPass(out: Uint8Array[]): void {
    for (const held of this.#held) {
      if (--held.overtakenBy === 0) out.push(held.frame);
    }
    this.#held = this.#held.filter(({ overtakenBy }) => overtakenBy > 0);
  }

  #hold(frame: Uint8Array, counter: string): void {
    this.#held.push({ frame: copyOf(frame), overtakenBy: this.#random.integer(1, OVERTAKEN_MAX) });
    this.#counters.add(counter);
  }
}

/** How long the frame at `at` is, header included; not a number where that is not there yet. */
function frameBytes(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) return NaN;
  return 4 + readU32(bytes, at);
}
