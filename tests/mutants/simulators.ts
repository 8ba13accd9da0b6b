/**
 * How each simulator is run in a copy of the sources, and what its verdict is.
 *
 * @module
 */

import type { HuntLine } from "./hunt.ts";
import type { SimulatorName } from "./mutant.ts";

/** What a simulator says of a copy of the sources. */
export type Verdict =
  /** Something broke. */
  | {
    readonly kind: "found";
    /** Which seed it was, and so how many it took. */
    readonly seeds: number;
    /** What was broken. */
    readonly message: string;
  }
  /** Nothing did. */
  | { readonly kind: "clean"; readonly seeds: number }
  /** It did not even run, or never ended: that is no way to find a mistake. */
  | { readonly kind: "broken"; readonly message: string };

/** A simulator. */
export interface Simulator {
  /** How many seeds it tries, unless told otherwise. */
  readonly seeds: number;
  /** What one of them is called. */
  readonly unit: string;
  /** Runs it. */
  run(root: string, seeds: number): Promise<Verdict>;
}

/** How long one seed may take; the slowest take a few seconds. */
const SEED_MS_MAX = 120_000;

/** How long a test file may take. */
const TEST_MS_MAX = 300_000;

/** All simulators. */
export const SIMULATORS: Readonly<Record<SimulatorName, Simulator>> = {
  cluster: { seeds: 1_000, unit: "seeds", run: (root, seeds) => hunt(root, "cluster", seeds) },
  core: { seeds: 10_000, unit: "seeds", run: (root, seeds) => hunt(root, "core", seeds) },
  disk: {
    seeds: 400,
    unit: "seeds",
    run: (root) =>
      test(root, "storage/shard_store_crash_test.ts", {
        runs: 400,
        failed: /\bSeed (\d+)/,
        firstSeed: 0,
      }),
  },
  rewriting: {
    seeds: 1,
    unit: "runs",
    run: (root) => test(root, "storage/rewriting_test.ts", {}),
  },
  reuse: {
    seeds: 1,
    unit: "runs",
    run: (root) => test(root, "storage/reused_segment_test.ts", {}),
  },
  damage: {
    seeds: 1,
    unit: "runs",
    run: (root) =>
      test(root, "storage/segmented_log_test.ts", { filter: "finds every flipped bit" }),
  },
  model: {
    seeds: 2_000,
    unit: "runs",
    run: (root) =>
      test(root, "queue/model_test.ts", { runs: 2_000, failed: /failed after (\d+) test/ }),
  },
  client: {
    seeds: 1,
    unit: "runs",
    run: (root) => test(root, "client/publisher_test.ts", {}),
  },
  peers: {
    seeds: 1,
    unit: "runs",
    run: (root) => test(root, "broker/peer_network_test.ts", {}),
  },
  stories: {
    seeds: 1,
    unit: "runs",
    run: (root) => test(root, "tests/simulation/stories/", {}),
  },
};

async function hunt(root: string, simulator: string, seeds: number): Promise<Verdict> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${root}tests/mutants/hunt.ts`, simulator, String(seeds)],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let last: HuntLine | undefined;
  let isStuck = false;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const watch = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      isStuck = true;
      child.kill("SIGKILL");
    }, SEED_MS_MAX);
  };
  watch();
  for await (const line of linesOf(child.stdout)) {
    watch();
    last = JSON.parse(line) as HuntLine;
  }
  clearTimeout(watchdog);
  const { success } = await child.status;
  if (isStuck) return broken(`Seed ${(last?.seed ?? 0) + 1} did not end in ${SEED_MS_MAX} ms`);
  if (!success || last === undefined) return broken(await stderr);
  if (last.found === undefined) return { kind: "clean", seeds: last.seed };
  const { error, message } = last.found;
  // Code that cannot run is no mutant.
  if (error === "ReferenceError" || error === "SyntaxError") return broken(message);
  return { kind: "found", seeds: last.seed, message };
}

interface TestOptions {
  /** Only tests whose names contain this. */
  readonly filter?: string;
  /** How many seeds or runs the file has, of which `failed` names one. @default {1} */
  readonly runs?: number;
  /** Finds, in what a failing test prints, the number of the seed or run … */
  readonly failed?: RegExp;
  /** … which is counted from here. @default {1} */
  readonly firstSeed?: number;
}

async function test(root: string, file: string, options: TestOptions): Promise<Verdict> {
  const { filter, runs = 1, failed, firstSeed = 1 } = options;
  const args = ["test", "-A", "--no-check", "--preload", `${root}tests/mutants/fixed_chance.ts`];
  if (filter !== undefined) args.push("--filter", filter);
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, root + file],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isStuck = false;
  const watchdog = setTimeout(() => {
    isStuck = true;
    child.kill("SIGKILL");
  }, TEST_MS_MAX);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(watchdog);
  if (isStuck) return broken(`${file} did not end in ${TEST_MS_MAX} ms`);
  const text = new TextDecoder().decode(stdout);
  const passed = Number(/(\d+) passed/.exec(text)?.[1] ?? 0);
  if (success && passed > 0) return { kind: "clean", seeds: runs };
  // A file that could not be loaded has no failures to show.
  const failures = /\n FAILURES\s*\n/.exec(text) ?? / ERRORS \n/.exec(text);
  if (success || failures === null || /\b(Reference|Syntax)Error\b/.test(text)) {
    return broken(text + new TextDecoder().decode(stderr));
  }
  const seeds = Number(failed?.exec(text)?.[1] ?? firstSeed) + 1 - firstSeed;
  return { kind: "found", seeds, message: failureIn(text) };
}

/** What a failing test says: the cause, where there is one. */
function failureIn(text: string): string {
  const messages = [...text.matchAll(/^(?:error|Caused by|Got error): +(.*)$/gm)]
    .map(([, message]) => message!);
  return messages.at(-1) ?? "a test failed";
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncIterable<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

function broken(message: string): Verdict {
  return { kind: "broken", message };
}
