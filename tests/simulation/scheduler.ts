/**
 * Applications that make recurring schedules, let them rest, go on, and take them away.
 *
 * @module
 */

import { type Client, FlowMQError } from "../../client/mod.ts";
import type { Application } from "./workload.ts";

/** What is done to schedules, the more often the more it is in the list. */
const DEEDS = ["add", "add", "add", "pause", "resume", "resume", "remove"] as const;

/**
 * Makes and changes schedules until told to stop, then removes those of all queues. Schedules of one id
 * are made by all such applications, and again after they were removed: each has a message of its own.
 *
 * @param application Who does so.
 * @param client Its client.
 */
export async function keepSchedules(application: Application, client: Client): Promise<void> {
  const { random, workload, world: { counters } } = application;
  const { queues } = workload.settings;
  for (let i = 0; !workload.diligent; i++) {
    const { schedules } = client.queue(random.pick(queues).name);
    const id = `schedule-${random.below(3)}`;
    const options = { timeoutMs: 10_000 };
    try {
      const what = random.pick(DEEDS);
      if (what === "add") {
        const seconds = random.pick([1, 2, 3, 5, 10]);
        const timing = random.chance(0.5)
          ? { everyMs: seconds * 1_000 + random.below(500) }
          : { cron: `*/${seconds} * * * * *` };
        const body = `${application.lifeName}-${id}-${i} `;
        await schedules.add({ id, body, ...timing, ...options });
      } else if (what === "remove") await schedules.remove(id, options);
      else await schedules[what](id, options);
      counters.add(`client: schedules: ${what}`);
    } catch (error) {
      if (!(error instanceof FlowMQError)) throw error;
      counters.add(`client: schedules: ${error.name} ${error.code}`);
    }
    await application.sleep(random.wait(1_000));
  }
  while (!application.closed) {
    for (const { name } of queues) await removeAll(client, name);
    await application.sleep(500);
  }
}

async function removeAll(client: Client, queue: string): Promise<void> {
  const { schedules } = client.queue(queue);
  try {
    for (const { id } of await schedules.list()) await schedules.remove(id);
  } catch (error) {
    if (!(error instanceof FlowMQError)) throw error;
  }
}
