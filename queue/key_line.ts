/**
 * Which key's turn it is, and which keys have none.
 *
 * A key that may go is in line: when its turn comes one message goes, and it joins the end again if more
 * may. One that may not go gets into line when that changes, which its messages tell by `wake`; one that
 * has lost its right while it was in line is passed over when it comes up. So nothing that is blocked is
 * looked at twice. A key that has used up its rate, which is looked at when its turn comes, rests until
 * it has some of it again. All messages without a key have one turn together.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { NO_KEY } from "./key_hash.ts";
import { type KeyLimits, KeyRate, NO_LIMITS } from "./key_limits.ts";
import { type KeyTable, Place } from "./key_table.ts";
import type { KeyTimes } from "./machine_snapshot.ts";
import { MessageHeap } from "./message_heap.ts";
import { NO_SLOT } from "./offset_index.ts";

/** What `next` says when it is the turn of messages without a key. */
export const OTHERS = -1;

/** What holds a key back, and until when where that is known. */
export type KeyBlock =
  | { readonly by: "leased" }
  | { readonly by: "returned" }
  | { readonly by: "rate"; readonly untilMs: number };

/** The keys of a partition that wait for their turn, or rest. */
export class KeyLine {
  readonly #keys: KeyTable;
  /** Hashes of keys in the order of their turns. */
  readonly #turns = new MessageHeap();
  #turnNumber = 0;
  #othersHaveTurn = false;
  /** Hashes of keys by when they have some of their rate again. */
  readonly #rests = new MessageHeap();
  #limits = NO_LIMITS;
  #rate = new KeyRate(0);

  /**
   * @param keys The keys.
   */
  constructor(keys: KeyTable) {
    this.#keys = keys;
  }

  /** Whether keys are in line, or those without a key. */
  get hasTurns(): boolean {
    return this.#turns.size > 0;
  }

  /** When the first key has some of its rate again, or `undefined` when none rests. */
  get firstDueMs(): number | undefined {
    return this.#rests.size === 0 ? undefined : this.#rests.firstRank;
  }

  /**
   * Sets what is allowed. All keys are judged by it from now on.
   *
   * @param limits What is.
   */
  limit(limits: KeyLimits): void {
    const { concurrency, holds, ratePerSecond } = this.#limits;
    if (
      limits.concurrency === concurrency && limits.holds === holds &&
      limits.ratePerSecond === ratePerSecond
    ) return;
    this.#limits = limits;
    this.#rate = new KeyRate(limits.ratePerSecond);
    this.#rests.clear();
    const { hashes, places, restedAtMs } = this.#keys;
    const free: number[] = [];
    for (const key of this.#keys.slots()) {
      if (limits.ratePerSecond === 0) restedAtMs[key] = 0;
      if (places[key] === Place.turns) continue;
      places[key] = Place.none;
      if (this.#mayGo(key)) free.push(hashes[key]!);
    }
    for (const hash of free.sort((a, b) => a - b)) this.#enqueue(hash);
  }

  /**
   * Tells whose turn it is, and ends that turn.
   *
   * @param others How many messages without a key are ready.
   * @param nowMs The time of the log.
   * @returns A key that may go, `OTHERS`, or `NO_SLOT` where nobody may.
   */
  next(others: number, nowMs: number): number {
    if (others > 0 && !this.#othersHaveTurn) this.#enqueue(NO_KEY);
    while (this.#turns.size > 0) {
      const hash = this.#turns.firstOffset;
      this.#turns.pop();
      if (hash === NO_KEY) {
        this.#othersHaveTurn = false;
        if (others > 1) this.#enqueue(NO_KEY);
        if (others > 0) return OTHERS;
      } else {
        const key = this.#keys.find(hash);
        this.#keys.places[key] = Place.none;
        if (this.#isReady(key, nowMs)) return key;
        this.#keys.tidy(key);
      }
    }
    return NO_SLOT;
  }

  /**
   * Notes that a message of a key is with a consumer now.
   *
   * @param key The one whose turn it was.
   * @param nowMs The time of the log.
   */
  use(key: number, nowMs: number): void {
    const { restedAtMs } = this.#keys;
    restedAtMs[key] = this.#rate.use(restedAtMs[key]!, nowMs);
    this.wake(key);
  }

  /**
   * Lets a key get into line that may go, unless it is there, or rests.
   *
   * @param key A key to which something has happened.
   */
  wake(key: number): void {
    if (this.#keys.places[key] !== Place.none || !this.#mayGo(key)) return;
    this.#enqueue(this.#keys.hashes[key]!);
  }

  /**
   * Lets keys go on that have some of their rate again.
   *
   * @param nowMs The time of the log.
   */
  passTime(nowMs: number): void {
    const rests = this.#rests;
    while (rests.size > 0 && rests.firstRank <= nowMs) {
      const key = this.#keys.find(rests.firstOffset);
      rests.pop();
      this.#keys.places[key] = Place.none;
      this.wake(key);
      this.#keys.tidy(key);
    }
  }

  /**
   * Tells what holds a key back.
   *
   * @param key A key.
   * @param nowMs The time of the log.
   * @returns What does, or `undefined` where nothing does.
   */
  blockOf(key: number, nowMs: number): KeyBlock | undefined {
    const { leased, returned, restedAtMs } = this.#keys;
    if (leased[key]! >= this.#limits.concurrency) return { by: "leased" };
    if (this.#limits.holds && returned[key]! > 0) return { by: "returned" };
    const untilMs = this.#rate.freeAtMs(restedAtMs[key]!);
    return untilMs > nowMs ? { by: "rate", untilMs } : undefined;
  }

  /** Lets nobody be in line, or rest. */
  clear(): void {
    this.#turns.clear();
    this.#rests.clear();
    this.#othersHaveTurn = false;
  }

  /**
   * Lists what keys have used of their rates.
   *
   * @param nowMs The time of the log.
   * @returns Those that have, in the order of their hashes, with when their rates are unused again.
   */
  rates(nowMs: number): KeyTimes {
    const { hashes, restedAtMs } = this.#keys;
    const found: number[] = [];
    if (this.#limits.ratePerSecond > 0) {
      for (let key = 0; key < hashes.length; key++) if (restedAtMs[key]! > nowMs) found.push(key);
    }
    found.sort((a, b) => hashes[a]! - hashes[b]!);
    return {
      hash: Float64Array.from(found, (key) => hashes[key]!),
      atMs: Float64Array.from(found, (key) => restedAtMs[key]!),
    };
  }

  /**
   * Takes hold of who is in line, and who rests.
   *
   * @returns Both as they are now, however this goes on.
   */
  capture(): { readonly turns: MessageHeap; readonly rests: MessageHeap } {
    return { turns: this.#turns.capture(), rests: this.#rests.capture() };
  }

  /**
   * Gives keys their turns as they were in a snapshot, behind those that have one.
   *
   * @param hashes The keys.
   */
  restoreTurns(hashes: Float64Array): void {
    for (const hash of hashes) this.#enqueue(hash);
  }

  /**
   * Lets keys rest as they did in a snapshot.
   *
   * @param rests Which ones, and until when.
   */
  restoreRests({ hash, atMs }: KeyTimes): void {
    for (let at = 0; at < hash.length; at++) this.#rest(hash[at]!, atMs[at]!);
  }

  /**
   * Takes up what keys had used of their rates.
   *
   * @param rates What `rates` gave.
   */
  restoreRates({ hash, atMs }: KeyTimes): void {
    for (let at = 0; at < hash.length; at++) {
      const key = this.#keys.at(hash[at]!);
      this.#keys.restedAtMs[key] = atMs[at]!;
    }
  }

  /** Checks that each key is where it should be, once. */
  checkInvariants(): void {
    const { places } = this.#keys;
    for (const key of this.#keys.slots()) {
      invariant(places[key] !== Place.none || !this.#mayGo(key), "A key that may go has a turn");
    }
    this.#checkPlaces(this.#turns, Place.turns);
    this.#checkPlaces(this.#rests, Place.rest);
  }

  #checkPlaces(heap: MessageHeap, place: number): void {
    heap.checkInvariants();
    let count = 0;
    for (const key of this.#keys.slots()) if (this.#keys.places[key] === place) count++;
    for (const { offset: hash } of heap) {
      if (hash === NO_KEY) {
        invariant(place === Place.turns && this.#othersHaveTurn, "Others have one turn");
        continue;
      }
      count--;
      const key = this.#keys.find(hash);
      invariant(key !== NO_SLOT && this.#keys.places[key] === place, "A key is where it says");
    }
    invariant(count === 0, "A key is in one place, once");
  }

  #mayGo(key: number): boolean {
    const { ready, leased, returned } = this.#keys;
    return ready[key]! > 0 && leased[key]! < this.#limits.concurrency &&
      !(this.#limits.holds && returned[key]! > 0);
  }

  /** Whether a key whose turn it is may go now; if it is only over its rate, it rests. */
  #isReady(key: number, nowMs: number): boolean {
    if (!this.#mayGo(key)) return false;
    const freeAtMs = this.#rate.freeAtMs(this.#keys.restedAtMs[key]!);
    if (freeAtMs <= nowMs) return true;
    this.#rest(this.#keys.hashes[key]!, freeAtMs);
    return false;
  }

  #enqueue(hash: number): void {
    this.#turns.push(this.#turnNumber++, hash, 0);
    if (hash === NO_KEY) this.#othersHaveTurn = true;
    else this.#setPlace(hash, Place.turns);
  }

  #rest(hash: number, untilMs: number): void {
    this.#rests.push(untilMs, hash, 0);
    this.#setPlace(hash, Place.rest);
  }

  #setPlace(hash: number, place: number): void {
    const key = this.#keys.at(hash);
    this.#keys.places[key] = place;
  }
}
