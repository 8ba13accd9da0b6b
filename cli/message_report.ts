/**
 * What `flowmq queue peek`, `msg get` and `queue info` tell about messages and consumers.
 *
 * @module
 */

import {
  type ConsumerReport,
  formatMessageId,
  type KeyBlockReport,
  type PeekedMessage,
} from "../mod.ts";
import { type DeliveryRecord, deliveryRecord } from "./delivery_record.ts";
import { formatMs, oneLine } from "./format.ts";

/** A message as a JSON object. */
export interface MessageRecord extends DeliveryRecord {
  readonly id: string;
  readonly state: PeekedMessage["state"];
  readonly term: number;
  readonly index: number;
  /** Of a leased message; times are ISO 8601, in UTC. */
  readonly lease?: {
    readonly client: string;
    readonly address: string | null;
    readonly since: string;
    readonly endsAt: string;
  };
  /** Of a delayed message; ISO 8601, in UTC. */
  readonly dueAt?: string;
  /** Of a ready message that has to wait for others of its key, or for its key's rate. */
  readonly block?: {
    readonly by: KeyBlockReport["by"];
    /** The message that it waits for. */
    readonly id?: string;
    /** Of its key's rate, and of a message that comes back; ISO 8601, in UTC. */
    readonly until?: string;
  };
}

/**
 * Describes a message for programs.
 *
 * @param message The message.
 * @returns A plain object.
 */
export function messageRecord(message: PeekedMessage): MessageRecord {
  const { id, state, term, index, lease, dueAtMs, block } = message;
  return {
    id,
    state,
    ...deliveryRecord(message),
    term,
    index,
    ...(lease === undefined ? {} : {
      lease: {
        client: lease.consumer.clientName,
        address: lease.consumer.address,
        since: new Date(lease.sinceMs).toISOString(),
        endsAt: new Date(lease.endsAtMs).toISOString(),
      },
    }),
    ...(dueAtMs === undefined ? {} : { dueAt: new Date(dueAtMs).toISOString() }),
    ...(block === undefined ? {} : { block: blockRecord(message, block) }),
  };
}

function blockRecord(
  { queue, partition }: PeekedMessage,
  block: KeyBlockReport,
): NonNullable<MessageRecord["block"]> {
  return {
    by: block.by,
    ...("offset" in block
      ? { id: formatMessageId({ queue, partition, offset: block.offset }) }
      : {}),
    ...("untilMs" in block ? { until: new Date(block.untilMs).toISOString() } : {}),
  };
}

/**
 * Names the client of a consumer.
 *
 * @param consumer The consumer.
 * @returns For example `mailer (127.0.0.1:50312)`.
 */
export function consumerName({ clientName, address }: ConsumerReport): string {
  const name = clientName === "" ? "no name" : oneLine(clientName, 40);
  return `${name} (${address ?? "not connected"})`;
}

/**
 * Says in a few words what has become of a message.
 *
 * @param message The message.
 * @param nowMs The time.
 * @returns For example `leased to mailer (127.0.0.1:50312), 12.0 s to go`.
 */
export function formatState(
  { state, lease, dueAtMs, block }: PeekedMessage,
  nowMs: number,
): string {
  if (lease !== undefined) {
    const left = formatMs(Math.max(0, lease.endsAtMs - nowMs));
    return `leased to ${consumerName(lease.consumer)}, ${left} to go`;
  }
  if (dueAtMs !== undefined) return `${state}, due in ${formatMs(Math.max(0, dueAtMs - nowMs))}`;
  if (block === undefined) return state;
  switch (block.by) {
    case "rate":
      return `${state}, its key in ${formatMs(Math.max(0, block.untilMs - nowMs))}`;
    case "growing":
      return `${state}, after those of its key in other partitions`;
    default:
      return `${state}, after offset ${block.offset} of its key`;
  }
}

const utf8 = new TextDecoder();

/**
 * Shows the beginning of a body on one line.
 *
 * @param body Any bytes.
 * @param lengthMax The most characters to show.
 * @returns Text without control characters.
 */
export function bodyStart(body: Uint8Array, lengthMax: number): string {
  // A character has 4 bytes at most; one that is cut off is beyond what is shown.
  return oneLine(utf8.decode(body.subarray(0, lengthMax * 4 + 4)), lengthMax);
}
