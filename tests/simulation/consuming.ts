/**
 * The applications of a simulation that consume: one message after the other, or several at once.
 *
 * @module
 */

import {
  BatchSettleError,
  type Client,
  type ConsumerBatch,
  type Delivery,
  FlowMQError,
} from "../../client/mod.ts";
import { deadLetterQueueOf } from "../../queue/mod.ts";
import { nameOfMessage } from "./message_name.ts";
import type { SeenDelivery } from "./queue_checker.ts";
import { type Application, ask } from "./workload.ts";

/** Consumes from one queue after the other. */
export async function consume(application: Application, client: Client): Promise<void> {
  const { random, workload } = application;
  const { settings } = workload;
  let lives = 0;
  for (;;) {
    const names = settings.queues.map(({ name }) => name);
    const all = workload.diligent || settings.deadLettersAreConsumed
      ? [...names, ...names.map(deadLetterQueueOf)]
      : names;
    // In the end every queue has somebody who takes care of it.
    const queues = workload.diligent
      ? all
      : random.shuffle(all).slice(0, random.integer(1, all.length));
    const name = `${application.lifeName}/${++lives}`;
    await Promise.all(queues.map((queue) => consumeFrom(application, client, queue, name)));
    if (workload.diligent && application.closed) return;
    await application.sleep(random.between(1, 200));
  }
}

async function consumeFrom(
  application: Application,
  client: Client,
  queue: string,
  name: string,
): Promise<void> {
  const { random, workload, world } = application;
  const { settings, cluster } = workload;
  const drain = !workload.diligent && random.chance(0.1);
  const consumer = client.queue(queue).consume({
    prefetch: random.integer(1, settings.prefetchMax),
    drain,
    // The first one is always there.
    ...(!workload.diligent && random.chance(0.05) ? { partitions: [0] } : {}),
    // Without help from its client, whoever takes long loses its leases.
    ...(random.chance(0.5) ? { extendForMs: 0 } : {}),
    ...(random.chance(settings.ownLeaseChance)
      ? { leaseMs: Math.round(random.magnitude(500, 10_000)) }
      : {}),
  });
  const wasDiligent = workload.diligent;
  // Nobody stays for ever where others may be needed elsewhere.
  const lifeMs = wasDiligent ? Infinity : random.between(1_000, 30_000);
  if (!wasDiligent) {
    void application.sleep(lifeMs).then(() => consumer.close());
  }
  const see = (delivery: Delivery): SeenDelivery => {
    const { partition, offset, term, index, deliveryCount } = delivery;
    const id = nameOfMessage(delivery.text(), delivery.headers);
    const seen = { id, partition, offset, term, index, deliveryCount };
    cluster.queueChecker.delivered(queue, name, seen);
    return seen;
  };
  const isLeft = async (work: Promise<void>): Promise<boolean> => {
    if (random.chance(0.5)) await work;
    return !workload.diligent && random.chance(settings.closeChance);
  };
  const batchMax = random.chance(settings.batchChance) ? random.integer(1, 50) : 0;
  try {
    if (batchMax === 0) {
      for await (const delivery of consumer) {
        const work = handle(application, queue, name, delivery, see(delivery));
        if (await isLeft(work)) break;
      }
    } else {
      for await (const batch of consumer.batches(batchMax)) {
        const seen = batch.deliveries.map(see);
        if (await isLeft(handleBatch(application, queue, name, batch, seen))) break;
      }
    }
    if (drain) world.counters.add("client: consumers drained");
  } catch (error) {
    if (!(error instanceof FlowMQError)) throw error;
    world.counters.add(`client: consume: ${error.name} ${error.code}`);
    await application.sleep(100);
    // In the end every queue must have somebody, also one that is only being made now.
    if (wasDiligent && !application.closed) {
      return consumeFrom(application, client, queue, name);
    }
  }
}

/** What an application does with a message. */
async function handle(
  application: Application,
  queue: string,
  name: string,
  delivery: Delivery,
  seen: SeenDelivery,
): Promise<void> {
  const { random, workload, world } = application;
  const { settings, cluster } = workload;
  const { counters } = world;
  try {
    if (workload.diligent) {
      await delivery.ack();
      return cluster.queueChecker.acked(queue, name, seen);
    }
    await application.sleep(random.wait(settings.workMs));
    if (random.chance(settings.forgetChance)) return;
    if (random.chance(settings.nackChance)) {
      await delivery.nack(random.chance(0.3) ? { delayMs: random.below(2_000) } : {});
      return counters.add("client: nacks confirmed");
    }
    if (random.chance(settings.rejectChance)) {
      await delivery.reject("no good");
      return counters.add("client: rejections confirmed");
    }
    if (random.chance(settings.extendChance)) {
      await delivery.extendLease();
      await application.sleep(random.wait(settings.workMs));
    }
    if (!seen.id.includes(">") && random.chance(settings.forwardChance)) {
      return await forward(application, queue, name, delivery, seen);
    }
    await delivery.ack();
    cluster.queueChecker.acked(queue, name, seen);
    if (random.chance(0.01)) {
      await delivery.ack();
      counters.add("client: second acks confirmed");
    }
  } catch (error) {
    if (!(error instanceof FlowMQError)) throw error;
    counters.add(`client: settle: ${error.name} ${error.code}`);
  }
}

/** What an application does with several messages at once: some are no good, the rest are settled together. */
async function handleBatch(
  application: Application,
  queue: string,
  name: string,
  batch: ConsumerBatch,
  seen: readonly SeenDelivery[],
): Promise<void> {
  const { random, workload, world: { counters } } = application;
  const { settings, cluster: { queueChecker } } = workload;
  const isCareless = !workload.diligent;
  const bad = new Set(batch.deliveries.filter(() => isCareless && random.chance(0.02)));
  const isReturned = isCareless && random.chance(settings.nackChance);
  try {
    if (isCareless) await application.sleep(random.wait(settings.workMs));
    const rejected = [...bad].map((delivery) => delivery.reject("no good"));
    const settled = isReturned ? batch.nack({ delayMs: random.below(2_000) }) : batch.ack();
    await Promise.all([settled, ...rejected]);
    counters.add("client: batches settled");
    if (isReturned) return;
    for (const [i, delivery] of batch.deliveries.entries()) {
      if (!bad.has(delivery)) queueChecker.acked(queue, name, seen[i]!);
    }
  } catch (error) {
    if (!(error instanceof FlowMQError)) throw error;
    counters.add(`client: settle a batch: ${error.name} ${error.code}`);
    if (!(error instanceof BatchSettleError) || isReturned) return;
    for (const [i, delivery] of batch.deliveries.entries()) {
      const isAcked = !bad.has(delivery) && !error.failures.has(delivery);
      if (isAcked) queueChecker.acked(queue, name, seen[i]!);
    }
  }
}

/** Acks a message, and publishes others with it. */
async function forward(
  application: Application,
  queue: string,
  name: string,
  delivery: Delivery,
  seen: SeenDelivery,
): Promise<void> {
  const { random, workload } = application;
  const { settings, cluster: { queueChecker } } = workload;
  const publish = Array.from({ length: random.integer(1, 3) }, (_, i) => {
    const target = random.pick(settings.queues).name;
    // The same message may be forwarded by somebody else before, or after.
    const id = `${seen.id}>${i}/${target}/${name}/${seen.deliveryCount}`;
    return { queue: target, body: `${id} `, create: false, id, ...ask(application) };
  });
  try {
    await delivery.ack({ publish });
  } catch (error) {
    if (error instanceof FlowMQError && !error.maybeApplied) {
      for (const { id } of publish) queueChecker.notForwarded(id);
    }
    throw error;
  }
  queueChecker.acked(queue, name, seen);
  for (const { id } of publish) queueChecker.forwarded(id);
}
