/**
 * Carries out what the catalog decides.
 *
 * The catalog, in shard 0, only records that a queue's partitions are to be made or deleted in their
 * shards. The keeper runs where shard 0 is led: it proposes what is to be done in each shard, wherever
 * that is led, and when that is committed, notes it in the catalog. Every step may happen twice; a new
 * leader of shard 0 simply goes on with what its catalog says is still open.
 *
 * @module
 */

import type { PartitionAction, QueueInfo, ShardMachine } from "../queue/mod.ts";
import type { EncodableCommand } from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";

/** Proposes a command in a shard, wherever it is led; rejects unless it was applied. */
export type Submit = (shardId: number, command: EncodableCommand) => Promise<void>;

/** Told when a queue is no longer being made or deleted; `false` when this node stopped leading. */
type Waiter = (settled: boolean) => void;

/** Partitions that are being made or deleted at a time. */
const UNDER_WAY_MAX = 256;

/** Pause before a step that failed is tried again, in milliseconds. */
const RETRY_MS = 50;

/** The keeper of one node; idle unless that node leads shard 0. */
export class CatalogKeeper {
  readonly #currentMachine: () => ShardMachine;
  readonly #submit: Submit;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #underWay = new Set<number>();
  readonly #waiters = new Map<string, Waiter[]>();
  #leading = false;

  /**
   * @param machine The machine that shard 0 has on this node at the moment.
   * @param submit Proposes a command in a shard.
   */
  constructor(machine: () => ShardMachine, submit: Submit, clock: Clock, log: Logger) {
    this.#currentMachine = machine;
    this.#submit = submit;
    this.#clock = clock;
    this.#log = log;
  }

  get #machine(): ShardMachine {
    return this.#currentMachine();
  }

  /** This node begins or ceases to lead shard 0. */
  lead(leading: boolean): void {
    this.#leading = leading;
    if (leading) return this.check();
    const waiters = [...this.#waiters.values()].flat();
    this.#waiters.clear();
    for (const waiter of waiters) waiter(false);
  }

  /** Calls back when the queue is ready or gone: at once where nothing is to be done for it. */
  whenSettled(name: string, waiter: Waiter): void {
    if (!this.#leading) return waiter(false);
    if (isSettled(this.#machine.findQueue(name))) return waiter(true);
    const waiters = this.#waiters.get(name);
    if (waiters === undefined) this.#waiters.set(name, [waiter]);
    else waiters.push(waiter);
  }

  /** The catalog may have changed: starts what is to be done, and tells who waited. */
  check(): void {
    if (!this.#leading) return;
    for (const [name, waiters] of this.#waiters) {
      if (!isSettled(this.#machine.findQueue(name))) continue;
      this.#waiters.delete(name);
      for (const waiter of waiters) waiter(true);
    }
    if (this.#underWay.size >= UNDER_WAY_MAX) return;
    for (const task of this.#machine.partitionsToSettle(2 * UNDER_WAY_MAX)) {
      if (this.#underWay.size >= UNDER_WAY_MAX) return;
      if (this.#underWay.has(task.partitionId)) continue;
      this.#underWay.add(task.partitionId);
      const { partitionId, shard } = task;
      const command: EncodableCommand = task.action === "create"
        ? {
          kind: "createPartition",
          partitionId,
          queueId: task.queueId,
          queueName: task.queueName,
          partitionNumber: task.partitionNumber,
          settings: task.settings,
        }
        : { kind: "deletePartition", partitionId };
      void this.#settle(partitionId, shard, task.action, command);
    }
  }

  async #settle(
    partitionId: number,
    shard: number,
    action: PartitionAction,
    command: EncodableCommand,
  ): Promise<void> {
    try {
      await this.#submit(shard, command);
      await this.#submit(0, { kind: "partitionSettled", partitionId, action });
      this.#underWay.delete(partitionId);
      this.check();
    } catch (error) {
      if (!this.#leading) {
        this.#underWay.delete(partitionId);
        return;
      }
      this.#log.debug("Could not settle a partition yet", {
        partition: partitionId,
        shard,
        error: error instanceof Error ? error.message : String(error),
      });
      this.#clock.setTimeout(() => {
        this.#underWay.delete(partitionId);
        this.check();
      }, RETRY_MS);
    }
  }
}

function isSettled(queue: QueueInfo | undefined): boolean {
  return queue === undefined || queue.state === "ready";
}
