/**
 * A shard with partitions of a queue "jobs", and the commands of its clients in few words, for tests.
 *
 * @module
 */

import type { Command, Reply } from "./commands.ts";
import { queueSettings } from "./settings.ts";
import { TestShard } from "./_test_shard.ts";

/** How long a consumer holds a message, unless a test says so. */
export const LEASE_MS = 1_000;

/** How long a session outlives its connection, unless a test says so. */
const TIMEOUT_MS = 5_000;

type Fields<K extends Command["kind"]> = Partial<Omit<Extract<Command, { kind: K }>, "kind">>;

/** A machine and the log it is fed with. */
export class JobsShard extends TestShard {
  /** Nothing waits for a back-off, unless a test says so. */
  partition(partitionId: number, leaseMs = LEASE_MS, backoffFirstMs = 0): void {
    this.apply({
      kind: "createPartition",
      partitionId,
      queueId: 1,
      queueName: "jobs",
      partitionNumber: partitionId - 1,
      settings: queueSettings({ leaseMs, backoffFirstMs }),
    });
  }

  session(timeoutMs = TIMEOUT_MS): number {
    const reply = this.apply({ kind: "openSession", timeoutMs, clientName: "test" });
    if (reply.kind !== "sessionOpened") throw new Error(`Expected a session: ${reply.kind}`);
    return reply.sessionId;
  }

  attach(sessionId: number, fields: Fields<"attachConsumer"> = {}): string {
    return this.outcome({
      kind: "attachConsumer",
      sessionId,
      consumerId: 1,
      partitionId: 1,
      prefetch: 10,
      drain: false,
      ...fields,
    });
  }

  publish(sessionId: number, baseSequence: number, count: number, partitionId = 1): Reply {
    const bytes = count;
    return this.apply({ kind: "publish", sessionId, partitionId, baseSequence, count, bytes });
  }

  settle(sessionId: number, offsets: number[], fields: Fields<"settle"> = {}): Reply {
    return this.apply({
      kind: "settle",
      sessionId,
      consumerId: 1,
      partitionId: 1,
      operation: 0,
      offsets,
      deliveryCounts: offsets.map(() => 1),
      ...fields,
    });
  }

  /** One "session:offset", with "xN" behind it for a redelivery, for each delivery just made. */
  delivered(): string {
    const { deliveries } = this.machine.effects;
    return Array.from({ length: deliveries.count }, (_, at) => {
      const count = deliveries.deliveryCount[at]!;
      const text = `${deliveries.sessionId[at]}:${deliveries.offset[at]}`;
      return count === 1 ? text : `${text}x${count}`;
    }).join(" ");
  }
}
