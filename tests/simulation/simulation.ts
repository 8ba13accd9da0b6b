/**
 * One run: everything that is drawn from the seed, the phase of faults, the phase in which all must
 * come right again, and the verdict.
 *
 * @module
 */

import type { WriteLine } from "../../broker/mod.ts";
import { type ClusterSettings, SimulatedCluster } from "./cluster.ts";
import type { Counters } from "./counters.ts";
import { Nemesis } from "./faults.ts";
import type { Random } from "./random.ts";
import { Violation, World } from "./world.ts";
import { Workload } from "./workload.ts";
import { drawWorkload } from "./workload_settings.ts";

/** What a run is made of besides its seed. */
export interface RunOptions {
  /** How long faults go on, in virtual milliseconds. */
  readonly faultsMs?: number;
  /** Told what happens, line by line. */
  readonly trace?: (line: string) => void;
  /** Given every step of Raft on every node, as JSON. */
  readonly raftTrace?: WriteLine;
}

/** What came out. */
export interface RunResult {
  readonly seed: number;
  /** Digest of everything that happened. */
  readonly hash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly counters: Counters;
  /** What broke, or `undefined`. */
  readonly violation: Error | undefined;
}

/** How long each part of coming right again may take, in virtual milliseconds. */
const RECOVERY_MS = {
  /** Requests under way are answered: time-outs included. */
  publishing: 60_000,
  /** Everything is acked: leases and sessions of the dead included. */
  draining: 150_000,
  /** Clients are closed. */
  closing: 30_000,
  /** All nodes are at the same index. */
  converging: 20_000,
};

/** Runs one seed. Never rejects: what breaks is part of the result. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = new World(seed, options.trace);
  world.raftTrace = options.raftTrace;
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    const { reason } = event;
    const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
    world.violated("no unhandled rejection", text);
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  let violation: Error | undefined;
  try {
    await play(world, options);
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error));
  } finally {
    globalThis.removeEventListener("unhandledrejection", onRejection);
  }
  return {
    seed,
    hash: world.hash.digest(),
    virtualMs: world.nowMs,
    events: world.timeline.planned,
    counters: world.counters,
    violation,
  };
}

async function play(world: World, options: RunOptions): Promise<void> {
  const { random, timeline } = world;
  const cluster = new SimulatedCluster(world, drawCluster(random.fork()), random.fork());
  const faultsMs = options.faultsMs ?? random.magnitude(5_000, 40_000);
  const plan = drawWorkload(random.fork(), faultsMs);
  const workload = new Workload(cluster, plan, random.fork());
  const nemesis = new Nemesis(cluster, workload, random.fork());
  const { nodes, shards, raft } = cluster.settings;
  world.note(`${nodes} nodes, ${shards} shards, ${JSON.stringify(raft)}`);
  world.note(JSON.stringify(workload.settings));

  for (const node of cluster.nodes) node.start();
  workload.start();
  // Most runs begin on a cluster that is up; some do not.
  if (random.chance(0.8)) await timeline.pass(2_000);
  nemesis.start();
  await timeline.pass(faultsMs);

  // A majority is enough to come right; the rest must not be in its way. Where a node may have lost what
  // it had, that is the rest. A cluster that never began needs all of its nodes.
  const minority = Math.floor((nodes - 1) / 2);
  const isWhole = cluster.nodes.every(({ isForgetful }) => !isForgetful);
  const breakable = isWhole ? cluster.nodes : nemesis.unreliable;
  const hasBegun = cluster.nodes.every(({ hasRun }) => hasRun);
  const broken = hasBegun && random.chance(0.3) ? random.shuffle(breakable).slice(0, minority) : [];
  nemesis.stop(broken);
  world.note(`the faults end, but for nodes ${broken.map(({ id }) => id)}`);
  workload.windDown();
  const restarts = () => {
    for (const node of cluster.nodes) if (!broken.includes(node)) node.start();
    for (const application of workload.applications) application.start();
  };
  const { queueChecker } = cluster;
  await within(world, RECOVERY_MS.publishing, "publishes end", restarts, () => {
    return workload.published;
  }, () => `${queueChecker.underWay()} are under way`);
  await sayLastWords(world, cluster, workload, restarts);
  await within(world, RECOVERY_MS.draining, "queues become empty", restarts, () => {
    return queueChecker.waiting() === 0;
  }, () => `${queueChecker.waiting()} messages wait: ${queueChecker.describeWaiting()}`);
  workload.close();
  await within(world, RECOVERY_MS.closing, "clients close", () => {}, () => workload.closed);
  broken.length = 0;
  nemesis.stop();
  await within(world, RECOVERY_MS.converging, "replicas converge", restarts, () => {
    return cluster.converged;
  });
  cluster.raftChecker.compareFinalStates();
  queueChecker.checkEnd();
  // What the last checks found ends the run, too.
  await timeline.pass(1);
  cluster.countDisks();
}

/** Publishes once more, and breaks all connections while that is under way: it must arrive. */
async function sayLastWords(
  world: World,
  cluster: SimulatedCluster,
  workload: Workload,
  restarts: () => void,
): Promise<void> {
  const records = workload.lastWords();
  await world.timeline.pass(world.random.between(0, 6));
  cluster.network.resetSome(() => true);
  await within(world, RECOVERY_MS.publishing, "last words are answered", restarts, () => {
    return records.every(({ state }) => state !== "underWay");
  });
  for (const { id, state } of records) {
    if (state === "confirmed") continue;
    throw world.violated("what is published to a healthy cluster arrives", `${id} is ${state}`);
  }
}

/** Lets time pass until something holds, which must be soon. */
async function within(
  world: World,
  ms: number,
  what: string,
  keepUp: () => void,
  holds: () => boolean,
  details: () => string = () => "it did not",
): Promise<void> {
  const deadlineMs = world.nowMs + ms;
  while (!holds()) {
    if (world.nowMs >= deadlineMs) {
      throw world.violated(
        "liveness",
        `${what} within ${ms} ms after all was mended: ${details()}`,
      );
    }
    keepUp();
    await world.timeline.pass(100);
  }
  world.note(`liveness: ${what}`);
}

function drawCluster(random: Random): ClusterSettings {
  const small = random.chance(0.7);
  // With a log this short, whoever is away for a moment comes back to a snapshot.
  const shortLog = small && random.chance(0.6);
  const tickMs = random.pick([5, 20, 20, 50]);
  return {
    nodes: random.pick([1, 3, 3, 3, 3, 3, 5]),
    shards: random.integer(1, 3),
    storage: small
      ? {
        segmentBytesMax: Math.round(random.magnitude(1 << 10, shortLog ? 4 << 10 : 256 << 10)),
        recentBytesMax: Math.round(random.magnitude(1 << 10, 256 << 10)),
        loadedBytesMax: Math.round(random.magnitude(16 << 10, 256 << 10)),
        readAheadBytes: Math.round(random.magnitude(4 << 10, 64 << 10)),
        reserveBytes: random.pick([0, 1 << 10, 16 << 10]),
      }
      : {},
    raft: { tickMs, heartbeatTicks: random.integer(1, 4), electionTicks: random.integer(10, 25) },
    limits: {
      ...drawLimits(random),
      snapshotBytes: Math.round(random.magnitude(1 << 9, shortLog ? 4 << 10 : 256 << 10)),
      snapshotChunkBytes: Math.round(random.magnitude(32, 16 << 10)),
    },
  };
}

function drawLimits(random: Random): ClusterSettings["limits"] {
  return random.chance(0.5) ? {} : {
    appendBytesMax: Math.round(random.magnitude(1, 64 << 10)),
    inflightMessagesMax: random.integer(1, 16),
    inflightBytesMax: Math.round(random.magnitude(1 << 10, 1 << 20)),
    uncommittedBytesMax: Math.round(random.magnitude(4 << 10, 1 << 20)),
  };
}

/** Whether an error is a broken invariant, and not a mistake of the simulator. */
export function isViolation(error: unknown): error is Violation {
  return error instanceof Violation;
}
