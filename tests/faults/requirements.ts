/**
 * What these tests need of the machine, and whether it is there.
 *
 * @module
 */

import { LoopDisk, SmallDisk } from "./disks.ts";
import { buildShim } from "./harm.ts";

async function reasonWhyNot(attempt: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}

/** Why no harm can be done to storage calls here, or `undefined` where it can. */
export const noShim: string | undefined = Deno.build.os === "linux"
  ? await reasonWhyNot(buildShim)
  : "it takes Linux";

/** Why no file system can be mounted here, or `undefined` where one can. */
export const noMounts: string | undefined = noShim ?? await reasonWhyNot(async () => {
  await using _loop = await LoopDisk.make(16);
  await using _small = await SmallDisk.make(64);
});
