/**
 * Messages of one partition that travel, and are confirmed or fail, together.
 *
 * @module
 */

import { PublishBatch } from "../wire/mod.ts";
import type { PublishArena, Published, Repeat } from "../wire/mod.ts";
import type { Completion } from "./completions.ts";
import type { FlowMQError } from "./errors.ts";

const noRepeats: readonly Repeat[] = [];

/** A batch; see the module comment. */
export class Batch {
  /** The messages. */
  readonly messages: PublishBatch;
  /** How long its messages may take: only messages that agree share a batch. */
  readonly timeoutMs: number;
  /** When its first message has waited long enough, in monotonic time. */
  readonly deadlineMs: number;
  /** Given when it is sent for the first time; stays as long as it may have been stored under it. */
  baseSequence = -1;
  /** Attempts to send it of which nobody has said that they failed. */
  attemptsInDoubt = 0;
  /** Whether the newest attempt to send it is under way. */
  isInFlight = false;
  readonly #completions: Completion[] = [];
  readonly #positions: number[] = [];

  /**
   * Makes an empty batch.
   *
   * @param arena Where its bytes go.
   * @param timeoutMs How long its messages may take.
   * @param nowMs Since when they have waited, in monotonic time.
   */
  constructor(arena: PublishArena, timeoutMs: number, nowMs: number) {
    this.messages = new PublishBatch(arena);
    this.timeoutMs = timeoutMs;
    this.deadlineMs = nowMs + timeoutMs;
  }

  /** Whether it has a number: it was sent, and nobody has taken that back. */
  get wasSent(): boolean {
    return this.baseSequence >= 0;
  }

  /** Whether it may have been stored. */
  get isInDoubt(): boolean {
    return this.attemptsInDoubt > 0;
  }

  /**
   * Adds a message, which is copied.
   *
   * @param body Text or bytes.
   * @param key Its key.
   * @param headers From `encodeHeaders`.
   * @param options From `encodeProperties`.
   * @param completion Told what becomes of it.
   * @param position Which of the completion's messages it is.
   * @returns How many bytes it takes.
   */
  add(
    body: string | Uint8Array,
    key: string | undefined,
    headers: Uint8Array | undefined,
    options: Uint8Array | undefined,
    completion: Completion,
    position: number,
  ): number {
    this.#completions.push(completion);
    this.#positions.push(position);
    return this.messages.add(body, key, headers, options);
  }

  /**
   * Adds a message of another batch.
   *
   * @param batch The other one.
   * @param position The place of the message there.
   */
  addOf(batch: Batch, position: number): void {
    this.#completions.push(batch.#completions[position]!);
    this.#positions.push(batch.#positions[position]!);
    this.messages.addRecord(batch.messages.recordAt(position));
  }

  /** None of it is stored, whatever was tried: it may get another number, or go elsewhere. */
  takeBack(): void {
    this.baseSequence = -1;
    this.attemptsInDoubt = 0;
    this.isInFlight = false;
  }

  /** Tells everyone that it is stored. */
  confirm(partition: number, published: Published): void {
    const repeats = published.repeats ?? noRepeats;
    let nextRepeat = 0;
    for (let i = 0; i < this.#completions.length; i++) {
      const repeat = repeats[nextRepeat];
      const position = this.#positions[i]!;
      if (repeat?.position === i) {
        const { offset, term, index } = repeat;
        const earlier = { ...published, term, index, duplicate: true };
        this.#completions[i]!.confirmed(partition, offset, earlier, position);
        nextRepeat++;
      } else {
        this.#completions[i]!.confirmed(partition, published.firstOffset + i, published, position);
      }
    }
  }

  /** Tells everyone that it is not stored, or perhaps not. */
  fail(error: FlowMQError): void {
    for (const completion of this.#completions) completion.failed(error);
  }
}
