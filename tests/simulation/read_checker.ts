/**
 * Checks that reads are linearizable: what a client is told about queues was so at some moment between
 * its question and the answer.
 *
 * Moments are indexes of the log. What a client was told before, of a publish, an ack, a queue, or in
 * another read, no matter which client it was, tells how far the log had surely got when the question
 * was asked; how far it has got when the answer is there is known from the nodes. The state that the
 * answer shows has to be one of those in between: an older one hides something that was confirmed, and
 * one that never was shows something that nobody published.
 *
 * The counts of partitions are compared with what {@linkcode Conservation} has written down. The
 * catalog is compared with what the first node to apply an entry had then: only how new it is can be
 * judged here, not whether it is right.
 *
 * @module
 */

import type { QueueReport } from "../../client/mod.ts";
import type { QueueInfo } from "../../queue/mod.ts";
import { type Conservation, countsText } from "./conservation.ts";
import { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

/** How far each shard's log had surely got when something was asked. */
export type Moment = readonly number[];

type CatalogLine = Pick<QueueInfo, "id" | "name" | "state">;

/** What clients know of the past, and what they read. */
export class ReadChecker {
  readonly #world: World;
  readonly #conservation: readonly Conservation[];
  /** By shard: no client has been told of anything behind this index. */
  readonly #told: number[];
  /** By shard: how far it was applied anywhere. */
  readonly #applied: number[];
  /** The queues of the catalog, as text. */
  readonly #catalog = new Ledger<string>();

  /**
   * @param world Told what broke.
   * @param conservation The counts of each shard.
   */
  constructor(world: World, conservation: readonly Conservation[]) {
    this.#world = world;
    this.#conservation = conservation;
    this.#told = conservation.map(() => 0);
    this.#applied = conservation.map(() => 0);
  }

  /**
   * An entry was applied for the first time anywhere.
   *
   * @param shard Its shard.
   * @param index Its index.
   * @param queues The catalog, where it may have changed.
   */
  applied(shard: number, index: number, queues?: readonly CatalogLine[]): void {
    this.#applied[shard] = index;
    if (queues === undefined) return;
    const text = catalogText(queues);
    if (text !== this.#catalog.last) this.#catalog.write(index, text);
  }

  /** A client was told of something that an entry did. */
  told(shard: number, index: number): void {
    this.#told[shard] = Math.max(this.#told[shard]!, index);
  }

  /** A client was told that a queue is there, or that it is gone: the catalog has got so far. */
  toldOfQueue(asked: Moment, name: string, isThere: boolean): void {
    const index = this.#findCatalog(asked, (text) => stateIn(text, name) === "ready" === isThere);
    const what = `${name} ${isThere ? "is ready" : "is deleted"}`;
    if (index === undefined) this.#violated("a client is told what is true", what, asked, 0);
    this.told(0, index);
  }

  /** A client asks something now. */
  ask(): Moment {
    return [...this.#told];
  }

  /** A client got the counts of a queue. */
  gotReport(asked: Moment, { name, id, settings, partitions }: QueueReport): void {
    const isThere = stateIn(this.#catalog.last, name, id) === "ready";
    if (isThere && partitions.length < settings.partitions) {
      const what = `${partitions.length} of ${settings.partitions} partitions of ${name} (${id})`;
      this.#violated("a queue that is ready has all its partitions", what, asked, 0);
    }
    for (const report of partitions) {
      const { partitionId, shard } = report;
      const ledger = this.#conservation[shard]!;
      const index = ledger.find(partitionId, report, asked[shard]!, this.#applied[shard]!);
      if (index === undefined) {
        const before = countsText(ledger.at(partitionId, asked[shard]!));
        const what =
          `partition ${partitionId} of ${name} (${id}): ${countsText(report)}; when it ` +
          `was asked for, ${before}`;
        this.#violated("reads are linearizable", what, asked, shard);
      }
      this.told(shard, index);
    }
    this.#world.counters.add("client: counts read");
  }

  /** A client got the list of all queues. */
  gotList(asked: Moment, queues: readonly CatalogLine[]): void {
    const list = catalogText(queues);
    const index = this.#findCatalog(asked, (text) => (text ?? "") === list);
    if (index === undefined) this.#violated("reads are linearizable", `[${list}]`, asked, 0);
    this.told(0, index);
    this.#world.counters.add("client: lists of queues read");
  }

  /** A client was told that there is no queue of this name. */
  gotNotFound(asked: Moment, name: string): void {
    const index = this.#findCatalog(asked, (text) => stateIn(text, name) !== "ready");
    if (index === undefined) {
      this.#violated("reads are linearizable", `no queue ${name}`, asked, 0);
    }
    this.told(0, index);
    this.#world.counters.add("client: queues not found in reads");
  }

  #findCatalog(asked: Moment, isMeant: (text: string | undefined) => boolean): number | undefined {
    return this.#catalog.find(asked[0]!, this.#applied[0]!, isMeant);
  }

  #violated(invariant: string, what: string, asked: Moment, shard: number): never {
    throw this.#world.violated(
      invariant,
      `${what}: not so in shard ${shard} from entry ${asked[shard]} to ${this.#applied[shard]}`,
    );
  }
}

function catalogText(queues: readonly CatalogLine[]): string {
  const lines = queues.map(({ id, name, state }) => `${name}:${id}:${state}`);
  return lines.sort().join(" ");
}

/** The state of a queue in the text of the catalog. */
function stateIn(catalog: string | undefined, name: string, id?: number): string | undefined {
  const start = id === undefined ? `${name}:` : `${name}:${id}:`;
  return catalog?.split(" ").find((one) => one.startsWith(start))?.split(":")[2];
}
