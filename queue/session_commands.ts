/**
 * The life of sessions and consumers: what clients ask for, what a new leader does, what time does.
 *
 * A consumer receives only while it and its session are attached. When the connection is lost, both are
 * detached: the consumer keeps what it holds, and gets nothing more until its client is back and has
 * attached the session and the consumer again. So nothing is handed to a connection that is gone, and
 * nothing arrives before the client has said what it still has.
 *
 * Ending something that is not there is fine: a repeated request finds it done.
 *
 * @module
 */

import type {
  AttachConsumerCommand,
  CommandMeta,
  DetachConsumerCommand,
  DetachSessionCommand,
  OpenSessionCommand,
  Reply,
} from "./commands.ts";
import { Consumer } from "./consumer.ts";
import { COMMAND_BOUNDS, isIntegerIn } from "./limits.ts";
import { limitReached, OK, partitionNotFound, refused, sessionNotFound } from "./replies.ts";
import type { Failure } from "./outcomes.ts";
import type { Session } from "./session_table.ts";
import { QUEUE_SETTINGS } from "./settings.ts";
import type { ShardTables } from "./shard_tables.ts";

/**
 * Opens a session, attached.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log: its index becomes the session's id.
 * @param command The command.
 * @returns The id, or why not.
 */
export function openSession(
  tables: ShardTables,
  meta: CommandMeta,
  command: OpenSessionCommand,
): Reply {
  const { timeoutMs, clientName, producer } = command;
  const { sessionTimeoutMsMin, sessionTimeoutMsMax, clientNameLengthMax } = COMMAND_BOUNDS;
  if (!isIntegerIn(timeoutMs, sessionTimeoutMsMin, sessionTimeoutMsMax)) {
    return refused(
      "invalidArgument",
      `A session's time-out must be ${sessionTimeoutMsMin} to ${sessionTimeoutMsMax} ` +
        `milliseconds: current value is ${timeoutMs}`,
    );
  }
  if (typeof clientName !== "string" || clientName.length > clientNameLengthMax) {
    return refused(
      "invalidArgument",
      `A client name must be a text of up to ${clientNameLengthMax} characters`,
    );
  }
  const { producerNameLengthMax } = COMMAND_BOUNDS;
  if (producer !== undefined && !isIntegerIn(producer.length, 1, producerNameLengthMax)) {
    return refused(
      "invalidArgument",
      `A producer's name must have 1 to ${producerNameLengthMax} characters: ` +
        `current length is ${producer.length}`,
    );
  }
  const before = producer === undefined ? undefined : tables.sessions.named(producer);
  const session = tables.sessions.open(meta.index, clientName, timeoutMs, producer);
  if (session === undefined) return limitReached("sessions", tables.limits.sessions);
  const { id: sessionId } = session;
  if (producer === undefined) return { kind: "sessionOpened", sessionId };
  if (before !== undefined) {
    tables.publishers.move(before.id, sessionId);
    if (before.state !== "ended") tables.effects.sessionsEnded.push({ sessionId: before.id });
    forget(tables, before);
  }
  return { kind: "sessionOpened", sessionId, producers: tables.publishers.positions(sessionId) };
}

/**
 * Notes that a session has a connection again.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log: its index names this connection from now on.
 * @param sessionId Its id.
 * @returns `ok`, or why not.
 */
export function attachSession(tables: ShardTables, meta: CommandMeta, sessionId: number): Reply {
  const session = tables.sessions.get(sessionId);
  if (session === undefined) return sessionNotFound(sessionId);
  tables.sessions.attach(session, meta.index);
  for (const consumer of session.consumers()) setReceiving(tables, consumer, consumer.attached);
  return OK;
}

/**
 * Starts the time-out of a session that has lost its newest connection.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`, also where the session has another connection by now.
 */
export function detachSession(tables: ShardTables, command: DetachSessionCommand): Reply {
  const session = tables.sessions.get(command.sessionId);
  if (session?.attachIndex === command.attachIndex) detach(tables, session);
  return OK;
}

/**
 * Ends a session altogether.
 *
 * @param tables The state of the shard.
 * @param sessionId Its id.
 * @returns `ok`.
 */
export function closeSession(tables: ShardTables, sessionId: number): Reply {
  const session = tables.sessions.get(sessionId);
  if (session === undefined) return OK;
  if (session.producer === undefined || tables.publishers.count(sessionId) === 0) {
    forget(tables, session);
    return OK;
  }
  endConsumers(tables, session, undefined);
  if (session.state !== "ended") tables.sessions.end(session, tables.nowMs);
  return OK;
}

/**
 * Starts, resumes or changes a consumer. With less prefetch than it holds, it gets nothing until it
 * holds less.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`, or why not.
 */
export function attachConsumer(tables: ShardTables, command: AttachConsumerCommand): Reply {
  const { sessionId, consumerId, partitionId, prefetch, drain, leaseMs = 0 } = command;
  const session = tables.sessions.get(sessionId);
  if (session === undefined) return sessionNotFound(sessionId);
  if (!isIntegerIn(prefetch, 1, COMMAND_BOUNDS.prefetchMax)) {
    return refused(
      "invalidArgument",
      `Prefetch must be 1 to ${COMMAND_BOUNDS.prefetchMax}: current value is ${prefetch}`,
    );
  }
  if (!isIntegerIn(consumerId, 0, COMMAND_BOUNDS.u32Max)) {
    return refused("invalidArgument", `A consumer cannot have the id ${consumerId}`);
  }
  const problem = leaseMs === 0 ? undefined : QUEUE_SETTINGS.leaseMs.problem(leaseMs);
  if (problem !== undefined) return refused("invalidArgument", problem);
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  let consumer = session.consumer(consumerId, partitionId);
  if (consumer === undefined) {
    const { consumersPerPartition } = tables.limits;
    if (partition.consumers.size >= consumersPerPartition) {
      return limitReached("consumers of a partition", consumersPerPartition);
    }
    consumer = new Consumer(sessionId, consumerId, partitionId, prefetch);
    session.addConsumer(consumer);
    partition.attach(consumer, tables.nowMs);
  }
  consumer.prefetch = prefetch;
  consumer.attached = true;
  partition.setLease(consumer, leaseMs, tables.nowMs);
  partition.setDraining(consumer, drain === true);
  setReceiving(tables, consumer, session.state === "attached");
  return OK;
}

/**
 * Ends a consumer.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`.
 */
export function detachConsumer(tables: ShardTables, command: DetachConsumerCommand): Reply {
  const session = tables.sessions.get(command.sessionId);
  const consumer = session?.consumer(command.consumerId, command.partitionId);
  if (session !== undefined && consumer !== undefined) {
    endConsumer(tables, session, consumer, undefined);
  }
  return OK;
}

/**
 * Begins the time of a new leader. Every session has to find it and gets all its time for that; every
 * lease gets all its time too, since nobody could ack or extend it meanwhile.
 *
 * @param tables The state of the shard.
 */
export function beginTerm(tables: ShardTables): void {
  for (const session of tables.sessions.values()) detach(tables, session);
  for (const partition of tables.partitions.values()) partition.renewLeases(tables.nowMs);
}

/**
 * Ends the sessions whose time-out has passed, and forgets those whose retention has.
 *
 * @param tables The state of the shard.
 */
export function expireSessions(tables: ShardTables): void {
  for (;;) {
    const session = tables.sessions.due(tables.nowMs);
    if (session === undefined) return;
    if (session.state === "ended") {
      forget(tables, session);
      continue;
    }
    endConsumers(tables, session, "sessionTimedOut");
    tables.sessions.end(session, tables.nowMs);
    tables.effects.sessionsEnded.push({ sessionId: session.id });
  }
}

function detach(tables: ShardTables, session: Session): void {
  tables.sessions.detach(session, tables.nowMs);
  for (const consumer of session.consumers()) {
    consumer.attached = false;
    setReceiving(tables, consumer, false);
  }
}

function forget(tables: ShardTables, session: Session): void {
  endConsumers(tables, session, undefined);
  tables.publishers.forgetSession(session.id);
  tables.sessions.forget(session);
}

/** All consumers of a session, for the same reason: see `Partition.detach`. */
function endConsumers(
  tables: ShardTables,
  session: Session,
  failure: Failure | undefined,
): void {
  // In an order that follows from the log: messages may die here, one after the other.
  const consumers = [...session.consumers()].sort((a, b) => a.partitionId - b.partitionId);
  for (const consumer of consumers) endConsumer(tables, session, consumer, failure);
}

function endConsumer(
  tables: ShardTables,
  session: Session,
  consumer: Consumer,
  failure: Failure | undefined,
): void {
  const partition = tables.partitions.get(consumer.partitionId)!;
  partition.detach(consumer, failure, tables.nowMs);
  session.removeConsumer(consumer);
  tables.touch(partition);
}

function setReceiving(tables: ShardTables, consumer: Consumer, receiving: boolean): void {
  const partition = tables.partitions.get(consumer.partitionId)!;
  consumer.receiving = receiving;
  partition.refresh(consumer);
  tables.touch(partition);
}
