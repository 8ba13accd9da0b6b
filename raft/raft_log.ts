/**
 * One log out of two halves: what storage holds, and the tail that is still in memory.
 *
 * Positions, each at or behind the one before it:
 *
 * ```text
 * firstIndex-1   appliedIndex   handedOutIndex   commitIndex   lastIndex
 * (snapshot)     (machine)      (given to apply)
 * ```
 *
 * A snapshot that has arrived but is not yet durable stands in for storage: until then the log is
 * what lies behind it, and nothing is handed out for applying.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { LogTail } from "./log_tail.ts";
import { type Entry, EntryKind, type LogStorage, type Snapshot } from "./types.ts";

const NO_ENTRIES: readonly Entry[] = [];

/** The replicated log of one node. */
export class RaftLog {
  readonly #storage: LogStorage;
  readonly #tail: LogTail;
  #lastIndex: number;
  #lastTerm: number;
  #commitIndex: number;
  #handedOutIndex: number;
  #appliedIndex: number;
  /** Arrived, not yet durable. */
  #snapshot: Snapshot | undefined;
  #snapshotWriting = false;
  /** Indexes of the membership changes above the applied index, ascending. */
  readonly #changeIndexes: number[];

  /**
   * @param storage The log on disk.
   * @param commitIndex What is known to be committed.
   * @param appliedIndex What the state machine holds.
   */
  constructor(storage: LogStorage, commitIndex: number, appliedIndex: number) {
    const lastIndex = storage.lastIndex();
    const baseIndex = storage.firstIndex() - 1;
    this.#storage = storage;
    this.#tail = new LogTail(lastIndex);
    this.#lastIndex = lastIndex;
    const lastTerm = storage.term(lastIndex);
    invariant(
      lastTerm !== undefined,
      () => `storage knows the term of its last index ${lastIndex}`,
    );
    this.#lastTerm = lastTerm;
    invariant(
      appliedIndex >= baseIndex && appliedIndex <= lastIndex,
      () => `the log goes on from what is applied: ${appliedIndex} in ${baseIndex}..${lastIndex}`,
    );
    this.#changeIndexes = changesIn(storage, appliedIndex + 1);
    // A leader appends a change only after it has applied the one before.
    const provenIndex = this.#changeIndexes.at(-2) ?? 0;
    this.#commitIndex = Math.max(commitIndex, baseIndex, appliedIndex, provenIndex);
    this.#appliedIndex = appliedIndex;
    this.#handedOutIndex = appliedIndex;
    invariant(
      this.#commitIndex <= lastIndex,
      () => `the log holds what is committed: commit ${this.#commitIndex}, last index ${lastIndex}`,
    );
  }

  /** Index of the first entry that can be read; the snapshot stands for what is before. */
  get firstIndex(): number {
    return this.#snapshot === undefined
      ? this.#storage.firstIndex()
      : this.#snapshot.metadata.index + 1;
  }

  /** Index of the last entry. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** Term of the last entry. */
  get lastTerm(): number {
    return this.#lastTerm;
  }

  /** Everything up to here is committed. */
  get commitIndex(): number {
    return this.#commitIndex;
  }

  /** Everything up to here is applied. */
  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Everything up to here is on this node's disk. */
  get durableIndex(): number {
    return this.#tail.durableIndex;
  }

  /** A snapshot has arrived and is not yet durable. */
  get hasPendingSnapshot(): boolean {
    return this.#snapshot !== undefined;
  }

  /** Whether there is something to write. */
  get hasUnwritten(): boolean {
    return this.#tail.hasUnwritten || (this.#snapshot !== undefined && !this.#snapshotWriting);
  }

  /**
   * Whether a membership change is committed and not yet applied. A node in this state does not yet
   * know the configuration that it would campaign in.
   */
  get hasUnappliedChange(): boolean {
    const first = this.#changeIndexes[0];
    return first !== undefined && first <= this.#commitIndex;
  }

  /**
   * @param index Any index.
   * @returns The term of the entry there, or `undefined` outside the log.
   */
  term(index: number): number | undefined {
    if (index === this.#lastIndex) return this.#lastTerm;
    if (index > this.#lastIndex) return undefined;
    if (index >= this.#tail.firstIndex) return this.#tail.at(index).term;
    if (this.#snapshot !== undefined) {
      const { metadata } = this.#snapshot;
      return index === metadata.index ? metadata.term : undefined;
    }
    return this.#storage.term(index);
  }

  /**
   * @param index Any index.
   * @param term Any term.
   * @returns Whether the log has this entry: if so, everything before it is the same too.
   */
  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /**
   * @param lastIndex The end of another log.
   * @param lastTerm Its term.
   * @returns Whether that log is at least as complete as this one (Raft paper, section 5.4.1).
   */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.#lastTerm ||
      (lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex);
  }

  /**
   * The last place at or before an index whose term is not above a given one: where a log that has
   * `term` at `index` may still agree with this one. Terms never fall along a log, so this is a
   * binary search.
   *
   * @param index Where to look from.
   * @param term The other log's term there.
   * @returns The index, and its term here, or 0 where that is no longer known.
   */
  lastAgreeing(index: number, term: number): { index: number; term: number } {
    const base = this.firstIndex - 1;
    const high = Math.min(index, this.#lastIndex);
    if (high < base) return { index: high, term: 0 };
    // Everything at `low` or below may agree, everything above `top` does not.
    let low = base;
    let top = high;
    while (low < top) {
      const middle = low + Math.ceil((top - low) / 2);
      if (this.term(middle)! <= term) low = middle;
      else top = middle - 1;
    }
    const found = this.term(low)!;
    return found <= term ? { index: low, term: found } : { index: low - 1, term: 0 };
  }

  /**
   * Adds entries at the end, as a leader does.
   *
   * @param entries Consecutive, at least one, starting right behind the last index.
   */
  append(entries: readonly Entry[]): void {
    this.#tail.append(entries);
    this.#grown(entries, 0);
  }

  /**
   * Takes what a leader sent, if it fits (Raft paper, figure 2, AppendEntries, steps 2 to 4).
   *
   * @param previousIndex The place just before `entries`.
   * @param previousTerm The leader's term there.
   * @param entries The leader's log from there on.
   * @returns The last index that now is known to be the leader's, or `undefined` if the logs do not
   * meet at `previousIndex`.
   */
  tryAppend(
    previousIndex: number,
    previousTerm: number,
    entries: readonly Entry[],
  ): number | undefined {
    if (!this.matches(previousIndex, previousTerm)) return undefined;
    const lastIndex = previousIndex + entries.length;
    let known = 0;
    if (previousIndex < this.#lastIndex) {
      while (known < entries.length) {
        const entry = entries[known]!;
        if (!this.matches(entry.index, entry.term)) break;
        known++;
      }
    }
    if (known === entries.length) return lastIndex;
    const conflict = entries[known]!.index;
    invariant(
      conflict > this.#commitIndex,
      () => `a committed entry stays: commit ${this.#commitIndex}, conflict at ${conflict}`,
    );
    while ((this.#changeIndexes.at(-1) ?? 0) >= conflict) this.#changeIndexes.pop();
    this.#tail.append(known === 0 ? entries : entries.slice(known));
    this.#grown(entries, known);
    return lastIndex;
  }

  #grown(entries: readonly Entry[], from: number): void {
    for (let i = from; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.kind === EntryKind.configChange) this.#changeIndexes.push(entry.index);
    }
    const last = entries[entries.length - 1]!;
    this.#lastIndex = last.index;
    this.#lastTerm = last.term;
  }

  /**
   * Moves the commit index forward, never back.
   *
   * @param index What is committed; at most the last index.
   * @returns Whether it moved.
   */
  commitTo(index: number): boolean {
    if (index <= this.#commitIndex) return false;
    invariant(
      index <= this.#lastIndex,
      () =>
        `what is committed is in the log, or this node lost entries that it had acknowledged: ` +
        `commit ${index}, last index ${this.#lastIndex}`,
    );
    this.#commitIndex = index;
    return true;
  }

  /**
   * Entries from `low` on, from storage or from memory but not from both in one call.
   *
   * @param low The first index, at or after `firstIndex`.
   * @param high The index behind the last one.
   * @param bytesMax Limit for the data of all but the first entry.
   * @returns None if `low >= high`, else at least one.
   */
  slice(low: number, high: number, bytesMax: number): readonly Entry[] {
    if (low >= high) return NO_ENTRIES;
    const tailFirst = this.#tail.firstIndex;
    if (low >= tailFirst) return this.#tail.slice(low, high, bytesMax);
    return this.#storage.entries(low, Math.min(high, tailFirst), bytesMax);
  }

  /**
   * Whether committed entries wait to be handed out.
   *
   * @param beforeDurable Also those that are not yet durable here.
   * @returns Whether `takeCommitted` would return any.
   */
  hasCommitted(beforeDurable: boolean): boolean {
    return this.#handedOutIndex < this.#applicableIndex(beforeDurable);
  }

  #applicableIndex(beforeDurable: boolean): number {
    if (this.#snapshot !== undefined) return 0;
    return beforeDurable ? this.#commitIndex : Math.min(this.#commitIndex, this.#tail.durableIndex);
  }

  /**
   * Hands out committed entries, each once.
   *
   * @param beforeDurable Also those that are not yet durable here.
   * @param bytesMax Limit for the data of all but the first entry.
   * @returns The next entries to apply.
   */
  takeCommitted(beforeDurable: boolean, bytesMax: number): readonly Entry[] {
    const low = this.#handedOutIndex + 1;
    const entries = this.slice(low, this.#applicableIndex(beforeDurable) + 1, bytesMax);
    if (entries.length > 0) {
      invariant(entries[0]!.index === low, () => `entries are handed out in order from ${low}`);
      this.#handedOutIndex += entries.length;
      this.#tail.release(this.#handedOutIndex);
    }
    return entries;
  }

  /**
   * Takes the report that entries were applied.
   *
   * @param index The last one; was handed out before.
   */
  appliedTo(index: number): void {
    invariant(
      index <= this.#handedOutIndex,
      () => `only what was handed out is applied: index ${index}, until ${this.#handedOutIndex}`,
    );
    if (index <= this.#appliedIndex) return;
    this.#appliedIndex = index;
    while (this.#changeIndexes.length > 0 && this.#changeIndexes[0]! <= index) {
      this.#changeIndexes.shift();
    }
  }

  /**
   * Replaces the whole log by a snapshot.
   *
   * @param snapshot Behind the commit index.
   */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    invariant(index > this.#commitIndex, "a snapshot is ahead of what is committed");
    this.#snapshot = snapshot;
    this.#snapshotWriting = false;
    this.#tail.restart(index);
    this.#changeIndexes.length = 0;
    this.#lastIndex = index;
    this.#lastTerm = term;
    this.#commitIndex = index;
  }

  /** Hands out the entries to write, one batch for each ready. */
  takeBatch(): { entries: Entry[]; snapshot: Snapshot | undefined } {
    const snapshot = this.#snapshotWriting ? undefined : this.#snapshot;
    this.#snapshotWriting = this.#snapshot !== undefined;
    return { entries: this.#tail.takeBatch(snapshot?.metadata.index ?? 0), snapshot };
  }

  /**
   * Takes the report that the oldest batch on its way is durable.
   *
   * @param snapshot The snapshot of that batch.
   * @returns Whether this put the state machine at the snapshot's index.
   */
  batchDurable(snapshot: Snapshot | undefined): boolean {
    this.#tail.batchDurable();
    const restored = snapshot !== undefined && snapshot === this.#snapshot;
    if (restored) {
      this.#snapshot = undefined;
      this.#snapshotWriting = false;
      this.#appliedIndex = snapshot.metadata.index;
      this.#handedOutIndex = snapshot.metadata.index;
    }
    this.#tail.release(this.#handedOutIndex);
    return restored;
  }
}

const SCAN_BYTES_MAX = 4 * 1024 * 1024;

/** Indexes of the membership changes from an index on. */
function changesIn(storage: LogStorage, low: number): number[] {
  if (storage.changeIndexes !== undefined) return [...storage.changeIndexes(low)];
  const indexes: number[] = [];
  const end = storage.lastIndex() + 1;
  for (let at = low; at < end;) {
    const entries = storage.entries(at, end, SCAN_BYTES_MAX);
    for (const { index, kind } of entries) {
      if (kind === EntryKind.configChange) indexes.push(index);
    }
    at += entries.length;
  }
  return indexes;
}
