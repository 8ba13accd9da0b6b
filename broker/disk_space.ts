/**
 * How much room there is on the disk of a node.
 *
 * A queue frees space when messages are acked, and acks need space to be written. So some is kept in
 * reserve: below it the disk counts as low, publishes are refused once a majority has no room for them
 * (`publish_room.ts`), and deliveries and acks go on. Whatever fills the disk to the last byte, a write
 * then waits, and is tried again; nothing was answered for it. All of it heals by itself.
 *
 * @module
 */

import type { DiskFullError, FileSystem } from "../storage/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";

/** How often a node looks how much room there is, and tries a write again, in milliseconds. */
export const DISK_CHECK_MS = 100;

/** A disk that was low is not any more when it has this many times the reserve. */
const RELIEF = 1.25;

/** What is needed of the node. */
export interface DiskSpaceHost {
  readonly files: FileSystem;
  /** Where the data are. */
  readonly path: string;
  /** How many bytes are kept in reserve. */
  readonly reserveBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The disk is low, or not any more. */
  changed(): void;
}

/** The room on the disk of one node. */
export class DiskSpace {
  readonly #host: DiskSpaceHost;
  readonly #waiting = new Map<TimerId, () => void>();
  #freeBytes = Infinity;
  #isLow = false;
  /** It was said that the disk is full. */
  #isFull = false;
  #isClosed = false;

  /** @param host The node. */
  constructor(host: DiskSpaceHost) {
    this.#host = host;
  }

  /** How much room there was at the last look; `Infinity` where nobody knows. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Whether the room is less than the reserve. */
  get isLow(): boolean {
    return this.#isLow;
  }

  /** Looks; to be called every {@linkcode DISK_CHECK_MS}. */
  check(): void {
    const { files, path, reserveBytes } = this.#host;
    try {
      this.#freeBytes = files.freeBytes(path);
    } catch {
      // A disk that cannot even say how full it is will fail where it matters.
      return;
    }
    const isLow = this.#freeBytes < (this.#isLow ? RELIEF * reserveBytes : reserveBytes);
    if (!isLow) this.#isFull = false;
    if (isLow === this.#isLow) return;
    this.#isLow = isLow;
    const figures = { path, freeBytes: this.#freeBytes, reserveBytes };
    if (isLow) this.#host.log.warn("The disk is nearly full", figures);
    else this.#host.log.info("The disk has room again", figures);
    this.#host.changed();
  }

  /** Waits until it is worth to try a write again that found the disk full. */
  readonly whenFull = (error: DiskFullError): Promise<void> => {
    if (this.#isClosed) return Promise.reject(error);
    if (!this.#isFull) {
      this.#isFull = true;
      this.#host.log.error("The disk is full: writing waits for room", { error: error.message });
    }
    return new Promise((resolve, reject) => {
      const timer = this.#host.clock.setTimeout(() => {
        this.#waiting.delete(timer);
        resolve();
      }, DISK_CHECK_MS);
      this.#waiting.set(timer, () => reject(error));
    });
  };

  /** Ends all waiting: what has no room by now will have none. */
  close(): void {
    this.#isClosed = true;
    for (const [timer, giveUp] of this.#waiting) {
      this.#host.clock.clearTimeout(timer);
      giveUp();
    }
    this.#waiting.clear();
  }
}
