/**
 * What there is to see of a partition, for clients, people and tools: its messages that are not gone, who
 * holds them, and what they wait for.
 *
 * @module
 */

import type { Backlog } from "./backlog.ts";
import type { HeldMessage } from "./commands.ts";
import type { Consumer } from "./consumer.ts";
import type { History } from "./history.ts";
import { KeyBlocks } from "./key_blocks.ts";
import type { LeaseTable } from "./lease_table.ts";
import type {
  KeyBlockView,
  KeyCounts,
  LeaseView,
  LookOptions,
  MessagesSeen,
  MessageView,
} from "./message_view.ts";
import { NO_SLOT } from "./offset_index.ts";
import type { WaitingMessage } from "./waiting_messages.ts";

/** The tables of a partition that one looks at. */
export interface VisibleTables {
  readonly backlog: Backlog;
  readonly leases: LeaseTable;
  readonly consumers: Iterable<Consumer>;
  /** Where there is one. */
  readonly history: History | undefined;
  /** Below, everything is gone. */
  readonly lowOffset: number;
}

const HELD_BACK: KeyBlockView = { by: "growing" };

/** A partition at this moment: good until the next command. */
export class PartitionView {
  readonly #backlog: Backlog;
  readonly #leases: LeaseTable;
  readonly #consumers: Iterable<Consumer>;
  readonly #history: History | undefined;
  readonly #lowOffset: number;

  /**
   * Looks at a partition.
   *
   * @param tables Its tables.
   */
  constructor({ backlog, leases, consumers, history, lowOffset }: VisibleTables) {
    this.#backlog = backlog;
    this.#leases = leases;
    this.#consumers = consumers;
    this.#history = history;
    this.#lowOffset = lowOffset;
  }

  /**
   * Looks at messages that are not gone.
   *
   * @param options Which ones.
   * @param nowMs The time of the log.
   * @returns What there is to see of them.
   */
  look({ fromOffset, state, messagesMax, offsetsMax }: LookOptions, nowMs: number): MessagesSeen {
    const messages: MessageView[] = [];
    const first = Math.max(fromOffset, this.#lowOffset);
    const end = Math.min(this.#backlog.nextOffset, first + offsetsMax);
    const waiting = this.#backlog.waitingBetween(first, end);
    const blocks = this.#keyBlocks(nowMs);
    let offset = first;
    while (offset < end && messages.length < messagesMax) {
      const view = this.#view(offset, waiting.get(offset), blocks);
      offset++;
      if (view !== undefined && (state === undefined || view.state === state)) messages.push(view);
    }
    return { messages, nextOffset: offset < this.#backlog.nextOffset ? offset : undefined };
  }

  /**
   * Looks at one message, also one that was acked and is kept. Goes over what is remembered then.
   *
   * @param offset Its offset.
   * @param nowMs The time of the log.
   * @returns What there is to see of it, or `undefined` when it is gone, or still to come.
   */
  find(offset: number, nowMs: number): MessageView | undefined {
    const options = { fromOffset: offset, messagesMax: 1, offsetsMax: 1 };
    const [live] = this.look(options, nowMs).messages;
    if (live?.offset === offset) return live;
    const history = this.#history;
    if (history === undefined || !history.keeps(offset)) return undefined;
    this.#backlog.locate(offset);
    const { entryIndex, position } = this.#backlog;
    const deliveryCount = history.of(offset).at(-1)?.deliveryCount ?? 0;
    return { offset, state: "acked", deliveryCount, entryIndex, position };
  }

  /**
   * Lists what a consumer holds.
   *
   * @param consumer One that is attached.
   * @returns Its messages, in the order of their offsets.
   */
  heldBy(consumer: Consumer): HeldMessage[] {
    return this.#leases.slotsOf(consumer).map((slot) => {
      const offset = this.#leases.offsetAt(slot);
      this.#backlog.locate(offset);
      return {
        offset,
        deliveryCount: this.#leases.deliveryCountAt(slot),
        entryIndex: this.#backlog.entryIndex,
        position: this.#backlog.position,
      };
    });
  }

  /**
   * Tells since when a consumer has held what it has held longest.
   *
   * @param consumer One that is attached.
   * @returns When that lease began or was last extended, or `undefined` when it holds nothing.
   */
  heldSinceMs({ firstLease, lane }: Consumer): number | undefined {
    return firstLease === NO_SLOT ? undefined : this.#leases.deadlineAt(firstLease) - lane!.leaseMs;
  }

  /**
   * Counts the keys that wait, where keys take turns.
   *
   * @param nowMs The time of the log.
   * @returns The counts, or `undefined` where no message has a key that matters.
   */
  keyCounts(nowMs: number): KeyCounts | undefined {
    return this.#backlog.keyed?.counts(nowMs);
  }

  /** What there is to see of a message, `undefined` when it is gone. */
  #view(
    offset: number,
    waiting: WaitingMessage | undefined,
    blocks: KeyBlocks | undefined,
  ): MessageView | undefined {
    const slot = this.#leases.find(offset);
    if (slot === NO_SLOT && !this.#backlog.has(offset)) return undefined;
    this.#backlog.locate(offset);
    const { entryIndex, position } = this.#backlog;
    const place = { offset, entryIndex, position };
    if (slot === NO_SLOT) {
      const { deliveryCount = 0, dueMs } = waiting ?? {};
      if (dueMs !== undefined) return { ...place, state: "delayed", deliveryCount, dueAtMs: dueMs };
      const block = this.#backlog.isHeldBack(offset) ? HELD_BACK : blocks?.of(offset);
      return { ...place, state: "ready", deliveryCount, ...(block === undefined ? {} : { block }) };
    }
    const lease = this.#leaseView(slot);
    return { ...place, state: "leased", deliveryCount: this.#leases.deliveryCountAt(slot), lease };
  }

  #leaseView(slot: number): LeaseView {
    const { sessionId, consumerId, lane } = this.#leases.holderAt(slot);
    const endsAtMs = this.#leases.deadlineAt(slot);
    return { sessionId, consumerId, sinceMs: endsAtMs - lane!.leaseMs, endsAtMs };
  }

  #keyBlocks(nowMs: number): KeyBlocks | undefined {
    const { keyed } = this.#backlog;
    if (keyed === undefined) return undefined;
    const leases = this.#leases;
    const slots = () => Iterator.from(this.#consumers).flatMap((one) => leases.slotsOf(one));
    const leased = () =>
      slots().map((slot) => ({ offset: leases.offsetAt(slot), lease: this.#leaseView(slot) }));
    return new KeyBlocks(keyed, nowMs, leased, () => this.#backlog.waiting());
  }
}
