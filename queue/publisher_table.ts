/**
 * Who publishes where: the producer window of each session for each partition.
 *
 * A window may be for a partition that does not live here, or not yet: what was sent to it has been
 * refused, and the refusals are remembered. When a session or a partition goes, so do its windows.
 *
 * @module
 */

import type { ProducerPosition } from "./commands.ts";
import { invariant } from "./invariant.ts";
import type { MachineLimits } from "./limits.ts";
import type { ProducerSnapshot } from "./machine_snapshot.ts";
import { ProducerWindow } from "./producer_window.ts";

/** The window of one session for one partition, as it was at one moment. */
export interface ProducerCapture {
  readonly sessionId: number;
  readonly partitionId: number;
  readonly window: ProducerWindow;
}

/** Producer windows by session and partition. */
export class PublisherTable {
  readonly #limits: MachineLimits;
  /** By session, then by partition. */
  readonly #windows = new Map<number, Map<number, ProducerWindow>>();
  /** The sessions that have a window, by partition. Follows from the above. */
  readonly #sessions = new Map<number, Set<number>>();

  /**
   * Makes an empty table.
   *
   * @param limits How many windows a session may have, and how much they remember.
   */
  constructor(limits: MachineLimits) {
    this.#limits = limits;
  }

  /**
   * Finds a window.
   *
   * @param sessionId The session that publishes.
   * @param partitionId Where to.
   * @returns The window, or `undefined`.
   */
  window(sessionId: number, partitionId: number): ProducerWindow | undefined {
    return this.#windows.get(sessionId)?.get(partitionId);
  }

  /**
   * Counts the windows of a session.
   *
   * @param sessionId The session.
   * @returns How many partitions it publishes to.
   */
  count(sessionId: number): number {
    return this.#windows.get(sessionId)?.size ?? 0;
  }

  /**
   * Makes a window.
   *
   * @param sessionId The session that publishes.
   * @param partitionId Where to; there is no window for it yet.
   * @param nextSequence The base of the first batch it accepts.
   * @returns The window, or `undefined` when the session has as many as it may.
   */
  open(sessionId: number, partitionId: number, nextSequence: number): ProducerWindow | undefined {
    if (this.count(sessionId) >= this.#limits.producersPerSession) return undefined;
    const window = new ProducerWindow(this.#limits.windowBatches, nextSequence);
    this.#add(sessionId, partitionId, window);
    return window;
  }

  /**
   * Gives the windows of a session to another one.
   *
   * @param from The session that has them.
   * @param to A session without any.
   */
  move(from: number, to: number): void {
    const windows = this.#windows.get(from);
    if (windows === undefined) return;
    invariant(!this.#windows.has(to), "A session that gets windows has none");
    this.#windows.delete(from);
    this.#windows.set(to, windows);
    for (const partitionId of windows.keys()) {
      this.#sessions.get(partitionId)!.delete(from);
      this.#sessions.get(partitionId)!.add(to);
    }
  }

  /**
   * Tells how far a session is.
   *
   * @param sessionId The session.
   * @returns One for each partition it publishes to, in the order in which it began.
   */
  positions(sessionId: number): ProducerPosition[] {
    return Array.from(this.#windows.get(sessionId) ?? [], ([partitionId, window]) => {
      return { partitionId, nextSequence: window.nextSequence };
    });
  }

  /**
   * Forgets the windows of a session.
   *
   * @param sessionId The session.
   */
  forgetSession(sessionId: number): void {
    for (const partitionId of this.#windows.get(sessionId)?.keys() ?? []) {
      const sessionIds = this.#sessions.get(partitionId)!;
      sessionIds.delete(sessionId);
      if (sessionIds.size === 0) this.#sessions.delete(partitionId);
    }
    this.#windows.delete(sessionId);
  }

  /**
   * Forgets the windows for a partition.
   *
   * @param partitionId The partition.
   */
  forgetPartition(partitionId: number): void {
    for (const sessionId of this.#sessions.get(partitionId) ?? []) {
      const windows = this.#windows.get(sessionId)!;
      windows.delete(partitionId);
      if (windows.size === 0) this.#windows.delete(sessionId);
    }
    this.#sessions.delete(partitionId);
  }

  /**
   * Takes hold of the windows as they are now.
   *
   * @returns All of them.
   */
  capture(): ProducerCapture[] {
    const producers: ProducerCapture[] = [];
    for (const [sessionId, windows] of this.#windows) {
      for (const [partitionId, window] of windows) {
        producers.push({ sessionId, partitionId, window: window.capture() });
      }
    }
    return producers;
  }

  /**
   * Adds a window as it was in a snapshot.
   *
   * @param saved The window.
   */
  restore(saved: ProducerSnapshot): void {
    const window = ProducerWindow.restore(this.#limits.windowBatches, saved);
    this.#add(saved.sessionId, saved.partitionId, window);
  }

  /**
   * Checks the windows, and that both ways to find them agree.
   *
   * @param isLive Tells whether a session and a partition may have a window.
   */
  checkInvariants(isLive: (sessionId: number, partitionId: number) => boolean): void {
    let listed = 0;
    for (const sessionIds of this.#sessions.values()) {
      invariant(sessionIds.size > 0, "Only partitions with publishers are listed");
      listed += sessionIds.size;
    }
    for (const [sessionId, windows] of this.#windows) {
      invariant(windows.size > 0, "Only sessions that publish are listed");
      for (const [partitionId, window] of windows) {
        window.checkInvariants();
        invariant(isLive(sessionId, partitionId), "A window belongs to what has not gone");
        invariant(this.#sessions.get(partitionId)?.has(sessionId), "A publisher is listed");
        listed--;
      }
    }
    invariant(listed === 0, "Only publishers are listed");
  }

  #add(sessionId: number, partitionId: number, window: ProducerWindow): void {
    const windows = this.#windows.get(sessionId);
    if (windows === undefined) this.#windows.set(sessionId, new Map([[partitionId, window]]));
    else windows.set(partitionId, window);
    const sessionIds = this.#sessions.get(partitionId);
    if (sessionIds === undefined) this.#sessions.set(partitionId, new Set([sessionId]));
    else sessionIds.add(sessionId);
  }
}
