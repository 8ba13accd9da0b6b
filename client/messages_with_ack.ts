/**
 * Prepares messages that are published together with an ack: finds their queues, chooses partitions, lays
 * them out.
 *
 * @module
 */

import { PublishArena, PublishBatch, type TransferTarget } from "../wire/mod.ts";
import { checkMessage } from "./checked_message.ts";
import type { ClientCore } from "./core.ts";
import type { MessageToQueue } from "./delivery.ts";
import { partitionOfKey } from "./key_hash.ts";
import { clientLimits } from "./options.ts";

/** The most messages that one ack may publish. */
const countMax = 1_024;

/** Messages that are laid out, and where each of them goes. */
export interface PreparedMessages {
  readonly targets: readonly TransferTarget[];
  readonly messages: PublishBatch;
}

/** How long the partitions of a queue are taken for what they were, in milliseconds. */
const placeAgeMsMax = 5_000;

/**
 * Prepares messages. The partitions are chosen here, once, so that a message goes to the same one
 * however often it is sent.
 *
 * @param core Of the client.
 * @param outgoing The messages.
 * @returns What goes into the command.
 * @throws {RangeError} when there are too many, or a key is too long.
 * @throws {MessageTooLargeError} when one is over the broker's limit.
 * @throws {QueueNotFoundError} when a queue is missing that is not to be made.
 */
export async function prepareMessages(
  core: ClientCore,
  outgoing: readonly MessageToQueue[],
): Promise<PreparedMessages> {
  if (outgoing.length > countMax) {
    throw new RangeError(
      `Cannot publish more than ${countMax} messages with an ack: current count is ${outgoing.length}`,
    );
  }
  const messages = new PublishBatch(new PublishArena());
  const checked = outgoing.map((message) => checkMessage(core, message.body, message));
  for (const { body, key, headers, options } of checked) messages.add(body, key, headers, options);
  if (messages.bytes > clientLimits.batchBytesMax) {
    throw new RangeError(
      `Cannot publish more than ${clientLimits.batchBytesMax} bytes with an ack: ` +
        `current size is ${messages.bytes}`,
    );
  }
  const targets: TransferTarget[] = [];
  for (const [i, { queue, create = true }] of outgoing.entries()) {
    // One that is not quite new may be of before the queue grew.
    core.forgetQueue(queue, placeAgeMsMax);
    const { partitions } = create
      ? await core.findOrCreateQueue(queue)
      : await core.findQueue(queue);
    const { place } = checked[i]!;
    const partition = place === undefined
      ? Math.floor(core.runtime.random() * partitions.length)
      : partitionOfKey(place, partitions.length);
    targets.push({ queue, partition });
  }
  return { targets, messages };
}
