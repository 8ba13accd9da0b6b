/**
 * How big the tables of a machine may grow, and the ranges of what commands may ask for.
 *
 * The limits decide what is refused, so they are part of the state machine: every replica of a shard
 * must run with the same ones, for as long as its log lives.
 *
 * @module
 */

/** Bounds of one machine. Beyond a bound on a table the answer is the refusal `limitReached`. */
export interface MachineLimits {
  /** Sessions of a shard, those in retention included. @default {100_000} */
  readonly sessions: number;
  /** Consumers attached to one partition. @default {10_000} */
  readonly consumersPerPartition: number;
  /** Partitions that live in one shard. @default {100_000} */
  readonly partitionsPerShard: number;
  /** Queues in the catalog. @default {100_000} */
  readonly queues: number;
  /** Partitions one session publishes to in one shard. @default {16_384} */
  readonly producersPerSession: number;
  /** Batches a producer's window remembers, up to 40 bytes each. @default {1_024} */
  readonly windowBatches: number;
  /** How long the windows of a session outlive its time-out. @default {600_000} */
  readonly producerRetentionMs: number;
  /** The same for the windows of a named producer: a week. @default {604_800_000} */
  readonly namedProducerRetentionMs: number;
  /** Messages of a shard that become due, or expire, with one command; about. @default {10_000} */
  readonly dueAtOnce: number;
  /** Deleted partitions remembered, so that a late `createPartition` revives none. @default {65_536} */
  readonly tombstones: number;
  /** Messages that wait in the outbox of a shard, about 200 bytes each. @default {100_000} */
  readonly outboxTransfers: number;
  /** Schedules of one partition. @default {1_000} */
  readonly schedulesPerPartition: number;
  /** Schedules of all partitions of a shard. @default {10_000} */
  readonly schedulesPerShard: number;
  /** Memory for the histories of a shard, about, which share it evenly. @default {67_108_864} */
  readonly historyBytes: number;
  /** Messages of a partition that are being brought back at a time. @default {1_000_000} */
  readonly replaying: number;
}

/** The limits of a machine that was not told otherwise. */
export const DEFAULT_LIMITS: MachineLimits = {
  sessions: 100_000,
  consumersPerPartition: 10_000,
  partitionsPerShard: 100_000,
  queues: 100_000,
  producersPerSession: 16_384,
  windowBatches: 1_024,
  producerRetentionMs: 600_000,
  namedProducerRetentionMs: 7 * 24 * 60 * 60 * 1000,
  dueAtOnce: 10_000,
  tombstones: 65_536,
  outboxTransfers: 100_000,
  schedulesPerPartition: 1_000,
  schedulesPerShard: 10_000,
  historyBytes: 64 * 1024 * 1024,
  replaying: 1_000_000,
};

/** What a command may ask for; outside, it is refused as `invalidArgument` or `settingsInvalid`. */
export const COMMAND_BOUNDS = {
  /** Messages of one publish command. */
  batchCountMax: 65_536,
  /** Offsets of one settle command. */
  settleCountMax: 65_536,
  /** Messages that one ack may publish. */
  settlePublishCountMax: 1_024,
  /** Acks that publish of one session whose answers are under way. */
  settlesUnansweredMax: 65_536,
  prefetchMax: 65_536,
  sessionTimeoutMsMin: 100,
  sessionTimeoutMsMax: 24 * 60 * 60 * 1000,
  clientNameLengthMax: 255,
  producerNameLengthMax: 255,
  queueNameBytesMax: 255,
  shardCountMax: 65_536,
  /** Characters of a cron expression, and of the name of a time zone. */
  scheduleTimingLengthMax: 255,
  everyMsMin: 1_000,
  everyMsMax: 10 * 365 * 24 * 60 * 60 * 1000,
  /** Key, headers and body of a message that is published again and again: it is in the state. */
  scheduledBytesMax: 65_535,
  /** Consumer and partition ids are u32 on the wire. */
  u32Max: 0xffff_ffff,
} as const;

/**
 * Fills in the defaults and checks the rest.
 *
 * @param limits The limits that differ from the defaults.
 * @returns All limits.
 * @throws {RangeError} when a limit is not a positive safe integer.
 */
export function resolveLimits(limits: Partial<MachineLimits> | undefined): MachineLimits {
  const resolved = { ...DEFAULT_LIMITS, ...limits };
  for (const [name, value] of Object.entries(resolved)) {
    if (!isIntegerIn(value, 1, Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(
        `Cannot use limit "${name}" as it must be a positive integer: current value is ${value}`,
      );
    }
  }
  return resolved;
}

/**
 * Tells whether a value is an integer within bounds.
 *
 * @param value Anything.
 * @param min The smallest integer allowed.
 * @param max The largest integer allowed.
 * @returns Whether it is.
 */
export function isIntegerIn(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}
