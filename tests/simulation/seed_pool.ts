/**
 * Runs seeds on several threads. What comes of a seed depends on the seed alone, whoever runs it and
 * whatever runs beside it; results come in the order of the seeds.
 *
 * @module
 */

/** What came of a seed, as it passes from thread to thread. */
export interface SeedReport {
  readonly seed: number;
  readonly hash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly counts: readonly (readonly [string, number])[];
  /** What broke, if anything did. */
  readonly violation?: { readonly name: string; readonly message: string; readonly stack: string };
}

/** A seed that takes longer than this has got stuck, in real milliseconds. */
const SEED_MS_MAX = 300_000;

/** A thread, and the seed that it runs. */
class SeedThread {
  readonly #worker = new Worker(import.meta.resolve("./seed_worker.ts"), { type: "module" });

  /** Runs a seed. */
  run(seed: number): Promise<SeedReport> {
    return new Promise((resolve) => {
      const stuck = setTimeout(() => {
        const message = `it did not end within ${SEED_MS_MAX / 1000} s of real time`;
        const violation = { name: "Violation", message, stack: "" };
        resolve({ seed, hash: "unknown", virtualMs: 0, events: 0, counts: [], violation });
      }, SEED_MS_MAX);
      this.#worker.onmessage = ({ data }: MessageEvent<SeedReport>) => {
        clearTimeout(stuck);
        resolve(data);
      };
      this.#worker.postMessage(seed);
    });
  }

  end(): void {
    this.#worker.terminate();
  }
}

/**
 * Runs seeds.
 *
 * @param seeds The seeds; no more are taken once the caller goes on no further.
 * @param threads How many run at a time.
 * @yields What came of each, in their order.
 */
export async function* runSeeds(
  seeds: Iterable<number>,
  threads: number,
): AsyncGenerator<SeedReport, void, unknown> {
  const pool = Array.from({ length: threads }, () => new SeedThread());
  const running: Promise<SeedReport>[] = [];
  const free = [...pool];
  const waiting: (() => void)[] = [];
  const next = seeds[Symbol.iterator]();
  const start = (): boolean => {
    const { value, done } = next.next();
    if (done) return false;
    const thread = free.pop()!;
    running.push(
      thread.run(value).finally(() => {
        free.push(thread);
        waiting.shift()?.();
      }),
    );
    return true;
  };
  try {
    let hasMore = true;
    for (;;) {
      // A seed that takes long does not keep the other threads waiting, but for a bounded lead.
      while (hasMore && free.length > 0 && running.length < threads * LEAD) hasMore = start();
      const first = running[0];
      if (first === undefined) return;
      const freed = new Promise<undefined>((resolve) => waiting.push(() => resolve(undefined)));
      const canStart = hasMore && running.length < threads * LEAD;
      const report = await (canStart ? Promise.race([first, freed]) : first);
      if (report === undefined) continue;
      running.shift();
      yield report;
    }
  } finally {
    for (const thread of pool) thread.end();
  }
}

/** How many results for each thread may wait for that of an earlier seed. */
const LEAD = 16;
