/**
 * The demo without its words: three nodes, a publisher, two consumers, and a leader that is killed in
 * the middle and comes back.
 *
 * @module
 */

import { type Client, connect, type Delivery } from "../mod.ts";
import { findLeader, statusOf, waitForLeader } from "./cluster_view.ts";
import { DeliveryLedger, type Verdict } from "./delivery_ledger.ts";
import { CommandError } from "./failures.ts";
import { GapMeter } from "./gap_meter.ts";
import { LocalCluster } from "./local_cluster.ts";
import { sleep } from "./waiting.ts";

/** What is played. */
export interface DemoPlan {
  /** The messages. */
  readonly bodies: readonly Uint8Array[];
  readonly nodes: number;
  /** How many messages are published in a second; a person has to be able to watch. */
  readonly ratePerSecond: number;
  /** Stops the demo. */
  readonly signal: AbortSignal;
}

/** What happens, as it happens. */
export interface DemoListener {
  started(cluster: LocalCluster, ms: number): void;
  leading(nodeId: number, term: number): void;
  progress(counts: DemoCounts): void;
  killed(nodeId: number, counts: DemoCounts): void;
  elected(nodeId: number, term: number, ms: number): void;
  paused(ms: number): void;
  restarted(nodeId: number, ms: number, entriesBehind: number): void;
  caughtUp(nodeId: number, ms: number): void;
}

/** How far the demo is. */
export interface DemoCounts {
  readonly published: number;
  readonly confirmed: number;
  readonly acked: number;
  /** Deliveries by consumer. */
  readonly delivered: readonly number[];
}

/** Hears nothing. */
export const silence: DemoListener = {
  started() {},
  leading() {},
  progress() {},
  killed() {},
  elected() {},
  paused() {},
  restarted() {},
  caughtUp() {},
};

/** What came of it. */
export interface DemoResult {
  readonly verdict: Verdict;
  /** Deliveries by consumer. */
  readonly consumers: readonly number[];
  readonly killedNode: number;
  readonly leaderBefore: number;
  readonly leaderAfter: number;
  /** From the kill to a new leader. */
  readonly electionMs: number;
  /** The longest time without a confirmation around the kill. */
  readonly pauseMs: number;
  /** From the restart of the node until it had all there was. */
  readonly catchUpMs: number;
  readonly seconds: number;
  /** The first publish or ack that failed, if any did, or how everything came to stand still. */
  readonly failure: string | undefined;
  /** Where data and logs of the nodes are; they are kept only where something went wrong. */
  readonly directory: string | undefined;
}

const queueName = "demo";
const consumerCount = 2;
/** Messages that may be under way. */
const underWayMax = 4_096;
/** A run in which nothing moves for so long has failed. */
const stallMs = 20_000;
const prefetch = 100;
/**
 * The part of the messages that is published only once the leader is dead: on a machine that is busy all
 * the others may be confirmed before, and then nothing would be left for the new leader.
 */
const heldBackPart = 0.25;

/** One run. */
class Demo {
  readonly #plan: DemoPlan;
  readonly #listener: DemoListener;
  readonly #cluster: LocalCluster;
  readonly #ledger: DeliveryLedger;
  readonly #gap = new GapMeter();
  readonly #delivered: number[] = new Array(consumerCount).fill(0);
  readonly #clients: Client[] = [];
  #published = 0;
  /** How many messages may be published so far. */
  #allowed: number;
  #over = false;
  #failure: string | undefined;

  constructor(plan: DemoPlan, listener: DemoListener, cluster: LocalCluster) {
    this.#plan = plan;
    this.#listener = listener;
    this.#cluster = cluster;
    this.#ledger = new DeliveryLedger(plan.bodies.length);
    this.#allowed = Math.floor(plan.bodies.length * (1 - heldBackPart));
  }

  async play(): Promise<Omit<DemoResult, "directory">> {
    const { signal, bodies } = this.#plan;
    const startedAt = performance.now();
    const admin = await this.#connect("watcher");
    const { nodeId, shard } = await waitForLeader(admin, this.#cluster.servers, 0, signal);
    this.#listener.leading(nodeId, shard.term);
    await admin.createQueue(queueName, { partitions: 1 });

    const consumers: Promise<void>[] = [];
    for (let i = 0; i < consumerCount; i++) {
      consumers.push(this.#consume(await this.#connect(`consumer ${i + 1}`), i));
    }
    const publisher = this.#publish(await this.#connect("publisher"));
    // Both may fail long before they are waited for; the ledger has the truth in any case.
    for (const work of [publisher, ...consumers]) work.catch(() => {});
    const progress = setInterval(() => this.#listener.progress(this.#counts()), 100);
    try {
      await this.#until(
        () => this.#ledger.confirmed >= bodies.length / 2,
        "publish the first half",
      );
      const fault = await this.#killLeader(admin);
      await publisher;
      await this.#until(() => this.#ledger.complete, "consume everything");
      // Whatever would come twice has some time to come.
      await sleep(200, signal);
      return {
        ...fault,
        verdict: this.#ledger.verdict(),
        consumers: this.#delivered,
        seconds: rounded((performance.now() - startedAt) / 1_000),
        failure: this.#failure,
      };
    } finally {
      clearInterval(progress);
      this.#over = true;
      // Where it was interrupted the nodes may be gone already, and nobody waits for them.
      const timeoutMs = signal.aborted ? 1 : 2_000;
      await Promise.all(this.#clients.map((client) => client.close({ timeoutMs })));
      await Promise.allSettled([publisher, ...consumers]);
    }
  }

  /** Kills the leader, watches the election, starts the node again and waits until it is level. */
  async #killLeader(admin: Client): Promise<
    & Pick<DemoResult, "killedNode" | "leaderBefore" | "leaderAfter">
    & Pick<DemoResult, "electionMs" | "pauseMs" | "catchUpMs">
  > {
    const { signal } = this.#plan;
    const servers = this.#cluster.servers;
    const before = await waitForLeader(admin, servers, 0, signal);
    const node = this.#cluster.node(before.nodeId);
    const survivors = servers.filter((server) => server !== node.clientAddress);

    const killedAt = performance.now();
    // Where nothing is under way, nobody has waited for anything until now.
    if (this.#ledger.confirmed === this.#published) this.#gap.event(killedAt);
    this.#gap.restart();
    await node.kill();
    this.#listener.killed(node.id, this.#counts());
    // They are confirmed in order: what is confirmed beyond these was published to the new leader.
    const publishedBefore = this.#published;
    this.#allowed = this.#plan.bodies.length;
    const after = await waitForLeader(admin, survivors, 0, signal);
    const electionMs = performance.now() - killedAt;
    this.#listener.elected(after.nodeId, after.shard.term, electionMs);

    await this.#until(
      () => this.#ledger.confirmed > publishedBefore,
      "publish to the new leader",
    );
    await sleep(500, signal);
    const pauseMs = this.#gap.longestMs();
    this.#listener.paused(pauseMs);

    const restartedAt = performance.now();
    await node.start();
    const [leader, restarted] = await Promise.all([
      findLeader(admin, survivors, 0),
      statusOf(admin, node.clientAddress),
    ]);
    const target = leader?.shard.commitIndex ?? 0;
    const behind = target - (restarted?.shards[0]?.appliedIndex ?? 0);
    this.#listener.restarted(node.id, performance.now() - restartedAt, Math.max(0, behind));
    for (let seen = -1, movedAt = restartedAt;;) {
      const applied = (await statusOf(admin, node.clientAddress))?.shards[0]?.appliedIndex ?? 0;
      if (applied >= target) break;
      if (applied !== seen) {
        seen = applied;
        movedAt = performance.now();
      } else if (performance.now() - movedAt > stallMs) {
        throw new CommandError(
          `node ${node.id} does not catch up: it is at entry ${applied} of ${target}`,
        );
      }
      await sleep(5, signal);
      signal.throwIfAborted();
    }
    const catchUpMs = performance.now() - restartedAt;
    this.#listener.caughtUp(node.id, catchUpMs);
    return {
      killedNode: node.id,
      leaderBefore: before.nodeId,
      leaderAfter: after.nodeId,
      electionMs: rounded(electionMs),
      pauseMs: rounded(pauseMs),
      catchUpMs: rounded(catchUpMs),
    };
  }

  async #connect(name: string): Promise<Client> {
    const client = await connect(this.#cluster.servers, {
      name: `flowmq demo ${name}`,
      signal: this.#plan.signal,
    });
    this.#clients.push(client);
    return client;
  }

  /** Publishes everything at the planned rate; the number of a message goes with it as a header. */
  async #publish(client: Client): Promise<void> {
    const { bodies, ratePerSecond, signal } = this.#plan;
    const queue = client.queue(queueName);
    const startedAt = performance.now();
    while (this.#published < bodies.length) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) return;
      const due = Math.min(
        this.#allowed,
        Math.ceil((performance.now() - startedAt) * ratePerSecond / 1_000),
        this.#ledger.confirmed + underWayMax,
      );
      for (; this.#published < due; this.#published++) {
        const number = this.#published;
        this.#ledger.publish(number);
        queue.publish(bodies[number]!, { headers: { line: String(number + 1) } }).then(
          () => {
            this.#gap.event(performance.now());
            this.#ledger.confirm(number);
          },
          (error) => this.#fail(`publishing line ${number + 1}`, error),
        );
      }
      await sleep(5, signal);
    }
  }

  /** Checks and acks what comes. */
  async #consume(client: Client, consumer: number): Promise<void> {
    for await (const delivery of client.queue(queueName).consume({ prefetch })) {
      const number = Number(delivery.headers.line) - 1;
      this.#delivered[consumer]!++;
      this.#ledger.deliver(number, this.#isIntact(delivery, number));
      delivery.ack().then(
        () => this.#ledger.ack(number),
        (error) => this.#fail(`acking line ${number + 1}`, error),
      );
    }
  }

  #isIntact(delivery: Delivery, number: number): boolean {
    const published = this.#plan.bodies[number];
    const { body } = delivery;
    return published?.length === body.length &&
      published.every((byte, i) => byte === body[i]);
  }

  #fail(what: string, error: unknown): void {
    if (this.#over) return;
    this.#failure ??= `${what}: ${error instanceof Error ? error.message : String(error)}`;
  }

  #counts(): DemoCounts {
    return {
      published: this.#published,
      confirmed: this.#ledger.confirmed,
      acked: this.#ledger.acked,
      delivered: this.#delivered,
    };
  }

  /** Waits for a condition; gives up when nothing moves, or a failure makes it hopeless. */
  async #until(condition: () => boolean, what: string): Promise<void> {
    let seen = -1;
    let movedAt = performance.now();
    while (!condition()) {
      this.#plan.signal.throwIfAborted();
      if (this.#failure !== undefined) return;
      const moved = this.#ledger.confirmed + this.#ledger.acked;
      if (moved !== seen) {
        seen = moved;
        movedAt = performance.now();
      } else if (performance.now() - movedAt > stallMs) {
        this.#failure =
          `nothing moved for ${stallMs / 1_000} s while the demo wanted to ${what}: ` +
          await this.#describeNodes();
        return;
      }
      await sleep(2);
    }
  }

  /** What each node says of itself. */
  async #describeNodes(): Promise<string> {
    const nodes = this.#cluster.nodes.map(async ({ id, clientAddress }) => {
      const shard = (await statusOf(this.#clients[0]!, clientAddress))?.shards[0];
      if (shard === undefined) return `node ${id} does not answer`;
      const { role, term, appliedIndex, commitIndex, lastIndex } = shard;
      return `node ${id} is ${role} in term ${term}, has applied ${appliedIndex}, committed ` +
        `${commitIndex} and written ${lastIndex}`;
    });
    return (await Promise.all(nodes)).join("; ");
  }
}

/** Two decimals are more than a measurement like this is worth. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/**
 * Plays the demo.
 *
 * @param plan What is played.
 * @param listener Hears of everything as it happens.
 * @returns What came of it.
 * @throws The signal's reason, and {@linkcode CommandError} if a node does not start or catch up.
 */
export async function playDemo(plan: DemoPlan, listener: DemoListener): Promise<DemoResult> {
  const startedAt = performance.now();
  await using cluster = await LocalCluster.start({ nodes: plan.nodes });
  listener.started(cluster, performance.now() - startedAt);
  const result = await new Demo(plan, listener, cluster).play();
  const isGood = result.verdict.ok && result.failure === undefined;
  return { ...result, directory: isGood ? undefined : cluster.keep() };
}
