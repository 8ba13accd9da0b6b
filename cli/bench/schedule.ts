/**
 * When each message is due in an open loop: at an even rate, whatever became of the ones before.
 *
 * A loop that waits for an answer before it sends again measures a slow second once, however many
 * messages would have suffered from it (coordinated omission). Here a message that could not be sent
 * in time is sent late, and its latency counts from the time at which it was due.
 *
 * @module
 */

/** The time as the loop sees it. */
export interface ScheduleClock {
  /** A monotonic time in milliseconds. */
  now(): number;
  /** Waits; may wait longer than it was asked to. */
  sleep(ms: number): Promise<void>;
}

/** What is to be sent. */
export interface SchedulePlan {
  readonly ratePerSecond: number;
  readonly messages: number;
}

/**
 * Sends messages when they are due.
 *
 * @param plan How many, and how fast.
 * @param clock The time.
 * @param send Gets the number of the message and the time at which it was due; must not wait.
 * @param stopped Asked before each message whether there shall be no more.
 * @returns How many were sent, once the last one is.
 */
export async function sendOnSchedule(
  plan: SchedulePlan,
  clock: ScheduleClock,
  send: (number: number, dueAt: number) => void,
  stopped: () => boolean = () => false,
): Promise<number> {
  const startedAt = clock.now();
  const intervalMs = 1_000 / plan.ratePerSecond;
  for (let number = 0; number < plan.messages; number++) {
    const dueAt = startedAt + number * intervalMs;
    for (let now = clock.now(); now < dueAt && !stopped(); now = clock.now()) {
      await clock.sleep(dueAt - now);
    }
    if (stopped()) return number;
    send(number, dueAt);
  }
  return plan.messages;
}
