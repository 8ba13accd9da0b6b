/**
 * What is drawn from the seed about the applications of a run: which queues they use, and how careless
 * they are. Most things are left out of most runs, so that each has some in which it matters.
 *
 * @module
 */

import type { QueueSettings } from "../../queue/mod.ts";
import type { Random } from "./random.ts";

/** A queue that applications use. */
export type QueuePlan =
  & { readonly name: string }
  & Pick<
    QueueSettings,
    | "partitions"
    | "leaseMs"
    | "maxDeliveries"
    | "backoffFirstMs"
    | "backoffMaxMs"
    | "ttlMs"
    | "deadLetterExpired"
    | "starvationLimit"
    | "maxMessages"
    | "maxBytes"
    | "overflow"
    | "order"
    | "keyConcurrency"
    | "keyRatePerSecond"
    | "fairKeys"
    | "historyMs"
  >;

/** How the applications of a run behave. */
export interface WorkloadSettings {
  readonly queues: readonly QueuePlan[];
  readonly publishers: number;
  readonly consumers: number;
  readonly readers: number;
  readonly schedulers: number;
  /** Applications that publish under a name, and go on where they were when they come back. */
  readonly producers: number;
  /** Whether these all have the same name, and so end each other. */
  readonly producersShareName: boolean;
  /** Applications that bring dead letters back. */
  readonly redrivers: number;
  /** Whether consumers take dead letters before the end, too. */
  readonly deadLettersAreConsumed: boolean;
  /** Pause between two reads. */
  readonly readPauseMs: number;
  readonly requestTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** Pause between two things a publisher does. */
  readonly publishPauseMs: number;
  readonly batchMax: number;
  readonly bodyBytesMax: number;
  readonly asks: AskChances;
  readonly prefetchMax: number;
  /** The chance that a consumer takes several messages at once. */
  readonly batchChance: number;
  /** How long an application works on a message. */
  readonly workMs: number;
  readonly nackChance: number;
  readonly rejectChance: number;
  readonly forgetChance: number;
  /** The chance that something is published with an ack. */
  readonly forwardChance: number;
  readonly extendChance: number;
  /** The chance that a consumer has leases of its own length. */
  readonly ownLeaseChance: number;
  /** The chance that a consumer is closed after a message. */
  readonly closeChance: number;
  /** Whether queues are changed, paused and purged. */
  readonly managed: boolean;
  /** Pause between two such things. */
  readonly managePauseMs: number;
  /** Whether publishers make queues that are not there. */
  readonly create: boolean;
}

/** The chance that a message is published with something. */
export interface AskChances {
  readonly key: number;
  readonly unique: number;
  /** How many texts there are that messages are unique by. */
  readonly uniques: number;
  readonly priority: number;
  readonly delay: number;
  readonly delayMsMax: number;
  readonly ttl: number;
  readonly ttlMsMax: number;
}

/** About how many bytes are published in a run: more of them find no more. */
const BYTES_MAX = 2 << 20;

/**
 * Draws the behaviour of a run.
 *
 * @param random Decides.
 * @param faultsMs How long publishers publish.
 */
export function drawWorkload(random: Random, faultsMs: number): WorkloadSettings {
  const leaseMs = Math.round(random.magnitude(500, 30_000));
  const count = random.integer(1, 3);
  const publishers = random.integer(1, 3);
  const messages = random.magnitude(200, 5_000);
  const batchMax = Math.round(random.magnitude(1, 200));
  const queues = Array.from({ length: count }, (_, i) => ({
    name: `queue-${i}`,
    partitions: random.pick([1, 1, 2, 3, 4]),
    leaseMs,
    maxDeliveries: random.chance(0.5) ? random.integer(2, 5) : 0,
    backoffFirstMs: random.pick([0, 10, 100, 1_000]),
    backoffMaxMs: 5_000,
    ttlMs: random.chance(0.15) ? Math.round(random.magnitude(200, 20_000)) : 0,
    deadLetterExpired: random.chance(0.5),
    starvationLimit: random.pick([0, 0, 1, 5]),
    maxMessages: random.chance(0.3) ? Math.round(random.magnitude(4, 2_000)) : 0,
    maxBytes: random.chance(0.2) ? Math.round(random.magnitude(100, 500_000)) : 0,
    overflow: random.pick(["reject", "reject", "dropOldest"] as const),
    ...drawKeys(random),
    historyMs: random.pick([0, 0, 2_000, 60_000]),
  }));
  const consumers = random.integer(1, 4);
  const requestTimeoutMs = Math.round(random.magnitude(2_000, 30_000));
  const sessionTimeoutMs = Math.round(random.magnitude(1_000, 30_000));
  const bodyBytesMax = Math.round(random.magnitude(20, random.chance(0.1) ? 200_000 : 2_000));
  return {
    queues,
    publishers,
    consumers,
    requestTimeoutMs,
    sessionTimeoutMs,
    publishPauseMs: faultsMs * publishers * (batchMax / 2) /
      Math.min(messages, BYTES_MAX / (bodyBytesMax / 2)),
    batchMax,
    bodyBytesMax,
    asks: drawAsks(random),
    prefetchMax: Math.round(random.magnitude(1, 300)),
    batchChance: random.pick([0, 0.3, 1]),
    workMs: random.magnitude(0.5, 500),
    nackChance: random.pick([0, 0.05, 0.3]),
    rejectChance: random.pick([0, 0, 0.02, 0.2]),
    forgetChance: random.pick([0, 0.02, 0.2]),
    extendChance: random.pick([0, 0.1]),
    ownLeaseChance: random.pick([0, 0, 0.5]),
    forwardChance: random.pick([0, 0.1, 0.5]),
    closeChance: random.pick([0, 0.005, 0.05]),
    create: random.chance(0.2),
    readers: random.pick([0, 1, 2, 3]),
    readPauseMs: random.magnitude(5, 500),
    managed: random.chance(0.5),
    managePauseMs: random.magnitude(20, 2_000),
    schedulers: random.pick([0, 1, 1, 2]),
    producers: random.pick([0, 0, 1, 2]),
    producersShareName: random.chance(0.5),
    redrivers: random.pick([0, 0, 1]),
    deadLettersAreConsumed: random.chance(0.5),
  };
}

function drawAsks(random: Random): AskChances {
  return {
    key: random.pick([0, 0.3, 1]),
    unique: random.pick([0, 0, 0.1, 0.5]),
    uniques: Math.round(random.magnitude(2, 200)),
    priority: random.pick([0, 0, 0.1, 1]),
    delay: random.pick([0, 0, 0.1, 0.5]),
    delayMsMax: random.magnitude(50, 10_000),
    ttl: random.pick([0, 0, 0, 0.05, 0.3]),
    ttlMsMax: random.magnitude(100, 20_000),
  };
}

/**
 * Draws what keys of a queue may do: nothing special, most often.
 *
 * @param random Decides.
 */
export function drawKeys(random: Random) {
  return {
    order: random.pick(["fifo", "fifo", "key"] as const),
    keyConcurrency: random.pick([0, 0, 0, 1, 3]),
    keyRatePerSecond: random.pick([0, 0, 0, 20, 500]),
    fairKeys: random.chance(0.2),
  };
}
