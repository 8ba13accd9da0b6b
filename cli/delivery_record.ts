/**
 * A delivery as a JSON object.
 *
 * @module
 */

import type { Delivery, MessageOptions, PeekedMessage } from "../mod.ts";

/** What `flowmq sub --json` prints of a message. */
export interface DeliveryRecord {
  readonly queue: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly options: MessageOptions;
  /** The body, where it is UTF-8. */
  readonly body?: string;
  /** The body in base 64, where it is not. */
  readonly bodyBase64?: string;
  readonly deliveryCount: number;
  /** ISO 8601, in UTC. */
  readonly publishedAt: string;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Describes a delivery for programs.
 *
 * @param delivery A message and what is known about it.
 * @returns A plain object.
 */
export function deliveryRecord(delivery: Delivery | PeekedMessage): DeliveryRecord {
  const { queue, partition, offset, key, headers, options, deliveryCount, publishedAt } = delivery;
  return {
    queue,
    partition,
    offset,
    key: key ?? null,
    headers: headers ?? {},
    options,
    ...bodyOf(delivery.body),
    deliveryCount,
    publishedAt: new Date(publishedAt).toISOString(),
  };
}

/**
 * Says a body in JSON without losing a bit of it.
 *
 * @param body Any bytes.
 * @returns `body` where they are UTF-8, else `bodyBase64`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bodyOf(new TextEncoder().encode("é")), { body: "é" });
 * assertEquals(bodyOf(Uint8Array.of(0xff, 0xfe)), { bodyBase64: "//4=" });
 * ```
 */
export function bodyOf(body: Uint8Array): Pick<DeliveryRecord, "body" | "bodyBase64"> {
  try {
    return { body: strictUtf8.decode(body) };
  } catch {
    let binary = "";
    // In pieces: a function takes only so many arguments.
    for (let at = 0; at < body.length; at += 8_192) {
      binary += String.fromCharCode(...body.subarray(at, at + 8_192));
    }
    return { bodyBase64: btoa(binary) };
  }
}
