/**
 * The settings of a queue on the command line: a flag for each, and how each is shown.
 *
 * @module
 */

import { QUEUE_SETTINGS, queueSettings } from "../queue/mod.ts";
import type { QueueSettings } from "../mod.ts";
import { writeDuration } from "./flag_values.ts";
import {
  durationFlag,
  type FlagValues,
  integerFlag,
  optionalChoiceFlag,
  optionalSizeFlag,
  toggleFlag,
} from "./flags.ts";
import { formatBytes, formatMany, formatMs } from "./format.ts";

const {
  partitions,
  leaseMs,
  maxMessages,
  maxBytes,
  overflow,
  maxDeliveries,
  backoffFirstMs,
  backoffMaxMs,
  backoffFactor,
  backoffJitterPercent,
  ttlMs,
  starvationLimit,
  order,
  keyConcurrency,
  keyRatePerSecond,
  historyMs,
} = QUEUE_SETTINGS;

/** The flags of `queue add`. One that is not given leaves the setting at its default. */
export const settingFlags = {
  partitions: integerFlag({
    help: "Order holds within a partition; more of them share the work of a busy queue.",
    minimum: partitions.min,
    maximum: partitions.max,
    defaultText: String(partitions.default),
  }),
  lease: durationFlag({
    help: "How long a consumer may hold a message before it goes to another.",
    minimumMs: leaseMs.min,
    maximumMs: leaseMs.max,
    defaultText: writeDuration(leaseMs.default),
  }),
  maxMessages: integerFlag({
    help:
      "How many messages may wait and be leased, shared evenly by the partitions; 0 is without limit.",
    minimum: maxMessages.min,
    maximum: maxMessages.max,
    defaultText: String(maxMessages.default),
  }),
  maxBytes: optionalSizeFlag({
    help:
      "How many bytes the messages may have that wait and are leased, shared evenly; 0 is without limit.",
    minimum: maxBytes.min,
    maximum: maxBytes.max,
    defaultText: String(maxBytes.default),
  }),
  overflow: optionalChoiceFlag(overflow.choices, {
    help:
      "When there are so many: publishers wait, or the oldest messages that nobody holds are lost.",
    defaultText: overflow.default,
  }),
  maxDeliveries: integerFlag({
    help: "After how many deliveries a message that failed is a dead letter; 0 for never.",
    minimum: maxDeliveries.min,
    maximum: maxDeliveries.max,
    defaultText: String(maxDeliveries.default),
  }),
  backoff: durationFlag({
    help: "How long a message waits after its first failure.",
    minimumMs: backoffFirstMs.min,
    maximumMs: backoffFirstMs.max,
    defaultText: writeDuration(backoffFirstMs.default),
  }),
  backoffMax: durationFlag({
    help: "The longest it waits after a failure.",
    minimumMs: backoffMaxMs.min,
    maximumMs: backoffMaxMs.max,
    defaultText: writeDuration(backoffMaxMs.default),
  }),
  backoffFactor: integerFlag({
    help: "How many times longer it waits after each further failure.",
    minimum: backoffFactor.min,
    maximum: backoffFactor.max,
    defaultText: String(backoffFactor.default),
  }),
  backoffJitter: integerFlag({
    help: "By how many percent that wait is spread, up and down.",
    minimum: backoffJitterPercent.min,
    maximum: backoffJitterPercent.max,
    defaultText: String(backoffJitterPercent.default),
  }),
  ttl: durationFlag({
    help: "How long messages live that nobody acks; 0 for ever.",
    minimumMs: ttlMs.min,
    maximumMs: ttlMs.max,
    defaultText: "0",
  }),
  deadLetterExpired: toggleFlag({
    help: "Messages that expire are dead letters, too.",
  }),
  starvationLimit: integerFlag({
    help:
      "How many deliveries in a row may pass over an older message of less priority; 0 for any.",
    minimum: starvationLimit.min,
    maximum: starvationLimit.max,
    defaultText: String(starvationLimit.default),
  }),
  order: optionalChoiceFlag(order.choices, {
    help:
      "With key, a message is delivered when those before it that have its key are done with, whoever " +
      "takes them.",
    defaultText: order.default,
  }),
  keyConcurrency: integerFlag({
    help: "How many messages of a key may be with consumers at a time; 0 is any number.",
    minimum: keyConcurrency.min,
    maximum: keyConcurrency.max,
    defaultText: String(keyConcurrency.default),
  }),
  keyRate: integerFlag({
    help: "How many messages of a key may be delivered in a second; 0 is any number.",
    minimum: keyRatePerSecond.min,
    maximum: keyRatePerSecond.max,
    defaultText: String(keyRatePerSecond.default),
  }),
  fairKeys: toggleFlag({
    help:
      "Keys take turns, so that many messages of one do not make others wait. They do anyway with " +
      "--order key and with limits for keys.",
  }),
  history: durationFlag({
    help:
      "For how long it is remembered what happened to messages, and acked ones can be replayed; 0 for " +
      "not at all. Such messages stay on disk as long.",
    minimumMs: historyMs.min,
    maximumMs: historyMs.max,
    defaultText: "0",
  }),
};

/** The flags of `queue edit`. One that is not given leaves the setting as it is. */
export const editFlags = Object.fromEntries(
  Object.entries(settingFlags).map(([name, flag]) => [name, { ...flag, defaultText: "" }]),
) as typeof settingFlags;

/** The setting that each flag is about. */
const SETTING_OF = {
  partitions: "partitions",
  lease: "leaseMs",
  maxMessages: "maxMessages",
  maxBytes: "maxBytes",
  overflow: "overflow",
  maxDeliveries: "maxDeliveries",
  backoff: "backoffFirstMs",
  backoffMax: "backoffMaxMs",
  backoffFactor: "backoffFactor",
  backoffJitter: "backoffJitterPercent",
  ttl: "ttlMs",
  deadLetterExpired: "deadLetterExpired",
  starvationLimit: "starvationLimit",
  order: "order",
  keyConcurrency: "keyConcurrency",
  keyRate: "keyRatePerSecond",
  fairKeys: "fairKeys",
  history: "historyMs",
} as const satisfies Record<keyof typeof settingFlags, keyof QueueSettings>;

/** How a setting is told to people. */
const SHOWN: { readonly [K in keyof QueueSettings]: (value: QueueSettings[K]) => string } = {
  partitions: (count) => formatMany(count, "partition"),
  leaseMs: (ms) => `lease ${formatMs(ms)}`,
  maxMessages: (count) => `at most ${formatMany(count, "message")}`,
  maxBytes: (bytes) => `at most ${formatBytes(bytes)}`,
  overflow: (choice) => `overflow ${choice}`,
  maxDeliveries: (count) => count === 0 ? "no limit of deliveries" : `${count} deliveries at most`,
  backoffFirstMs: (ms) => `back-off from ${formatMs(ms)}`,
  backoffMaxMs: (ms) => `back-off to ${formatMs(ms)}`,
  backoffFactor: (factor) => `back-off × ${factor}`,
  backoffJitterPercent: (percent) => `back-off ± ${percent} %`,
  ttlMs: (ms) => `time to live ${formatMs(ms)}`,
  deadLetterExpired: (on) => on ? "expired messages to the dead letters" : "expired messages go",
  starvationLimit: (count) => `an older message after ${count}`,
  order: (order) => order === "key" ? "in the order of each key" : "first in first out",
  keyConcurrency: (count) => `${count} of a key at a time`,
  keyRatePerSecond: (count) => `${count} of a key a second`,
  fairKeys: (on) => on ? "keys take turns" : "keys take no turns",
  historyMs: (ms) => ms === 0 ? "no history" : `history of ${formatMs(ms)}`,
};

/** The settings that are told whatever they are; others only when they are not the default. */
const ALWAYS_SHOWN: ReadonlySet<string> = new Set(["partitions", "leaseMs"]);

/**
 * Takes the settings from what was given on the command line.
 *
 * @param values The values of {@linkcode settingFlags}.
 * @returns Those that were given.
 */
export function givenSettings(values: FlagValues<typeof settingFlags>): Partial<QueueSettings> {
  const given = Object.entries(SETTING_OF)
    .map(([flag, name]) => [name, values[flag as keyof typeof SETTING_OF]] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}

/**
 * Tells the settings of a queue in a line.
 *
 * @param settings The settings.
 * @returns Those that matter, as in `3 partitions, lease 30 s`.
 */
export function describeSettings(settings: QueueSettings): string {
  const usual = queueSettings();
  return (Object.keys(SHOWN) as (keyof QueueSettings)[])
    .filter((name) => ALWAYS_SHOWN.has(name) || settings[name] !== usual[name])
    .map((name) => (SHOWN[name] as (value: unknown) => string)(settings[name]))
    .join(", ");
}
