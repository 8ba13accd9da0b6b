/**
 * What the machine itself costs: batches of 32 published, handed to four consumers, acked.
 *
 * One iteration is `MESSAGES` messages; divide to get messages a second.
 */

import type { CommandMeta, PublishDetails, QueueSettings } from "./commands.ts";
import { ShardMachine } from "./machine.ts";
import { queueSettings } from "./settings.ts";

const BATCH = 32;
const BATCHES = 1_000;
const MESSAGES = BATCH * BATCHES;
const CONSUMERS = 4;

/** A machine with one partition and a session; it goes on from one iteration to the next. */
class Bench {
  readonly machine = new ShardMachine({ shard: 0 });
  readonly sessionId: number;
  #index = 0;
  #sequence = 0;

  constructor(settings: Partial<QueueSettings> = {}) {
    const { machine } = this;
    machine.apply(this.#meta(), {
      kind: "createPartition",
      partitionId: 1,
      queueId: 1,
      queueName: "bench",
      partitionNumber: 0,
      settings: queueSettings(settings),
    });
    machine.apply(this.#meta(), { kind: "openSession", timeoutMs: 10_000, clientName: "bench" });
    this.sessionId = this.#index;
  }

  attach(prefetch: number): void {
    for (let consumerId = 1; consumerId <= CONSUMERS; consumerId++) {
      this.machine.apply(this.#meta(), {
        kind: "attachConsumer",
        sessionId: this.sessionId,
        consumerId,
        partitionId: 1,
        prefetch,
        drain: false,
      });
    }
  }

  publish(count: number, details?: PublishDetails): void {
    this.machine.apply(this.#meta(), {
      kind: "publish",
      sessionId: this.sessionId,
      partitionId: 1,
      baseSequence: this.#sequence,
      count,
      bytes: count * 256,
      ...(details === undefined ? {} : { details }),
    });
    this.#sequence += count;
  }

  /** Acks what the last command delivered, one command a consumer. */
  ackDelivered(): void {
    const { deliveries } = this.machine.effects;
    const offsets: number[][] = [[], [], [], []];
    const deliveryCounts: number[][] = [[], [], [], []];
    for (let at = 0; at < deliveries.count; at++) {
      const consumer = deliveries.consumerId[at]! - 1;
      offsets[consumer]!.push(deliveries.offset[at]!);
      deliveryCounts[consumer]!.push(deliveries.deliveryCount[at]!);
    }
    for (let consumer = 0; consumer < CONSUMERS; consumer++) {
      this.machine.apply(this.#meta(), {
        kind: "settle",
        sessionId: this.sessionId,
        consumerId: consumer + 1,
        partitionId: 1,
        operation: 0,
        offsets: offsets[consumer]!,
        deliveryCounts: deliveryCounts[consumer]!,
      });
    }
  }

  #meta(): CommandMeta {
    this.#index++;
    return { index: this.#index, term: 1, timestampMs: 1_700_000_000_000 + this.#index };
  }
}

const keptUp = new Bench();
keptUp.attach(1_000);

Deno.bench(`publish ${BATCH}, deliver to ${CONSUMERS}, ack: ${MESSAGES} messages`, () => {
  for (let batch = 0; batch < BATCHES; batch++) {
    keptUp.publish(BATCH);
    keptUp.ackDelivered();
  }
});

const KEYS = Array.from({ length: 100_000 }, (_, at) => `customer-${at}`);

for (const [keys, settings] of [[100, { fairKeys: true }], [100_000, { order: "key" }]] as const) {
  const keyed = new Bench(settings);
  keyed.attach(1_000);
  let next = 0;
  const details = {
    hasOptions: false,
    at: (position: number) => ({ key: KEYS[(next + position) % keys]! }),
  };

  const what = JSON.stringify(settings).replaceAll('"', "");
  Deno.bench(`the same of ${keys} keys, ${what}: ${MESSAGES} messages`, () => {
    for (let batch = 0; batch < BATCHES; batch++, next += BATCH) {
      keyed.publish(BATCH, details);
      keyed.ackDelivered();
    }
  });
}

const unread = new Bench();

Deno.bench(`publish ${BATCH} without consumers: ${MESSAGES} messages`, () => {
  for (let batch = 0; batch < BATCHES; batch++) unread.publish(BATCH);
});

const single = new Bench();
single.attach(1_000);

Deno.bench(`publish 1, deliver, ack: ${BATCHES} messages`, () => {
  for (let message = 0; message < BATCHES; message++) {
    single.publish(1);
    single.ackDelivered();
  }
});
