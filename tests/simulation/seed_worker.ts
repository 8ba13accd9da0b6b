/**
 * A thread that runs one seed after the other, as it is told. See `seed_pool.ts`.
 *
 * @module
 */

import { runSeed } from "./simulation.ts";
import type { SeedReport } from "./seed_pool.ts";

/** What a thread has of its global scope. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<number>) => void;
  postMessage(report: SeedReport): void;
};

scope.onmessage = ({ data: seed }) => {
  void runSeed(seed).then(({ violation, counters, ...result }) => {
    scope.postMessage({
      ...result,
      counts: counters.entries(),
      ...(violation && {
        violation: {
          name: violation.name,
          message: violation.message,
          stack: violation.stack ?? "",
        },
      }),
    });
  });
};
