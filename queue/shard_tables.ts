/**
 * What the state of a shard is made of. The files with commands work on it, `ShardMachine` is its face.
 *
 * Whatever changes a partition in a way that may make something ready, or give somebody credit, calls
 * `touch`; when the command is done, `dispatch` goes over the touched ones.
 *
 * @module
 */

import { Catalog } from "./catalog.ts";
import { DeadlineWatch } from "./deadline_watch.ts";
import { EffectBuffer } from "./effects.ts";
import { HistoryRoom } from "./history_room.ts";
import { invariant } from "./invariant.ts";
import type { MachineLimits } from "./limits.ts";
import { MachineCapture } from "./machine_capture.ts";
import { type ShardPart, SNAPSHOT_VERSION } from "./machine_snapshot.ts";
import { Outbox } from "./outbox.ts";
import type { Partition } from "./partition.ts";
import { PublisherTable } from "./publisher_table.ts";
import { ScheduleTable } from "./schedule_table.ts";
import { SessionTable } from "./session_table.ts";
import { Tombstones } from "./tombstones.ts";
import { TransferMarks } from "./transfer_marks.ts";

/** The tables of one shard. */
export class ShardTables {
  readonly shard: number;
  readonly limits: MachineLimits;
  readonly sessions: SessionTable;
  readonly publishers: PublisherTable;
  readonly tombstones: Tombstones;
  readonly schedules: ScheduleTable;
  /** Messages on their way to other queues. */
  readonly outbox: Outbox;
  /** What has come of the outboxes of others, and of this one. */
  readonly transferMarks = new TransferMarks();
  /** The memory for what is remembered of messages. */
  readonly historyRoom: HistoryRoom;
  /** In shard 0 only. */
  readonly catalog: Catalog | undefined;
  readonly effects = new EffectBuffer();
  appliedIndex = 0;
  /** The time of the log. */
  nowMs = 0;

  /** In the order in which they were created here. */
  readonly #partitions = new Map<number, Partition>();
  readonly #watch = new DeadlineWatch<Partition>();
  readonly #touched: Partition[] = [];
  /** Those that are to tell when what they had is gone. Follows from the partitions. */
  readonly #draining = new Set<Partition>();

  /**
   * Makes the tables of a shard.
   *
   * @param shard Its number.
   * @param limits How big they may grow.
   */
  constructor(shard: number, limits: MachineLimits) {
    this.shard = shard;
    this.limits = limits;
    this.sessions = new SessionTable(limits);
    this.publishers = new PublisherTable(limits);
    this.tombstones = new Tombstones(limits.tombstones);
    this.schedules = new ScheduleTable(limits);
    this.outbox = new Outbox(limits.outboxTransfers);
    this.historyRoom = new HistoryRoom(limits.historyBytes);
    this.catalog = shard === 0 ? new Catalog(limits) : undefined;
  }

  /** The partitions that live here, by id, in the order in which they were created. */
  get partitions(): ReadonlyMap<number, Partition> {
    return this.#partitions;
  }

  /**
   * Adds a partition.
   *
   * @param partition One whose id is new.
   */
  addPartition(partition: Partition): void {
    const { id } = partition.identity;
    invariant(!this.#partitions.has(id), "A partition is created once");
    this.#partitions.set(id, partition);
  }

  /** The partitions that are to tell when what they had is gone. */
  get draining(): ReadonlySet<Partition> {
    return this.#draining;
  }

  /**
   * Notes whether a partition is to tell when what it had is gone.
   *
   * @param partition One that lives here, and may have changed in that.
   */
  watchDraining(partition: Partition): void {
    if (partition.isToDrain) this.#draining.add(partition);
    else this.#draining.delete(partition);
  }

  /**
   * Takes a partition out.
   *
   * @param partition One that lives here and whose consumers have left their sessions.
   */
  removePartition(partition: Partition): void {
    const { id } = partition.identity;
    this.#partitions.delete(id);
    partition.history?.leave();
    this.#draining.delete(partition);
    this.#watch.forget(partition);
    this.transferMarks.forgetPartition(id);
  }

  /**
   * Has a partition dispatched when the command is done.
   *
   * @param partition One in which something may be ready now, or somebody have credit.
   */
  touch(partition: Partition): void {
    if (partition.touched) return;
    partition.touched = true;
    this.#touched.push(partition);
  }

  /** Hands out what is ready in the touched partitions. */
  dispatch(): void {
    const touched = this.#touched;
    // What was touched first may follow from the shape of a table; ids do not.
    if (touched.length > 1) touched.sort((a, b) => a.identity.id - b.identity.id);
    for (const partition of touched) {
      partition.touched = false;
      // The very command may have deleted it.
      if (this.#partitions.get(partition.identity.id) !== partition) continue;
      partition.dispatch(this.nowMs, this.effects);
      this.#watch.watch(partition);
    }
    touched.length = 0;
  }

  /** Carries out what time brings to partitions, or as much as one command may. */
  passTime(): void {
    for (let left = this.limits.dueAtOnce; left > 0;) {
      const partition = this.#watch.due(this.nowMs);
      if (partition === undefined) return;
      left -= partition.passTime(this.nowMs, left);
      this.touch(partition);
    }
  }

  /**
   * Tells when time next brings something: the end of a lease or a session, messages that are due or
   * expire.
   *
   * @returns Milliseconds, or `undefined` when none will.
   */
  nextDeadlineMs(): number | undefined {
    const partitionMs = this.#watch.firstDeadlineMs();
    const sessionMs = this.sessions.firstDeadlineMs;
    if (partitionMs === undefined) return sessionMs;
    return sessionMs === undefined ? partitionMs : Math.min(partitionMs, sessionMs);
  }

  /**
   * Takes hold of everything as it is now.
   *
   * @returns The whole state of the shard, however it goes on.
   */
  capture(): MachineCapture {
    const { catalog, outbox } = this;
    return new MachineCapture(
      {
        kind: "shard",
        version: SNAPSHOT_VERSION,
        shard: this.shard,
        appliedIndex: this.appliedIndex,
        timestampMs: this.nowMs,
        tombstones: this.tombstones.capture(),
        ...(catalog === undefined ? {} : { catalog: catalog.numbers }),
      },
      catalog?.capture() ?? [],
      this.sessions.capture(),
      this.publishers.capture(),
      {
        nextId: outbox.nextId,
        transfers: [...outbox.values()],
        marks: this.transferMarks.capture(),
      },
      Array.from(this.#partitions.values(), (partition) => partition.capture(this.nowMs)),
      this.schedules.capture(),
    );
  }

  /**
   * Takes what is of the shard as a whole from a snapshot, into tables that are empty.
   *
   * @param part The first part of the snapshot.
   */
  restore(part: ShardPart): void {
    this.appliedIndex = part.appliedIndex;
    this.nowMs = part.timestampMs;
    for (const id of part.tombstones) this.tombstones.add(id);
    if (part.catalog !== undefined) this.catalog?.restoreNumbers(part.catalog);
  }

  /** Ends a restoration: all that was in the snapshot is here. */
  restored(): void {
    for (const partition of this.#partitions.values()) {
      this.#watch.watch(partition);
      this.watchDraining(partition);
    }
    this.checkInvariants();
  }

  /** Checks each table, and the tables against each other. */
  checkInvariants(): void {
    invariant(this.#touched.length === 0, "Nothing waits for a dispatch between two commands");
    this.sessions.checkInvariants();
    this.catalog?.checkInvariants();
    this.publishers.checkInvariants((sessionId, partitionId) =>
      this.sessions.get(sessionId) !== undefined && !this.tombstones.has(partitionId)
    );
    this.schedules.checkInvariants((id) => this.#partitions.has(id), this.appliedIndex);
    this.outbox.checkInvariants();
    this.transferMarks.checkInvariants((id) => this.#partitions.has(id));
    let consumers = 0;
    for (const [id, partition] of this.#partitions) {
      invariant(partition.identity.id === id, "A partition is found by its id");
      invariant(!this.tombstones.has(id), "A deleted partition does not live");
      partition.checkInvariants();
      this.#watch.checkInvariants(partition);
      invariant(
        this.#draining.has(partition) === partition.isToDrain,
        "A partition that is to be drained is on the list",
      );
      this.#checkConsumers(partition);
      consumers += partition.consumers.size;
    }
    for (const session of this.sessions.values()) consumers -= session.consumerCount;
    invariant(consumers === 0, "The consumers of a session are known to their partitions");
  }

  #checkConsumers(partition: Partition): void {
    for (const consumer of partition.consumers) {
      const { consumerId, partitionId, attached, receiving, held } = consumer;
      const session = this.sessions.get(consumer.sessionId);
      invariant(
        session?.consumer(consumerId, partitionId) === consumer,
        "A consumer belongs to its session",
      );
      invariant(
        receiving === (attached && session.state === "attached"),
        "A consumer receives when it and its session are attached",
      );
      invariant(session.state !== "ended" || held === 0, "An ended session holds nothing");
    }
  }
}
