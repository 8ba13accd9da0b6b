/**
 * The catalog of the naive model: a list of queues, and of each what its shards have yet to do.
 *
 * @module
 */

import type { PartitionToSettle } from "./catalog.ts";
import type {
  CreateQueueCommand,
  DeleteQueueCommand,
  EditQueueCommand,
  PartitionAction,
  PartitionInfo,
  PartitionSettledCommand,
  QueueInfo,
  QueueSettings,
} from "./commands.ts";
import { type ModelReply, refused } from "./_model_reply.ts";

interface QueueModel {
  info: QueueInfo;
  /** What is left to do, by partition. */
  unsettled: Map<number, PartitionAction>;
  /** Partitions that nobody knows of yet. */
  added: PartitionInfo[];
  /** Partitions that may have messages of before. */
  draining: number[];
  /** The revision since which all are known. */
  grownAt: number;
}

/** All queues. */
export class CatalogModel {
  readonly queues: QueueModel[] = [];
  #nextQueueId = 1;
  #nextPartitionId = 1;

  create({ name, settings, shardCount, acceptExisting }: CreateQueueCommand): ModelReply {
    const existing = this.#find(name)?.info;
    if (existing !== undefined) {
      if (existing.state === "deleting") return refused("queueDeleting");
      if (!sameSettings(existing.settings, settings) && !acceptExisting) {
        return refused("queueExists");
      }
      return { kind: "queue", queue: existing, created: false };
    }
    const partitions = this.#place(0, settings.partitions, shardCount);
    const info: QueueInfo = {
      id: this.#nextQueueId++,
      name,
      settings,
      paused: false,
      revision: 0,
      partitions,
      state: "creating",
    };
    const unsettled = new Map(partitions.map(({ id }) => [id, "create" as const]));
    this.queues.push({ info, unsettled, added: [], draining: [], grownAt: 0 });
    return { kind: "queue", queue: info, created: true };
  }

  edit(command: EditQueueCommand): ModelReply {
    const queue = this.#find(command.name);
    if (queue === undefined) return refused("queueNotFound");
    if (queue.info.state === "deleting") return refused("queueDeleting");
    const known = queue.info.settings.partitions;
    const is = known + queue.added.length;
    const { partitions = is, ...others } = command.settings;
    if (partitions < is) return refused("settingsInvalid");
    if (partitions > is) {
      const isGrowing = queue.added.length + queue.draining.length > 0;
      if (queue.info.state === "creating" || isGrowing) return refused("queueGrowing");
      queue.added = this.#place(known, partitions - is, command.shardCount!);
      for (const { id } of queue.added) queue.unsettled.set(id, "create");
    }
    const settings = { ...queue.info.settings, ...others };
    const paused = command.paused ?? queue.info.paused;
    if (!sameSettings(settings, queue.info.settings) || paused !== queue.info.paused) {
      revise(queue, { settings, paused });
    }
    return { kind: "queue", queue: queue.info, created: false };
  }

  delete({ name }: DeleteQueueCommand): ModelReply {
    const queue = this.#find(name);
    if (queue === undefined) return refused("queueNotFound");
    if (queue.info.state === "deleting") return { kind: "ok" };
    const { growingFrom: _, ...info } = queue.info;
    const partitions = [...info.partitions, ...queue.added];
    const settings = { ...info.settings, partitions: partitions.length };
    queue.info = { ...info, settings, partitions, state: "deleting" };
    queue.added = [];
    queue.draining = [];
    queue.unsettled = new Map(queue.info.partitions.map(({ id }) => [id, "delete"]));
    return { kind: "ok" };
  }

  settle({ partitionId, action, revision = 0 }: PartitionSettledCommand): void {
    if (action === "drain") return this.#drained(partitionId, revision);
    const queue = this.queues.find(({ unsettled }) => unsettled.get(partitionId) === action);
    if (queue === undefined) return;
    queue.unsettled.delete(partitionId);
    const isOld = action !== "delete" && revision < queue.info.revision;
    if (isOld) queue.unsettled.set(partitionId, "update");
    const left = [...queue.unsettled.values()];
    if (action === "create" && !left.includes("create")) {
      if (queue.info.state === "creating") queue.info = { ...queue.info, state: "ready" };
      else makeKnown(queue);
    }
    if (action === "delete" && left.length === 0) {
      this.queues.splice(this.queues.indexOf(queue), 1);
    }
  }

  partitionsToSettle(): PartitionToSettle[] {
    const items = this.queues.flatMap(({ info, unsettled, added }) => {
      const { partitions: known } = info;
      const all = [...known, ...added];
      return all.filter(({ id }) => unsettled.has(id)).map(({ id, number, shard }) => {
        const isNew = number >= known.length;
        const growingFrom = isNew ? known.length : info.growingFrom;
        return {
          action: unsettled.get(id)!,
          partitionId: id,
          shard,
          queueId: info.id,
          queueName: info.name,
          partitionNumber: number,
          paused: info.paused,
          revision: info.revision,
          settings: isNew ? { ...info.settings, partitions: all.length } : info.settings,
          ...(growingFrom === undefined ? {} : { growingFrom }),
        };
      });
    });
    return items.sort((a, b) => a.partitionId - b.partitionId);
  }

  #find(name: string): QueueModel | undefined {
    return this.queues.find(({ info }) => info.name === name);
  }

  #place(firstNumber: number, count: number, shardCount: number): PartitionInfo[] {
    return Array.from({ length: count }, (_, at) => {
      const id = this.#nextPartitionId++;
      return { id, number: firstNumber + at, shard: (id - 1) % shardCount };
    });
  }

  #drained(partitionId: number, revision: number): void {
    const queue = this.queues.find(({ draining }) => draining.includes(partitionId));
    if (queue === undefined || revision < queue.grownAt) return;
    queue.draining = queue.draining.filter((id) => id !== partitionId);
    if (queue.draining.length > 0) return;
    const { growingFrom: _, ...info } = queue.info;
    queue.info = info;
    revise(queue, {});
  }
}

/** All new partitions of a queue are there. */
function makeKnown(queue: QueueModel): void {
  const { partitions: old, settings } = queue.info;
  const partitions = [...old, ...queue.added];
  queue.added = [];
  queue.draining = old.map(({ id }) => id);
  queue.grownAt = queue.info.revision + 1;
  revise(queue, {
    partitions,
    settings: { ...settings, partitions: partitions.length },
    growingFrom: old.length,
  });
}

/** Changes the record of a queue, and has its partitions told. */
function revise(queue: QueueModel, change: Partial<QueueInfo>): void {
  queue.info = { ...queue.info, ...change, revision: queue.info.revision + 1 };
  for (const { id } of queue.info.partitions) {
    queue.unsettled.set(id, queue.unsettled.get(id) ?? "update");
  }
}

function sameSettings(a: QueueSettings, b: QueueSettings): boolean {
  return Object.entries(a).every(([name, value]) => b[name as keyof QueueSettings] === value);
}
