/**
 * Turns deliveries, which the queue machine decides message by message, into frames.
 *
 * Deliveries of one turn of a shard's loop are gathered by consumer, then each consumer gets one frame
 * (or a few, where they are large) with the bytes of the messages copied straight from the entries
 * they were published in.
 *
 * @module
 */

import type { Deliveries } from "../queue/mod.ts";
import type { Entry } from "../raft/mod.ts";
import {
  commandTimestampMs,
  DeliverBuilder,
  encodeDrained,
  type MessageBounds,
  messageBounds,
} from "../wire/mod.ts";
import type { ClientLink, SessionBindings } from "./client_link.ts";
import { type Delivered, DeliveryBatch } from "./delivery_batch.ts";
import type { Shard } from "./shard.ts";

/** A frame that has reached this size is sent and another one begun. */
const FRAME_BYTES_SOFT = 1 << 20;

/** A client that is owed this much gets the rest when it has taken it: bodies wait on disk, not here. */
const WAITING_BYTES_MAX = 4 << 20;

/** So many batches are kept to be used again, and none that has had to hold more than this. */
const SPARES_MAX = 64;
const SPARE_COUNT_MAX = 2_000;

/** Gathers the deliveries of one shard and sends them at the end of a turn. */
export class DeliverySender {
  readonly #shard: Shard;
  readonly #bindings: SessionBindings;
  /** By session, then consumer, then partition. */
  readonly #batches = new Map<number, DeliveryBatch[]>();
  readonly #spares: DeliveryBatch[] = [];
  /** Slow clients whose turn comes when they have taken what waits. */
  readonly #slow = new Set<ClientLink>();
  /** Those that have, since the last flush. */
  readonly #caughtUp = new Set<ClientLink>();

  /**
   * @param shard Where the messages are.
   * @param bindings Where the sessions are.
   */
  constructor(shard: Shard, bindings: SessionBindings) {
    this.#shard = shard;
    this.#bindings = bindings;
  }

  /**
   * Takes what one command caused to be delivered. Sessions that are not attached here are passed over:
   * they get what they hold when they attach, and a node that replays its log delivers nothing of old.
   */
  add(deliveries: Deliveries): void {
    const { count, sessionId, consumerId, partitionId } = deliveries;
    const { offset, deliveryCount, entryIndex, position } = deliveries;
    for (let i = 0; i < count; i++) {
      if (this.#bindings.link(sessionId[i]!) === undefined) continue;
      const batch = this.#batch(sessionId[i]!, consumerId[i]!, partitionId[i]!);
      batch.add(offset[i]!, deliveryCount[i]!, entryIndex[i]!, position[i]!);
    }
  }

  /** Takes one delivery of a consumer that has attached again. */
  addOne(sessionId: number, consumerId: number, partitionId: number, one: Delivered): void {
    const batch = this.#batch(sessionId, consumerId, partitionId);
    batch.add(one.offset, one.deliveryCount, one.entryIndex, one.position);
  }

  /** Takes word that a draining consumer has got all that was ready. */
  drained(sessionId: number, consumerId: number, partitionId: number): void {
    if (this.#bindings.link(sessionId) === undefined) return;
    this.#batch(sessionId, consumerId, partitionId).drained = true;
  }

  /** Forgets what was gathered for a session: it attaches anew, and gets what it holds then. */
  forget(sessionId: number): void {
    this.#batches.delete(sessionId);
  }

  /** Forgets what was gathered: this node does not lead any more. */
  clear(): void {
    this.#batches.clear();
  }

  /** Sends all that was gathered. Sessions that are not attached here get theirs when they are. */
  flush(): void {
    for (const [sessionId, batches] of this.#batches) {
      const link = this.#bindings.link(sessionId);
      // What has waited may be over by now, and even gone from the log.
      if (link !== undefined && this.#hasWaited(link)) {
        for (const batch of batches) this.#dropEnded(batch);
      }
      if (link === undefined || link.closed || this.#sendAll(link, batches)) {
        this.#batches.delete(sessionId);
      } else {
        this.#resumeWhenDrained(link);
      }
    }
    this.#caughtUp.clear();
  }

  /** Whether there is room for what a client was too slow for before. */
  #hasWaited(link: ClientLink): boolean {
    return this.#caughtUp.has(link) ||
      (this.#slow.has(link) && link.waitingBytes <= WAITING_BYTES_MAX);
  }

  /** @returns Whether everything was sent; if not, the client is slow. */
  #sendAll(link: ClientLink, batches: DeliveryBatch[]): boolean {
    while (batches.length > 0) {
      if (!this.#send(link, batches[0]!)) return false;
      this.#spare(batches.shift()!);
    }
    return true;
  }

  #spare(batch: DeliveryBatch): void {
    const isKept = this.#spares.length < SPARES_MAX && batch.count <= SPARE_COUNT_MAX;
    if (isKept) this.#spares.push(batch);
  }

  #resumeWhenDrained(link: ClientLink): void {
    if (this.#slow.has(link)) return;
    this.#slow.add(link);
    void link.drained().then(() => {
      this.#slow.delete(link);
      this.#caughtUp.add(link);
      this.#shard.wake();
    });
  }

  /** Takes out what went to another consumer while it waited here for a slow one. */
  #dropEnded(batch: DeliveryBatch): void {
    const { sessionId, consumerId, partitionId } = batch;
    const leases = this.#shard.machine.leases(sessionId, consumerId, partitionId);
    const held = new Map(leases.map((one) => [one.offset, one.deliveryCount]));
    batch.keepUnsent((offset, deliveryCount) => held.get(offset) === deliveryCount);
  }

  #batch(sessionId: number, consumerId: number, partitionId: number): DeliveryBatch {
    let batches = this.#batches.get(sessionId);
    if (batches === undefined) this.#batches.set(sessionId, batches = []);
    for (const batch of batches) {
      if (batch.consumerId === consumerId && batch.partitionId === partitionId) return batch;
    }
    const batch = this.#spares.pop() ?? new DeliveryBatch();
    batch.reset(sessionId, consumerId, partitionId);
    batches.push(batch);
    return batch;
  }

  /** @returns Whether all of the batch was sent. */
  #send(link: ClientLink, batch: DeliveryBatch): boolean {
    const { consumerId, partitionId } = batch;
    const { id: shard, term, store } = this.#shard;
    let entry: Entry | undefined;
    let publishedAtMs = 0;
    const bounds: MessageBounds = { start: 0, end: 0 };
    while (batch.next < batch.count) {
      if (link.waitingBytes > WAITING_BYTES_MAX) return false;
      const target = { shard, term, consumerId, partitionId };
      const builder = new DeliverBuilder(target, batch.count - batch.next);
      while (batch.next < batch.count && builder.byteLength < FRAME_BYTES_SOFT) {
        const i = batch.next++;
        const index = batch.entryIndex[i]!;
        if (entry?.index !== index) {
          entry = store.entry(index);
          publishedAtMs = commandTimestampMs(entry.data);
        }
        messageBounds(entry.data, batch.position[i]!, bounds);
        builder.add(
          batch.offset[i]!,
          batch.deliveryCount[i]!,
          entry.term,
          index,
          publishedAtMs,
          entry.data,
          bounds.start,
          bounds.end,
        );
      }
      link.send(builder.finish());
    }
    if (batch.drained) link.send(encodeDrained(shard, { term, consumerId, partitionId }));
    return true;
  }
}
