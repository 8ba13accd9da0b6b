/**
 * Receives snapshots, with the log that they need.
 *
 * Chunks are written as they come, to a directory beside the shard's log, and acked when they are on
 * disk. What has come of a snapshot when the connection breaks is kept for a while: the leader, this one
 * or another, may offer the very same snapshot again and is then told where to go on.
 *
 * Nothing of it counts before all of it has been checked: every record has its checksum and its place in
 * the order of indexes and terms, the state has a checksum as a whole and must be one that a machine can
 * be made of, and the entries are those that this machine needs. Only then the core gets the leader's
 * message, and decides.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";
import {
  decodeRecords,
  DiskFullError,
  MalformedRecordError,
  type ShardSnapshotMetadata,
  type StagedShard,
} from "../storage/mod.ts";
import {
  encodeSnapshotAbort,
  encodeSnapshotAck,
  type SnapshotBegin,
  type SnapshotChunk,
} from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";
import { gatherLiveSet } from "./live_set.ts";
import { MachineDecoder, MalformedStateError } from "./machine_codec.ts";
import type { Shard } from "./shard.ts";
import { Slices } from "./slices.ts";

/** Chunks that may wait to be written: more than a sender ever has on its way. */
const CHUNKS_WAITING_MAX = 64;

/** How long a part of a snapshot is kept that nobody sends the rest of, in milliseconds. */
const KEPT_MS = 60_000;

/** What is needed of the node. */
export interface SnapshotReceiverHost {
  readonly clock: Clock;
  readonly log: Logger;
  /** Sends a frame, or drops it. */
  send(to: NodeId, parts: readonly Uint8Array[]): void;
  /** The disk failed. */
  fail(error: Error, shard: Shard): void;
}

/** What arrives for a shard. */
interface Arrival {
  readonly shard: Shard;
  from: NodeId;
  begin: SnapshotBegin;
  staged: StagedShard | undefined;
  /** Bytes of the state and then entries that are on disk. */
  position: number;
  /** The position behind everything. */
  readonly end: number;
  waiting: SnapshotChunk[];
  /** Somebody is writing. */
  busy: boolean;
  /** The sender waits for a word. */
  ackDue: boolean;
  /** It is of no use any more: whoever is writing cleans up. */
  dropped: boolean;
  /** While the connection is lost: when it is given up. */
  timer: TimerId | undefined;
}

/** All snapshots that arrive at this node: one a shard. */
export class SnapshotReceiver {
  readonly #host: SnapshotReceiverHost;
  readonly #arrivals = new Map<number, Arrival>();
  #closed = false;

  /** @param host The node. */
  constructor(host: SnapshotReceiverHost) {
    this.#host = host;
  }

  /** A leader offers a snapshot. */
  begin(from: NodeId, shard: Shard, begin: SnapshotBegin): void {
    if (this.#closed) return;
    const { index, term } = begin.message.snapshot.metadata;
    const end = begin.stateBytes + begin.entries;
    const known = this.#arrivals.get(shard.id);
    if (shard.coversSnapshot(index, term)) {
      if (known !== undefined) this.#drop(known);
      shard.step(begin.message);
      const ack = { transfer: begin.transfer, position: end };
      return this.#host.send(from, [encodeSnapshotAck(shard.id, ack)]);
    }
    if (known !== undefined && isSame(known.begin, begin)) {
      this.#host.log.info("A snapshot goes on", { shard: shard.id, from, at: known.position });
      this.#stopWaiting(known);
      known.from = from;
      known.begin = begin;
      known.waiting = [];
      known.ackDue = true;
      return this.#work(known);
    }
    if (known !== undefined) this.#drop(known);
    const arrival: Arrival = {
      shard,
      from,
      begin,
      staged: undefined,
      position: 0,
      end,
      waiting: [],
      busy: false,
      ackDue: true,
      dropped: false,
      timer: undefined,
    };
    this.#arrivals.set(shard.id, arrival);
    this.#host.log.info("Receiving a snapshot", { shard: shard.id, from, index });
    this.#work(arrival);
  }

  /** A piece of a snapshot. */
  chunk(from: NodeId, shard: Shard, chunk: SnapshotChunk): void {
    const arrival = this.#arrivals.get(shard.id);
    if (arrival?.from !== from || arrival.begin.transfer !== chunk.transfer) return;
    arrival.waiting.push(chunk);
    if (arrival.waiting.length > CHUNKS_WAITING_MAX) {
      return this.#refuse(arrival, "too much at once");
    }
    this.#work(arrival);
  }

  /** The connection from a node broke: the rest may come later, on another one. */
  lost(from: NodeId): void {
    for (const arrival of this.#arrivals.values()) {
      if (arrival.from !== from) continue;
      arrival.waiting = [];
      this.#stopWaiting(arrival);
      arrival.timer = this.#host.clock.setTimeout(() => this.#drop(arrival), KEPT_MS);
    }
  }

  /** Lets go of all that has arrived; the next start removes it. */
  close(): void {
    this.#closed = true;
    for (const arrival of this.#arrivals.values()) {
      this.#stopWaiting(arrival);
      arrival.dropped = true;
      if (!arrival.busy) arrival.staged?.abandon();
    }
    this.#arrivals.clear();
  }

  #isCurrent(arrival: Arrival): boolean {
    return this.#arrivals.get(arrival.shard.id) === arrival;
  }

  /** Writes what waits, unless somebody is at it. */
  #work(arrival: Arrival): void {
    if (arrival.busy) return;
    arrival.busy = true;
    this.#write(arrival).catch((error) => this.#failed(arrival, error)).then(() => {
      arrival.busy = false;
      if (arrival.dropped) this.#cleanUp(arrival);
      else if (this.#isCurrent(arrival) && (arrival.waiting.length > 0 || arrival.ackDue)) {
        this.#work(arrival);
      }
    });
  }

  #failed(arrival: Arrival, error: unknown): void {
    const isMalformed = error instanceof MalformedRecordError ||
      error instanceof MalformedStateError;
    if (isMalformed || error instanceof DiskFullError) {
      return this.#refuse(arrival, error.message);
    }
    this.#drop(arrival);
    if (!this.#closed) {
      this.#host.fail(error instanceof Error ? error : new Error(String(error)), arrival.shard);
    }
    this.#closed = true;
  }

  async #write(arrival: Arrival): Promise<void> {
    const slices = new Slices(this.#host.clock);
    const staged = arrival.staged ??= await arrival.shard.store.stage(metadataOf(arrival.begin));
    while (!arrival.dropped) {
      const chunk = arrival.waiting.shift();
      if (chunk === undefined) break;
      // Sent before the sender knew where to go on.
      if (chunk.transfer !== arrival.begin.transfer || chunk.position !== arrival.position) {
        continue;
      }
      this.#take(arrival, staged, chunk.bytes);
      await staged.flush(() => slices.pause());
      if (arrival.position < arrival.end) this.#acknowledge(arrival);
    }
    if (arrival.dropped) return;
    if (arrival.position === arrival.end) await this.#complete(arrival, staged);
    else if (arrival.ackDue) this.#acknowledge(arrival);
  }

  #take(arrival: Arrival, staged: StagedShard, bytes: Uint8Array): void {
    const left = arrival.begin.stateBytes - arrival.position;
    if (left > 0) {
      if (bytes.length === 0 || bytes.length > left) {
        throw new MalformedStateError(`${bytes.length} bytes of a state that lacks ${left}`);
      }
      staged.writeState(bytes);
      arrival.position += bytes.length;
    } else {
      const entries = decodeRecords(bytes, true);
      staged.append(entries);
      arrival.position += entries.length;
    }
  }

  /** All has arrived: checks it as a whole, and hands it over. */
  async #complete(arrival: Arrival, staged: StagedShard): Promise<void> {
    const slices = new Slices(this.#host.clock);
    const isGood = await staged.finish(arrival.begin.stateCrc, () => slices.pause());
    if (arrival.dropped) return;
    if (!isGood) throw new MalformedStateError("it is not what was promised");
    const decoder = new MachineDecoder(arrival.shard.id);
    for (const piece of staged.readState()) {
      decoder.push(piece);
      while (decoder.step()) {
        await slices.step();
        if (arrival.dropped) return;
      }
    }
    const machine = decoder.finish();
    const live = await gatherLiveSet(machine.capture().parts(), slices);
    if (arrival.dropped) return;
    if (!staged.held.equals(live)) {
      throw new MalformedStateError("the entries are not those that the state refers to");
    }
    this.#stopWaiting(arrival);
    this.#arrivals.delete(arrival.shard.id);
    arrival.shard.snapshotArrived(arrival.begin.message, staged, machine);
    this.#acknowledge(arrival);
  }

  #acknowledge(arrival: Arrival): void {
    arrival.ackDue = false;
    const { shard, from, begin: { transfer }, position } = arrival;
    this.#host.send(from, [encodeSnapshotAck(shard.id, { transfer, position })]);
  }

  #refuse(arrival: Arrival, reason: string): void {
    if (!this.#isCurrent(arrival)) return;
    const { shard, from, begin: { transfer } } = arrival;
    this.#host.log.warn("Cannot use a snapshot", { shard: shard.id, from, reason });
    this.#host.send(from, [encodeSnapshotAbort(shard.id, transfer)]);
    this.#drop(arrival);
  }

  #stopWaiting(arrival: Arrival): void {
    if (arrival.timer !== undefined) this.#host.clock.clearTimeout(arrival.timer);
    arrival.timer = undefined;
  }

  #drop(arrival: Arrival): void {
    this.#stopWaiting(arrival);
    if (this.#isCurrent(arrival)) this.#arrivals.delete(arrival.shard.id);
    arrival.dropped = true;
    if (!arrival.busy) this.#cleanUp(arrival);
  }

  #cleanUp({ staged, shard }: Arrival): void {
    if (this.#closed) return staged?.abandon();
    staged?.discard().catch((error) => this.#host.fail(error, shard));
  }
}

function metadataOf({ message, neededIndex }: SnapshotBegin): ShardSnapshotMetadata {
  return { ...message.snapshot.metadata, neededIndex };
}

/**
 * Whether two offers are of the very same stream. Which entries are in it follows from the state, and
 * entries that are committed are the same everywhere.
 */
function isSame(a: SnapshotBegin, b: SnapshotBegin): boolean {
  const { index, term } = a.message.snapshot.metadata;
  const other = b.message.snapshot.metadata;
  return index === other.index && term === other.term && a.neededIndex === b.neededIndex &&
    a.entries === b.entries && a.stateBytes === b.stateBytes && a.stateCrc === b.stateCrc;
}
