/**
 * Applications that publish under a name: when they come back they go on where they were, whether they
 * crashed, lost their patience, or somebody else has taken their name meanwhile.
 *
 * @module
 */

import { type Client, FlowMQError, type NamedProducer } from "../../client/mod.ts";
import { numberedName } from "./producer_model.ts";
import { type Application, ask, follow } from "./workload.ts";

/** The most messages that one has under way. */
const UNDER_WAY_MAX = 50;

/**
 * Opens a named producer again and again, until told to stop.
 *
 * @param application Who does so.
 * @param client Its client.
 */
export async function publishNumbered(application: Application, client: Client): Promise<void> {
  const { random, workload, world: { counters }, name, lifeName } = application;
  const { settings } = workload;
  const place = Number(name.slice(name.indexOf("-") + 1));
  const producerName = settings.producersShareName ? "producer" : name;
  const { name: queue } = settings.queues[
    settings.producersShareName ? 0 : place % settings.queues.length
  ]!;
  for (let opened = 1; !workload.diligent; opened++) {
    try {
      const options = { create: settings.create, timeoutMs: settings.requestTimeoutMs };
      const producer = await client.queue(queue).producer(producerName, options);
      counters.add("client: named producers opened");
      await publishFrom(application, producer, queue, `${lifeName}-${opened}`);
      await producer.close();
    } catch (error) {
      if (!(error instanceof FlowMQError)) throw error;
      counters.add(`client: named producers: ${error.name} ${error.code}`);
    }
    await application.sleep(random.wait(500));
  }
}

/** Publishes until the producer has ended, or has been used for long enough. */
async function publishFrom(
  application: Application,
  producer: NamedProducer,
  queue: string,
  name: string,
): Promise<void> {
  const { random, workload, world, lifeName } = application;
  const { settings, cluster: { queueChecker } } = workload;
  const first = producer.nextSequence;
  let hasEnded = false;
  // Some of what was stored is published again, by numbers.
  let sequence = Math.max(0, first - random.below(4));
  while (!hasEnded && !workload.diligent && !random.chance(0.01)) {
    if (application.publishing < UNDER_WAY_MAX) {
      const id = numberedName(`${name}-${queue}`, sequence);
      if (sequence < first) {
        const receipt = await producer.publish(`${id} `, { sequence });
        if (receipt !== undefined) {
          const what = `${id} of ${first} is said to be at ${receipt.offset}`;
          world.violated("what a named producer has stored is not stored again", what);
        }
        world.counters.add("client: numbers that were stored before");
      } else {
        // All its messages go to one partition, whatever their keys: they need none.
        const { key: _, ...asked } = ask(application);
        const record = queueChecker.publishing(queue, lifeName, sequence, id, asked);
        const options = random.chance(0.5) ? { ...asked, sequence } : asked;
        const receipt = producer.publish(`${id} `, options);
        void follow(application, [record], receipt.then((one) => [one!])).then(() => {
          if (record.state !== "confirmed") hasEnded = true;
        });
      }
      sequence++;
    }
    await application.sleep(random.wait(4 * settings.publishPauseMs / settings.batchMax));
  }
}
