/**
 * Carries out what the catalog decides.
 *
 * The catalog, in shard 0, only records that a queue's partitions are to be made, changed or deleted in
 * their shards. The keeper runs where shard 0 is led: it proposes what is to be done in each shard, wherever
 * that is led, and when that is committed, notes it in the catalog. Every step may happen twice; a new
 * leader of shard 0 simply goes on with what its catalog says is still open.
 *
 * @module
 */

import { type PartitionToSettle, settlingCommand, type ShardMachine } from "../queue/mod.ts";
import type { EncodableCommand } from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";

/** Proposes a command in a shard, wherever it is led; rejects unless it was applied. */
export type Submit = (shardId: number, command: EncodableCommand) => Promise<void>;

/** Told when what it waits for has come true; `false` when this node stopped leading. */
type Waiter = (settled: boolean) => void;

/** Partitions that are being made, changed or deleted at a time. */
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
  readonly #waiters = new Set<{ readonly isDone: () => boolean; readonly tell: Waiter }>();
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
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const { tell } of waiters) tell(false);
  }

  /** Calls back when the queue is ready or gone: at once where it is neither made nor deleted. */
  whenReady(name: string, tell: Waiter): void {
    this.#wait(() => (this.#machine.findQueue(name)?.state ?? "ready") === "ready", tell);
  }

  /** Calls back when every partition of the queue is as the catalog has it. */
  whenSettled(name: string, tell: Waiter): void {
    this.#wait(() => this.#machine.isQueueSettled(name), tell);
  }

  /** The catalog may have changed: starts what is to be done, and tells who waited. */
  check(): void {
    if (!this.#leading) return;
    for (const waiter of this.#waiters) {
      if (!waiter.isDone()) continue;
      this.#waiters.delete(waiter);
      waiter.tell(true);
    }
    if (this.#underWay.size >= UNDER_WAY_MAX) return;
    for (const task of this.#machine.partitionsToSettle(2 * UNDER_WAY_MAX)) {
      if (this.#underWay.size >= UNDER_WAY_MAX) return;
      if (this.#underWay.has(task.partitionId)) continue;
      this.#underWay.add(task.partitionId);
      void this.#settle(task);
    }
  }

  #wait(isDone: () => boolean, tell: Waiter): void {
    if (!this.#leading) return tell(false);
    if (isDone()) return tell(true);
    this.#waiters.add({ isDone, tell });
  }

  async #settle(task: PartitionToSettle): Promise<void> {
    const { partitionId, shard, action, revision } = task;
    try {
      await this.#submit(shard, settlingCommand(task));
      await this.#submit(0, { kind: "partitionSettled", partitionId, action, revision });
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
