/**
 * What must agree between the files of a shard: its log, its snapshots, term and vote.
 *
 * @module
 */

import type { HardState } from "../raft/types.ts";
import { CorruptFileError } from "./errors.ts";
import { joinPath } from "./file_system.ts";
import type { FoundSnapshots } from "./snapshot_files.ts";

/** How far a log goes. */
export interface LogExtent {
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The first index of which something may be there, be it in front of the log. */
  readonly reachIndex: number;
  /** The term of an entry, also of the one right before the first. */
  term(index: number): number | undefined;
}

/**
 * A snapshot stands for what is gone of the log, and for nothing that is not there.
 *
 * @param log The log.
 * @param snapshots What was found beside it.
 * @param directory Where both are, for the error.
 * @throws {CorruptFileError} when that does not hold.
 */
export function checkSnapshot(
  log: LogExtent,
  snapshots: FoundSnapshots,
  directory: string,
): void {
  const { newest, damaged } = snapshots;
  const neededIndex = newest?.neededIndex ?? 1;
  if (log.reachIndex > neededIndex) {
    if (damaged[0] !== undefined) throw new CorruptFileError(damaged[0], "it cannot be read");
    throw new CorruptFileError(
      directory,
      `the log begins at ${log.reachIndex}, but is needed from ${neededIndex}: a segment is missing`,
    );
  }
  const knownIndex = newest?.index ?? 0;
  if (log.firstIndex > knownIndex + 1) {
    if (damaged[0] !== undefined) throw new CorruptFileError(damaged[0], "it cannot be read");
    throw new CorruptFileError(
      directory,
      `the log has all entries from ${log.firstIndex} on only, but its snapshot is of ${knownIndex}`,
    );
  }
  if (newest === undefined) return;
  const { index, term } = newest;
  if (log.lastIndex < index) {
    throw new CorruptFileError(
      directory,
      `the log ends at ${log.lastIndex}, but its snapshot is of ${index}: its end is missing`,
    );
  }
  if (log.term(index) !== term) {
    throw new CorruptFileError(
      directory,
      `the log has term ${log.term(index)} at ${index}, but the snapshot of that has ${term}`,
    );
  }
}

/**
 * Nothing of what was committed is missing, and no entry is of a term that the node does not know of.
 *
 * @param log The log.
 * @param hardState Term, vote and commit index.
 * @param directory Where they are, for the error.
 * @throws {CorruptFileError} when that does not hold.
 */
export function checkLog(log: LogExtent, hardState: HardState, directory: string): void {
  if (log.lastIndex < hardState.commit) {
    throw new CorruptFileError(
      directory,
      `the log ends at ${log.lastIndex}, but ${hardState.commit} was committed: its end is missing`,
    );
  }
  const lastTerm = log.term(log.lastIndex) ?? 0;
  if (lastTerm > hardState.term) {
    throw new CorruptFileError(
      joinPath(directory, "hard-state-a"),
      `it says term ${hardState.term}, but the log has entries of term ${lastTerm}`,
    );
  }
}
