/**
 * The settings of a queue: what they are called, what they are when nobody says, and what they may be.
 *
 * This is the one place. A new setting is a field of {@linkcode QueueSettings} and a row of
 * {@linkcode QUEUE_SETTINGS} (and a flag in `cli/queue_settings.ts`): commands, snapshots, requests and
 * replies carry every row, and what lacks a field, because it was written before there was one, has the
 * default.
 *
 * @module
 */

/** Settings of a queue. Every field has a value: see {@linkcode queueSettings}. */
export interface QueueSettings {
  /** How many partitions it has: more of them spread the load over more shards. @default {1} */
  readonly partitions: number;
  /** How long a consumer holds a message before it goes to another. @default {30_000} */
  readonly leaseMs: number;
  /**
   * How many messages may wait and be leased, shared evenly by the partitions; 0 is without limit.
   * @default {0}
   */
  readonly maxMessages: number;
  /**
   * How many bytes the messages may have that wait and are leased, shared evenly by the partitions; 0 is
   * without limit. @default {0}
   */
  readonly maxBytes: number;
  /** What happens when there are so many: new ones wait at the publisher, or old ones go. @default {"reject"} */
  readonly overflow: "reject" | "dropOldest";
  /** A message that has failed so often goes to the dead-letter queue; 0 for never. @default {10} */
  readonly maxDeliveries: number;
  /** How long a message waits after its first failure; 0 for not at all. @default {100} */
  readonly backoffFirstMs: number;
  /** The longest it waits after a failure. @default {60_000} */
  readonly backoffMaxMs: number;
  /** How many times longer it waits after each further failure. @default {2} */
  readonly backoffFactor: number;
  /** By how much the wait is spread, up and down. @default {20} */
  readonly backoffJitterPercent: number;
  /** How long a message lives that nobody acks; 0 for ever. @default {0} */
  readonly ttlMs: number;
  /** Whether a message that expires goes to the dead-letter queue. @default {false} */
  readonly deadLetterExpired: boolean;
  /**
   * After so many deliveries in a row that passed over an older message of less priority, the oldest one
   * is delivered; 0 for strict priority. @default {0}
   */
  readonly starvationLimit: number;
  /** What is delivered one after the other: nothing, or the messages of each key. @default {"fifo"} */
  readonly order: "fifo" | "key";
  /** How many messages of a key may be with consumers at a time; 0 for any number. @default {0} */
  readonly keyConcurrency: number;
  /** How many messages of a key may be delivered in a second; 0 for any number. @default {0} */
  readonly keyRatePerSecond: number;
  /** Whether keys take turns. They do anyway in an order by key, and with limits. @default {false} */
  readonly fairKeys: boolean;
  /**
   * For how long it is remembered what happened to messages, and for how long acked ones can be brought
   * back; 0 for not at all. @default {0}
   */
  readonly historyMs: number;
}

/** What a setting is when nobody says, and what it may be. */
export interface Setting<T> {
  /** When nobody says. */
  readonly default: T;
  /** Says what is wrong with a value: a sentence, or `undefined` when it is fine. */
  problem(value: unknown): string | undefined;
}

/** A setting that is a whole number. */
export interface NumberSetting extends Setting<number> {
  readonly min: number;
  readonly max: number;
}

/** A setting that is one of a few words. */
export interface ChoiceSetting<T extends string> extends Setting<T> {
  readonly choices: readonly T[];
}

/** The longest that a message waits or lives: ten years. */
export const MESSAGE_TIME_MS_MAX = 10 * 366 * 24 * 60 * 60 * 1_000;

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Every setting. The order is that of the fields in snapshots: add at the end. */
export const QUEUE_SETTINGS = {
  partitions: wholeNumber({
    default: 1,
    min: 1,
    max: 1_024,
    rule: (range) => `A queue must have ${range} partitions`,
  }),
  leaseMs: wholeNumber({
    default: 30_000,
    min: 100,
    max: DAY_MS,
    rule: (range) => `A lease must last ${range} milliseconds`,
  }),
  maxMessages: wholeNumber({
    default: 0,
    min: 0,
    max: 1_000_000_000_000,
    rule: (range) => `The most messages of a queue must be ${range} (0: without limit)`,
  }),
  overflow: oneOf(["reject", "dropOldest"], {
    default: "reject",
    rule: (range) => `What happens when a queue is full must be ${range}`,
  }),
  maxDeliveries: wholeNumber({
    default: 10,
    min: 0,
    max: 1_000_000,
    rule: (range) => `A message must be delivered ${range} times at most, where 0 is no limit`,
  }),
  backoffFirstMs: wholeNumber({
    default: 100,
    min: 0,
    max: DAY_MS,
    rule: (range) => `The first back-off must last ${range} milliseconds`,
  }),
  backoffMaxMs: wholeNumber({
    default: 60_000,
    min: 0,
    max: DAY_MS,
    rule: (range) => `The longest back-off must last ${range} milliseconds`,
  }),
  backoffFactor: wholeNumber({
    default: 2,
    min: 1,
    max: 10,
    rule: (range) => `A back-off must grow by a factor of ${range}`,
  }),
  backoffJitterPercent: wholeNumber({
    default: 20,
    min: 0,
    max: 100,
    rule: (range) => `A back-off must be spread by ${range} percent`,
  }),
  ttlMs: wholeNumber({
    default: 0,
    min: 0,
    max: MESSAGE_TIME_MS_MAX,
    rule: (range) => `Messages must live for ${range} milliseconds, where 0 is for ever`,
  }),
  deadLetterExpired: onOrOff({
    default: false,
    rule: (range) => `Whether expired messages become dead letters must be ${range}`,
  }),
  starvationLimit: wholeNumber({
    default: 0,
    min: 0,
    max: 1_000_000,
    rule: (range) =>
      `An older message must be passed over ${range} times at most, where 0 is no limit`,
  }),
  maxBytes: wholeNumber({
    default: 0,
    min: 0,
    max: 1_000_000_000_000_000,
    rule: (range) => `The most bytes of a queue must be ${range} (0: without limit)`,
  }),
  order: oneOf(["fifo", "key"], {
    default: "fifo",
    rule: (range) => `The order of a queue must be ${range}`,
  }),
  keyConcurrency: wholeNumber({
    default: 0,
    min: 0,
    max: 1_000_000,
    rule: (range) =>
      `Of a key, ${range} messages may be with consumers at a time, where 0 is any number`,
  }),
  keyRatePerSecond: wholeNumber({
    default: 0,
    min: 0,
    max: 1_000_000,
    rule: (range) =>
      `Of a key, ${range} messages may be delivered in a second, where 0 is any number`,
  }),
  fairKeys: onOrOff({
    default: false,
    rule: (range) => `Whether keys take turns must be ${range}`,
  }),
  historyMs: wholeNumber({
    default: 0,
    min: 0,
    max: 30 * DAY_MS,
    rule: (range) => `A history must reach back ${range} milliseconds, where 0 is none`,
  }),
} satisfies { readonly [K in keyof QueueSettings]: Setting<QueueSettings[K]> };

const NAMES = Object.keys(QUEUE_SETTINGS) as (keyof QueueSettings)[];

/**
 * Fills in the defaults.
 *
 * @param given Some settings. Fields that are no setting are left out.
 * @returns All of them.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(queueSettings({ leaseMs: 500 }), { ...queueSettings(), leaseMs: 500 });
 * ```
 */
export function queueSettings(given: Partial<QueueSettings> = {}): QueueSettings {
  const settings: Record<string, unknown> = {};
  for (const name of NAMES) settings[name] = given[name] ?? QUEUE_SETTINGS[name].default;
  return settings as unknown as QueueSettings;
}

/**
 * Says what is wrong with settings.
 *
 * @param given Some settings, or all.
 * @returns A sentence, or `undefined` when they are fine.
 */
export function queueSettingsProblem(given: Partial<QueueSettings>): string | undefined {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(QUEUE_SETTINGS, name)) return `A queue has no setting "${name}"`;
    const problem = QUEUE_SETTINGS[name as keyof QueueSettings].problem(value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * Says why a queue cannot be changed so.
 *
 * @param is The settings there are.
 * @param wanted Others, which are fine in themselves.
 * @returns A sentence, or `undefined` when it can.
 */
export function editProblem(is: QueueSettings, wanted: QueueSettings): string | undefined {
  if (wanted.partitions >= is.partitions) return undefined;
  return `A queue can get more partitions and not fewer: partitions is ${is.partitions}, and cannot ` +
    `become ${wanted.partitions}`;
}

/**
 * Tells in what two queues differ.
 *
 * @param is The settings there are.
 * @param wanted Others.
 * @returns A few words for each setting that is not the same.
 */
export function settingsDifferences(is: QueueSettings, wanted: QueueSettings): string[] {
  return NAMES.filter((name) => is[name] !== wanted[name])
    .map((name) => `${name} is ${is[name]}, not ${wanted[name]}`);
}

/**
 * Makes a setting that is a whole number.
 *
 * @param options The default, the bounds, and the sentence that states them.
 * @returns The setting.
 */
export function wholeNumber(
  { rule, ...setting }: {
    readonly default: number;
    readonly min: number;
    readonly max: number;
    readonly rule: (range: string) => string;
  },
): NumberSetting {
  const { min, max } = setting;
  return {
    ...setting,
    problem(value) {
      if (Number.isSafeInteger(value) && value as number >= min && value as number <= max) return;
      return wrong(rule(`${min} to ${max}`), value);
    },
  };
}

/**
 * Makes a setting that is on or off.
 *
 * @param options The default, and the sentence that says what it has to be.
 * @returns The setting.
 */
export function onOrOff(
  { rule, ...setting }: {
    readonly default: boolean;
    readonly rule: (range: string) => string;
  },
): Setting<boolean> {
  return {
    ...setting,
    problem: (value) =>
      typeof value === "boolean" ? undefined : wrong(rule("true or false"), value),
  };
}

/**
 * Makes a setting that is one of a few words.
 *
 * @param choices The words.
 * @param options The default, and the sentence that says what it has to be.
 * @returns The setting.
 */
export function oneOf<const T extends string>(
  choices: readonly T[],
  { rule, ...setting }: {
    readonly default: NoInfer<T>;
    readonly rule: (range: string) => string;
  },
): ChoiceSetting<T> {
  return {
    ...setting,
    choices,
    problem: (value) =>
      choices.some((one) => one === value) ? undefined : wrong(rule(choices.join(" or ")), value),
  };
}

function wrong(rule: string, value: unknown): string {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return `${rule}: current value is ${shown}`;
}
