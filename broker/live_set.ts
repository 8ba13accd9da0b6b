/**
 * The entries of a shard's log that its machine still needs, as the store wants to know them.
 *
 * @module
 */

import { LiveEntries, type ShardMachine, type SnapshotPart } from "../queue/mod.ts";
import { IndexSet } from "../storage/mod.ts";
import type { Slices } from "./slices.ts";

/** Gathers the entries, while the parts of a snapshot go by. */
export class LiveSetBuilder {
  readonly set: IndexSet = new IndexSet();
  readonly #entries = new LiveEntries((index) => this.set.add(index));

  /** Passes parts on. */
  *watch(parts: Iterable<SnapshotPart>): Generator<SnapshotPart> {
    for (const part of parts) {
      this.#entries.take(part);
      yield part;
    }
    this.#entries.end();
  }

  /**
   * Does a millisecond's work.
   *
   * @returns Whether there was any. When all parts have gone by and there is none, the set is whole.
   */
  step(): boolean {
    return this.#entries.step();
  }
}

/**
 * The entries that a machine needs, found in one go.
 *
 * @param machine The machine.
 * @returns Their indexes.
 */
export function liveSetOf(machine: ShardMachine): IndexSet {
  const builder = new LiveSetBuilder();
  for (const _ of builder.watch(machine.capture().parts())) while (builder.step());
  while (builder.step());
  return builder.set;
}

/**
 * The entries that a machine needs, found bit by bit.
 *
 * @param parts What was captured of the machine, which may go on meanwhile.
 * @param slices Gives others their turn.
 * @returns The indexes as of the capture.
 */
export async function gatherLiveSet(
  parts: Iterable<SnapshotPart>,
  slices: Slices,
): Promise<IndexSet> {
  const builder = new LiveSetBuilder();
  for (const _ of builder.watch(parts)) {
    do await slices.step(); while (builder.step());
  }
  while (builder.step()) await slices.step();
  return builder.set;
}
