/**
 * The consumers of one partition: who there is, whose turn it is, and who wants to hear that nothing is
 * ready.
 *
 * @module
 */

import { type Consumer, ReadyRing } from "./consumer.ts";
import type { EffectBuffer } from "./effects.ts";
import { invariant } from "./invariant.ts";
import type { ConsumerSnapshot } from "./machine_snapshot.ts";

// Most partitions have few consumers, and there may be very many partitions.
const NO_TURNS = new Uint32Array(0);
const NO_CONSUMERS: readonly ConsumerSnapshot[] = [];

/** Consumers that share a partition. */
export class PartitionConsumers {
  readonly #all = new Set<Consumer>();
  /** Those that have credit. */
  readonly ring = new ReadyRing();
  /** How many want to hear that nothing is ready. Follows from them. */
  #drainingCount = 0;

  /** All of them, in the order in which they first attached. */
  get all(): ReadonlySet<Consumer> {
    return this.#all;
  }

  /**
   * Adds a consumer; it has no turn yet.
   *
   * @param consumer One that is new.
   */
  add(consumer: Consumer): void {
    invariant(!this.#all.has(consumer), "A consumer is attached once");
    this.#all.add(consumer);
  }

  /**
   * Takes a consumer out. What it holds is not looked at here.
   *
   * @param consumer One that is attached.
   */
  remove(consumer: Consumer): void {
    const wasAttached = this.#all.delete(consumer);
    invariant(wasAttached, "Only an attached consumer is detached");
    consumer.attached = false;
    consumer.receiving = false;
    this.setDraining(consumer, false);
    this.refresh(consumer);
  }

  /**
   * Puts a consumer into the ring, or out of it, after its credit has changed.
   *
   * @param consumer The consumer.
   */
  refresh(consumer: Consumer): void {
    if (consumer.hasCredit === consumer.inRing) return;
    if (consumer.inRing) this.ring.leave(consumer);
    else this.ring.join(consumer);
  }

  /**
   * Notes whether a consumer wants to hear that nothing is ready.
   *
   * @param consumer The consumer.
   * @param draining Whether it does.
   */
  setDraining(consumer: Consumer, draining: boolean): void {
    if (consumer.draining === draining) return;
    consumer.draining = draining;
    this.#drainingCount += draining ? 1 : -1;
  }

  /**
   * Tells those who asked, and can be told, that nothing is to be had.
   *
   * @param effects Where it is written down.
   */
  reportDrained(effects: EffectBuffer): void {
    if (this.#drainingCount === 0) return;
    for (const consumer of this.#all) {
      if (!consumer.draining || !consumer.receiving) continue;
      const { sessionId, consumerId, partitionId } = consumer;
      effects.drained.push({ sessionId, consumerId, partitionId });
      this.setDraining(consumer, false);
    }
  }

  /**
   * Copies the consumers, and gives each its `place`.
   *
   * @returns All of them, and the places of those with credit in the order of their turns.
   */
  capture(): { consumers: readonly ConsumerSnapshot[]; ring: Uint32Array } {
    const consumers = this.#all.size === 0 ? NO_CONSUMERS : Array.from(this.#all, snapshotOf);
    const ring = this.ring.head === undefined
      ? NO_TURNS
      : Uint32Array.from(this.ring, ({ place }) => place);
    return { consumers, ring };
  }

  /** Checks ring and counts against the consumers. */
  checkInvariants(): void {
    let draining = 0;
    let inRing = 0;
    for (const consumer of this.#all) {
      if (consumer.draining) draining++;
      if (consumer.inRing) inRing++;
      invariant(consumer.inRing === consumer.hasCredit, "Who has credit is in the ring");
    }
    let members = 0;
    for (const consumer of this.ring) {
      invariant(this.#all.has(consumer), "Only attached consumers are in the ring");
      members++;
    }
    invariant(members === inRing, "Who is in the ring is linked into it");
    invariant(draining === this.#drainingCount, "The count of draining consumers is right");
  }
}

function snapshotOf(consumer: Consumer, place: number): ConsumerSnapshot {
  const { sessionId, consumerId, prefetch, attached, draining, leaseMs } = consumer;
  consumer.place = place;
  return {
    sessionId,
    consumerId,
    prefetch,
    attached,
    draining,
    ...(leaseMs === 0 ? {} : { leaseMs }),
  };
}
