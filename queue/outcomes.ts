/**
 * What becomes of messages that are not acked: they wait for their next delivery, or die, expire, are
 * dropped or purged; and how many of a partition did.
 *
 * A message that has to die while the outbox is full stays, and dies a little later.
 *
 * @module
 */

import { backoffMs } from "./backoff.ts";
import type { Backlog } from "./backlog.ts";
import type { Death, DeathReason, PartitionIdentity } from "./commands.ts";
import { isDeadLetterQueue } from "./dead_letter_queue.ts";
import { HappeningKind } from "./happenings.ts";
import type { History } from "./history.ts";
import type { LeaseTable } from "./lease_table.ts";
import type { PartitionPart } from "./machine_snapshot.ts";
import { FULL_RETRY_MS } from "./outbox.ts";

/** Where messages go that die. */
export interface Graveyard {
  /**
   * Takes over a message that died.
   *
   * @param death Which message, and why.
   * @returns Whether it was taken; if not, it stays and has to die later.
   */
  bury(death: Death): boolean;
}

/** The partition that messages come to an end in. */
interface Scene {
  readonly identity: PartitionIdentity;
  readonly history: History | undefined;
}

/** Why a consumer has lost a message that it did not settle. */
export type Failure = "leaseExpired" | "sessionTimedOut";

/** The fields of a partition's part of a snapshot that count messages which are gone. */
type OutcomesPart = Pick<PartitionPart, "dead" | "expired" | "dropped" | "purged" | "repeated">;

/** A message that a consumer held until now. */
interface Released {
  readonly offset: number;
  readonly deliveryCount: number;
  readonly priority: number;
}

/** The outcomes of one partition. */
export class Outcomes {
  /** Messages that went to the dead-letter queue. */
  dead = 0;
  /** Messages whose time was over. */
  expired = 0;
  /** Messages for which there was no room, or that were rejected in a dead-letter queue. */
  dropped = 0;
  /** Messages that somebody removed. */
  purged = 0;
  /** Messages that were not stored, as one with the same unique text was alive. */
  repeated = 0;

  readonly #partition: Scene;
  readonly #backlog: Backlog;
  readonly #leases: LeaseTable;
  readonly #graveyard: Graveyard;

  /**
   * @param partition Whose messages they are.
   * @param backlog Takes those that wait.
   * @param leases Those that consumers hold.
   * @param graveyard Takes those that die.
   */
  constructor(
    partition: Scene,
    backlog: Backlog,
    leases: LeaseTable,
    graveyard: Graveyard,
  ) {
    this.#partition = partition;
    this.#backlog = backlog;
    this.#leases = leases;
    this.#graveyard = graveyard;
  }

  /**
   * Takes a message from a consumer that has not failed with it.
   *
   * @param slot Its lease.
   * @param nowMs The time of the log.
   */
  return(slot: number, nowMs: number): void {
    const { offset, deliveryCount, priority } = this.#release(slot);
    this.putBack(offset, deliveryCount, priority, nowMs);
  }

  /**
   * Takes a message from a consumer that has failed with it.
   *
   * @param slot Its lease.
   * @param detail What is known about the failure.
   * @param delayMs How long it waits; `undefined` for the back-off of its queue.
   * @param nowMs The time of the log.
   */
  fail(
    slot: number,
    detail: string | undefined,
    delayMs: number | undefined,
    nowMs: number,
  ): void {
    const { id, settings, queueName } = this.#partition.identity;
    const { offset, deliveryCount, priority } = this.#release(slot);
    if (this.#backlog.isExpired(offset, nowMs)) return this.#expire(offset, deliveryCount, nowMs);
    const { maxDeliveries } = settings;
    let waitMs = delayMs ?? backoffMs(settings, id, offset, deliveryCount);
    if (maxDeliveries > 0 && deliveryCount >= maxDeliveries && !isDeadLetterQueue(queueName)) {
      if (this.#bury(offset, deliveryCount, "maxDeliveries", detail, nowMs)) return;
      waitMs = FULL_RETRY_MS;
    }
    if (waitMs > 0) this.#backlog.delay(nowMs + waitMs, offset, deliveryCount, priority);
    else this.#backlog.putBack(offset, deliveryCount, priority);
  }

  /**
   * Takes a message from a consumer that wants nobody to have it.
   *
   * @param slot Its lease.
   * @param detail Why.
   * @param nowMs The time of the log.
   */
  reject(slot: number, detail: string | undefined, nowMs: number): void {
    const { offset, deliveryCount, priority } = this.#release(slot);
    if (isDeadLetterQueue(this.#partition.identity.queueName)) {
      this.dropped++;
      this.#backlog.forget(offset);
      this.#partition.history?.note(HappeningKind.dropped, offset);
    } else if (!this.#bury(offset, deliveryCount, "rejected", detail, nowMs)) {
      this.#backlog.delay(nowMs + FULL_RETRY_MS, offset, deliveryCount, priority);
    }
  }

  /**
   * Makes a message that is in nobody's hands ready, unless its time is over.
   *
   * @param offset The message.
   * @param deliveryCount How often it was delivered.
   * @param priority Its priority.
   * @param nowMs The time of the log.
   */
  putBack(offset: number, deliveryCount: number, priority: number, nowMs: number): void {
    if (this.#backlog.isExpired(offset, nowMs)) this.#expire(offset, deliveryCount, nowMs);
    else this.#backlog.putBack(offset, deliveryCount, priority);
  }

  /**
   * Lets a message go that waits, and whose time is over.
   *
   * @param offset The message.
   * @param nowMs The time of the log.
   */
  expireWaiting(offset: number, nowMs: number): void {
    const isGone = this.#letExpire(offset, 0, nowMs);
    // A delayed one expires when it is due, at the latest.
    if (!isGone && this.#backlog.isDelayed(offset)) return;
    this.#backlog.remove(offset);
    if (!isGone) this.#backlog.delay(nowMs + FULL_RETRY_MS, offset, 0, 0);
  }

  /** What is of it in the partition's own part of a snapshot: what is not 0. */
  get part(): OutcomesPart {
    const { dead, expired, dropped, purged, repeated } = this;
    return {
      ...(dead === 0 ? {} : { dead }),
      ...(expired === 0 ? {} : { expired }),
      ...(dropped === 0 ? {} : { dropped }),
      ...(purged === 0 ? {} : { purged }),
      ...(repeated === 0 ? {} : { repeated }),
    };
  }

  /**
   * Takes up what the partition's part of a snapshot says.
   *
   * @param part The part.
   */
  restore({ dead = 0, expired = 0, dropped = 0, purged = 0, repeated = 0 }: OutcomesPart): void {
    this.dead = dead;
    this.expired = expired;
    this.dropped = dropped;
    this.purged = purged;
    this.repeated = repeated;
  }

  #release(slot: number): Released {
    const leases = this.#leases;
    const released = {
      offset: leases.offsetAt(slot),
      deliveryCount: leases.deliveryCountAt(slot),
      priority: leases.priorityAt(slot),
    };
    leases.release(slot);
    this.#backlog.release(released.offset);
    return released;
  }

  /** Lets a message go whose time is over, and which neither waits nor is with a consumer. */
  #expire(offset: number, deliveryCount: number, nowMs: number): void {
    if (this.#letExpire(offset, deliveryCount, nowMs)) return;
    // It will not be delivered any more: when it is due, its time is still over.
    this.#backlog.delay(nowMs + FULL_RETRY_MS, offset, deliveryCount, 0);
  }

  /** Returns whether the message is gone; if not, it has to be kept. */
  #letExpire(offset: number, deliveryCount: number, nowMs: number): boolean {
    const { settings, queueName } = this.#partition.identity;
    if (settings.deadLetterExpired && !isDeadLetterQueue(queueName)) {
      return this.#bury(offset, deliveryCount, "expired", undefined, nowMs);
    }
    this.expired++;
    this.#backlog.forget(offset);
    this.#partition.history?.note(HappeningKind.expired, offset);
    return true;
  }

  #bury(
    offset: number,
    deliveryCount: number,
    reason: DeathReason,
    detail: string | undefined,
    atMs: number,
  ): boolean {
    const { queueName: queue, number: partition } = this.#partition.identity;
    this.#backlog.locate(offset);
    const { entryIndex, position } = this.#backlog;
    const isTaken = this.#graveyard.bury({
      queue,
      partition,
      offset,
      entryIndex,
      position,
      deliveryCount,
      reason,
      ...(detail === undefined ? {} : { detail }),
      atMs,
    });
    if (!isTaken) return false;
    this.dead++;
    this.#backlog.forget(offset);
    this.#partition.history?.note(HappeningKind.dead, offset, undefined, deliveryCount, reason);
    return true;
  }
}
