/**
 * Checks what keys may do where they take turns: at every delivery, that the message is the next one of
 * its key, and that the limits on how many of it are in flight and go in a second allow it.
 *
 * Only what was published while keys mattered has a key here, as in the machine. Whose turn it is among
 * keys is not checked: the machine's own model does that. That no key is stuck is seen at the end, when
 * nothing may be left.
 *
 * @module
 */

import type { QueueSettings } from "../../queue/mod.ts";

/** What is looked at of a message. */
export interface KeyedMessage {
  readonly offset: number;
  readonly key: string | undefined;
  readonly priority: number;
  readonly state: string;
  readonly deliveryCount: number;
}

/** What a delivery breaks, and how. */
export type Broken = readonly [invariant: string, details: string];

/** The keys of one partition. */
export class KeyChecker {
  #settings: QueueSettings;
  /** The messages of each key in the order of their offsets, some that are gone among them. */
  readonly #messages = new Map<string, KeyedMessage[]>();
  /** When messages of a key were delivered, since the rate was last changed. */
  readonly #times = new Map<string, number[]>();
  readonly #keyed = new Set<number>();

  constructor(settings: QueueSettings) {
    this.#settings = settings;
  }

  /** The settings of the queue are others now. */
  update(settings: QueueSettings): void {
    if (settings.keyRatePerSecond !== this.#settings.keyRatePerSecond) this.#times.clear();
    this.#settings = settings;
  }

  /** A message was published. */
  published(message: KeyedMessage): void {
    const { order, fairKeys, keyConcurrency, keyRatePerSecond } = this.#settings;
    const matters = order === "key" || fairKeys || keyConcurrency > 0 || keyRatePerSecond > 0;
    const { offset, key } = message;
    if (key === undefined || !matters) return;
    this.#keyed.add(offset);
    if (!this.#messages.has(key)) this.#messages.set(key, []);
    this.#messages.get(key)!.push(message);
  }

  /** Whether a message has a key here. */
  has(offset: number): boolean {
    return this.#keyed.has(offset);
  }

  /**
   * A ready message with a key is about to be delivered.
   *
   * @param message The message, as it was before.
   * @param nowMs The time of the log.
   * @returns What that breaks, or `undefined`.
   */
  delivered(message: KeyedMessage, nowMs: number): Broken | undefined {
    const { order, keyConcurrency } = this.#settings;
    const key = message.key!;
    const own = this.#messages.get(key)!.filter(({ state }) =>
      state === "ready" || state === "delayed" || state === "leased"
    );
    this.#messages.set(key, own);
    const leased = own.filter(({ state }) => state === "leased");
    const most = order === "key" ? 1 : keyConcurrency || Infinity;
    if (leased.length >= most) {
      return ["so many of a key are in flight as may be", `${key} has ${listed(leased)}`];
    }
    const held = own.filter(({ state, deliveryCount }) => state === "delayed" && deliveryCount > 0);
    if (order === "key" && held.length > 0) {
      return ["a key waits for what comes back", `${key} has ${listed(held)}`];
    }
    const ready = own.filter(({ state }) => state === "ready");
    const top = Math.max(...ready.map(({ priority }) => priority));
    const next = ready.find(({ deliveryCount }) => deliveryCount > 0) ??
      ready.find(({ priority }) => priority === top);
    if (next !== message) {
      return ["a key goes in order", `${key} has ${next!.offset} before that`];
    }
    return this.#checkRate(key, nowMs);
  }

  /** A bucket of a second's tokens, and one for times that are whole milliseconds. */
  #checkRate(key: string, nowMs: number): Broken | undefined {
    const { keyRatePerSecond: rate } = this.#settings;
    if (rate === 0) return undefined;
    if (!this.#times.has(key)) this.#times.set(key, []);
    const times = this.#times.get(key)!;
    times.push(nowMs);
    const first = times.findIndex((ms, at) =>
      times.length - at > rate + rate * (nowMs - ms) / 1_000 + 1
    );
    if (first < 0) return undefined;
    const span = `${times.length - first} in ${nowMs - times[first]!} ms`;
    return ["a key keeps to its rate", `${key}, at ${rate} a second, has ${span}`];
  }
}

function listed(messages: readonly KeyedMessage[]): string {
  return messages.map(({ offset }) => offset).join();
}
