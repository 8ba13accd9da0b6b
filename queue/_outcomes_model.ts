/**
 * What becomes of messages that nobody acks, in the naive model: they fail, come back later, die or
 * expire.
 *
 * @module
 */

import { backoffMs } from "./backoff.ts";
import type { Death, QueueSettings } from "./commands.ts";
import { type Happening, HappeningKind } from "./happenings.ts";
import type { KeyModel } from "./_key_model.ts";
import type { ModelMessage } from "./_message_model.ts";
import type { ModelShard } from "./_model_shard.ts";

/** The partition that messages are in. */
export interface OwnerModel {
  readonly id: number;
  readonly queueName: string;
  readonly number: number;
  readonly settings: QueueSettings;
  readonly messages: readonly ModelMessage[];
  readonly keys: KeyModel;
  note(kind: HappeningKind, happening: Pick<Happening, "offset"> & Partial<Happening>): void;
}

/** The ends and returns of the messages of a partition. */
export class OutcomesModel {
  readonly #owner: OwnerModel;
  readonly #shard: ModelShard;

  constructor(owner: OwnerModel, shard: ModelShard) {
    this.#owner = owner;
    this.#shard = shard;
  }

  /** It is with nobody, and waits for nothing: others of its key may go. */
  takeOut(message: ModelMessage): void {
    message.holder = undefined;
    message.state = "out";
    this.wakeKey(message);
  }

  putBack(message: ModelMessage): void {
    message.state = "ready";
    this.wakeKey(message);
  }

  /** It waits no longer, or nobody has it any more, through no fault of anybody. */
  return(message: ModelMessage): void {
    this.takeOut(message);
    if (this.#isLate(message)) this.expire(message, message.deliveryCount);
    else this.putBack(message);
  }

  /** A consumer has failed with a message. */
  fail(message: ModelMessage, detail?: string, delayMs?: number): void {
    const { id, settings } = this.#owner;
    this.takeOut(message);
    const { offset, deliveryCount } = message;
    if (this.#isLate(message)) return this.expire(message, deliveryCount);
    const isLast = settings.maxDeliveries > 0 && deliveryCount >= settings.maxDeliveries &&
      !this.#isDeadLetterQueue;
    if (!isLast) {
      this.#delay(message, delayMs ?? backoffMs(settings, id, offset, deliveryCount));
    } else if (this.#bury(message, deliveryCount, "maxDeliveries", detail)) {
      message.state = "dead";
    } else this.#delay(message, 1_000);
  }

  /** A consumer wants a message never again. */
  reject(message: ModelMessage, detail?: string): void {
    this.takeOut(message);
    if (this.#isDeadLetterQueue) {
      message.state = "dropped";
      this.#owner.note(HappeningKind.dropped, message);
    } else if (this.#bury(message, message.deliveryCount, "rejected", detail)) {
      message.state = "dead";
    } else this.#delay(message, 1_000);
  }

  expire(message: ModelMessage, deliveryCount: number): void {
    if (!this.#owner.settings.deadLetterExpired || this.#isDeadLetterQueue) {
      message.state = "expired";
      this.#owner.note(HappeningKind.expired, message);
    } else if (this.#bury(message, deliveryCount, "expired")) message.state = "dead";
    else {
      message.deliveryCount = deliveryCount;
      message.priority = 0;
      this.#delay(message, 1_000);
    }
  }

  wakeKey({ key }: ModelMessage): void {
    this.#owner.keys.wake(this.#owner.messages, key);
  }

  get #isDeadLetterQueue(): boolean {
    return this.#owner.queueName.endsWith(".dead");
  }

  #isLate({ expiresAtMs }: ModelMessage): boolean {
    return expiresAtMs <= this.#shard.nowMs;
  }

  #delay(message: ModelMessage, waitMs: number): void {
    message.dueMs = this.#shard.nowMs + waitMs;
    if (waitMs > 0) message.state = "delayed";
    else this.putBack(message);
  }

  #bury(
    { offset, entryIndex, position }: ModelMessage,
    deliveryCount: number,
    reason: Death["reason"],
    detail?: string,
  ): boolean {
    const { outbox, nowMs: atMs } = this.#shard;
    if (!outbox.hasRoomFor(1)) return false;
    const { queueName: queue, number: partition } = this.#owner;
    const said = detail === undefined ? {} : { detail };
    outbox.put({
      target: { queue: `${queue}.dead`, partition: 0 },
      entryIndex,
      position,
      death: { queue, partition, offset, deliveryCount, reason, ...said, atMs },
    });
    this.#owner.note(HappeningKind.dead, { offset, deliveryCount, detail: reason });
    return true;
  }
}
