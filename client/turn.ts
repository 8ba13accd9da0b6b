/**
 * The end of a turn, without a timer: runs something once nobody adds to it any more.
 *
 * A promise that resolves wakes its waiters one microtask after the other, some after several hops. A
 * callback in the next microtask would run in the middle of them. So it looks again each time whether
 * more has come, and goes on only when a few rounds have brought nothing. One microtask a round looks
 * after all who wait: a consumer's loop takes one message a round, so that there are many rounds.
 *
 * @module
 */

/** Something that is flushed when its turn is over. */
interface Gathering {
  readonly size: () => number;
  readonly flush: () => void;
  last: number;
  quietRounds: number;
}

/** A call through a few `async` functions takes a few rounds from one publish to the next. */
const quietRoundsMin = 4;

/** All that wait for the end of their turn. */
const gatherings: Gathering[] = [];

/**
 * Runs `flush` in a microtask after `size()` has stopped growing.
 *
 * @param size How much has been gathered; 0 means that there is nothing left to flush.
 * @param flush Called once.
 */
export function atEndOfTurn(size: () => number, flush: () => void): void {
  if (gatherings.push({ size, flush, last: size(), quietRounds: 0 }) === 1) queueMicrotask(look);
}

function look(): void {
  const over: Gathering[] = [];
  let kept = 0;
  for (const one of gatherings) {
    if (isOver(one)) over.push(one);
    else gatherings[kept++] = one;
  }
  gatherings.length = kept;
  if (kept > 0) queueMicrotask(look);
  for (const { flush } of over) flush();
}

function isOver(one: Gathering): boolean {
  const now = one.size();
  one.quietRounds = now === one.last ? one.quietRounds + 1 : 0;
  one.last = now;
  return now === 0 || one.quietRounds >= quietRoundsMin;
}
