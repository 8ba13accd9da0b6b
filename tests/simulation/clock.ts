/**
 * Virtual time: a queue of events, and a clock that jumps from one to the next.
 *
 * Between two events everything that the first one set in motion must have come to rest. What runs is
 * the production code, full of promises, so "at rest" means that the microtask queue is empty. One
 * macrotask hop guarantees that: V8 empties the microtask queue, including all that microtasks add to
 * it, before the next task. `setImmediate` is the cheapest public one here (about 1 µs, a quarter of
 * that where several are asked for at once; a MessageChannel takes 3 to 4, `setTimeout` a millisecond).
 * It is enough because nothing in a simulated process waits for the real world: time, sockets and files
 * come from the simulation, and no other asynchronous operation (crypto, compression, WebAssembly
 * compilation) is used.
 *
 * Times are in milliseconds, in whole microseconds, since the simulation began.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Something that will happen. */
export interface PlannedEvent {
  readonly atMs: number;
  /** Ties go to the event that was planned first. */
  readonly order: number;
  /** What happens; `undefined` once it happened or was called off. */
  run: (() => void) | undefined;
}

/** So many events at one moment mean that something goes round in a circle. */
const EVENTS_AT_ONCE_MAX = 1_000_000;

/** How many macrotasks are asked for at once. */
const HOPS = 16;

/** Below this many events called off, the queue is not worth cleaning up. */
const CLEAN_UP_MIN = 4_096;

/** The events to come, and the time. */
export class Timeline {
  #nowMs = 0;
  #order = 0;
  #heap: PlannedEvent[] = [];
  #calledOff = 0;
  #atOnce = 0;
  #failure: Error | undefined;

  /** The time. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many events were ever planned. */
  get planned(): number {
    return this.#order;
  }

  /** Plans an event `delayMs` from now; a negative delay counts as none. */
  after(delayMs: number, run: () => void): PlannedEvent {
    const atMs = Math.round((this.#nowMs + Math.max(0, delayMs)) * 1000) / 1000;
    const event: PlannedEvent = { atMs, order: this.#order++, run };
    this.#heap.push(event);
    this.#siftUp(this.#heap.length - 1);
    return event;
  }

  /** Calls an event off; nothing happens where it is over. */
  cancel(event: PlannedEvent): void {
    if (event.run === undefined) return;
    event.run = undefined;
    if (++this.#calledOff < CLEAN_UP_MIN || this.#calledOff * 2 < this.#heap.length) return;
    this.#heap = this.#heap.filter((one) => one.run !== undefined);
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
    this.#calledOff = 0;
  }

  /** Ends the run with an error after the event that is happening now. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /**
   * Lets time pass.
   *
   * @param until Asked between events; time stops when it says so.
   * @returns When time has stopped, or nothing is left to happen.
   * @throws {Error} What {@linkcode fail} was given, or an event threw.
   */
  run(until: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let over = false;
      const step = () => {
        if (over) return;
        try {
          if (this.#failure !== undefined) throw this.#failure;
          if (!until() && this.#happen()) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        over = true;
      };
      const hop = () => {
        step();
        if (over) return;
        for (let i = 1; i < HOPS; i++) setImmediate(step);
        setImmediate(hop);
      };
      setImmediate(hop);
    });
  }

  /** Lets some time pass. */
  pass(ms: number): Promise<void> {
    let over = false;
    this.after(ms, () => over = true);
    return this.run(() => over);
  }

  /** Lets the next event happen. @returns Whether there was one. */
  #happen(): boolean {
    const event = this.#next();
    if (event === undefined) return false;
    this.#advance(event.atMs);
    const { run } = event;
    event.run = undefined;
    run!();
    return true;
  }

  #advance(atMs: number): void {
    if (atMs > this.#nowMs) {
      this.#nowMs = atMs;
      this.#atOnce = 0;
    } else if (++this.#atOnce > EVENTS_AT_ONCE_MAX) {
      throw new Error(`Time stands still at ${this.#nowMs} ms`);
    }
  }

  #next(): PlannedEvent | undefined {
    const heap = this.#heap;
    while (heap.length > 0) {
      const first = heap[0]!;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        this.#siftDown(0);
      }
      if (first.run !== undefined) return first;
      this.#calledOff--;
    }
    return undefined;
  }

  #siftUp(at: number): void {
    const heap = this.#heap;
    const event = heap[at]!;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #siftDown(at: number): void {
    const heap = this.#heap;
    const event = heap[at]!;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, event)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = event;
  }
}

function isBefore(a: PlannedEvent, b: PlannedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
