/**
 * The bodies of the bench: each says when it was published, by whom, and which of that publisher's
 * messages it is.
 *
 * The first 8 bytes are the time (a float of milliseconds), the next 4 the publisher, the next 4 its
 * number of the message; all that follows repeats one byte that depends on them. A body that is too
 * short for the time or the name goes without.
 *
 * @module
 */

/** Bytes of a body that say when it was published. */
export const timeBytes = 8;
/** Bytes of a body that say when, and which message it is: the least that can be checked. */
export const nameBytes = 16;

/** Which message a body is. */
export interface MessageName {
  readonly producer: number;
  /** From 0. */
  readonly number: number;
}

/** The byte that a message is filled up with. */
function filling(producer: number, number: number): number {
  return (producer * 31 + number * 7) & 0xff;
}

/**
 * Makes a body.
 *
 * @param size How long.
 * @param publishedAt What latency is measured from.
 * @param name Which message it is; left out where nobody checks.
 * @returns The body.
 */
export function makeBody(size: number, publishedAt: number, name?: MessageName): Uint8Array {
  const body = new Uint8Array(size);
  const view = new DataView(body.buffer);
  if (size >= timeBytes) view.setFloat64(0, publishedAt);
  if (name !== undefined) {
    view.setUint32(8, name.producer);
    view.setUint32(12, name.number);
    body.fill(filling(name.producer, name.number), nameBytes);
  }
  return body;
}

/**
 * Reads when a body was published.
 *
 * @param body As it was delivered.
 * @returns The time, or `undefined` where it is too short to say.
 */
export function publishedAtOf(body: Uint8Array): number | undefined {
  if (body.length < timeBytes) return undefined;
  // A view of each body would be garbage for every message, and hold nodes up that share the processor.
  for (let i = 0; i < timeBytes; i++) timeCopy[i] = body[i]!;
  return timeView.getFloat64(0);
}

const timeCopy = new Uint8Array(timeBytes);
const timeView = new DataView(timeCopy.buffer);

/**
 * Reads which message a body is.
 *
 * @param body As it was delivered.
 * @param size How long every body is.
 * @returns Its name, or `undefined` where it is not what somebody published.
 */
export function nameOf(body: Uint8Array, size: number): MessageName | undefined {
  if (body.length !== size || size < nameBytes) return undefined;
  const view = new DataView(body.buffer, body.byteOffset);
  const producer = view.getUint32(8);
  const number = view.getUint32(12);
  const expected = filling(producer, number);
  for (let i = nameBytes; i < size; i++) if (body[i] !== expected) return undefined;
  return { producer, number };
}
