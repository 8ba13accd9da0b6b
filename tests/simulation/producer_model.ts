/**
 * Named producers, as they must be: the numbers of a name have no gap and no repetition, whichever
 * sessions publish under it, one after the other.
 *
 * @module
 */

import type { OpenSessionCommand, Reply } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";

interface Named {
  sessionId: number;
  /** By partition: the number that comes next. */
  readonly next: Map<number, number>;
}

/** What the number of a message is told by: the end of its name. */
export function numberedName(name: string, sequence: number): string {
  return `${name}=${sequence}`;
}

/** All named producers of a shard. */
export class ProducerModel {
  readonly #violated: (invariant: string, entry: Entry, details: string) => never;
  readonly #named = new Map<string, Named>();

  /** @param violated Told what broke. */
  constructor(violated: (invariant: string, entry: Entry, details: string) => never) {
    this.#violated = violated;
  }

  /** The session that publishes under a name. */
  holder(producer: string | undefined): number | undefined {
    return producer === undefined ? undefined : this.#named.get(producer)?.sessionId;
  }

  /** Whether a session publishes under a name, and has done so. */
  isNamed(id: number): boolean {
    return this.#named.values().some(({ sessionId, next }) => sessionId === id && next.size > 0);
  }

  /**
   * A session was opened.
   *
   * @returns The session that had the name before.
   */
  opened(
    entry: Entry,
    { producer }: OpenSessionCommand,
    { sessionId, producers = [] }: Reply & { kind: "sessionOpened" },
  ): number | undefined {
    if (producer === undefined) return undefined;
    const named = this.#named.get(producer);
    // 0 is said of a partition that has refused all of it so far.
    const begun = producers.filter(({ nextSequence }) => nextSequence > 0);
    const told = new Map(begun.map((one) => [one.partitionId, one.nextSequence]));
    const expected = named?.next ?? new Map<number, number>();
    if (told.size !== expected.size || [...expected].some(([id, next]) => told.get(id) !== next)) {
      this.#violated(
        "a named producer goes on where the last one has ended",
        entry,
        `${producer} is told ${textOf(told)}, and is at ${textOf(expected)}`,
      );
    }
    this.#named.set(producer, { sessionId, next: expected });
    return named?.sessionId;
  }

  /**
   * A session has published something that was not stored before.
   *
   * @param names What the messages are called.
   * @returns Whether it publishes under a name.
   */
  published(
    entry: Entry,
    sessionId: number,
    partitionId: number,
    baseSequence: number,
    names: readonly string[],
  ): boolean {
    const named = this.#named.values().find((one) => one.sessionId === sessionId);
    if (named === undefined) return false;
    const next = named.next.get(partitionId) ?? 0;
    const wrong = names.find((name, i) => !name.endsWith(numberedName("", next + i)));
    if (baseSequence !== next || wrong !== undefined) {
      this.#violated(
        "each number of a named producer is stored once, in order",
        entry,
        `${wrong ?? names[0]} has number ${baseSequence}, and the next is ${next}`,
      );
    }
    named.next.set(partitionId, next + names.length);
    return true;
  }
}

function textOf(positions: ReadonlyMap<number, number>): string {
  return JSON.stringify(Object.fromEntries(positions));
}
