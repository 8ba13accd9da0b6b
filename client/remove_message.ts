/**
 * Takes one message out of its queue.
 *
 * @module
 */

import { ErrorCode } from "../wire/mod.ts";
import { asQueueError, checkOpen, type ClientCore, type WaitOptions } from "./core.ts";
import { FlowMQError } from "./errors.ts";
import { formatMessageId, type MessagePlace } from "./message_id.ts";
import { partitionOf } from "./peek.ts";

/**
 * What became of a message that was to be removed. In each case it is not delivered any more.
 *
 * - `removed`: it waited, and is taken out.
 * - `gone`: it was acked, or had come to another end, before.
 * - `unknown`: one of the two. It is gone, and an answer was lost on the way, so that this very call may
 *   have taken it out.
 */
export type Removal = "removed" | "gone" | "unknown";

/**
 * Takes a message out of its queue, unless a consumer holds it.
 *
 * @param core The client.
 * @param place Where it is.
 * @param options How long to wait.
 * @returns What became of it.
 */
export async function removeMessage(
  core: ClientCore,
  place: MessagePlace,
  options: WaitOptions,
): Promise<Removal> {
  checkOpen(core);
  const { queue: name, partition, offset } = place;
  try {
    const { id: partitionId, shard } = partitionOf(
      await core.refreshQueue(name, options),
      partition,
    );
    const request = { kind: "removeMessage", partitionId, offset } as const;
    await core.call(`remove ${formatMessageId(place)}`, request, shard, "done", options);
    return "removed";
  } catch (error) {
    if (!(error instanceof FlowMQError) || error.code !== ErrorCode.messageGone) {
      throw asQueueError(error, name);
    }
    return error.maybeApplied ? "unknown" : "gone";
  }
}
