/**
 * A message that can be published, as far as a client can tell.
 *
 * @module
 */

import { encodeHeaders, keyBytesMax, measureMessage, utf8Length } from "../wire/mod.ts";
import type { ClientCore } from "./core.ts";
import { MessageTooLargeError } from "./errors.ts";
import { encodeProperties, type MessageProperties } from "./message_properties.ts";

/** A message that has been checked. */
export interface CheckedMessage {
  readonly body: string | Uint8Array;
  readonly key: string | undefined;
  readonly headers: Uint8Array | undefined;
  readonly options: Uint8Array | undefined;
  /** Decides the partition, where anything does: the key, or else what it is unique by. */
  readonly place: string | undefined;
}

/**
 * Checks a message.
 *
 * @param core Of the client.
 * @param body Its body.
 * @param properties What it is published with.
 * @returns The message, its headers and options encoded.
 * @throws {TypeError} when something is not what it should be.
 * @throws {RangeError} when something is out of its range.
 * @throws {MessageTooLargeError} when it is over the broker's limit.
 */
export function checkMessage(
  core: ClientCore,
  body: string | Uint8Array,
  properties: MessageProperties,
): CheckedMessage {
  const { key, headers: plain, unique } = properties;
  const headers = plain === undefined ? undefined : encodeHeaders(plain);
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot publish a body that is neither text nor a Uint8Array: current value is ${typeof body}`,
    );
  }
  if (key !== undefined && key.length * 3 > keyBytesMax && utf8Length(key) > keyBytesMax) {
    throw new RangeError(
      `Cannot publish a key over ${keyBytesMax} bytes: current length is ${utf8Length(key)}`,
    );
  }
  const bytesMax = core.cluster.messageBytesMax;
  const bytes = measureMessage(body, key, headers, bytesMax);
  if (bytes > bytesMax) throw new MessageTooLargeError(bytes, bytesMax);
  const options = encodeProperties(properties, core.runtime.clock);
  return { body, key, headers, options, place: key ?? unique };
}
