/**
 * The queue machine: the deterministic state of a shard.
 *
 * Many named queues with their partitions, sessions that outlive connections, producers whose repeats
 * are recognised, consumers with credit served in strict turns, leases that run out. It is pure: plain
 * data goes in, plain data comes out, and the same log gives the same state everywhere.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const machine = new ShardMachine({ shard: 0 });
 * const reply = machine.apply(
 *   { index: 1, term: 1, timestampMs: 1_000 },
 *   { kind: "openSession", timeoutMs: 10_000, clientName: "demo" },
 * );
 * assertEquals(reply, { kind: "sessionOpened", sessionId: 1 });
 * ```
 *
 * @module
 */

export * from "./commands.ts";
export { type PartitionToSettle, settlingCommand } from "./catalog.ts";
export { deadLetterQueueOf, isDeadLetterQueue } from "./dead_letter_queue.ts";
export { InvariantError } from "./invariant.ts";
export { LiveEntries } from "./live_entries.ts";
export { COMMAND_BOUNDS, DEFAULT_LIMITS, type MachineLimits } from "./limits.ts";
export {
  type ConsumerInfo,
  type MachineOptions,
  type MachineRestorer,
  ShardMachine,
} from "./machine.ts";
export type { MachineCapture } from "./machine_capture.ts";
export * from "./machine_snapshot.ts";
export type { HappeningName } from "./happenings.ts";
export type { HistoryReport } from "./history.ts";
export type * from "./message_history.ts";
export type * from "./message_view.ts";
export type { TransferLane } from "./outbox.ts";
export { queueNameProblem } from "./queue_name.ts";
export type * from "./schedule.ts";
export type { SessionInfo, SessionState } from "./session_table.ts";
export { QUEUE_SETTINGS, queueSettings, queueSettingsProblem } from "./settings.ts";
