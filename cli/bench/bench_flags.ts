/**
 * The flags of `flowmq bench`, and which loads they ask for.
 *
 * @module
 */

import { SHARDS_MAX } from "../../broker/config.ts";
import { prefetchMax } from "../../wire/limits.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { UsageError } from "../failures.ts";
import {
  choiceFlag,
  choicesFlag,
  durationFlag,
  type FlagValues,
  integerFlag,
  sizeFlag,
  switchFlag,
} from "../flags.ts";
import { checkedPartitionsMax } from "./checker.ts";
import { faultKinds, faultSummaries } from "./faults.ts";
import type { BenchLoad, LoadKey } from "./load.ts";
import { nameBytes, timeBytes } from "./messages.ts";
import { suite, workloadNamed, workloads } from "./workloads/mod.ts";

const positive = { minimum: 1, maximum: 1_000_000_000 };
/** All clients live in this one process. */
const connectionsMax = 1_000;
/** The most that stay in one batch of the client. */
const batchBytesMax = 8 * 1024 * 1024;
const queuesMax = 100_000;
/** With chaos, a workload of which nobody says how long it is takes this long. */
const chaosMs = 10_000;
/** The fewest nodes that go on while one is away. */
const chaosNodesMin = 3;

/** The flags. */
export const benchFlags = {
  workload: choiceFlag(["all", ...workloads.map(({ name }) => name)], {
    help: "What is measured; each is described above.",
    default: "all",
    valueName: "NAME",
  }),
  nodes: integerFlag({
    help: "Nodes of the temporary cluster that is measured where no --server is given.",
    minimum: 1,
    maximum: 9,
    default: 3,
  }),
  shards: integerFlag({
    help: "Raft groups of the temporary cluster.",
    minimum: 1,
    maximum: SHARDS_MAX,
    default: 1,
  }),
  size: sizeFlag({ help: "Bytes a message.", default: "256", minimum: 0, maximum: 1 << 20 }),
  clients: integerFlag({
    help: "Connections that publish.",
    ...positive,
    maximum: connectionsMax,
  }),
  consumers: integerFlag({
    help: "Connections that consume.",
    ...positive,
    maximum: connectionsMax,
  }),
  batch: integerFlag({
    help:
      "Messages of one publishBatch(), and at most of what a consumer takes and acks at once; with 1, " +
      "each by itself.",
    ...positive,
    maximum: 65_536,
  }),
  window: integerFlag({ help: "Messages of one connection that are not confirmed.", ...positive }),
  rate: integerFlag({
    help: "Messages a second, all connections together.",
    ...positive,
    maximum: 1_000_000,
  }),
  messages: integerFlag({ help: "Messages to measure, after a warm-up.", ...positive }),
  duration: durationFlag({
    help:
      "How long to publish, instead of a number of messages; with --messages, what comes first.",
    minimumMs: 1,
    maximumMs: 86_400_000,
  }),
  queues: integerFlag({
    help: "Queues that the messages are spread over.",
    ...positive,
    maximum: queuesMax,
  }),
  partitions: integerFlag({ help: "Partitions of each queue.", ...positive, maximum: 65_536 }),
  prefetch: integerFlag({
    help: "Messages one consumer holds of a queue.",
    ...positive,
    maximum: prefetchMax,
  }),
  faults: integerFlag({
    help: "How often the failover workload harms the leader.",
    ...positive,
    maximum: 10_000,
  }),
  check: switchFlag({
    help: "Check every message: none lost, duplicated, damaged, or out of its publisher's order. " +
      "A check that fails makes the exit code 1.",
  }),
  chaos: choicesFlag(faultKinds, {
    help: "Harm the temporary cluster meanwhile, one after the other: " +
      faultKinds.map((kind) => `${kind} (${faultSummaries[kind]})`).join(", ") +
      ". With failover, what is done instead of kill-leader.",
  }),
  limit: switchFlag({
    help: "Measure the bare pipeline too, after each run, and show the ratio: what writing, " +
      "syncing and sending cost with no queue at all.",
  }),
  runs: integerFlag({
    help: "Measure so often, each time on a fresh cluster, and report the median of each figure.",
    minimum: 1,
    maximum: 100,
    default: 1,
  }),
  ...clientFlags,
  json: jsonFlag,
};

/** What was asked for. */
export type BenchFlagValues = FlagValues<typeof benchFlags>;
/** The flags that were given. */
export type GivenFlags = ReadonlySet<keyof typeof benchFlags>;

/** Flags that set a part of the load of the workloads that have it. */
const loadFlags: readonly (readonly [keyof typeof benchFlags, LoadKey])[] = [
  ["clients", "clients"],
  ["consumers", "consumers"],
  ["batch", "batch"],
  ["window", "window"],
  ["rate", "rate"],
  ["messages", "messages"],
  ["duration", "durationMs"],
  ["queues", "queues"],
  ["partitions", "partitions"],
  ["prefetch", "prefetch"],
  ["faults", "faults"],
];

/**
 * Works out what is measured.
 *
 * @param values The values of the flags.
 * @param given The flags that were given.
 * @returns The loads, in order.
 * @throws {UsageError} If flags do not go together.
 */
export function loadsOf(values: BenchFlagValues, given: GivenFlags): BenchLoad[] {
  const isOurs = !given.has("server");
  checkChaos(values, isOurs);
  const loads = values.workload === "all"
    ? suiteOf(values, given, isOurs)
    : [namedLoad(values, given, isOurs)];
  return loads.map((load) => {
    const timed = values.chaos.length === 0 ? load : withChaosTime(load, given);
    return checkedLoad({ ...timed, size: values.size }, values);
  });
}

function suiteOf(values: BenchFlagValues, given: GivenFlags, isOurs: boolean): BenchLoad[] {
  const special = loadFlags.find(([flag]) => given.has(flag));
  if (special !== undefined) {
    const names = workloads.filter(({ takes }) => takes.includes(special[1])).map((one) =>
      one.name
    );
    throw new UsageError(`--${special[0]} needs a workload: --workload ${names.join(", ")}`);
  }
  // Where the cluster is not ours, or has no majority without its leader, that one is left out.
  const harmless = !isOurs || values.nodes < chaosNodesMin;
  return suite.filter(({ workload }) => !harmless || !workloadNamed(workload).injectsFaults);
}

function namedLoad(values: BenchFlagValues, given: GivenFlags, isOurs: boolean): BenchLoad {
  const workload = workloadNamed(values.workload);
  if (workload.injectsFaults) checkVictim(`--workload ${workload.name}`, values, isOurs);
  if (values.limit && workload.noLimit !== undefined) {
    throw new UsageError(
      `--limit does not go with --workload ${workload.name}: the bare pipeline is no measure, as ` +
        workload.noLimit,
    );
  }
  const load: Record<LoadKey, number> & { workload: string } = { ...workload.defaults };
  // One of the two is enough to say how much there is.
  if (given.has("messages") !== given.has("duration")) load.messages = load.durationMs = 0;
  for (const [flag, key] of loadFlags) {
    const value = values[flag];
    if (typeof value !== "number" || !given.has(flag)) continue;
    if (!workload.takes.includes(key)) {
      throw new UsageError(`--${flag} does not go with --workload ${workload.name}`);
    }
    load[key] = value;
  }
  return load;
}

/** Faults need time to happen. */
function withChaosTime(load: BenchLoad, given: GivenFlags): BenchLoad {
  const isSaid = given.has("messages") || given.has("duration");
  if (isSaid || !workloadNamed(load.workload).takes.includes("durationMs")) return load;
  return { ...load, messages: 0, durationMs: chaosMs };
}

function checkChaos(values: BenchFlagValues, isOurs: boolean): void {
  if (values.chaos.length > 0) checkVictim("--chaos", values, isOurs);
}

/** Only a cluster that was made for it is harmed, and only one that can bear it. */
function checkVictim(what: string, values: BenchFlagValues, isOurs: boolean): void {
  if (!isOurs) {
    throw new UsageError(
      `${what} kills nodes, so it takes the temporary cluster only: leave --server ` +
        "(and FLOWMQ_SERVER) out",
    );
  }
  if (values.nodes < chaosNodesMin) {
    throw new UsageError(
      `${what} needs --nodes ${chaosNodesMin} or more, as nothing goes on without a majority: ` +
        `current value is ${values.nodes}`,
    );
  }
}

function checkedLoad(load: BenchLoad, values: BenchFlagValues): BenchLoad {
  if (load.size * load.batch > batchBytesMax) {
    throw new UsageError(
      `--batch ${load.batch} of --size ${load.size} is over ${batchBytesMax} bytes: take a smaller one`,
    );
  }
  if (values.check && load.size < nameBytes) {
    throw new UsageError(
      `--check needs --size ${nameBytes} or more, as each message has to say which it is: ` +
        `current value is ${load.size}`,
    );
  }
  if (load.rate > 0 && load.size < timeBytes) {
    throw new UsageError(
      `--workload ${load.workload} needs --size ${timeBytes} or more, as each message has to say ` +
        `when it was due: current value is ${load.size}`,
    );
  }
  if (load.queues * load.partitions > checkedPartitionsMax) {
    throw new UsageError(
      `--queues ${load.queues} with --partitions ${load.partitions} are more than ` +
        `${checkedPartitionsMax} partitions: take fewer`,
    );
  }
  return load;
}
