/**
 * The naive model of keys that take turns: a list of the keys in line, and every question answered by
 * looking at all messages.
 *
 * @module
 */

import { hashKey } from "./key_hash.ts";
import type { QueueSettings } from "./settings.ts";

/** What there is to know of a message here. */
interface KeyedMessage {
  readonly offset: number;
  readonly key: string | undefined;
  readonly state: string;
  readonly deliveryCount: number;
  readonly priority: number;
}

type Messages = readonly KeyedMessage[];

/** A key, or, as `undefined`, all messages without one. */
type Key = string | undefined;

/** The keys of a partition. */
export class KeyModel {
  turns: Key[] = [];
  /** Keys that wait until they have some of their rate. */
  rests = new Map<string, number>();
  /** When a key's bucket is full. */
  #fullAtMs = new Map<string, number>();
  #settings: QueueSettings;

  constructor(settings: QueueSettings) {
    this.#settings = settings;
  }

  /** Whether keys of new messages mean anything. */
  get matter(): boolean {
    const { order, fairKeys, keyConcurrency, keyRatePerSecond } = this.#settings;
    return order === "key" || fairKeys || keyConcurrency > 0 || keyRatePerSecond > 0;
  }

  update(messages: Messages, settings: QueueSettings): void {
    const isUnused = !this.matter &&
      !messages.some(({ key, state }) =>
        key !== undefined && ["ready", "delayed", "leased"].includes(state)
      );
    const { concurrency, order, keyRatePerSecond: rate } = this.#limits;
    this.#settings = settings;
    if (isUnused) this.purge();
    const now = this.#limits;
    const isSame = now.concurrency === concurrency && now.order === order &&
      now.keyRatePerSecond === rate;
    if (isSame) return;
    if (now.keyRatePerSecond === 0) this.#fullAtMs.clear();
    this.rests.clear();
    const keys = [...new Set(messages.map(({ key }) => key))].filter((key) => key !== undefined);
    for (const key of keys.sort((a, b) => hashKey(a) - hashKey(b))) this.wake(messages, key);
  }

  /** A key gets into line that may go, if it is not there, and does not rest. */
  wake(messages: Messages, key: Key): void {
    if (key === undefined || this.rests.has(key) || this.turns.includes(key)) return;
    if (this.#mayGo(messages, key)) this.turns.push(key);
  }

  /** Tells whose turn it is, and ends that turn. */
  next(messages: Messages, nowMs: number): { key: Key } | "nobody" {
    const others = messages.filter(({ key, state }) => key === undefined && state === "ready");
    if (others.length > 0 && !this.turns.includes(undefined)) this.turns.push(undefined);
    while (this.turns.length > 0) {
      const key = this.turns.shift();
      if (key === undefined) {
        if (others.length > 1) this.turns.push(undefined);
        if (others.length > 0) return { key };
        continue;
      }
      if (!this.#mayGo(messages, key)) continue;
      const { keyRatePerSecond: rate } = this.#limits;
      const freeAtMs = Math.round((this.#fullAtMs.get(key) ?? 0) - 1_000 + 1_000 / rate);
      if (rate === 0 || freeAtMs <= nowMs) return { key };
      this.rests.set(key, freeAtMs);
    }
    return "nobody";
  }

  /** The first message of a key. */
  first<T extends KeyedMessage>(ready: readonly T[], key: string): T {
    const own = ready.filter((message) => message.key === key);
    const returned = own.find(({ deliveryCount }) => deliveryCount > 0);
    const top = Math.max(...own.map(({ priority }) => priority));
    return returned ?? own.find(({ priority }) => priority === top)!;
  }

  /** A message of a key is with a consumer now. */
  taken(messages: Messages, key: Key, nowMs: number): void {
    const { keyRatePerSecond: rate } = this.#limits;
    if (key !== undefined && rate > 0) {
      this.#fullAtMs.set(key, Math.max(this.#fullAtMs.get(key) ?? 0, nowMs) + 1_000 / rate);
    }
    this.wake(messages, key);
  }

  passTime(messages: Messages, nowMs: number): void {
    const due = [...this.rests].filter(([, untilMs]) => untilMs <= nowMs);
    due.sort(([a, atMs], [b, otherMs]) => atMs - otherMs || hashKey(a) - hashKey(b));
    for (const [key] of due) {
      this.rests.delete(key);
      this.wake(messages, key);
    }
  }

  purge(): void {
    this.turns = [];
    this.rests.clear();
  }

  get #limits() {
    const { order, keyConcurrency, keyRatePerSecond } = this.#settings;
    const concurrency = order === "key" ? 1 : keyConcurrency || Infinity;
    return { order, concurrency, keyRatePerSecond };
  }

  #mayGo(messages: Messages, key: string): boolean {
    const own = messages.filter((message) => message.key === key);
    const { concurrency, order } = this.#limits;
    const isHeld = order === "key" &&
      own.some(({ state, deliveryCount }) => state === "delayed" && deliveryCount > 0);
    return own.some(({ state }) => state === "ready") && !isHeld &&
      own.filter(({ state }) => state === "leased").length < concurrency;
  }
}
