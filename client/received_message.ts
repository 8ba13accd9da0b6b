/**
 * What a message that came from a broker was published with.
 *
 * @module
 */

import {
  decodeMessage,
  decodeUtf8,
  findBody,
  type Message,
  type MessageHeaders,
  type MessageOptions,
} from "../wire/mod.ts";
import { formatMessageId, type MessagePlace } from "./message_id.ts";

/** A message in the hands of a client. It is decoded when somebody asks. */
export abstract class ReceivedMessage implements MessagePlace {
  abstract readonly queue: string;
  abstract readonly partition: number;
  abstract readonly offset: number;
  /** When the message was published, by the clock of the leader, in milliseconds since the epoch. */
  abstract readonly publishedAtMs: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #message: Message | undefined;
  #body: Uint8Array | undefined;

  /**
   * Messages come from consumers and from `Queue.peek()`.
   *
   * @ignore
   */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Its id, as in `orders/0/17`. */
  get id(): string {
    return formatMessageId(this);
  }

  /** When the message was published, by the clock of the leader. */
  get publishedAt(): Date {
    return new Date(this.publishedAtMs);
  }

  /** The key it was published with. */
  get key(): string | undefined {
    return this.#decoded.key;
  }

  /** The headers it was published with; empty where there were none. */
  get headers(): MessageHeaders {
    return this.#decoded.headers;
  }

  /** What it was published with: delay, time, time to live, priority, unique, as far as it has them. */
  get options(): MessageOptions {
    return this.#decoded.options;
  }

  /** The body: a view of what came in, which stays valid and is nobody else's. */
  get body(): Uint8Array {
    return this.#body ??= this.#bytes.subarray(
      findBody(this.#bytes, this.#start, this.#end),
      this.#end,
    );
  }

  /**
   * The body as text.
   *
   * @returns The text.
   * @throws {TypeError} when the body is not UTF-8.
   */
  text(): string {
    try {
      return decodeUtf8(this.body);
    } catch (error) {
      throw new TypeError(`Cannot read message ${this.id} as text: it is not UTF-8`, {
        cause: error,
      });
    }
  }

  /**
   * The body as JSON.
   *
   * @returns What the JSON says.
   * @throws {TypeError} when the body is not UTF-8.
   * @throws {SyntaxError} when the text is not JSON.
   */
  json(): unknown {
    return JSON.parse(this.text());
  }

  get #decoded(): Message {
    return this.#message ??= decodeMessage(this.#bytes, this.#start, this.#end);
  }
}
