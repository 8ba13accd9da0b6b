/**
 * Shows messages that wait or are leased, as they are, without leasing them or changing anything.
 *
 * A page is made in slices beside everything else, and each message is shown as it is when its turn
 * comes: later than the request, but not all at the same moment.
 *
 * @module
 */

import type { LeaseView, LookOptions, MessagesSeen, MessageView } from "../queue/mod.ts";
import {
  commandTimestampMs,
  decodeMessage,
  type FoundMessage,
  type LeaseReport,
  messageEnd,
  messageStart,
  type PeekedPage,
  type PeekedRecord,
  type PeekQuery,
} from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";
import { consumerReport } from "./inspect.ts";
import type { LocalShard } from "./local_shard.ts";
import { Slices } from "./slices.ts";

/** A page has no more messages, and is complete when it has reached this size. */
const PAGE_COUNT_MAX = 1_000;
const PAGE_BYTES_SOFT = 1 << 20;

/** After so many bytes of the log, or so many offsets, a page is what has been found by then. */
const READ_BYTES_MAX = 32 << 20;
const OFFSETS_MAX = 2_000_000;

/** What one slice looks at: a few milliseconds of walking past messages that are gone. */
const SLICE_OFFSETS_MAX = 16_384;
/** Each may be in an entry of its own, of a megabyte or more. */
const SLICE_MESSAGES_MAX = 8;

/** The partition is not here any more. */
class PartitionGoneError extends Error {
  override readonly name = "PartitionGoneError";
}

/**
 * Shows some messages of a partition.
 *
 * @param local The shard of the partition, which is led here and known to be current.
 * @param query Which messages.
 * @param clock Gives others their turn.
 * @returns A page, or `undefined` where there is no such partition.
 */
export async function peek(
  local: LocalShard,
  query: PeekQuery,
  clock: Clock,
): Promise<PeekedPage | undefined> {
  try {
    return await new Peek(local, query, clock).run();
  } catch (error) {
    if (error instanceof PartitionGoneError) return undefined;
    throw error;
  }
}

/**
 * Shows one message.
 *
 * @param local The shard of the partition, which is led here and known to be current.
 * @param partitionId The partition.
 * @param offset The message.
 * @param nowMs The leader's time.
 * @returns What there is to see of it, or `undefined` where there is no such partition.
 */
export function findMessage(
  local: LocalShard,
  partitionId: number,
  offset: number,
  nowMs: number,
): FoundMessage | undefined {
  const { machine } = local.shard;
  const stats = machine.stats(partitionId);
  if (stats === undefined) return undefined;
  const { nextOffset } = stats;
  const found = machine.findMessage(partitionId, offset);
  if (found === undefined) {
    return { nowMs, state: offset < nextOffset ? "gone" : "unpublished", nextOffset };
  }
  const message = new EntryReader(local).show(found, partitionId);
  return { nowMs, state: found.state, nextOffset, message };
}

class Peek {
  readonly #local: LocalShard;
  readonly #query: PeekQuery;
  readonly #clock: Clock;
  readonly #slices: Slices;
  readonly #reader: EntryReader;
  readonly #messages: PeekedRecord[] = [];
  #bytes = 0;
  #offsetsLeft = OFFSETS_MAX;

  constructor(local: LocalShard, query: PeekQuery, clock: Clock) {
    this.#local = local;
    this.#query = query;
    this.#clock = clock;
    this.#slices = new Slices(clock);
    this.#reader = new EntryReader(local);
  }

  async run(): Promise<PeekedPage> {
    const { fromMs, fromOffset, partitionId } = this.#query;
    let next: number | undefined = fromOffset;
    if (fromMs !== undefined) next = await this.#seek(fromMs);
    while (next !== undefined && !this.#isFull) {
      const seen = this.#look(next, SLICE_MESSAGES_MAX);
      this.#offsetsLeft -= (seen.nextOffset ?? next) - next;
      next = seen.nextOffset;
      for (const view of seen.messages) {
        const after = this.#take(view, partitionId);
        if (after === "stop") next = undefined;
        else if (this.#isFull) next = view.offset + 1;
        else continue;
        break;
      }
      await this.#slices.step();
    }
    const nowMs = Math.floor(this.#clock.now());
    const messages = this.#messages;
    return next === undefined ? { nowMs, messages } : { nowMs, messages, nextOffset: next };
  }

  get #isFull(): boolean {
    return this.#messages.length >= Math.min(this.#query.count, PAGE_COUNT_MAX) ||
      this.#bytes >= PAGE_BYTES_SOFT || this.#reader.bytesRead >= READ_BYTES_MAX ||
      this.#offsetsLeft <= 0;
  }

  /** Adds a message, if it is asked for. @returns Whether others may come behind it. */
  #take(view: MessageView, partitionId: number): "go on" | "stop" {
    const { key, fromMs = 0, toMs = Infinity } = this.#query;
    const publishedAtMs = this.#reader.publishedAtMs(view);
    if (publishedAtMs >= toMs) return "stop";
    if (publishedAtMs < fromMs) return "go on";
    if (key !== undefined && this.#reader.keyOf(view) !== key) return "go on";
    const shown = this.#reader.show(view, partitionId);
    this.#messages.push(shown);
    this.#bytes += shown.record.length;
    return "go on";
  }

  /** Finds where the messages begin that were published from a time on: offsets rise with it. */
  async #seek(fromMs: number): Promise<number> {
    let low = this.#query.fromOffset;
    let high = this.#stats().nextOffset;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const probe = await this.#firstFrom(middle, high);
      if (probe === undefined || probe.publishedAtMs >= fromMs) high = middle;
      else low = probe.offset + 1;
    }
    return low;
  }

  /** The first message from an offset on, if it is below `end`. */
  async #firstFrom(
    offset: number,
    end: number,
  ): Promise<{ offset: number; publishedAtMs: number } | undefined> {
    let next: number | undefined = offset;
    while (next !== undefined && next < end) {
      const seen: MessagesSeen = this.#look(next, 1);
      const [view] = seen.messages;
      if (view !== undefined) {
        const publishedAtMs = this.#reader.publishedAtMs(view);
        await this.#slices.step();
        return view.offset < end ? { offset: view.offset, publishedAtMs } : undefined;
      }
      next = seen.nextOffset;
      await this.#slices.step();
    }
    return undefined;
  }

  #look(fromOffset: number, messagesMax: number): MessagesSeen {
    const { partitionId, state } = this.#query;
    const options: LookOptions = {
      fromOffset,
      messagesMax,
      offsetsMax: SLICE_OFFSETS_MAX,
      ...(state === undefined ? {} : { state }),
    };
    const seen = this.#local.shard.machine.look(partitionId, options);
    if (seen === undefined) throw new PartitionGoneError();
    return seen;
  }

  #stats() {
    const stats = this.#local.shard.machine.stats(this.#query.partitionId);
    if (stats === undefined) throw new PartitionGoneError();
    return stats;
  }
}

/** Reads messages out of the log: each of a view that is as new as the machine's last command. */
class EntryReader {
  /** Bytes of all entries that were read. */
  bytesRead = 0;
  readonly #local: LocalShard;
  #index = 0;
  #term = 0;
  #data: Uint8Array = new Uint8Array(0);

  constructor(local: LocalShard) {
    this.#local = local;
  }

  publishedAtMs({ entryIndex }: MessageView): number {
    this.#read(entryIndex);
    return commandTimestampMs(this.#data);
  }

  keyOf({ entryIndex, position }: MessageView): string | undefined {
    this.#read(entryIndex);
    const start = messageStart(this.#data, position);
    return decodeMessage(this.#data, start, messageEnd(this.#data, position)).key;
  }

  show(view: MessageView, partitionId: number): PeekedRecord {
    const { offset, state, deliveryCount, entryIndex, position, lease, dueAtMs, block } = view;
    this.#read(entryIndex);
    return {
      offset,
      state,
      deliveryCount,
      term: this.#term,
      index: entryIndex,
      publishedAtMs: commandTimestampMs(this.#data),
      ...(lease === undefined ? {} : { lease: this.#reportOf(lease, partitionId) }),
      ...(dueAtMs === undefined ? {} : { dueAtMs }),
      ...(block === undefined ? {} : {
        block: block.by === "leased"
          ? { ...block, lease: this.#reportOf(block.lease, partitionId) }
          : block,
      }),
      record: this.#data.subarray(
        messageStart(this.#data, position),
        messageEnd(this.#data, position),
      ),
    };
  }

  #reportOf(lease: LeaseView, partitionId: number): LeaseReport {
    const { sinceMs, endsAtMs } = lease;
    return { consumer: consumerReport(this.#local, partitionId, lease)!, sinceMs, endsAtMs };
  }

  #read(index: number): void {
    if (index === this.#index) return;
    const { data, term } = this.#local.shard.store.entry(index);
    this.#index = index;
    this.#term = term;
    this.#data = data;
    this.bytesRead += data.length;
  }
}
