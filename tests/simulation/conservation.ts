/**
 * Checks that no message is lost or made up inside a queue: at every step, on every replica, the
 * messages ever published to a partition are those that are ready, delayed, leased, acked, dead, expired,
 * purged or dropped, or were not stored as they are unique.
 *
 * Two things are checked after each entry that any replica applies, for all partitions of its shard: its
 * own counts add up, and they are the counts at this index of the log. Those are in ledgers, which are
 * written from the model of the shard when an entry is first applied anywhere, and so hold for replicas
 * that lag, that start again, or go on from a snapshot.
 *
 * What it does not see is which messages are counted; that is up to the model and to the state hashes.
 *
 * @module
 */

import type { PartitionStats } from "../../queue/mod.ts";
import { Ledger } from "./ledger.ts";
import type { ModelPartition } from "./partition_model.ts";
import type { World } from "./world.ts";

/** How many messages are where. */
export type Counts = Pick<
  PartitionStats,
  | "published"
  | "ready"
  | "delayed"
  | "leased"
  | "acked"
  | "dead"
  | "expired"
  | "purged"
  | "dropped"
  | "repeated"
>;

/** What is asked of a replica. */
export interface Replica {
  stats(partitionId: number): Counts | undefined;
}

/** The counts of all partitions of a shard, over the whole log. */
export class Conservation {
  readonly #shard: number;
  readonly #world: World;
  /** By partition; `undefined` is written where one is deleted. */
  readonly #ledgers = new Map<number, Ledger<Counts | undefined>>();

  /**
   * @param shard Its number.
   * @param world Told what broke.
   */
  constructor(shard: number, world: World) {
    this.#shard = shard;
    this.#world = world;
  }

  /**
   * Writes down what the model has after an entry.
   *
   * @param index The entry, which comes behind all that were written down.
   * @param partitions What the model has.
   */
  record(index: number, partitions: ReadonlyMap<number, ModelPartition>): void {
    for (const [id, partition] of partitions) {
      let ledger = this.#ledgers.get(id);
      if (ledger === undefined) this.#ledgers.set(id, ledger = new Ledger());
      const counts = { ...partition.counts, published: partition.messages.length };
      if (!areSame(ledger.last, counts)) ledger.write(index, counts);
    }
    for (const [id, ledger] of this.#ledgers) {
      if (!partitions.has(id) && ledger.last !== undefined) ledger.write(index, undefined);
    }
  }

  /**
   * Checks a replica.
   *
   * @param node Whose it is.
   * @param index How far it has applied the log.
   * @param replica The counts it has.
   */
  check(node: number, index: number, replica: Replica): void {
    for (const [id, ledger] of this.#ledgers) {
      const stats = replica.stats(id);
      if (stats !== undefined && stats.published !== sumOf(stats)) {
        this.#violated(node, index, id, `${countsText(stats)} does not add up`);
      }
      const expected = ledger.at(index);
      if (areSame(stats, expected)) continue;
      this.#violated(node, index, id, `${countsText(stats)} should be ${countsText(expected)}`);
    }
    this.#world.counters.add("queue: steps whose counts were checked");
  }

  /** The first index from `low` to `high` after which a partition has these counts. */
  find(partition: number, counts: Counts, low: number, high: number): number | undefined {
    return this.#ledgers.get(partition)?.find(low, high, (value) => areSame(value, counts));
  }

  /** The counts of a partition after an entry. */
  at(partition: number, index: number): Counts | undefined {
    return this.#ledgers.get(partition)?.at(index);
  }

  #violated(node: number, index: number, partition: number, details: string): never {
    throw this.#world.violated(
      `published = ${STATES.join(" + ")}`,
      `node ${node}, shard ${this.#shard}, after entry ${index}, partition ${partition}: ${details}`,
    );
  }
}

const STATES = [
  "ready",
  "delayed",
  "leased",
  "acked",
  "dead",
  "expired",
  "purged",
  "dropped",
  "repeated",
] as const satisfies (keyof Counts)[];

function sumOf(counts: Counts): number {
  return STATES.reduce((sum, state) => sum + counts[state], 0);
}

function areSame(a: Counts | undefined, b: Counts | undefined): boolean {
  return a?.published === b?.published && STATES.every((state) => a?.[state] === b?.[state]);
}

/** Counts, for people. */
export function countsText(counts: Counts | undefined): string {
  if (counts === undefined) return "no such partition";
  const states = STATES.map((state) => `${counts[state]} ${state}`);
  return `${counts.published} published, ${states.join(", ")}`;
}
