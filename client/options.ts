/**
 * The settings of a client.
 *
 * @module
 */

import type { ClientRuntime } from "./runtime.ts";

/** Settings of `connect()`. */
export interface ConnectOptions {
  /** For people: shown by the broker's tools. @default {"flowmq-client"} */
  readonly name?: string;
  /** Gives up connecting. */
  readonly signal?: AbortSignal;
  /** How long `connect()` tries before it rejects. @default {10_000} */
  readonly connectTimeoutMs?: number;
  /** How long anything that is asked of the cluster may take. @default {30_000} */
  readonly requestTimeoutMs?: number;
  /** How long the cluster keeps the leases of this client after its connection is lost. @default {30_000} */
  readonly sessionTimeoutMs?: number;
  /** How many bytes may be published to a queue and not yet confirmed; then `publish()` waits. @default {8_388_608} */
  readonly windowBytes?: number;
  /** How long a connection may be quiet before it is asked for a sign of life. @default {2_000} */
  readonly pingIntervalMs?: number;
  /** How long a connection may owe a sign of life before it is given up. @default {5_000} */
  readonly pingTimeoutMs?: number;
  /** The world around the client. @default {denoClientRuntime()} */
  readonly runtime?: ClientRuntime;
}

/** The settings in force. */
export interface ClientSettings {
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly windowBytes: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** Limits that are nobody's business but ours, each with its reason. */
export const clientLimits = {
  /** The longest client name that a cluster keeps. */
  nameLengthMax: 255,
  /** The longest name of a producer: a cluster keeps it with the id of a partition. */
  producerNameLengthMax: 200,
  /** The shortest session time-out that a cluster grants. */
  sessionTimeoutMsMin: 100,
  /** The longest session time-out that a cluster grants: a day. */
  sessionTimeoutMsMax: 86_400_000,
  /** The shortest lease that a cluster grants a consumer. */
  leaseMsMin: 100,
  /** The longest lease that a cluster grants a consumer: a day. */
  leaseMsMax: 86_400_000,
  /** How long a client extends the leases of what it holds, unless it is told otherwise: an hour. */
  extendForMsDefault: 3_600_000,
  /** The sweep that looks for what is late. Nothing else in a client is timed message by message. */
  sweepIntervalMs: 100,
  /** A connection that owes an answer for so long is suspect: others are asked who leads. */
  stallMs: 400,
  /** A request that is not answered for so long, on a connection that lives, makes others be asked, too. */
  overdueMs: 1_000,
  /** Who does not say within this time who leads is not the only one that is asked. */
  mapPatienceMs: 200,
  /** A round of asking who leads that takes longer is given up for the next one: meanwhile nodes may be back. */
  mapRoundMs: 500,
  /** An attach that is not answered for so long is tried elsewhere. */
  attachTimeoutMs: 5_000,
  /** How long to wait for a dial before asking again who leads; the dial goes on. */
  dialPatienceMs: 200,
  /** A dial, hello included, that takes longer leads nowhere. */
  dialTimeoutMs: 2_000,
  /** An address that let a dial wait in vain is not dialled again for so long. */
  hopelessMs: 5_000,
  /** First pause before trying again. */
  backoffMsMin: 10,
  /** Longest pause before trying again. */
  backoffMsMax: 500,
  /** Pauses grow slowly: an outage is overslept by a sixth of its length at most. */
  backoffFactor: 1.15,
  /** A batch of this size is sent without waiting for the end of the turn. */
  batchBytesSoft: 128 * 1024,
  /** The same in messages. */
  batchCountSoft: 4_096,
  /** The messages of one `publishBatch()` stay in one batch up to this size: well below a frame. */
  batchBytesMax: 8 * 1024 * 1024,
  /** Unconfirmed batches per partition; further messages gather meanwhile. Well below what the broker remembers. */
  batchesInFlightMax: 32,
  /** Offsets in one settle frame. */
  settleCountSoft: 4_096,
} as const;

/**
 * Fills in the defaults.
 *
 * @param options What the caller set.
 * @returns All settings.
 * @throws {RangeError} when one is out of range.
 */
export function resolveOptions(options: ConnectOptions): ClientSettings {
  const name = options.name ?? "flowmq-client";
  if (name.length > clientLimits.nameLengthMax) {
    throw new RangeError(
      `Cannot use a name over ${clientLimits.nameLengthMax} characters: current length is ${name.length}`,
    );
  }
  return {
    name,
    connectTimeoutMs: positive("connectTimeoutMs", options.connectTimeoutMs ?? 10_000),
    requestTimeoutMs: positive("requestTimeoutMs", options.requestTimeoutMs ?? 30_000),
    sessionTimeoutMs: inRange(
      "sessionTimeoutMs",
      options.sessionTimeoutMs ?? 30_000,
      clientLimits.sessionTimeoutMsMin,
      clientLimits.sessionTimeoutMsMax,
    ),
    windowBytes: positive("windowBytes", options.windowBytes ?? 8 * 1024 * 1024),
    pingIntervalMs: positive("pingIntervalMs", options.pingIntervalMs ?? 2_000),
    pingTimeoutMs: positive("pingTimeoutMs", options.pingTimeoutMs ?? 5_000),
  };
}

/**
 * Checks a setting that has to be a whole number of 1 or more.
 *
 * @param name For the message.
 * @param value The setting.
 * @returns The setting.
 * @throws {RangeError} when it is something else.
 */
export function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(
      `Cannot use ${name} as it must be a whole number of 1 or more: current value is ${value}`,
    );
  }
  return value;
}

function inRange(name: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new RangeError(
      `Cannot use ${name} as it must be a whole number from ${min} to ${max}: current value is ${value}`,
    );
  }
  return value;
}
