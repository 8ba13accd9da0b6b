/**
 * Sends snapshots to followers that are further behind than the log reaches.
 *
 * What goes over is the newest snapshot on disk and the entries of the log that it needs, read as they
 * lie there: the follower then holds the very bodies, and the machine that knows which of them are alive.
 * Both stay on this node's disk until they are over. What is sent follows from the snapshot alone, and
 * not from what else this node still has: so another node can go on where this one ended. Only a few
 * chunks are on their way at a time, each sent when the follower has written an earlier one: so the
 * stream is as fast as the slower disk, and appends and heartbeats beside it never wait for more than
 * those few.
 *
 * A transfer ends in a word to the core, whatever happens. One that broke off is offered again by the
 * core's next attempt, and the follower says where to go on.
 *
 * @module
 */

import type { InstallSnapshot, NodeId } from "../raft/mod.ts";
import {
  countRecords,
  type PinnedSnapshot,
  type RecordEntry,
  recordSpans,
} from "../storage/mod.ts";
import { encodeSnapshotBegin, encodeSnapshotChunkHead, type SnapshotAck } from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";
import { nodeOf, type ReplicaId } from "./replica_id.ts";
import type { Shard } from "./shard.ts";

/** Chunks that are on their way at a time. */
const CHUNKS_MAX = 4;

/** A follower that has not taken anything for so long gets no more, in milliseconds. */
const SILENCE_MS_MAX = 10_000;

/** How often that is looked at. */
const CHECK_MS = 1_000;

/** What is needed of the node. */
export interface SnapshotSenderHost {
  readonly clock: Clock;
  readonly log: Logger;
  /** How big a chunk is, but for a single record that is bigger. */
  readonly chunkBytes: number;
  /** Sends a frame, or drops it. @returns Whether it was taken. */
  send(to: NodeId, parts: readonly Uint8Array[]): boolean;
  /** The disk failed, or what is on it is damaged. */
  fail(error: Error, shard: Shard): void;
}

interface Transfer {
  readonly number: number;
  readonly shard: Shard;
  /** The node that it goes to, and which of its replicas. */
  readonly to: NodeId;
  readonly replica: ReplicaId;
  readonly pin: PinnedSnapshot;
  /** The position behind everything. */
  readonly end: number;
  /** The follower has said where to begin. */
  begun: boolean;
  position: number;
  /** Where the chunks end that are on their way. */
  readonly underWay: number[];
  readonly startedAtMs: number;
  heardAtMs: number;
  timer: TimerId;
}

/** All transfers of snapshots from this node to others. */
export class SnapshotSender {
  readonly #host: SnapshotSenderHost;
  readonly #transfers = new Map<number, Transfer>();
  #number = 0;

  /** @param host The node. */
  constructor(host: SnapshotSenderHost) {
    this.#host = host;
  }

  /**
   * Offers a follower the newest snapshot.
   *
   * @param shard The shard, which leads.
   * @param message What its core wants to send.
   */
  begin(shard: Shard, message: InstallSnapshot): void {
    const { to: replica, snapshot: { metadata } } = message;
    const to = nodeOf(replica);
    for (const other of this.#transfers.values()) {
      if (other.shard === shard && other.replica === replica) this.#release(other);
    }
    const pin = shard.store.pinSnapshot();
    if (pin?.stored.index !== metadata.index) {
      pin?.release();
      return shard.snapshotSent(replica, false);
    }
    const { index, neededIndex, bytes: stateBytes, crc: stateCrc } = pin.stored;
    const number = ++this.#number;
    const { clock } = this.#host;
    const nowMs = clock.monotonic();
    const transfer: Transfer = {
      number,
      shard,
      to,
      replica,
      pin,
      end: stateBytes + pin.live.size,
      begun: false,
      position: 0,
      underWay: [],
      startedAtMs: nowMs,
      heardAtMs: nowMs,
      timer: clock.setTimeout(() => this.#checkSilence(transfer), CHECK_MS),
    };
    this.#transfers.set(number, transfer);
    const frame = encodeSnapshotBegin(shard.id, {
      transfer: number,
      neededIndex,
      entries: pin.live.size,
      stateBytes,
      stateCrc,
      message,
    });
    if (!this.#host.send(to, [frame])) return this.#end(transfer, false);
    this.#host.log.info("Sending a snapshot", { shard: shard.id, to, index, stateBytes });
  }

  /** A follower says how far it has got. */
  acknowledged(from: NodeId, ack: SnapshotAck): void {
    const transfer = this.#transfers.get(ack.transfer);
    if (transfer?.to !== from || ack.position > transfer.end) return;
    const { underWay } = transfer;
    transfer.heardAtMs = this.#host.clock.monotonic();
    if (!transfer.begun) {
      transfer.begun = true;
      transfer.position = ack.position;
    }
    while (underWay.length > 0 && underWay[0]! <= ack.position) underWay.shift();
    if (ack.position === transfer.end) return this.#end(transfer, true);
    try {
      this.#fill(transfer);
    } catch (error) {
      this.#host.fail(error instanceof Error ? error : new Error(String(error)), transfer.shard);
    }
  }

  /** A follower does not want a snapshot, or what it got is not what was promised. */
  aborted(from: NodeId, number: number): void {
    const transfer = this.#transfers.get(number);
    if (transfer?.to !== from) return;
    try {
      // The follower may be right.
      if (!transfer.pin.stale) transfer.pin.check();
    } catch (error) {
      this.#host.fail(error instanceof Error ? error : new Error(String(error)), transfer.shard);
    }
    this.#end(transfer, false);
  }

  /** A connection to or from a node broke: frames may be lost. */
  lost(node: NodeId): void {
    for (const transfer of [...this.#transfers.values()]) {
      if (transfer.to === node) this.#end(transfer, false);
    }
  }

  /** Ends all transfers. */
  close(): void {
    for (const transfer of this.#transfers.values()) this.#release(transfer);
  }

  /** Sends chunks until enough are on their way. */
  #fill(transfer: Transfer): void {
    const { shard, to, pin, underWay, end } = transfer;
    while (underWay.length < CHUNKS_MAX && transfer.position < end) {
      if (pin.stale || !shard.leading) return this.#end(transfer, false);
      const { position } = transfer;
      const parts = this.#read(transfer);
      let bytes = 0;
      for (const part of parts) bytes += part.length;
      if (position < pin.stored.bytes) transfer.position += bytes;
      else for (const part of parts) transfer.position += countRecords(part);
      const at = { transfer: transfer.number, position };
      const head = encodeSnapshotChunkHead(shard.id, at, bytes);
      underWay.push(transfer.position);
      if (!this.#host.send(to, [head, ...parts])) return this.#end(transfer, false);
    }
  }

  /** The next chunk. */
  #read({ shard, pin, position }: Transfer): Uint8Array[] {
    const { bytes: stateBytes } = pin.stored;
    const { chunkBytes } = this.#host;
    if (position < stateBytes) return [pin.read(position, chunkBytes)];
    const entries: RecordEntry[] = [];
    let left = chunkBytes;
    for (const index of pin.live.from(pin.live.nth(position - stateBytes)!)) {
      const entry = shard.store.entry(index);
      left -= entry.end - entry.start;
      if (left < 0 && entries.length > 0) break;
      entries.push(entry);
    }
    return recordSpans(entries);
  }

  #checkSilence(transfer: Transfer): void {
    const { clock } = this.#host;
    const isSilent = clock.monotonic() - transfer.heardAtMs > SILENCE_MS_MAX;
    if (isSilent || !transfer.shard.leading) return this.#end(transfer, false);
    transfer.timer = clock.setTimeout(() => this.#checkSilence(transfer), CHECK_MS);
  }

  #end(transfer: Transfer, delivered: boolean): void {
    if (!this.#release(transfer)) return;
    const { shard, to, replica, pin: { stored: { index } }, position } = transfer;
    const ms = Math.round(this.#host.clock.monotonic() - transfer.startedAtMs);
    const fields = { shard: shard.id, to, index, position, ms };
    if (delivered) this.#host.log.info("Sent a snapshot", fields);
    else this.#host.log.warn("Could not send a snapshot", fields);
    shard.snapshotSent(replica, delivered);
  }

  /** @returns Whether it was still going on. */
  #release(transfer: Transfer): boolean {
    if (!this.#transfers.delete(transfer.number)) return false;
    this.#host.clock.clearTimeout(transfer.timer);
    transfer.pin.release();
    return true;
  }
}
