/**
 * What snapshots cost: taking hold of the state, for which the machine stands still, making all parts
 * of it, and making a machine of them again.
 */

import type { Command } from "./commands.ts";
import { ShardMachine } from "./machine.ts";
import { queueSettings } from "./settings.ts";

const MESSAGES = 10_000_000;

class Filled {
  readonly machine = new ShardMachine({ shard: 0 });
  #index = 0;

  apply(command: Command): void {
    const index = ++this.#index;
    this.machine.apply({ index, term: 1, timestampMs: 1_700_000_000_000 + index }, command);
  }

  partition(partitionId: number): void {
    const settings = queueSettings();
    const queueName = `queue ${partitionId}`;
    const names = { queueId: partitionId, queueName, partitionNumber: 0, settings };
    this.apply({ kind: "createPartition", partitionId, ...names });
  }

  session(): number {
    this.apply({ kind: "openSession", timeoutMs: 10_000, clientName: "bench" });
    return this.#index;
  }

  attach(sessionId: number, consumerId: number, prefetch: number): void {
    const consumer = { sessionId, consumerId, partitionId: 1 };
    this.apply({ kind: "attachConsumer", ...consumer, prefetch, drain: false });
  }

  /** Publishes messages, with so many in each batch. */
  publish(
    sessionId: number,
    partitionId: number,
    messages: number,
    sizeOf: (at: number) => number,
  ) {
    for (let at = 0, baseSequence = 0; baseSequence < messages; at++) {
      const count = sizeOf(at);
      const batch = { count, bytes: count * 256, baseSequence };
      this.apply({ kind: "publish", sessionId, partitionId, ...batch });
      baseSequence += count;
    }
  }
}

/** The states, each made when its turn has come. */
const states: Record<string, () => Filled> = {
  "10 million messages, singly": () => {
    const filled = new Filled();
    filled.partition(1);
    filled.publish(filled.session(), 1, MESSAGES, () => 1);
    return filled;
  },
  "10 million messages, in batches of 1 to 3": () => {
    const filled = new Filled();
    filled.partition(1);
    filled.publish(filled.session(), 1, MESSAGES, (at) => 1 + (at * 7 >> 3) % 3);
    return filled;
  },
  "10 thousand partitions, 100 messages each": () => {
    const filled = new Filled();
    for (let id = 1; id <= 10_000; id++) filled.partition(id);
    const session = filled.session();
    for (let id = 1; id <= 10_000; id++) filled.publish(session, id, 100, () => 10);
    return filled;
  },
  "a million leases of 100 consumers": () => {
    const filled = new Filled();
    filled.partition(1);
    const session = filled.session();
    for (let consumer = 1; consumer <= 100; consumer++) filled.attach(session, consumer, 10_000);
    filled.publish(session, 1, 1_000_000, () => 32);
    return filled;
  },
  "a thousand sessions that publish": () => {
    const filled = new Filled();
    filled.partition(1);
    for (let session = 0; session < 1_000; session++) {
      filled.publish(filled.session(), 1, 1_500, () => 1);
    }
    return filled;
  },
};

/** One at a time: they are large. */
let present: { readonly group: string; readonly machine: ShardMachine } | undefined;

function machineOf(group: string): ShardMachine {
  if (present?.group !== group) {
    present = undefined;
    present = { group, machine: states[group]!().machine };
  }
  return present.machine;
}

for (const group of Object.keys(states)) {
  const machine = () => machineOf(group);

  Deno.bench("take hold of it", { group, n: 20, warmup: 3 }, () => {
    machine().capture();
  });

  Deno.bench("make all parts", { group, n: 3, warmup: 1 }, () => {
    for (const _ of machine().capture().parts());
  });

  Deno.bench("restore", { group, n: 3, warmup: 1 }, (bench) => {
    const parts = [...machine().capture().parts()];
    bench.start();
    ShardMachine.restore({ shard: 0 }, parts);
    bench.end();
  });
}
