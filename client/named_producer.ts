/**
 * A producer with a name: its messages are numbered, in one partition, from one life of the process to
 * the next, so that each is stored exactly once whatever dies in between.
 *
 * The numbers must have no gap, so nothing is ever given up on its own: a message is stored, or the
 * producer ends, and with it everything that was not confirmed. Of a name there is one: who opens it
 * ends the one before.
 *
 * @module
 */

import type { Batch } from "./batch.ts";
import { type Receipt, SingleCompletion } from "./completions.ts";
import { type CheckedMessage, checkMessage } from "./checked_message.ts";
import type { ClientCore, Closeable, Sweepable } from "./core.ts";
import { ClientClosedError, FlowMQError, RequestTimeoutError } from "./errors.ts";
import type { MessageProperties } from "./message_properties.ts";
import {
  PartitionProducer,
  type ProducerEvents,
  type ProducerPartition,
} from "./partition_producer.ts";
import type { Session, SessionMember } from "./session.ts";
import { ErrorCode } from "../wire/mod.ts";

/** Settings of `Queue.producer()`. */
export interface ProducerOptions {
  /** Which partition it publishes to: all messages of a producer go to one. @default {0} */
  readonly partition?: number;
  /** Whether a queue that does not exist is made, with the default settings. @default {true} */
  readonly create?: boolean;
  /** Gives up opening it. */
  readonly signal?: AbortSignal;
  /**
   * How long it may take until it is open, and later, for how long nothing may be confirmed while something
   * waits, before the producer ends. @default {the client's requestTimeoutMs}
   */
  readonly timeoutMs?: number;
}

/** What a message of a named producer is published with. */
export interface NumberedProperties extends MessageProperties {
  /** Which message it is: the next one, or one that is stored already. @default {the next one} */
  readonly sequence?: number;
}

/** A message that waits for room. */
interface Waiting {
  readonly message: CheckedMessage;
  readonly completion: SingleCompletion;
}

/** See the module comment. Made by `Queue.producer()`. */
export class NamedProducer implements AsyncDisposable {
  /** Its name. */
  readonly name: string;
  readonly #core: ClientCore;
  readonly #partition: ProducerPartition;
  readonly #session: Session;
  readonly #timeoutMs: number;
  readonly #producer: PartitionProducer;
  readonly #opened = Promise.withResolvers<void>();
  readonly #member: SessionMember = {
    attaching: () => {},
    ready: () => this.#ready(),
    down: () => {},
    forgotten: (error) => this.#end(this.#replaced(error)),
  };
  readonly #events: ProducerEvents = {
    released: (bytes) => this.#released(bytes),
    sealed: () => {},
    retired: (_producer, unsent) => this.#retired(unsent),
    partitionLost: () => this.#end(new FlowMQError("The partition is gone", lost)),
    // Its messages go to its partition, however many there are.
    queueGrown: () => {},
    settled: () => {},
  };
  readonly #sweepable: Sweepable = { sweep: (nowMs) => this.#sweep(nowMs) };
  readonly #closeable: Closeable = {
    close: () => this.close(),
    abandon: () => this.#end(new ClientClosedError({ maybeApplied: true })),
  };
  #isOpen = false;
  /** What was stored before this life. */
  #firstSequence = 0;
  #nextSequence = 0;
  #waiting: Waiting[] = [];
  #unconfirmedBytes = 0;
  #unconfirmed = 0;
  /** When something was confirmed last, or began to wait. */
  #progressMs: number;
  #ended: FlowMQError | undefined;
  #idleWaiters: (() => void)[] = [];

  /**
   * Producers are made by `Queue.producer()`.
   *
   * @param name Its name.
   * @param core Of the client.
   * @param partition Where to.
   * @param timeoutMs How long nothing may happen.
   */
  constructor(name: string, core: ClientCore, partition: ProducerPartition, timeoutMs: number) {
    this.name = name;
    this.#core = core;
    this.#partition = partition;
    this.#timeoutMs = timeoutMs;
    this.#progressMs = core.nowMs;
    // The shard knows names, and not which queue they are for.
    this.#session = core.sessions.open(partition.shard, `${partition.partitionId}/${name}`);
    this.#producer = new PartitionProducer(partition, this.#session, core.runtime, this.#events);
    this.#opened.promise.catch(() => {});
    core.watch(this.#sweepable);
    core.consumers.add(this.#closeable);
    this.#session.add(this.#member);
    this.#session.add(this.#producer);
  }

  /** The number that the next message gets: so many are stored, or on their way. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /**
   * Waits until it is known how far the producer of this name has come.
   *
   * @ignore
   */
  opened(): Promise<void> {
    return this.#opened.promise;
  }

  /**
   * Publishes the next message, or finds that it is stored.
   *
   * @param body Text is sent as UTF-8.
   * @param properties What it is published with.
   * @returns Where it is, or `undefined` for a `sequence` that an earlier life of the producer has stored.
   * @throws {RangeError} when `sequence` is neither the next one nor one that was stored before this life.
   * @throws {FlowMQError} when the producer has ended; `maybeApplied` says whether it may be stored.
   */
  publish(
    body: string | Uint8Array,
    properties: NumberedProperties = {},
  ): Promise<Receipt | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) throw this.#asUnsent(this.#ended);
      const message = checkMessage(this.#core, body, properties);
      if (!this.#isNext(properties.sequence)) return resolve(undefined);
      this.#nextSequence++;
      if (this.#unconfirmed++ === 0) this.#progressMs = this.#core.nowMs;
      const completion = new SingleCompletion((receipt) => {
        this.#confirmed();
        resolve(receipt);
      }, reject);
      if (this.#waiting.length > 0 || !this.#hasRoom) this.#waiting.push({ message, completion });
      else this.#put(message, completion);
    });
  }

  /**
   * Waits until everything published so far is confirmed, then ends the producer. What it has published
   * stays known, for a week, to the next one of its name.
   */
  async close(): Promise<void> {
    if (this.#unconfirmed > 0 && this.#ended === undefined) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
    this.#end(new ClientClosedError());
    await this.#session.close(new AbortController().signal);
  }

  /** Closes the producer at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether a message is to be sent. */
  #isNext(sequence: number | undefined): boolean {
    if (sequence === undefined || sequence === this.#nextSequence) return true;
    if (Number.isSafeInteger(sequence) && sequence >= 0 && sequence < this.#firstSequence) {
      return false;
    }
    throw new RangeError(
      `Cannot publish a message whose sequence is not the next one, ${this.#nextSequence}: ` +
        `current value is ${sequence}`,
    );
  }

  get #hasRoom(): boolean {
    return this.#unconfirmedBytes < this.#core.settings.windowBytes;
  }

  #put(message: CheckedMessage, completion: SingleCompletion): void {
    const { body, key, headers, options } = message;
    // No time-out of its own: a number that is given up would leave a gap.
    const batch = this.#producer.begin(1, Infinity, body.length);
    this.#unconfirmedBytes += batch.add(body, key, headers, options, completion, 0);
  }

  #ready(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const next = this.#session.nextSequence(this.#partition.partitionId);
    this.#firstSequence = next;
    this.#nextSequence = next;
    this.#producer.goOnAt(next);
    this.#opened.resolve();
  }

  #released(bytes: number): void {
    this.#unconfirmedBytes -= bytes;
    while (this.#waiting.length > 0 && this.#hasRoom && this.#ended === undefined) {
      const { message, completion } = this.#waiting.shift()!;
      this.#put(message, completion);
    }
  }

  #confirmed(): void {
    this.#progressMs = this.#core.nowMs;
    if (--this.#unconfirmed > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #sweep(nowMs: number): void {
    const waits = !this.#isOpen || this.#unconfirmed > 0;
    if (!waits || nowMs - this.#progressMs < this.#timeoutMs) return;
    const what = this.#isOpen
      ? `publish to queue ${JSON.stringify(this.#partition.queue)} as ${JSON.stringify(this.name)}`
      : `open producer ${JSON.stringify(this.name)}`;
    const cause = this.#session.lastError;
    this.#end(new RequestTimeoutError(what, this.#timeoutMs, { maybeApplied: true, cause }));
  }

  /** The node has refused something for good: what comes behind has the wrong numbers now. */
  #retired(unsent: readonly Batch[]): void {
    const error = new FlowMQError(
      `Cannot go on as producer ${JSON.stringify(this.name)} as a message before was refused`,
      { code: ErrorCode.sequenceGap, maybeApplied: true },
    );
    for (const batch of unsent) batch.fail(this.#asUnsent(error));
    this.#end(error);
  }

  #replaced(cause: FlowMQError): FlowMQError {
    return new FlowMQError(
      `Cannot go on as producer ${JSON.stringify(this.name)} of queue ` +
        `${JSON.stringify(this.#partition.queue)}: another one has taken the name`,
      { code: ErrorCode.sessionNotFound, maybeApplied: true, cause },
    );
  }

  #asUnsent(error: FlowMQError): FlowMQError {
    if (error instanceof ClientClosedError) return new ClientClosedError();
    return new FlowMQError(error.message, { code: error.code, cause: error });
  }

  #end(error: FlowMQError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#opened.reject(error);
    this.#core.unwatch(this.#sweepable);
    this.#core.consumers.delete(this.#closeable);
    this.#producer.fail((wasSent) => wasSent ? error : this.#asUnsent(error));
    for (const { completion } of this.#waiting.splice(0)) completion.failed(this.#asUnsent(error));
    this.#session.remove(this.#producer);
    this.#session.remove(this.#member);
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

const lost = { code: ErrorCode.partitionNotFound, maybeApplied: true };
