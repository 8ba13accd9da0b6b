/**
 * Sends batches to one partition, in order, exactly once.
 *
 * The messages of a session to a partition are numbered from 0 without a gap. The broker takes a batch
 * only if it begins with the number it expects, and answers a repeated batch with its first result. So
 * after whatever went wrong it is right, and enough, to send everything unconfirmed again from the
 * oldest on (go-back-N). That goes right behind the attach of the session, and is not sent once more when
 * the answer to that has come.
 *
 * A batch that is refused because the queue has more partitions by now is not stored, nor is any that
 * comes after it: they have lost their numbers, and the publisher chooses anew where they go. Until then
 * this producer only finds out what became of those before.
 *
 * What breaks the numbering for good is a batch that is given up while its fate is unknown. Then this
 * producer is retired: what it has sent it still brings to an end under the old session, what it has
 * not sent goes to its successor under a new one. The successor waits for that end, as two sessions
 * know nothing of each other's order.
 *
 * @module
 */

import {
  decodePublished,
  decodeReply,
  ErrorCode,
  type Frame,
  isRetryable,
  PublishArena,
  type Published,
  ReplyType,
  RequestType,
} from "../wire/mod.ts";
import { Batch } from "./batch.ts";
import type { Connection, ReplyHandler } from "./connection.ts";
import {
  ConnectionLostError,
  errorOfReply,
  FlowMQError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";
import { clientLimits } from "./options.ts";
import type { ClientRuntime, TimerId } from "./runtime.ts";
import type { Session, SessionMember } from "./session.ts";
import { atEndOfTurn } from "./turn.ts";
import { Backoff } from "./waiting.ts";

/** The partition a producer sends to. */
export interface ProducerPartition {
  /** The queue's name. */
  readonly queue: string;
  /** The partition in the cluster. */
  readonly partitionId: number;
  /** The partition in its queue, from 0. */
  readonly number: number;
  /** Where it lives. */
  readonly shard: number;
}

/** What a producer tells the publisher of its queue. */
export interface ProducerEvents {
  /** So many bytes are not waited for any more. */
  released(bytes: number): void;
  /** A batch has been closed: unkeyed messages may go elsewhere now. */
  sealed(producer: PartitionProducer): void;
  /** Its session cannot go on; what was never sent is handed back, in order. */
  retired(producer: PartitionProducer, unsent: Batch[]): void;
  /** The partition is gone. */
  partitionLost(producer: PartitionProducer): void;
  /** The queue has more partitions than were known; nothing new is sent before `placeBy`. */
  queueGrown(producer: PartitionProducer): void;
  /** While nothing new is sent: what was sent has come to its end. */
  settled(): void;
}

/** One attempt to send a batch. */
class Attempt implements ReplyHandler {
  constructor(
    readonly producer: PartitionProducer,
    readonly batch: Batch,
    readonly connection: Connection,
    /** Errors count only while no newer attempt has been made. */
    readonly round: number,
  ) {}

  replied(frame: Frame): void {
    if (frame.type === ReplyType.published) {
      this.producer.confirmed(this, decodePublished(frame.payload));
      return;
    }
    const reply = decodeReply(frame.type, frame.payload);
    if (reply.kind !== "error") {
      throw new ConnectionLostError(`Cannot take ${reply.kind} for an answer to a publish`);
    }
    this.producer.refused(this, errorOfReply(reply));
  }

  lost(error: FlowMQError): void {
    this.producer.refused(this, error);
  }
}

/** See the module comment. */
export class PartitionProducer implements SessionMember {
  /** Where to. */
  readonly partition: ProducerPartition;
  /** Under whose name. */
  readonly session: Session;
  readonly #events: ProducerEvents;
  readonly #runtime: ClientRuntime;
  readonly #arena = new PublishArena();
  readonly #backoff: Backoff;
  /** Why the broker took nothing the last time, if it takes anything at all. */
  #refusal: FlowMQError | undefined;
  /** Unconfirmed and closed, in order. Invariant: those that were sent come before those that were not. */
  #batches: Batch[] = [];
  #open: Batch | undefined;
  #inFlight = 0;
  #nextSequence = 0;
  /** While the session is being attached: from here on nothing was sent before that. */
  #firstBehindAttach = Infinity;
  /** Counts the times that everything was sent again. */
  #round = 0;
  #isRetired = false;
  /** The retired one whose end this one waits for. */
  #predecessor: PartitionProducer | undefined;
  #successor: PartitionProducer | undefined;
  #isFlushing = false;
  #pause: TimerId | undefined;
  /** How many partitions the queue has for whoever fills the batches; 0 where they go here anyway. */
  #partitionCount: number;
  /** Nothing is sent that was not sent before. */
  #isHeld = false;

  /**
   * Makes a producer; its session has to be told of it by `session.add`.
   *
   * @param partition Where to.
   * @param session Under whose name.
   * @param runtime The world.
   * @param events What to tell the publisher.
   * @param partitionCount How many partitions the queue has, if this one is chosen by keys.
   */
  constructor(
    partition: ProducerPartition,
    session: Session,
    runtime: ClientRuntime,
    events: ProducerEvents,
    partitionCount = 0,
  ) {
    this.#partitionCount = partitionCount;
    this.partition = partition;
    this.session = session;
    this.#runtime = runtime;
    this.#events = events;
    const { backoffMsMin: msMin, backoffMsMax: msMax, backoffFactor: factor } = clientLimits;
    this.#backoff = new Backoff({ msMin, msMax, factor }, runtime.random);
  }

  /** Whether nothing waits to be sent or confirmed. */
  get isIdle(): boolean {
    return this.#batches.length === 0 && this.#open === undefined;
  }

  /**
   * Opens the batch that messages are to be added to in this turn; it is sent at its end.
   *
   * @param count How many will be added, so that they are not torn apart.
   * @param timeoutMs How long they may take.
   * @param bytes About how much they take.
   * @returns Where to add them, at once.
   */
  begin(count: number, timeoutMs: number, bytes: number): Batch {
    const open = this.#open;
    if (
      open !== undefined &&
      (open.timeoutMs !== timeoutMs ||
        open.messages.bytes + bytes > clientLimits.batchBytesSoft ||
        open.messages.count + count > clientLimits.batchCountSoft)
    ) {
      this.#seal();
      this.#pump();
    }
    const batch = this.#open ??= new Batch(
      this.#arena,
      timeoutMs,
      this.#runtime.clock.monotonic(),
    );
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      atEndOfTurn(this.#gathered, this.#flush);
    }
    return batch;
  }

  readonly #gathered = (): number => this.#open?.messages.count ?? 0;

  readonly #flush = (): void => {
    this.#isFlushing = false;
    // While many batches are under way more messages gather: batches grow with the load.
    if (this.#canSend()) this.#seal();
    this.#pump();
  };

  /**
   * Takes over from a retired producer, and sends nothing before that one has come to its end.
   *
   * @param predecessor The retired one.
   * @param unsent What it has never sent.
   */
  succeed(predecessor: PartitionProducer, unsent: readonly Batch[]): void {
    this.#batches.push(...unsent);
    if (!predecessor.isIdle) {
      this.#predecessor = predecessor;
      predecessor.#successor = this;
    }
    this.#pump();
  }

  attaching(): void {
    this.#firstBehindAttach = this.#nextSequence;
    this.#flushMore();
  }

  ready(): void {
    this.#firstBehindAttach = Infinity;
    this.#flushMore();
  }

  down(): void {
    this.#goBack();
  }

  forgotten(error: FlowMQError): void {
    const sent = this.#takeSent();
    this.#nextSequence = 0;
    const first = sent.findIndex(({ baseSequence }) => baseSequence >= this.#firstBehindAttach);
    // The attach found no session, so those that were first sent behind it find none either.
    const refused = first === -1 ? [] : sent.splice(first);
    for (const batch of refused) batch.baseSequence = -1;
    this.#batches.unshift(...refused);
    for (const batch of sent) {
      this.#fail(
        batch,
        new FlowMQError(
          "Cannot tell whether the message was published as the session is forgotten",
          { code: ErrorCode.sessionNotFound, maybeApplied: true, cause: error },
        ),
      );
    }
    this.#letSuccessorGo();
  }

  /**
   * Sets the number of the first message, before any is sent.
   *
   * @param sequence What comes next in the session.
   */
  goOnAt(sequence: number): void {
    this.#nextSequence = sequence;
  }

  /** A batch is stored. */
  confirmed(attempt: Attempt, published: Published): void {
    const { batch } = attempt;
    if (published.count !== batch.messages.count) {
      throw new ConnectionLostError(
        `Cannot take a confirmation of ${published.count} messages for ${batch.messages.count}`,
      );
    }
    this.#landed(attempt);
    if (!this.#remove(batch)) return;
    this.#backoff.reset();
    this.#refusal = undefined;
    this.#events.released(batch.messages.bytes);
    batch.confirm(this.partition.number, published);
    this.#flushMore();
  }

  /** A batch was not taken, or nobody knows. */
  refused(attempt: Attempt, error: FlowMQError): void {
    this.#landed(attempt);
    const { batch, connection } = attempt;
    if (!error.maybeApplied) batch.attemptsInDoubt--;
    if (attempt.round !== this.#round || !this.#batches.includes(batch)) return;
    if (error.code === ErrorCode.sequenceGap) {
      // A batch before this one went astray. The first one has none before it: its number is wrong.
      if (batch === this.#batches[0]) this.#giveUp(error);
      else this.#sendAgain();
    } else if (error.code === ErrorCode.queueGrown) {
      this.#takeBackFrom(batch);
    } else if (error.code === ErrorCode.overloaded || hasToWait(error)) {
      this.#refusal = error;
      this.#sendAgain();
    } else if (isRetryable(error.code) || error.code === ErrorCode.sessionNotFound) {
      this.#goBack();
      this.session.detached(connection, error);
    } else if (
      error.code === ErrorCode.partitionNotFound || error.code === ErrorCode.queueNotFound
    ) {
      this.#lose(error);
    } else if (error.code === ErrorCode.limitReached) {
      // Refused by the machine, which counts it as done: the numbers go on behind it.
      this.#remove(batch);
      this.#fail(batch, error);
      this.#flushMore();
    } else {
      // Refused by the node before it got a place in the log: its numbers are missing now.
      this.#remove(batch);
      this.#fail(batch, error);
      this.#retire();
    }
  }

  /** Whether nothing that was sent waits for its end. */
  get isSettled(): boolean {
    return !this.#batches.some((batch) => batch.wasSent);
  }

  /** Sends nothing new until `placeBy`: the queue has more partitions. */
  hold(): void {
    this.#isHeld = true;
  }

  /**
   * Hands over what was not sent.
   *
   * @returns The batches, in order; none may have been stored.
   */
  takeUnsent(): Batch[] {
    this.#seal();
    const unsent = this.#keepSent();
    if (this.#isRetired) this.#pump();
    return unsent;
  }

  /**
   * Goes on, with batches that were filled knowing more partitions.
   *
   * @param partitionCount How many.
   * @param batches What is to be sent first.
   */
  placeBy(partitionCount: number, batches: readonly Batch[]): void {
    this.#partitionCount = partitionCount;
    this.#isHeld = false;
    this.#batches.push(...batches);
    this.#flushMore();
  }

  /**
   * Makes an empty batch, to be filled at once.
   *
   * @param batch Where its messages come from: they do not wait any longer for that.
   */
  batchLike({ timeoutMs, deadlineMs }: Batch): Batch {
    return new Batch(this.#arena, timeoutMs, deadlineMs - timeoutMs);
  }

  /** Brings what there is to an end, and takes nothing more. */
  finish(): void {
    this.#isRetired = true;
    this.#isHeld = false;
    this.#seal();
    this.#pump();
  }

  /** Fails what has waited too long; called again and again. */
  sweep(nowMs: number): void {
    if (this.#open !== undefined && this.#open.deadlineMs <= nowMs) this.#seal();
    const late = this.#batches.filter((batch) => batch.deadlineMs <= nowMs);
    if (late.length === 0) return;
    const sent = [...late, ...this.#batches].filter((batch) => batch.wasSent);
    for (const batch of late) {
      this.#remove(batch);
      this.#fail(batch, this.#lateError(batch));
    }
    if (late.some((batch) => batch.wasSent)) {
      if (sent.some((batch) => batch.isInDoubt)) this.#retire();
      else this.#numberAgain(Math.min(...sent.map((batch) => batch.baseSequence)));
    }
    this.#flushMore();
  }

  /** A batch has not been stored, and never will be, nor those behind it. */
  #takeBackFrom(first: Batch): void {
    this.#isHeld = true;
    this.#goBack();
    this.#nextSequence = first.baseSequence;
    for (const batch of this.#batches.slice(this.#batches.indexOf(first))) batch.takeBack();
    this.#events.queueGrown(this);
    this.#pump();
  }

  /** Nothing of what was sent is stored, as all of it was refused: its numbers are free again. */
  #numberAgain(nextSequence: number): void {
    this.#goBack();
    this.#nextSequence = nextSequence;
    for (const batch of this.#batches) batch.baseSequence = -1;
  }

  /** What a batch fails with whose time is over. */
  #lateError({ timeoutMs, isInDoubt: maybeApplied }: Batch): FlowMQError {
    const to = `publish to queue ${JSON.stringify(this.partition.queue)}`;
    if (this.#refusal !== undefined && hasToWait(this.#refusal)) {
      const { message, code } = this.#refusal;
      return new FlowMQError(`Cannot ${to} within ${timeoutMs} ms. ${message}`, {
        code,
        maybeApplied,
        cause: this.#refusal,
      });
    }
    const cause = this.#refusal ?? this.session.lastError;
    return new RequestTimeoutError(to, timeoutMs, { maybeApplied, cause });
  }

  /** Fails everything that is left: the client is being closed. */
  fail(error: (maybeApplied: boolean) => FlowMQError): void {
    this.#seal();
    for (const batch of this.#batches.splice(0)) this.#fail(batch, error(batch.isInDoubt));
    this.#cancelPause();
    this.#letSuccessorGo();
  }

  #letSuccessorGo(): void {
    if (this.#successor === undefined || !this.isIdle) return;
    this.#successor.#predecessor = undefined;
    this.#successor.#flushMore();
    this.#successor = undefined;
  }

  #canSend(): boolean {
    return this.#predecessor === undefined && !this.#isHeld &&
      this.session.publishConnection !== undefined && this.#pause === undefined &&
      this.#inFlight < clientLimits.batchesInFlightMax;
  }

  /** Closes the open batch. */
  #seal(): void {
    if (this.#open === undefined) return;
    this.#batches.push(this.#open);
    this.#open = undefined;
    this.#events.sealed(this);
  }

  /** Sends what has not been sent in this round, as far as the window allows. */
  #pump(): void {
    if (this.#isRetired && this.#batches.length === 0) {
      this.session.remove(this);
      this.#letSuccessorGo();
      if (this.#isHeld) this.#events.settled();
      return;
    }
    if (this.#predecessor !== undefined) return;
    const connection = this.session.publishConnection;
    if (connection === undefined || this.#pause !== undefined) return;
    for (let i = this.#inFlight; i < this.#batches.length; i++) {
      if (this.#inFlight >= clientLimits.batchesInFlightMax) return;
      const batch = this.#batches[i]!;
      if (batch.isInFlight) continue;
      if (!batch.wasSent) {
        if (this.#isHeld) break;
        batch.baseSequence = this.#nextSequence;
        this.#nextSequence += batch.messages.count;
      }
      this.#send(batch, connection);
    }
    if (this.#isHeld && this.isSettled) this.#events.settled();
  }

  #send(batch: Batch, connection: Connection): void {
    batch.isInFlight = true;
    batch.attemptsInDoubt++;
    this.#inFlight++;
    const correlationId = connection.expect(new Attempt(this, batch, connection, this.#round));
    const head = batch.messages.encodeHead(RequestType.publish, correlationId, {
      shard: this.session.shard,
      sessionId: this.session.id,
      partitionId: this.partition.partitionId,
      baseSequence: batch.baseSequence,
      partitionCount: this.#partitionCount,
    });
    connection.send(head, batch.messages.area);
  }

  /** An attempt has ended: there is room for another, if it is of this round. */
  #landed(attempt: Attempt): void {
    if (attempt.round !== this.#round || !attempt.batch.isInFlight) return;
    attempt.batch.isInFlight = false;
    this.#inFlight--;
  }

  /** From now on nothing counts as under way: all that is unconfirmed is to be sent again. */
  #goBack(): void {
    this.#round++;
    this.#inFlight = 0;
    for (const batch of this.#batches) batch.isInFlight = false;
  }

  /** Sends everything again after a pause, on the connection there is. */
  #sendAgain(): void {
    this.#goBack();
    this.#pause ??= this.#runtime.clock.setTimeout(() => {
      this.#pause = undefined;
      this.#flushMore();
    }, this.#backoff.next());
  }

  #cancelPause(): void {
    if (this.#pause !== undefined) this.#runtime.clock.clearTimeout(this.#pause);
    this.#pause = undefined;
  }

  #flushMore(): void {
    if (this.#open !== undefined && !this.#isFlushing && this.#canSend()) this.#seal();
    this.#pump();
  }

  /** The shard does not count as we do: nothing that was sent can be brought to an end. */
  #giveUp(error: FlowMQError): void {
    for (const batch of this.#takeSent()) {
      this.#fail(
        batch,
        new FlowMQError(error.message, { code: error.code, maybeApplied: true, cause: error }),
      );
    }
    this.#retire();
    this.#pump();
  }

  /** The partition is gone, with everything in it. */
  #lose(error: FlowMQError): void {
    this.#seal();
    this.#goBack();
    this.session.remove(this);
    this.#isRetired = true;
    const lost = this.#batches.splice(0);
    this.#events.partitionLost(this);
    for (const batch of lost) {
      this.#fail(batch, new QueueNotFoundError(this.partition.queue, { cause: error }));
    }
    this.#letSuccessorGo();
  }

  /** Goes on only with what was sent; the rest goes to a successor. */
  #retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#seal();
    this.#events.retired(this, this.#keepSent());
    this.#pump();
  }

  /** Takes out the batches that were not sent. */
  #keepSent(): Batch[] {
    const sent = this.#takeSent();
    const unsent = this.#batches;
    this.#batches = sent;
    return unsent;
  }

  /** Takes out the batches that were sent. */
  #takeSent(): Batch[] {
    const count = this.#batches.findIndex((batch) => !batch.wasSent);
    return this.#batches.splice(0, count === -1 ? this.#batches.length : count);
  }

  #remove(batch: Batch): boolean {
    // Confirmations come in order: it is the first one nearly always.
    const at = this.#batches[0] === batch ? 0 : this.#batches.indexOf(batch);
    if (at === -1) return false;
    if (at === 0) this.#batches.shift();
    else this.#batches.splice(at, 1);
    if (batch.isInFlight) {
      batch.isInFlight = false;
      this.#inFlight--;
    }
    return true;
  }

  #fail(batch: Batch, error: FlowMQError): void {
    this.#events.released(batch.messages.bytes);
    batch.fail(error);
  }
}

/** Whether there is no room at the moment, on the disks or in the queue, or it may not be in yet. */
function hasToWait({ code }: FlowMQError): boolean {
  return code === ErrorCode.diskFull || code === ErrorCode.queueFull ||
    code === ErrorCode.queueGrowing;
}
