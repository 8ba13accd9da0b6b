/**
 * Applications that bring dead letters back to the queues in which they died.
 *
 * @module
 */

import { type Client, FlowMQError } from "../../client/mod.ts";
import type { Application } from "./workload.ts";

/**
 * Brings dead letters back until told to stop: in the end consumers take them.
 *
 * @param application Who does so.
 * @param client Its client.
 */
export async function redrive(application: Application, client: Client): Promise<void> {
  const { random, workload, world: { counters } } = application;
  const { queues } = workload.settings;
  while (!workload.diligent) {
    try {
      const limit = random.pick([1, 10, 1_000]);
      const moved = await client.queue(random.pick(queues).name).redrive({ limit });
      counters.add("client: dead letters brought back", moved);
    } catch (error) {
      if (!(error instanceof FlowMQError)) throw error;
      counters.add(`client: redrive: ${error.name} ${error.code}`);
    }
    await application.sleep(random.wait(2_000));
  }
}
