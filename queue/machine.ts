/**
 * The state machine of a shard: `apply` carries out one command of the log, and says what to answer
 * and what to do about it.
 *
 * Every replica applies the same commands in the same order and so has the same state at the same
 * index. That holds only if nothing but the log decides: the machine asks no clock and no random
 * source, and every order in which it goes over something follows from the log. Time is the timestamp
 * of the entry being applied; what has become due by then happens before the command itself.
 *
 * A command never makes the machine throw: what cannot be done is refused, the same on every replica.
 * Only a bug does, and it has to stop the process.
 *
 * @module
 */

import type { PartitionToSettle } from "./catalog.ts";
import type {
  Command,
  CommandMeta,
  Effects,
  HeldMessage,
  PartitionIdentity,
  PartitionStats,
  QueueInfo,
  Reply,
  TransferTarget,
} from "./commands.ts";
import type { Consumer } from "./consumer.ts";
import { invariant, unreachable } from "./invariant.ts";
import { type MessageHistory, messageHistory } from "./message_history.ts";
import { replay } from "./history_commands.ts";
import type { HistoryReport } from "./history.ts";
import { COMMAND_BOUNDS, isIntegerIn, type MachineLimits, resolveLimits } from "./limits.ts";
import type { MachineCapture } from "./machine_capture.ts";
import { TablesRestorer } from "./machine_restorer.ts";
import type { SnapshotPart } from "./machine_snapshot.ts";
import type {
  KeyCounts,
  LookOptions,
  MessagesSeen,
  MessageView,
  PartitionFlow,
} from "./message_view.ts";
import { partsOfPartition } from "./partition_capture.ts";
import type { TransferLane } from "./outbox.ts";
import { settleAndPublish, transfer, transferDone } from "./outbox_commands.ts";
import {
  createPartition,
  deletePartition,
  earlyRefusal,
  publish,
  type PublishToCome,
  purgePartition,
  removeMessage,
  settle,
  updatePartition,
} from "./partition_commands.ts";
import { OK, refused } from "./replies.ts";
import type { Schedule } from "./schedule.ts";
import {
  addSchedule,
  fireSchedule,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
} from "./schedule_commands.ts";
import {
  attachConsumer,
  attachSession,
  beginTerm,
  closeSession,
  detachConsumer,
  detachSession,
  expireSessions,
  openSession,
} from "./session_commands.ts";
import type { SessionInfo } from "./session_table.ts";
import { ShardTables } from "./shard_tables.ts";
import { hashAll } from "./state_hash.ts";

/** What a machine is made with. */
export interface MachineOptions {
  /** The number of the shard. Shard 0 keeps the catalog. */
  readonly shard: number;
  /** The same on every replica, for as long as the log lives. @default {DEFAULT_LIMITS} */
  readonly limits?: Partial<MachineLimits>;
}

/** Makes a machine of the parts of a snapshot. */
export interface MachineRestorer {
  /**
   * Takes the next part.
   *
   * @throws {RangeError} when it cannot come here, or the snapshot has another version or shard.
   */
  take(part: SnapshotPart): void;
  /**
   * Ends the restoration.
   *
   * @returns A machine that goes on as the one of the snapshot would.
   * @throws {RangeError} when parts are missing.
   */
  finish(): ShardMachine;
}

/** A consumer of a partition, for people and for the shell. */
export interface ConsumerInfo {
  readonly sessionId: number;
  readonly clientName: string;
  readonly consumerId: number;
  readonly prefetch: number;
  /** Messages it holds. */
  readonly held: number;
  /** Since when it has held the one it has held longest: see `LeaseView`. */
  readonly heldSinceMs: number | undefined;
  /** Whether deliveries go to it: it and its session are attached. */
  readonly receiving: boolean;
}

/**
 * The replicated state of one shard.
 *
 * @example Publish, deliver, ack
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { queueSettings } from "./settings.ts";
 *
 * const machine = new ShardMachine({ shard: 0 });
 * const meta = (index: number) => ({ index, term: 1, timestampMs: 1_000 + index });
 * const settings = queueSettings();
 * machine.apply(meta(1), {
 *   kind: "createPartition", partitionId: 1, queueId: 1, queueName: "jobs", partitionNumber: 0, settings,
 * });
 * machine.apply(meta(2), { kind: "openSession", timeoutMs: 10_000, clientName: "demo" });
 * machine.apply(meta(3), {
 *   kind: "attachConsumer", sessionId: 2, consumerId: 1, partitionId: 1, prefetch: 10, drain: false,
 * });
 * machine.apply(meta(4), {
 *   kind: "publish", sessionId: 2, partitionId: 1, baseSequence: 0, count: 3, bytes: 12,
 * });
 * assertEquals(machine.effects.deliveries.count, 3);
 * machine.apply(meta(5), {
 *   kind: "settle", sessionId: 2, consumerId: 1, partitionId: 1, operation: 0,
 *   offsets: [0, 1, 2], deliveryCounts: [1, 1, 1],
 * });
 * assertEquals(machine.stats(1)?.acked, 3);
 * ```
 */
export class ShardMachine {
  /** The number of the shard. */
  readonly shard: number;

  #tables: ShardTables;

  /**
   * Makes the machine of an empty log.
   *
   * @param options Which shard, and how big it may grow.
   * @throws {RangeError} when an option is out of range.
   */
  constructor(options: MachineOptions) {
    if (!isIntegerIn(options.shard, 0, COMMAND_BOUNDS.shardCountMax - 1)) {
      throw new RangeError(
        `Cannot make a shard as its number must be an integer from 0: current value is ${options.shard}`,
      );
    }
    this.shard = options.shard;
    this.#tables = new ShardTables(options.shard, resolveLimits(options.limits));
  }

  /** What the last `apply` wants done; used again by the next one. */
  get effects(): Effects {
    return this.#tables.effects;
  }

  /** The index of the last command applied, 0 before the first. */
  get appliedIndex(): number {
    return this.#tables.appliedIndex;
  }

  /** The time of the log: the highest timestamp applied. */
  get timestampMs(): number {
    return this.#tables.nowMs;
  }

  /**
   * Carries out one command. What is due at its timestamp happens first; at the end, whatever is ready
   * goes to consumers with credit.
   *
   * @param meta Its place in the log; the index is higher than that of the last.
   * @param command The command.
   * @returns The answer to whoever proposed it.
   */
  apply(meta: CommandMeta, command: Command): Reply {
    const tables = this.#tables;
    invariant(meta.index > tables.appliedIndex, "Commands are applied in the order of the log");
    tables.effects.clear();
    tables.appliedIndex = meta.index;
    if (meta.timestampMs > tables.nowMs) tables.nowMs = meta.timestampMs;
    // Before anything is judged late: without a leader, nobody could have been in time.
    if (command.kind === "beginTerm") beginTerm(tables);
    tables.passTime();
    expireSessions(tables);
    const reply = this.#execute(meta, command);
    tables.dispatch();
    return reply;
  }

  /**
   * When time next brings something: a lease or a session ends, messages are due or expire. A leader with
   * no other traffic proposes a `tick` when that time has come.
   *
   * @returns Milliseconds since the epoch, or `undefined` when nothing waits for time to pass.
   */
  nextDeadlineMs(): number | undefined {
    return this.#tables.nextDeadlineMs();
  }

  /**
   * How far back the log is needed: the bodies of messages that wait or are leased are nowhere else.
   * Costs as much as there are partitions, however many messages are in them, and as the outbox holds.
   *
   * @returns The lowest log index of an entry with such a message, or `undefined` when there is none.
   */
  lowestLiveEntryIndex(): number | undefined {
    let lowest = this.#tables.outbox.firstEntryIndex;
    for (const { firstEntryIndex } of this.#tables.partitions.values()) {
      if (firstEntryIndex !== undefined && firstEntryIndex < (lowest ?? Infinity)) {
        lowest = firstEntryIndex;
      }
    }
    return lowest;
  }

  /**
   * Lists what a consumer holds, those delivered by the last `apply` included.
   *
   * @param sessionId Its session.
   * @param consumerId The client's name for it.
   * @param partitionId Where it takes from.
   * @returns Its messages in the order of their offsets; none when there is no such consumer.
   */
  leases(sessionId: number, consumerId: number, partitionId: number): HeldMessage[] {
    const consumer = this.#tables.sessions.get(sessionId)?.consumer(consumerId, partitionId);
    return consumer === undefined
      ? []
      : this.#tables.partitions.get(partitionId)!.view.heldBy(consumer);
  }

  /**
   * Describes a session.
   *
   * @param id Its id.
   * @returns Its state, or `undefined` when there is no such session.
   */
  session(id: number): SessionInfo | undefined {
    return this.#tables.sessions.get(id)?.info(this.#tables.publishers.count(id));
  }

  /**
   * Describes all sessions.
   *
   * @returns Their states in the order of their ids.
   */
  sessions(): SessionInfo[] {
    const { sessions, publishers } = this.#tables;
    return Array.from(sessions.values(), (session) => session.info(publishers.count(session.id)));
  }

  /**
   * Describes a partition.
   *
   * @param id Its id.
   * @returns What it is, or `undefined` when it does not live here.
   */
  partition(id: number): PartitionIdentity | undefined {
    return this.#tables.partitions.get(id)?.identity;
  }

  /**
   * Lists the partitions that live here.
   *
   * @returns Their ids, in the order in which they were created.
   */
  partitions(): number[] {
    return [...this.#tables.partitions.keys()];
  }

  /**
   * Counts what is in a partition.
   *
   * @param partitionId Its id.
   * @returns The counts, or `undefined` when it does not live here.
   */
  stats(partitionId: number): PartitionStats | undefined {
    return this.#tables.partitions.get(partitionId)?.stats();
  }

  /**
   * Tells whether a publish would be refused at this moment, as its queue is full or growing, so that it
   * need not go through the log for that.
   *
   * @param command The command.
   * @returns The refusal, or `undefined` when it has a chance.
   */
  earlyRefusal(command: PublishToCome): Reply | undefined {
    return earlyRefusal(this.#tables, command);
  }

  /**
   * Describes the consumers of a partition.
   *
   * @param partitionId Its id.
   * @returns One item a consumer, in the order in which they first attached.
   */
  consumers(partitionId: number): ConsumerInfo[] {
    const partition = this.#tables.partitions.get(partitionId);
    return Array.from(partition?.consumers ?? [], (consumer) => this.#info(consumer));
  }

  /**
   * Describes a consumer of a partition.
   *
   * @param sessionId Its session.
   * @param consumerId The client's name for it.
   * @param partitionId Where it takes from.
   * @returns The consumer, or `undefined` when there is none.
   */
  consumer(sessionId: number, consumerId: number, partitionId: number): ConsumerInfo | undefined {
    const consumer = this.#tables.sessions.get(sessionId)?.consumer(consumerId, partitionId);
    return consumer === undefined ? undefined : this.#info(consumer);
  }

  /**
   * Looks at messages of a partition that are not gone, without changing anything.
   *
   * @param partitionId The partition.
   * @param options Which messages.
   * @returns What there is to see of them, or `undefined` when the partition does not live here.
   */
  look(partitionId: number, options: LookOptions): MessagesSeen | undefined {
    return this.#tables.partitions.get(partitionId)?.view.look(options, this.timestampMs);
  }

  /**
   * Looks at one message, also one that was acked and that a history keeps.
   *
   * @param partitionId The partition.
   * @param offset Its offset.
   * @returns What there is to see of it, or `undefined` when it is gone, or still to come.
   */
  findMessage(partitionId: number, offset: number): MessageView | undefined {
    return this.#tables.partitions.get(partitionId)?.view.find(offset, this.timestampMs);
  }

  /**
   * Counts the keys that wait in a partition, where keys take turns. Goes over all of them.
   *
   * @param partitionId The partition.
   * @returns The counts, or `undefined` where keys mean nothing.
   */
  keyCounts(partitionId: number): KeyCounts | undefined {
    return this.#tables.partitions.get(partitionId)?.view.keyCounts(this.timestampMs);
  }

  /**
   * Tells what happened to a message, as far as that is remembered.
   *
   * @param partitionId The partition.
   * @param offset The message.
   * @returns What is known, or `undefined` when the partition does not live here, or has no history.
   */
  messageHistory(partitionId: number, offset: number): MessageHistory | undefined {
    const history = this.#tables.partitions.get(partitionId)?.history;
    return history && messageHistory(history, offset);
  }

  /**
   * Tells what the history of a partition holds.
   *
   * @param partitionId The partition.
   * @returns The counts, or `undefined` when the partition does not live here, or has no history.
   */
  historyReport(partitionId: number): HistoryReport | undefined {
    return this.#tables.partitions.get(partitionId)?.history?.report;
  }

  /**
   * Counts what has gone through a partition.
   *
   * @param partitionId The partition.
   * @returns The counts, or `undefined` when it does not live here.
   */
  flow(partitionId: number): PartitionFlow | undefined {
    const partition = this.#tables.partitions.get(partitionId);
    if (partition === undefined) return undefined;
    const { published, acked } = partition.stats();
    return { published, delivered: partition.delivered, acked };
  }

  /**
   * Finds a queue in the catalog.
   *
   * @param name Its name.
   * @returns Its record, or `undefined`; always `undefined` outside shard 0.
   */
  findQueue(name: string): QueueInfo | undefined {
    return this.#tables.catalog?.find(name);
  }

  /**
   * Lists the queues of the catalog.
   *
   * @returns Their records, sorted by name; none outside shard 0.
   */
  queues(): readonly QueueInfo[] {
    return this.#tables.catalog?.list() ?? [];
  }

  /**
   * Tells whether every partition of a queue is as the catalog has it.
   *
   * @param name The queue's name.
   * @returns Whether its keeper has nothing to get done for it; also where there is no such queue.
   */
  isQueueSettled(name: string): boolean {
    return this.#tables.catalog?.isSettled(name) ?? true;
  }

  /**
   * Lists what the catalog's keeper has to get done: a `createPartition`, `updatePartition` or
   * `deletePartition` in the shard named, then a `partitionSettled` here.
   *
   * @param countMax The most items to give.
   * @returns One item a partition, in the order of their ids; none outside shard 0.
   */
  partitionsToSettle(countMax = Infinity): PartitionToSettle[] {
    return this.#tables.catalog?.partitionsToSettle(countMax) ?? [];
  }

  /** How many partitions are to tell when what they had before their queue grew is gone. */
  get drainingCount(): number {
    return this.#tables.draining.size;
  }

  /**
   * Lists the partitions that have nothing more of what they had before their queue grew. The catalog has
   * to hear of it, by a `partitionSettled` with the action `drain`. May go over all that waits in each.
   *
   * @param told What need not be said again: the revision, by partition.
   * @returns What to say of each.
   */
  drained(
    told: ReadonlyMap<number, number> = NOTHING_TOLD,
  ): { readonly partitionId: number; readonly revision: number }[] {
    return Array.from(this.#tables.draining)
      .filter(({ identity: { id, revision } }) => told.get(id) !== revision)
      .filter(({ isDrained }) => isDrained)
      .map(({ identity: { id, revision } }) => ({ partitionId: id, revision }));
  }

  /** How many messages are on their way from this shard to other queues. */
  get outboxSize(): number {
    return this.#tables.outbox.size;
  }

  /** The id of the transfer that came into the outbox last, 0 before the first. */
  get newestTransferId(): number {
    return this.#tables.outbox.nextId - 1;
  }

  /**
   * Finds the messages that are on their way to a partition.
   *
   * @param target The partition.
   * @returns Its transfers in the order in which they must go, or `undefined` when there are none.
   */
  transferLane(target: TransferTarget): TransferLane | undefined {
    return this.#tables.outbox.lane(target);
  }

  /**
   * Tells where messages are on their way to.
   *
   * @returns The partitions, each with its transfers in the order in which they must go.
   */
  transferLanes(): IterableIterator<TransferLane> {
    return this.#tables.outbox.lanes;
  }

  /**
   * Finds a schedule.
   *
   * @param partitionId Its partition.
   * @param id What people call it.
   * @returns The schedule, or `undefined`.
   */
  findSchedule(partitionId: number, id: string): Schedule | undefined {
    return this.#tables.schedules.find(partitionId, id);
  }

  /**
   * Lists the schedules of a partition.
   *
   * @param partitionId The partition.
   * @returns Its schedules, in the order in which they were made.
   */
  schedules(partitionId: number): Schedule[] {
    return this.#tables.schedules.list(partitionId);
  }

  /**
   * When the first schedule is due. Its keeper proposes a `fireSchedule` then.
   *
   * @returns Milliseconds since the epoch, or `undefined` when none ever is.
   */
  nextScheduleMs(): number | undefined {
    return this.#tables.schedules.firstDueMs;
  }

  /**
   * Goes over the schedules that are due.
   *
   * @param nowMs The time.
   * @returns Those that are due then, in the order in which they were made.
   */
  schedulesDue(nowMs: number): Generator<Schedule, void> {
    return this.#tables.schedules.dueBy(nowMs);
  }

  /**
   * Hashes all replicated state. Replicas at the same index have the same hash.
   *
   * @returns 16 hexadecimal digits.
   */
  stateHash(): string {
    return hashAll(this.capture().parts());
  }

  /**
   * Takes hold of the whole state as it is now, in time that does not depend on how many messages wait.
   *
   * @returns The state; nothing that the machine does later changes it.
   */
  capture(): MachineCapture {
    return this.#tables.capture();
  }

  /**
   * Takes hold of one partition as it is now.
   *
   * @param id The partition.
   * @returns Its parts of a snapshot, or `undefined` where there is no such partition.
   */
  capturePartition(id: number): Generator<SnapshotPart> | undefined {
    const partition = this.#tables.partitions.get(id);
    return partition === undefined
      ? undefined
      : partsOfPartition(partition.capture(this.timestampMs));
  }

  /**
   * Finds the oldest message of a partition that is not acked.
   *
   * @param id The partition.
   * @returns The log index of its entry, or `undefined` where there is none.
   */
  oldestEntryIndex(id: number): number | undefined {
    return this.#tables.partitions.get(id)?.firstEntryIndex;
  }

  /**
   * Makes the machine that a snapshot was taken of.
   *
   * @param options The options of that machine.
   * @param parts What its capture gave.
   * @returns A machine that goes on as that one would.
   * @throws {RangeError} when the snapshot has another version, is of another shard, or is not whole.
   */
  static restore(options: MachineOptions, parts: Iterable<SnapshotPart>): ShardMachine {
    const restorer = ShardMachine.restorer(options);
    for (const part of parts) restorer.take(part);
    return restorer.finish();
  }

  /**
   * Makes the machine that a snapshot was taken of, part by part.
   *
   * @param options The options of that machine.
   * @returns Takes what its capture gave.
   */
  static restorer(options: MachineOptions): MachineRestorer {
    const machine = new ShardMachine(options);
    const restorer = new TablesRestorer(machine.shard, machine.#tables.limits);
    return {
      take: (part) => restorer.take(part),
      finish: () => {
        machine.#tables = restorer.finish();
        return machine;
      },
    };
  }

  /**
   * Checks everything that must hold between two commands.
   *
   * @throws {InvariantError} when something does not.
   */
  checkInvariants(): void {
    this.#tables.checkInvariants();
  }

  #info(consumer: Consumer): ConsumerInfo {
    const { sessionId, consumerId, partitionId, prefetch, held, receiving } = consumer;
    const { clientName } = this.#tables.sessions.get(sessionId)!;
    const heldSinceMs = this.#tables.partitions.get(partitionId)!.view.heldSinceMs(consumer);
    return { sessionId, clientName, consumerId, prefetch, held, heldSinceMs, receiving };
  }

  #execute(meta: CommandMeta, command: Command): Reply {
    const tables = this.#tables;
    switch (command.kind) {
      case "publish":
        return publish(tables, meta, command);
      case "settle":
        return settle(tables, command);
      case "settleAndPublish":
        return settleAndPublish(tables, meta, command);
      case "transfer":
        return transfer(tables, meta, command);
      case "transferDone":
        return transferDone(tables, command);
      case "openSession":
        return openSession(tables, meta, command);
      case "attachSession":
        return attachSession(tables, meta, command.sessionId);
      case "detachSession":
        return detachSession(tables, command);
      case "closeSession":
        return closeSession(tables, command.sessionId);
      case "attachConsumer":
        return attachConsumer(tables, command);
      case "detachConsumer":
        return detachConsumer(tables, command);
      case "beginTerm":
      case "tick":
        return OK;
      case "removeMessage":
        return removeMessage(tables, command);
      case "replay":
        return replay(tables, command);
      case "createPartition":
        return createPartition(tables, command);
      case "updatePartition":
        return updatePartition(tables, command);
      case "purgePartition":
        return purgePartition(tables, command.partitionId);
      case "deletePartition":
        return deletePartition(tables, command.partitionId);
      case "createQueue":
        return tables.catalog?.create(command) ?? notCatalog(this.shard);
      case "editQueue":
        return tables.catalog?.edit(command) ?? notCatalog(this.shard);
      case "deleteQueue":
        return tables.catalog?.delete(command.name) ?? notCatalog(this.shard);
      case "partitionSettled":
        if (tables.catalog === undefined) return notCatalog(this.shard);
        if (command.action === "drain") {
          tables.catalog.drained(command.partitionId, command.revision ?? 0);
        } else {
          tables.catalog.settle(command.partitionId, command.action, command.revision);
        }
        return OK;
      case "addSchedule":
        return addSchedule(tables, meta, command);
      case "removeSchedule":
        return removeSchedule(tables, command);
      case "pauseSchedule":
        return pauseSchedule(tables, command);
      case "resumeSchedule":
        return resumeSchedule(tables, command);
      case "fireSchedule":
        return fireSchedule(tables, meta, command);
      default:
        unreachable(command);
    }
  }
}

const NOTHING_TOLD: ReadonlyMap<number, number> = new Map();

function notCatalog(shard: number): Reply {
  return refused("invalidArgument", `Shard ${shard} does not keep the catalog: shard 0 does`);
}
