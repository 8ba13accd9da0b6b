/**
 * The messages of a partition that have a key as they were at one moment.
 *
 * @module
 */

import type { KeyColumn } from "./key_column.ts";
import { type KeyTimes, PART_LEASES_MAX, type SnapshotPart } from "./machine_snapshot.ts";
import type { MessageHeap } from "./message_heap.ts";

/** What `KeyedMessages` hands over; all of it belongs to the capture, or does not change any more. */
export class KeyedCapture {
  readonly #messages: KeyColumn;
  readonly #turns: MessageHeap;
  readonly #rests: MessageHeap;
  readonly #rates: KeyTimes;

  /**
   * @param messages The messages.
   * @param line The keys in line, and those that rest.
   * @param rates What keys have used of their rates.
   */
  constructor(
    messages: KeyColumn,
    line: { readonly turns: MessageHeap; readonly rests: MessageHeap },
    rates: KeyTimes,
  ) {
    this.#messages = messages;
    this.#turns = line.turns;
    this.#rests = line.rests;
    this.#rates = rates;
  }

  /**
   * Makes the parts, once.
   *
   * @returns Each when it is asked for.
   */
  *parts(): Generator<SnapshotPart> {
    for (const part of this.#messages.parts()) yield { kind: "keyed", ...part };
    for (const { hash } of groups(this.#turns)) yield { kind: "keyTurns", hash };
    for (const times of groups(this.#rests)) yield { kind: "keyRests", ...times };
    const { hash, atMs } = this.#rates;
    for (let at = 0; at < hash.length; at += PART_LEASES_MAX) {
      const end = at + PART_LEASES_MAX;
      yield { kind: "keyRates", hash: hash.subarray(at, end), atMs: atMs.subarray(at, end) };
    }
  }
}

/** What is in a heap, in its order, so many at a time. */
function* groups(heap: MessageHeap): Generator<KeyTimes> {
  while (heap.size > 0) {
    const length = Math.min(heap.size, PART_LEASES_MAX);
    const hash = new Float64Array(length);
    const atMs = new Float64Array(length);
    for (let at = 0; at < length; at++, heap.pop()) {
      hash[at] = heap.firstOffset;
      atMs[at] = heap.firstRank;
    }
    yield { hash, atMs };
  }
}
