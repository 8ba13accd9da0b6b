/**
 * Publishing in a closed loop: a number of calls are always under way, and the end of one is the start
 * of the next. Measures how much a cluster takes; how long a message takes under a given load is asked
 * by the open loop of `schedule.ts`.
 *
 * @module
 */

/** When a loop ends. */
export interface LoopEnd {
  /** Calls of this loop; `Infinity` where only the time counts. */
  readonly calls: number;
  /** Whether there shall be no more calls. */
  over(): boolean;
}

/**
 * Makes one call, and says how it ended. Not a promise: there are hundreds of thousands of calls a
 * second, on the processor that the nodes need as well.
 */
export type Call = (done: () => void, failed: (error: unknown) => void) => void;

/**
 * Keeps calls under way until there were enough.
 *
 * @param call Makes one call.
 * @param underWayMax How many may be under way.
 * @param end When to stop.
 * @param signal Stops at once.
 * @returns How many calls were made, once all have come to their end.
 * @throws What a call throws, and the signal's reason.
 */
export function keepUnderWay(
  call: Call,
  underWayMax: number,
  end: LoopEnd,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let made = 0;
  let ended = 0;
  function onEnd(): void {
    ended++;
    fill();
  }
  function fill(): void {
    while (made - ended < underWayMax) {
      if (made >= end.calls || signal.aborted || end.over()) {
        if (made === ended) resolve(made);
        return;
      }
      made++;
      call(onEnd, reject);
    }
  }
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  fill();
  return promise;
}
