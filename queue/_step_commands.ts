/**
 * The steps of the comparison with the naive model, and the commands that they become: a step says what is
 * to happen, and with which of the sessions, consumers and messages that there are at that moment.
 *
 * @module
 */

import type { Command, MessageDetails, QueueSettings } from "./commands.ts";
import type { Model } from "./_model.ts";

/** What to do next. Numbers named `pick…` choose among what there is when the step is taken. */
export type Step =
  | { kind: "command"; command: Command; passMs: number }
  | {
    kind: "publish";
    pickSession: number;
    partitionId: number;
    sequence: "next" | "repeat" | "gap" | "overlap";
    pickBatch: number;
    count: number;
    partitionCount: number | undefined;
    /** What each message asks for; `undefined` for a plain batch. */
    details: MessageDetails[] | undefined;
    passMs: number;
  }
  | {
    kind: "settle";
    pickConsumer: number;
    operation: 0 | 1 | 2 | 3;
    delayMs: number | undefined;
    reason: string | undefined;
    /** About one of the messages held, or about one that may not be. */
    words: { which: number; isHeld: boolean; countOff: number }[];
    otherConsumer: boolean;
    passMs: number;
  }
  /** An ack that publishes, of one message. */
  | {
    kind: "settleAndPublish";
    pickConsumer: number;
    which: number;
    countOff: number;
    sequence: number;
    answered: number;
    targets: number;
    passMs: number;
  }
  /** Somebody wants acked messages back. */
  | {
    kind: "replay";
    partitionId: number;
    sinceMs: number;
    indexBack: number;
    passMs: number;
  }
  /** The keeper takes something out of the outbox. */
  | { kind: "transferDone"; count: number; passMs: number }
  | {
    kind: "ofSession";
    pickSession: number;
    make: (sessionId: number, attachIndex: number) => Command;
    passMs: number;
  }
  /** The keeper of schedules fires one, or somebody lets it go on, at times near the one it waits for. */
  | {
    kind: "schedule";
    pickSchedule: number;
    what: "fire" | "resume";
    offMs: number;
    afterMs: number;
    passMs: number;
  }
  /** The queue of a partition has changed, and is growing further, is not growing, or as it was. */
  | {
    kind: "update";
    partitionId: number;
    settings: QueueSettings;
    paused: boolean;
    revision: number;
    growth: "same" | "over" | "more";
    passMs: number;
  }
  /** The keeper takes one item off the catalog's list. */
  | { kind: "keeper"; pickItem: number }
  /** A partition of a queue that grows is drained, now or in an earlier growth. */
  | { kind: "drained"; pickPartition: number; lessRevision: number; passMs: number }
  | { kind: "passToDeadline"; lessMs: number }
  | { kind: "failover" }
  | { kind: "capture" };

/** A step that is a command. */
export type CommandStep = Exclude<
  Step,
  { kind: "capture" | "failover" | "keeper" | "passToDeadline" }
>;

/**
 * Makes the command of a step.
 *
 * @param step The step.
 * @param model What there is.
 * @param index The entry before.
 * @returns The command, or `undefined` where there is nothing that it could be about.
 */
export function commandOf(step: CommandStep, model: Model, index: number): Command | undefined {
  switch (step.kind) {
    case "command":
      return step.command;
    case "ofSession": {
      const sessionId = pickSession(model, step.pickSession);
      const session = model.sessions.find(sessionId);
      return step.make(sessionId, session?.attachIndex ?? 0);
    }
    case "publish": {
      const sessionId = pickSession(model, step.pickSession);
      const { partitionId, count, pickBatch, details, partitionCount } = step;
      const published = model.sessions.find(sessionId)
        ?.published.get(partitionId);
      const batches = published?.batches ?? [];
      const batch = batches[batches.length - 1 - pickBatch % 5];
      const next = published?.next ?? 0;
      const [baseSequence, batchCount] = step.sequence === "next" || batch === undefined
        ? [next, count]
        : step.sequence === "gap"
        ? [next + pickBatch + 1, count]
        : step.sequence === "repeat"
        ? [batch.base, batch.count]
        : [batch.base, batch.count + 1];
      return {
        kind: "publish",
        sessionId,
        partitionId,
        baseSequence,
        count: batchCount,
        // Batches of different sizes, which do not always divide by their messages.
        bytes: batchCount * 10 + baseSequence % 7,
        ...(partitionCount === undefined ? {} : { partitionCount }),
        ...(details === undefined ? {} : {
          details: {
            hasOptions: details.some((one) => Object.keys(one).length > 0),
            at: (position) => details[position] ?? {},
          },
        }),
      };
    }
    case "update": {
      const { partitionId, settings, paused, revision, growth } = step;
      const { number = 0, growingFrom: before } =
        model.partitions.find(({ id }) => id === partitionId) ?? {};
      const more = Math.max(number, before ?? 0) + 1;
      const growingFrom = growth === "over" ? undefined : growth === "same" ? before : more;
      return {
        kind: "updatePartition",
        partitionId,
        settings,
        paused,
        revision,
        ...(growingFrom === undefined ? {} : { growingFrom }),
      };
    }
    case "drained": {
      const growing = model.catalog.queues.flatMap(({ draining, grownAt }) =>
        draining.map((partitionId) => ({ partitionId, revision: grownAt }))
      );
      const { partitionId, revision } = growing[step.pickPartition % growing.length] ?? {};
      if (partitionId === undefined || revision === undefined) return undefined;
      return {
        kind: "partitionSettled",
        partitionId,
        action: "drain",
        revision: revision - step.lessRevision,
      };
    }
    case "schedule": {
      const { all } = model.schedules;
      const schedule = all[step.pickSchedule % all.length];
      if (schedule === undefined) return undefined;
      const { partitionId, id, number, nextMs: waitsFor } = schedule;
      const dueMs = waitsFor + step.offMs;
      const nextMs = step.afterMs < 0 ? 0 : dueMs + step.afterMs;
      return step.what === "fire"
        ? { kind: "fireSchedule", partitionId, number, dueMs, nextMs, bytes: 4 }
        : { kind: "resumeSchedule", partitionId, id, number, nextMs };
    }
    case "replay": {
      const { kind, partitionId, sinceMs, indexBack } = step;
      return { kind, partitionId, sinceMs, untilIndex: Math.max(0, index - indexBack) };
    }
    case "transferDone":
      return {
        kind: "transferDone",
        ids: model.outbox.transfers.slice(0, step.count).map(({ id }) => id),
      };
    case "settleAndPublish": {
      const all = model.partitions.flatMap(({ consumers }) => consumers.all);
      const consumer = all[step.pickConsumer % all.length];
      if (consumer === undefined) return undefined;
      const held = model.held(consumer);
      const { offset, deliveryCount } = held[step.which % held.length] ??
        { offset: step.which, deliveryCount: 1 };
      const { sessionId, consumerId, partitionId } = consumer;
      return {
        kind: "settleAndPublish",
        sessionId,
        consumerId,
        partitionId,
        offsets: [offset],
        deliveryCounts: [deliveryCount + step.countOff],
        sequence: step.sequence,
        answeredBelow: step.answered,
        targets: Array.from(
          { length: step.targets },
          (_, partition) => ({ queue: "next", partition }),
        ),
      };
    }
    case "settle": {
      const all = model.partitions.flatMap(({ consumers }) => consumers.all);
      const busy = all.filter((consumer) => model.held(consumer).length > 0);
      // Most often one with something to settle.
      const consumers = busy.length === 0 || step.pickConsumer === 0 ? all : busy;
      const consumer = consumers[step.pickConsumer % consumers.length];
      if (consumer === undefined) return undefined;
      const held = model.held(consumer);
      const words = step.words.map(({ which, isHeld, countOff }) => {
        const message = isHeld ? held[which % held.length] : undefined;
        const { offset, deliveryCount } = message ?? { offset: which, deliveryCount: 1 };
        return { offset, deliveryCount: deliveryCount + countOff };
      });
      const { sessionId, consumerId, partitionId } = consumer;
      return {
        kind: "settle",
        sessionId,
        consumerId: step.otherConsumer ? consumerId + 1 : consumerId,
        partitionId,
        operation: step.operation,
        offsets: words.map(({ offset }) => offset),
        deliveryCounts: words.map(({ deliveryCount }) => deliveryCount),
        ...(step.delayMs === undefined ? {} : { delayMs: step.delayMs }),
        ...(step.reason === undefined ? {} : { reason: step.reason }),
      };
    }
  }
}

function pickSession(model: Model, pick: number): number {
  const { all: sessions } = model.sessions;
  // Most often one of the two oldest; now and then one that does not exist.
  if (pick === 20) return 1_000_000;
  const among = pick < 14 ? Math.min(2, sessions.length) : sessions.length;
  return sessions[pick % among]?.id ?? 1_000_000;
}
