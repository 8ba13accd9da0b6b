/**
 * The catalog, kept by shard 0: which queues there are, with what settings, and where their partitions
 * live.
 *
 * The catalog decides, the shards carry out, and a keeper beside the leader of shard 0 runs between
 * them: it looks at `partitionsToSettle`, proposes `createPartition`, `updatePartition` or
 * `deletePartition` in the shard concerned, and then `partitionSettled` here. Every step may be repeated;
 * a keeper that is replaced in the middle leaves nothing half done for its successor but the rest of this
 * list.
 *
 * ```text
 *   createQueue ─▶ creating ── all partitions created ─▶ ready
 *                     └──────────── deleteQueue ───────────┴─▶ deleting ── all deleted ─▶ (none)
 * ```
 *
 * `editQueue` changes the record of a queue that is creating or ready, and counts its revision up. The
 * state stays; partitions that are there hear of it by an update, others by their creation. A partition
 * is settled when it has heard of the newest revision.
 *
 * A queue that is to have more partitions grows in steps: `growing_queues.ts`.
 *
 * @module
 */

import {
  type CatalogQueue,
  countOf,
  isCreated,
  recordFor,
  type Unsettled,
} from "./catalog_queue.ts";
import type {
  CreatePartitionCommand,
  CreateQueueCommand,
  DeletePartitionCommand,
  EditQueueCommand,
  PartitionAction,
  PartitionInfo,
  QueueInfo,
  QueueSettings,
  Reply,
  UpdatePartitionCommand,
} from "./commands.ts";
import { GrowingQueues } from "./growing_queues.ts";
import { invariant, unreachable } from "./invariant.ts";
import { COMMAND_BOUNDS, isIntegerIn, type MachineLimits } from "./limits.ts";
import { queueNameProblem } from "./queue_name.ts";
import type { CatalogNumbers, QueueSnapshot } from "./machine_snapshot.ts";
import { OK, refused } from "./replies.ts";
import {
  editProblem,
  queueSettings,
  queueSettingsProblem,
  settingsDifferences,
} from "./settings.ts";

/** Something a shard has to do so that the catalog's wish comes true. */
export interface PartitionToSettle {
  readonly action: PartitionAction;
  readonly partitionId: number;
  readonly shard: number;
  readonly queueId: number;
  readonly queueName: string;
  readonly partitionNumber: number;
  readonly settings: QueueSettings;
  readonly paused: boolean;
  /** The state of the queue's record that this is. */
  readonly revision: number;
  /** See `PartitionIdentity`. */
  readonly growingFrom?: number;
}

/**
 * Makes the command by which a shard does what the catalog wants.
 *
 * @param item What is to be done.
 * @returns The command.
 */
export function settlingCommand(
  item: PartitionToSettle,
): CreatePartitionCommand | UpdatePartitionCommand | DeletePartitionCommand {
  const { action, partitionId, queueId, queueName, partitionNumber } = item;
  const { settings, paused, revision, growingFrom } = item;
  const growth = growingFrom === undefined ? {} : { growingFrom };
  switch (action) {
    case "create":
      return {
        kind: "createPartition",
        partitionId,
        queueId,
        queueName,
        partitionNumber,
        settings,
        paused,
        revision,
        ...growth,
      };
    case "update":
      return { kind: "updatePartition", partitionId, settings, paused, revision, ...growth };
    case "delete":
      return { kind: "deletePartition", partitionId };
    default:
      unreachable(action);
  }
}

const NONE: readonly never[] = [];

/** The record of all queues. */
export class Catalog {
  readonly #limits: MachineLimits;
  /** In the order of their ids. */
  readonly #queues = new Map<string, CatalogQueue>();
  /** The queue of each partition that a shard has to do something about. */
  readonly #unsettled = new Map<number, CatalogQueue>();
  readonly #growing = new GrowingQueues({
    place: (...wanted) => this.#place(...wanted),
    ask: (...wanted) => this.#await(...wanted),
    revise: (...wanted) => this.#revise(...wanted),
  });
  /** How many partitions live, or are meant to live, in each shard. */
  readonly #partitionCounts = new Map<number, number>();
  #nextQueueId = 1;
  #nextPartitionId = 1;
  #sorted: QueueInfo[] | undefined;

  /**
   * Makes an empty catalog.
   *
   * @param limits How many queues and partitions there may be.
   */
  constructor(limits: MachineLimits) {
    this.#limits = limits;
  }

  /**
   * Finds a queue.
   *
   * @param name Its name.
   * @returns Its record, or `undefined`.
   */
  find(name: string): QueueInfo | undefined {
    return this.#queues.get(name)?.info;
  }

  /**
   * Lists the queues.
   *
   * @returns Their records, sorted by name.
   */
  list(): readonly QueueInfo[] {
    this.#sorted ??= Array.from(this.#queues.values(), (queue) => queue.info)
      .sort((a, b) => a.name < b.name ? -1 : 1);
    return this.#sorted;
  }

  /**
   * Lists what the shards have to do.
   *
   * @param countMax The most items to give.
   * @returns One item a partition, in the order of their ids.
   */
  partitionsToSettle(countMax = Infinity): PartitionToSettle[] {
    const items: PartitionToSettle[] = [];
    for (const [partitionId, queue] of this.#unsettled) {
      if (items.length >= countMax) break;
      const { id: queueId, name: queueName, paused, revision } = queue.info;
      const { action, partition: { shard, number: partitionNumber } } = queue.unsettled.get(
        partitionId,
      )!;
      items.push({
        action,
        partitionId,
        shard,
        queueId,
        queueName,
        partitionNumber,
        paused,
        revision,
        ...recordFor(queue, partitionNumber),
      });
    }
    return items.sort((a, b) => a.partitionId - b.partitionId);
  }

  /**
   * Makes a queue, or finds it made.
   *
   * @param command What is wanted.
   * @returns The queue, or why not.
   */
  create(command: CreateQueueCommand): Reply {
    const { name, settings, shardCount } = command;
    const nameProblem = queueNameProblem(name);
    if (nameProblem !== undefined) return refused("queueNameInvalid", nameProblem);
    const existing = this.#queues.get(name)?.info;
    if (existing?.state === "deleting") {
      return refused("queueDeleting", `Queue "${name}" is being deleted`);
    }
    if (existing !== undefined && command.acceptExisting) return found(existing);
    const settingsProblem = queueSettingsProblem(settings);
    if (settingsProblem !== undefined) return refused("settingsInvalid", settingsProblem);
    if (existing !== undefined) {
      const differences = settingsDifferences(existing.settings, settings);
      if (differences.length === 0) return found(existing);
      return refused(
        "queueExists",
        `Queue "${name}" exists with other settings: ${differences.join("; ")}`,
      );
    }
    if (!isIntegerIn(shardCount, 1, COMMAND_BOUNDS.shardCountMax)) {
      return refused("invalidArgument", `A cluster cannot have ${shardCount} shards`);
    }
    return this.#make(name, queueSettings(settings), shardCount);
  }

  /**
   * Changes a queue. Asking for what is so already changes nothing.
   *
   * @param command What is to be otherwise.
   * @returns The queue, or why not.
   */
  edit({ name, settings, paused, shardCount = 0 }: EditQueueCommand): Reply {
    const queue = this.#queues.get(name);
    if (queue === undefined) return refused("queueNotFound", `There is no queue "${name}"`);
    const { info } = queue;
    if (info.state === "deleting") {
      return refused("queueDeleting", `Queue "${name}" is being deleted`);
    }
    // Those that are being made count: saying again what is asked for already changes nothing.
    const is = { ...info.settings, partitions: countOf(queue) };
    const wanted = queueSettings({ ...is, ...settings });
    const problem = queueSettingsProblem(settings) ?? editProblem(is, wanted);
    if (problem !== undefined) return refused("settingsInvalid", problem);
    const more = wanted.partitions - is.partitions;
    const refusal = more === 0 ? undefined : this.#growing.begin(queue, more, shardCount);
    if (refusal !== undefined) return refusal;
    const isPaused = paused ?? info.paused;
    const known = { ...wanted, partitions: info.settings.partitions };
    const isSame = isPaused === info.paused &&
      settingsDifferences(info.settings, known).length === 0;
    if (!isSame) this.#revise(queue, { settings: known, paused: isPaused });
    return found(queue.info);
  }

  /**
   * Tells whether every partition of a queue is as the catalog has it.
   *
   * @param name The queue's name.
   * @returns Whether nothing is left to do but to wait for old messages; also where there is no such queue.
   */
  isSettled(name: string): boolean {
    return (this.#queues.get(name)?.unsettled.size ?? 0) === 0;
  }

  /**
   * Takes a queue away. Deleting it once more is fine until it is gone.
   *
   * @param name Its name.
   * @returns `ok`, or why not.
   */
  delete(name: string): Reply {
    const queue = this.#queues.get(name);
    if (queue === undefined) return refused("queueNotFound", `There is no queue "${name}"`);
    if (queue.info.state === "deleting") return OK;
    const { growingFrom: _, ...info } = queue.info;
    const partitions = [...info.partitions, ...queue.growth?.added ?? NONE];
    const settings = { ...info.settings, partitions: partitions.length };
    queue.info = { ...info, settings, partitions, state: "deleting" };
    this.#growing.forget(queue);
    this.#sorted = undefined;
    // Also those that no shard has created yet: the deletion forbids a creation under way.
    for (const partition of partitions) this.#await(queue, partition, "delete");
    return OK;
  }

  /**
   * Notes what a shard has done. News about anything but what is being waited for is old.
   *
   * @param partitionId The partition.
   * @param action What was done with it.
   * @param revision The revision of the queue's record that was carried out.
   */
  settle(partitionId: number, action: PartitionAction, revision = 0): void {
    const queue = this.#unsettled.get(partitionId);
    const unsettled = queue?.unsettled.get(partitionId);
    if (queue === undefined || unsettled?.action !== action) return;
    if (action !== "delete" && revision < queue.info.revision) {
      this.#await(queue, unsettled.partition, "update");
    } else {
      this.#unsettled.delete(partitionId);
      queue.unsettled.delete(partitionId);
    }
    if (action === "create" && isCreated(queue)) {
      if (queue.growth === undefined) this.#change(queue, { state: "ready" });
      else this.#growing.makeKnown(queue, queue.growth);
    } else if (action === "delete" && queue.unsettled.size === 0) {
      this.#queues.delete(queue.info.name);
      this.#sorted = undefined;
      for (const { shard } of queue.info.partitions) this.#count(shard, -1);
    }
  }

  /**
   * Notes that all is gone that was in a partition before its queue grew.
   *
   * @param partitionId The partition.
   * @param revision The revision of the queue's record that the partition knew.
   */
  drained(partitionId: number, revision: number): void {
    this.#growing.drained(partitionId, revision);
  }

  /** What the catalog counts, apart from the queues. */
  get numbers(): CatalogNumbers {
    return { nextQueueId: this.#nextQueueId, nextPartitionId: this.#nextPartitionId };
  }

  /**
   * Copies the queues.
   *
   * @returns All of them, in the order of their ids.
   */
  capture(): QueueSnapshot[] {
    return Array.from(this.#queues.values(), ({ info, unsettled, growth }) => ({
      ...info,
      unsettled: idsOf(unsettled, (action) => action !== "update"),
      updating: idsOf(unsettled, (action) => action === "update"),
      ...(growth === undefined ? {} : {
        growth: { ...growth, draining: [...growth.draining].sort((a, b) => a - b) },
      }),
    }));
  }

  /**
   * Goes on counting where the catalog of a snapshot was.
   *
   * @param numbers What was counted.
   */
  restoreNumbers({ nextQueueId, nextPartitionId }: CatalogNumbers): void {
    this.#nextQueueId = nextQueueId;
    this.#nextPartitionId = nextPartitionId;
  }

  /**
   * Adds a queue as it was in a snapshot, in the order of their ids.
   *
   * @param saved The queue.
   */
  restore({ unsettled, updating = NONE, growth, ...saved }: QueueSnapshot): void {
    const { id, name, partitions: known, state, paused = false, revision = 0, growingFrom } = saved;
    const settings = queueSettings(saved.settings);
    const record = { id, name, settings, paused, revision, partitions: known, state };
    const info: QueueInfo = growingFrom === undefined ? record : { ...record, growingFrom };
    const queue: CatalogQueue = { info, unsettled: new Map(), growth: undefined };
    this.#queues.set(info.name, queue);
    if (growth !== undefined) this.#growing.restore(queue, growth);
    const partitions = [...info.partitions, ...growth?.added ?? NONE];
    const action = info.state === "deleting" ? "delete" : "create";
    const isIn = (ids: readonly number[]) => partitions.filter(({ id }) => ids.includes(id));
    for (const partition of isIn(unsettled)) this.#await(queue, partition, action);
    for (const partition of isIn(updating)) this.#await(queue, partition, "update");
    for (const { shard } of partitions) this.#count(shard, 1);
    this.#sorted = undefined;
  }

  /** Checks the queues against the list of what is to be done. */
  checkInvariants(): void {
    let unsettled = 0;
    let lastId = 0;
    for (const [name, queue] of this.#queues) {
      const { info, growth } = queue;
      invariant(info.name === name, "A queue is found by its name");
      invariant(info.id > lastId && info.id < this.#nextQueueId, "Queue ids count up");
      lastId = info.id;
      const left = new Set(queue.unsettled.values().map(({ action }) => action));
      invariant(
        (info.state === "creating" || growth !== undefined && growth.added.length > 0) ===
          left.has("create"),
        "A queue is ready, and its new partitions are known, when every partition is there",
      );
      invariant(
        info.state === "deleting" ? left.has("delete") && left.size === 1 : !left.has("delete"),
        "All that is done with a queue that goes is to delete it",
      );
      invariant(
        info.partitions.length === info.settings.partitions,
        "A queue has as many partitions as its settings say",
      );
      for (const { id } of info.partitions) {
        invariant(id < this.#nextPartitionId, "Partition ids count up");
      }
      for (const id of queue.unsettled.keys()) {
        invariant(this.#unsettled.get(id) === queue, "What a queue waits for is on the list");
      }
      unsettled += queue.unsettled.size;
    }
    invariant(unsettled === this.#unsettled.size, "The list has only what a queue waits for");
    this.#growing.checkInvariants(this.#queues.values());
  }

  #make(name: string, settings: QueueSettings, shardCount: number): Reply {
    if (this.#queues.size >= this.#limits.queues) {
      return refused("limitReached", `There are ${this.#limits.queues} queues, the most allowed`);
    }
    const partitions = this.#place(0, settings.partitions, shardCount);
    if (!Array.isArray(partitions)) return partitions;
    const info: QueueInfo = {
      id: this.#nextQueueId++,
      name,
      settings,
      paused: false,
      revision: 0,
      partitions,
      state: "creating",
    };
    const queue: CatalogQueue = { info, unsettled: new Map(), growth: undefined };
    this.#queues.set(name, queue);
    for (const partition of partitions) this.#await(queue, partition, "create");
    this.#sorted = undefined;
    return { kind: "queue", queue: info, created: true };
  }

  /** Takes ids and room for partitions. */
  #place(firstNumber: number, count: number, shardCount: number): PartitionInfo[] | Reply {
    if (this.#nextPartitionId + count - 1 > COMMAND_BOUNDS.u32Max) {
      return refused("limitReached", "All partition ids have been used");
    }
    const partitions: PartitionInfo[] = [];
    for (let at = 0; at < count; at++) {
      const id = this.#nextPartitionId + at;
      partitions.push({ id, number: firstNumber + at, shard: (id - 1) % shardCount });
    }
    for (const { shard } of partitions) this.#count(shard, 1);
    const fullShard = partitions.find(({ shard }) =>
      this.#partitionCounts.get(shard)! > this.#limits.partitionsPerShard
    )?.shard;
    if (fullShard !== undefined) {
      for (const { shard } of partitions) this.#count(shard, -1);
      return refused(
        "limitReached",
        `Shard ${fullShard} has no room for more partitions: ` +
          `${this.#limits.partitionsPerShard} are the most allowed`,
      );
    }
    this.#nextPartitionId += count;
    return partitions;
  }

  /** Changes the record of a queue, and lets its partitions know. */
  #revise(queue: CatalogQueue, change: Partial<QueueInfo>): void {
    this.#change(queue, { ...change, revision: queue.info.revision + 1 });
    for (const partition of queue.info.partitions) {
      if (!queue.unsettled.has(partition.id)) this.#await(queue, partition, "update");
    }
  }

  #change(queue: CatalogQueue, change: Partial<QueueInfo>): void {
    queue.info = { ...queue.info, ...change };
    this.#sorted = undefined;
  }

  /** A shard has to do something about a partition. */
  #await(queue: CatalogQueue, partition: PartitionInfo, action: PartitionAction): void {
    queue.unsettled.set(partition.id, { action, partition });
    this.#unsettled.set(partition.id, queue);
  }

  #count(shard: number, change: number): void {
    const count = (this.#partitionCounts.get(shard) ?? 0) + change;
    if (count === 0) this.#partitionCounts.delete(shard);
    else this.#partitionCounts.set(shard, count);
  }
}

/** The partitions with an action of some kind, ascending. */
function idsOf(
  unsettled: ReadonlyMap<number, Unsettled>,
  isWanted: (action: PartitionAction) => boolean,
): readonly number[] {
  const ids = [...unsettled].filter(([, { action }]) => isWanted(action)).map(([id]) => id);
  return ids.length === 0 ? NONE : ids.sort((a, b) => a - b);
}

function found(queue: QueueInfo): Reply {
  return { kind: "queue", queue, created: false };
}
