/**
 * The nouns of consensus: entries, hard state, configurations, snapshots, and what the core reads of
 * the log that the shell keeps on disk.
 *
 * Indexes and terms are safe integers here and u64 on disk and wire. Index 0 and term 0 mean "none";
 * the first entry has index 1.
 *
 * @module
 */

/** Identifies a node of the cluster: a positive safe integer, 0 means "none". */
export type NodeId = number;

/** What an entry carries. Stored as one byte: values are part of the disk format. */
export const EntryKind = {
  /** Bytes for the state machine; empty bytes for the first entry of a leader's term. */
  command: 0,
  /** An encoded membership change, interpreted by the core. */
  configChange: 1,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

/** One position of the replicated log. Never mutated once made; `data` is shared, not copied. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What a node must have on disk before it answers (Raft paper, figure 2). */
export interface HardState {
  readonly term: number;
  /** The node voted for in `term`, or 0. */
  readonly vote: NodeId;
  /**
   * A hint only: what is committed may be far ahead. Everything up to here was on this node's disk
   * before, so that this may be written before or after the entries that come with it.
   */
  readonly commit: number;
}

/**
 * Who takes part. Outside a change, `votersOutgoing` is empty. In a joint configuration (thesis,
 * section 4.3) both `voters` and `votersOutgoing` must agree.
 */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly votersOutgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** The leader leaves the joint configuration by itself once it is committed. */
  readonly autoLeave: boolean;
}

/** Stands for the log up to and including `index`. */
export interface SnapshotMetadata {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
}

/** A snapshot of the state machine; the core looks at the metadata only. */
export interface Snapshot {
  readonly metadata: SnapshotMetadata;
  readonly data: Uint8Array;
}

/**
 * What the core reads of the log that has been handed to the shell. Every call is synchronous.
 *
 * The log holds `firstIndex..lastIndex`; it is empty when `lastIndex === firstIndex - 1`.
 */
export interface LogStorage {
  /**
   * Read once, when the core is made. The configuration is the one at the applied index: that of the
   * snapshot, or without one the members that the cluster was founded with.
   */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration };
  firstIndex(): number;
  lastIndex(): number;
  /**
   * The term of the entry at `index`, for `firstIndex - 1 <= index <= lastIndex` (the first of these
   * is the snapshot's), or `undefined` when the log no longer or not yet holds it.
   */
  term(index: number): number | undefined;
  /**
   * Entries `low <= index < high`, at least one, then as many as fit into `bytesMax` of data.
   * The caller asks only for what the log holds.
   */
  entries(low: number, high: number, bytesMax: number): Entry[];
  /** The newest snapshot, or `undefined` where none was ever made. */
  snapshot(): Snapshot | undefined;
  /**
   * Indexes from `low` on of the entries of kind `configChange`, ascending. Asked once, when the core
   * is made; without this method the core reads the whole log from `low` on instead.
   */
  changeIndexes?(low: number): readonly number[];
}
