/**
 * What `flowmq queue peek`, `msg get` and `queue info` tell about messages and consumers.
 *
 * @module
 */

import type { ConsumerReport, PeekedMessage } from "../mod.ts";
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
}

/**
 * Describes a message for programs.
 *
 * @param message The message.
 * @returns A plain object.
 */
export function messageRecord(message: PeekedMessage): MessageRecord {
  const { id, state, term, index, lease, dueAtMs } = message;
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
export function formatState({ state, lease, dueAtMs }: PeekedMessage, nowMs: number): string {
  if (lease !== undefined) {
    const left = formatMs(Math.max(0, lease.endsAtMs - nowMs));
    return `leased to ${consumerName(lease.consumer)}, ${left} to go`;
  }
  return dueAtMs === undefined
    ? state
    : `${state}, due in ${formatMs(Math.max(0, dueAtMs - nowMs))}`;
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
