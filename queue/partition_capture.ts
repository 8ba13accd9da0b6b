/**
 * A partition as it was at one moment, to be made into parts of a snapshot afterwards, while the
 * partition itself goes on.
 *
 * Taking hold of it costs what consumers hold and not what waits: what waits is shared, leases are
 * copied.
 *
 * @module
 */

import type { BacklogState } from "./backlog.ts";
import type { HistoryState } from "./history.ts";
import {
  type ConsumerSnapshot,
  type LeaseSnapshot,
  PART_BATCHES_MAX,
  PART_ITEMS_MAX,
  PART_LEASES_MAX,
  PART_RUNS_MAX,
  type PartitionPart,
  type SnapshotPart,
  type WaitingSnapshot,
} from "./machine_snapshot.ts";
import type { UniqueCapture } from "./unique_table.ts";
import type { WaitingMessage } from "./waiting_messages.ts";

/** What a partition hands over; all of it belongs to the capture, or does not change any more. */
export interface PartitionState {
  readonly partition: PartitionPart;
  readonly consumers: readonly ConsumerSnapshot[];
  readonly ring: Uint32Array;
  readonly backlog: BacklogState;
  readonly leases: LeaseSnapshot;
  /** Absent where no message was ever unique by something. */
  readonly uniques: UniqueCapture | undefined;
  /** Where there is one. */
  readonly history: HistoryState | undefined;
}

/**
 * Makes the parts of a partition, once.
 *
 * @param state The partition.
 * @returns Its parts, each made when it is asked for.
 */
export function* partsOfPartition(state: PartitionState): Generator<SnapshotPart> {
  const { consumers, ring, leases } = state;
  const { batches, passed, waiting, expiries, sizes, keyed } = state.backlog;
  yield state.partition;
  for (let at = 0; at < consumers.length; at += PART_ITEMS_MAX) {
    yield { kind: "consumers", consumers: consumers.slice(at, at + PART_ITEMS_MAX) };
  }
  if (ring.length > 0) yield { kind: "ring", consumers: ring };
  for (const run of batches.runs(PART_BATCHES_MAX)) yield { kind: "batches", ...run };
  for (const runs of passed.runs(PART_RUNS_MAX)) yield { kind: "passed", ...runs };
  for (const { firstOffset, value } of expiries.parts()) {
    yield { kind: "expiries", firstOffset, expiresAtMs: value };
  }
  for (const { firstOffset, value } of sizes.parts()) {
    yield { kind: "sizes", firstOffset, bytes: value };
  }
  for (const part of state.uniques?.parts() ?? []) yield { kind: "uniques", ...part };
  if (keyed !== undefined) yield* keyed.parts();
  for (let at = 0; at < leases.offset.length; at += PART_LEASES_MAX) {
    const end = at + PART_LEASES_MAX;
    yield {
      kind: "leases",
      offset: leases.offset.subarray(at, end),
      deadlineMs: leases.deadlineMs.subarray(at, end),
      deliveryCount: leases.deliveryCount.subarray(at, end),
      holder: leases.holder.subarray(at, end),
      ...(leases.priority === undefined ? {} : { priority: leases.priority.subarray(at, end) }),
    };
  }
  for (const messages of groups(waiting.ready())) {
    yield { kind: "returned", ...waitingSnapshot(messages) };
  }
  for (const messages of groups(waiting.delayed())) {
    const dueMs = Float64Array.from(messages, ({ dueMs }) => dueMs!);
    yield { kind: "delayed", dueMs, ...waitingSnapshot(messages) };
  }
  if (state.history !== undefined) yield* partsOfHistory(state.history);
}

function* partsOfHistory(state: HistoryState): Generator<SnapshotPart> {
  yield { kind: "history", ...state.part };
  yield* state.happenings.parts();
  for (const runs of state.replayable.runs(PART_RUNS_MAX)) yield { kind: "replayable", ...runs };
  for (const runs of state.replaying.runs(PART_RUNS_MAX)) yield { kind: "replaying", ...runs };
}

function waitingSnapshot(messages: readonly WaitingMessage[]): WaitingSnapshot {
  const snapshot = {
    offset: Float64Array.from(messages, ({ offset }) => offset),
    deliveryCount: Uint32Array.from(messages, ({ deliveryCount }) => deliveryCount),
  };
  return messages.some(({ priority }) => priority > 0)
    ? { ...snapshot, priority: Uint8Array.from(messages, ({ priority }) => priority) }
    : snapshot;
}

/** Messages, so many at a time. */
function* groups(messages: Iterable<WaitingMessage>): Generator<WaitingMessage[]> {
  let group: WaitingMessage[] = [];
  for (const message of messages) {
    if (group.push(message) < PART_LEASES_MAX) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
