/**
 * Why ready messages wait for others of their key, for people and tools.
 *
 * @module
 */

import type { KeyedMessages } from "./keyed_messages.ts";
import type { KeyBlockView, LeaseView } from "./message_view.ts";

/** A message that a consumer has. */
export interface LeasedMessage {
  readonly offset: number;
  readonly lease: LeaseView;
}

/** A message that waits for a time. */
export interface ReturnedMessage {
  readonly offset: number;
  readonly deliveryCount: number;
  readonly dueMs: number | undefined;
}

/** Looks for what holds back the keys of a partition, once for all that are asked for. */
export class KeyBlocks {
  readonly #keyed: KeyedMessages;
  readonly #nowMs: number;
  readonly #listLeased: () => Iterable<LeasedMessage>;
  readonly #listWaiting: () => Iterable<ReturnedMessage>;
  #leased: ReadonlyMap<number, LeasedMessage> | undefined;
  #returned: ReadonlyMap<number, ReturnedMessage> | undefined;

  /**
   * @param keyed The messages with keys.
   * @param nowMs The time of the log.
   * @param listLeased Goes over what consumers hold.
   * @param listWaiting Goes over what is delayed, and others.
   */
  constructor(
    keyed: KeyedMessages,
    nowMs: number,
    listLeased: () => Iterable<LeasedMessage>,
    listWaiting: () => Iterable<ReturnedMessage>,
  ) {
    this.#keyed = keyed;
    this.#nowMs = nowMs;
    this.#listLeased = listLeased;
    this.#listWaiting = listWaiting;
  }

  /**
   * Tells what holds a message back.
   *
   * @param offset Any message.
   * @returns What does, or `undefined` where nothing of its key does.
   */
  of(offset: number): KeyBlockView | undefined {
    const block = this.#keyed.blockOf(offset, this.#nowMs);
    if (block === undefined || block.by === "rate") return block;
    const hash = this.#keyed.hashOf(offset);
    if (block.by === "leased") {
      const { offset, lease } = this.#leasedBy(hash);
      return { by: "leased", offset, lease };
    }
    const returned = this.#returnedOf(hash);
    return { by: "returned", offset: returned.offset, untilMs: returned.dueMs! };
  }

  /** The one of a key that has been with a consumer longest. */
  #leasedBy(hash: number): LeasedMessage {
    this.#leased ??= this.#byKey(
      this.#listLeased(),
      (one, other) => one.lease.sinceMs < other.lease.sinceMs,
    );
    return this.#leased.get(hash)!;
  }

  /** The one of a key that comes back last. */
  #returnedOf(hash: number): ReturnedMessage {
    this.#returned ??= this.#byKey(
      Iterator.from(this.#listWaiting()).filter((one) =>
        one.dueMs !== undefined && one.deliveryCount > 0
      ),
      (one, other) => one.dueMs! > other.dueMs!,
    );
    return this.#returned.get(hash)!;
  }

  #byKey<T extends { readonly offset: number }>(
    messages: Iterable<T>,
    isBetter: (one: T, other: T) => boolean,
  ): Map<number, T> {
    const found = new Map<number, T>();
    for (const message of messages) {
      const hash = this.#keyed.hashOf(message.offset);
      const other = found.get(hash);
      if (other === undefined || isBetter(message, other)) found.set(hash, message);
    }
    return found;
  }
}
