/**
 * The end of a turn, without a timer: runs something once nobody adds to it any more.
 *
 * A promise that resolves wakes its waiters one microtask after the other, some after several hops. A
 * callback in the next microtask would run in the middle of them. So it looks again each time whether
 * more has come, and goes on only when a whole round has brought nothing.
 *
 * @module
 */

/**
 * Runs `flush` in a microtask after `size()` has stopped growing.
 *
 * @param size How much has been gathered; 0 means that there is nothing left to flush.
 * @param flush Called once.
 */
export function atEndOfTurn(size: () => number, flush: () => void): void {
  let last = size();
  let quietRounds = 0;
  const look = () => {
    const now = size();
    if (now === 0) {
      flush();
      return;
    }
    quietRounds = now === last ? quietRounds + 1 : 0;
    last = now;
    if (quietRounds >= quietRoundsMin) flush();
    else queueMicrotask(look);
  };
  queueMicrotask(look);
}

/** A call through a few `async` functions takes a few rounds from one publish to the next. */
const quietRoundsMin = 4;
