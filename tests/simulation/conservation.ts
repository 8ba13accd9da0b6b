/**
 * Checks that no message is lost or made up inside a queue: at every step, on every replica, the
 * messages ever published to a partition are those that are ready, leased or acked.
 *
 * Two things are checked after each entry that any replica applies, for all partitions of its shard: its
 * own counts add up, and they are the counts at this index of the log. Those are kept in a ledger, which
 * is written from the model of the shard, by whoever applies an entry first, and so holds for replicas
 * that lag, that start again, or go on from a snapshot.
 *
 * What it does not see is which messages are counted; that is up to the model and to the state hashes.
 *
 * @module
 */

import type { PartitionStats } from "../../queue/mod.ts";
import type { ModelPartition } from "./queue_model.ts";
import type { World } from "./world.ts";

/** How many messages are where. */
type Counts = Pick<PartitionStats, "published" | "ready" | "leased" | "acked">;

/** The counts of a partition from an index of the log on; none where the partition is gone. */
interface Line {
  readonly index: number;
  readonly counts: Counts | undefined;
}

/** What is asked of a replica. */
export interface Replica {
  stats(partitionId: number): Counts | undefined;
}

/** The counts of all partitions of a shard, over the whole log. */
export class Conservation {
  readonly #shard: number;
  readonly #world: World;
  readonly #ledger = new Map<number, Line[]>();

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
    for (const [id, { messages, ackedCount, leased }] of partitions) {
      let lines = this.#ledger.get(id);
      if (lines === undefined) this.#ledger.set(id, lines = []);
      const last = lines.at(-1)?.counts;
      const published = messages.length;
      if (
        last?.published === published && last.acked === ackedCount && last.leased === leased.size
      ) continue;
      const ready = published - ackedCount - leased.size;
      lines.push({ index, counts: { published, ready, leased: leased.size, acked: ackedCount } });
    }
    for (const [id, lines] of this.#ledger) {
      if (partitions.has(id) || lines.at(-1)!.counts === undefined) continue;
      lines.push({ index, counts: undefined });
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
    for (const [id, lines] of this.#ledger) {
      const stats = replica.stats(id);
      if (stats !== undefined && stats.published !== stats.ready + stats.leased + stats.acked) {
        this.#violated(node, index, id, `${textOf(stats)} does not add up`);
      }
      const expected = countsAt(lines, index);
      if (
        stats?.published === expected?.published && stats?.ready === expected?.ready &&
        stats?.leased === expected?.leased && stats?.acked === expected?.acked
      ) continue;
      this.#violated(node, index, id, `${textOf(stats)} should be ${textOf(expected)}`);
    }
    this.#world.counters.add("queue: steps whose counts were checked");
  }

  #violated(node: number, index: number, partition: number, details: string): never {
    throw this.#world.violated(
      "published = ready + leased + acked",
      `node ${node}, shard ${this.#shard}, after entry ${index}, partition ${partition}: ${details}`,
    );
  }
}

/** The last line that is not behind an index; it is among the last ones, but for replicas that lag. */
function countsAt(lines: readonly Line[], index: number): Counts | undefined {
  let low = 0;
  let high = lines.length;
  if (high > 0 && lines[high - 1]!.index <= index) return lines[high - 1]!.counts;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle]!.index <= index) low = middle + 1;
    else high = middle;
  }
  return lines[low - 1]?.counts;
}

function textOf(counts: Counts | undefined): string {
  if (counts === undefined) return "no such partition";
  const { published, ready, leased, acked } = counts;
  return `${published} published, ${ready} ready, ${leased} leased, ${acked} acked`;
}
