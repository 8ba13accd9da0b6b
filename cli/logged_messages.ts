/**
 * The messages in the log of a shard on disk, and what became of each.
 *
 * @module
 */

import { LogReplay, type ReplayedEntry } from "../broker/log_replay.ts";
import {
  batchesOf,
  type MessageState,
  MessageStates,
  partitionsOf,
  type PlacedBatch,
} from "../broker/message_states.ts";
import type {
  FireScheduleCommand,
  PublishCommand,
  ShardMachine,
  TransferCommand,
} from "../queue/mod.ts";
import type { FileSystem } from "../storage/mod.ts";
import {
  commandTimestampMs,
  decodeMessage,
  type Message,
  type MessageBounds,
  messageBounds,
  publishCount,
} from "../wire/mod.ts";

/**
 * What became of a message in the log. Beside those of the queue:
 *
 * - `duplicate`: it was published before, and this is the repetition;
 * - `refused`: the queue did not take it.
 */
export type Fate = MessageState | "duplicate" | "refused";

/** A message in a log. */
export interface LoggedMessage extends Message {
  /** The name of its queue, `null` where the log does not say it any more. */
  readonly queue: string | null;
  /** The partition of the queue, from 0. */
  readonly partition: number | null;
  /** Its place there, `null` where it has none, or none that is still known. */
  readonly offset: number | null;
  readonly fate: Fate;
  readonly publishedAtMs: number;
  readonly index: number;
  readonly term: number;
  /** The file that it is in. */
  readonly path: string;
  /** Where in the file the record of its entry begins. */
  readonly byte: number;
}

/** A command that brings messages to a partition. */
type PublishingCommand = PublishCommand | FireScheduleCommand | TransferCommand;

/** What the log calls a partition. */
interface PartitionName {
  readonly queue: string;
  readonly partition: number;
}

/** The first offset of a batch, and what became of it as a whole, where that is all there is to say. */
interface Placement {
  readonly firstOffset: number | undefined;
  readonly fate: "stored" | "gone" | "duplicate" | "refused";
}

const gone: Placement = { firstOffset: undefined, fate: "gone" };

/** Reads the messages of one shard. */
export class LoggedMessages {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #shard: number;
  readonly #names = new Map<number, PartitionName>();

  /**
   * @param files Where the shard is.
   * @param directory Its directory.
   * @param shard Its number.
   */
  constructor(files: FileSystem, directory: string, shard: number) {
    this.#files = files;
    this.#directory = directory;
    this.#shard = shard;
  }

  /** The queues that have been met so far. */
  get queues(): ReadonlySet<string> {
    return new Set([...this.#names.values()].map(({ queue }) => queue));
  }

  /**
   * Goes through the log: once for what becomes of the messages, and once more for the messages.
   *
   * @param queue Only those of this queue, where it is given.
   * @returns The messages, in the order of the log. Bodies are good until the next one is asked for.
   */
  *read(queue?: string): Generator<LoggedMessage, void> {
    const states = new MessageStates(this.#replay().finish());
    const replay = this.#replay();
    this.#learn(replay.machine);
    const before = new BatchesBefore(replay.machine);
    for (const replayed of replay.entries()) {
      const { command } = replayed;
      if (command?.kind === "createPartition") {
        const { partitionId, queueName, partitionNumber } = command;
        this.#names.set(partitionId, { queue: queueName, partition: partitionNumber });
      }
      if (
        command?.kind !== "publish" && command?.kind !== "transfer" &&
        command?.kind !== "fireSchedule"
      ) continue;
      const name = this.#names.get(command.partitionId);
      if (queue !== undefined && name?.queue !== queue) continue;
      const place = placementOf(replayed, command, before);
      yield* messagesOf(replayed, command, name, place, states);
    }
  }

  #replay(): LogReplay {
    return new LogReplay(this.#files, this.#directory, this.#shard);
  }

  /** The partitions that are there when the run begins. */
  #learn(machine: ShardMachine): void {
    for (const id of machine.partitions()) {
      const { queueName, number } = machine.partition(id)!;
      this.#names.set(id, { queue: queueName, partition: number });
    }
  }
}

function placementOf(
  { entry, reply }: ReplayedEntry,
  { partitionId }: PublishingCommand,
  before: BatchesBefore,
): Placement {
  if (reply === undefined) return before.placementOf(partitionId, entry.index);
  if (reply.kind === "transferred") {
    const { firstOffset } = reply;
    return { firstOffset, fate: firstOffset === undefined ? "duplicate" : "stored" };
  }
  if (reply.kind !== "published") return { firstOffset: undefined, fate: "refused" };
  const { firstOffset, duplicate } = reply;
  return { firstOffset, fate: duplicate ? "duplicate" : "stored" };
}

function* messagesOf(
  { entry, path, offset: byte }: ReplayedEntry,
  { partitionId }: PublishingCommand,
  name: PartitionName | undefined,
  { firstOffset, fate }: Placement,
  states: MessageStates,
): Generator<LoggedMessage, void> {
  const { index, term, data } = entry;
  const bounds: MessageBounds = { start: 0, end: 0 };
  for (let position = 0; position < publishCount(data); position++) {
    messageBounds(data, position, bounds);
    const offset = firstOffset === undefined ? null : firstOffset + position;
    yield {
      ...decodeMessage(data, bounds.start, bounds.end),
      queue: name?.queue ?? null,
      partition: name?.partition ?? null,
      offset,
      fate: fate === "stored" ? states.stateOf(partitionId, offset!) : fate,
      publishedAtMs: commandTimestampMs(data),
      index,
      term,
      path,
      byte,
    };
  }
}

/** Where the messages of entries are that the snapshot has taken in: the log is read in its order. */
class BatchesBefore {
  readonly #walks: ReadonlyMap<number, Iterator<PlacedBatch, void>>;
  readonly #next = new Map<number, PlacedBatch | undefined>();

  constructor(machine: ShardMachine) {
    const partitions = [...partitionsOf(machine)];
    this.#walks = new Map(partitions.map(([id, partition]) => [id, batchesOf(partition)]));
    for (const id of this.#walks.keys()) this.#step(id);
  }

  placementOf(partitionId: number, index: number): Placement {
    let batch = this.#next.get(partitionId);
    while (batch !== undefined && batch.entryIndex < index) batch = this.#step(partitionId);
    if (batch?.entryIndex !== index) return gone;
    return { firstOffset: batch.firstOffset, fate: "stored" };
  }

  #step(partitionId: number): PlacedBatch | undefined {
    const batch = this.#walks.get(partitionId)!.next().value ?? undefined;
    this.#next.set(partitionId, batch);
    return batch;
  }
}
