/**
 * Brings what is in the outbox of a shard to where it is to go.
 *
 * The keeper runs where the shard is led. For each partition that something waits to go to, it reads the
 * next messages out of the log, proposes them in the shard of that partition, wherever that is led, and
 * when they are stored there, takes them out of the outbox. One batch at a time goes to a partition, so
 * that transfers arrive in the order of their ids: by that the target knows what it has. Every step may
 * happen twice; a new leader begins with what its outbox holds.
 *
 * A dead-letter queue that is missing is made. Another queue that is missing has been deleted since
 * somebody published to it, and what was on its way is gone with it.
 *
 * @module
 */

import {
  isDeadLetterQueue,
  type QueueInfo,
  queueSettings,
  type ShardMachine,
  type Transfer,
  type TransferTarget,
} from "../queue/mod.ts";
import type { Entry } from "../raft/mod.ts";
import {
  decodeMessage,
  encodeHeaders,
  encodeMessageOptions,
  encodeTransfer,
  type MessageBounds,
  messageBoundsIn,
  PublishArena,
  PublishBatch,
  withDeathNote,
  withReplayNote,
} from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { InternalClient } from "./internal_client.ts";
import type { Logger } from "./logger.ts";

/** What the keeper needs of its shard. */
export interface OutboxSource {
  readonly id: number;
  readonly machine: ShardMachine;
  readonly store: { entry(index: number): Entry };
}

/** What the keeper needs of its node. */
export interface OutboxKeeperContext {
  readonly client: Pick<InternalClient, "submit" | "transfer" | "findQueue">;
  readonly shardCount: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The log cannot be read. */
  fail(error: Error): void;
}

/** Where a partition is. */
interface Place {
  readonly partitionId: number;
  readonly shard: number;
}

/** Partitions that something is being brought to at a time. */
const UNDER_WAY_MAX = 32;

/** How much goes into one transfer. */
const BATCH_COUNT_MAX = 256;
const BATCH_BYTES_MAX = 1 << 20;

/** Pause before a step that failed is tried again, in milliseconds; doubled with each failure. */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;

/** Queues whose place is remembered. */
const PLACES_MAX = 1_000;

/** The keeper of one shard on one node; idle unless that node leads the shard. */
export class OutboxKeeper {
  readonly #shard: OutboxSource;
  readonly #context: OutboxKeeperContext;
  /** Partitions that are dealt with, those that wait for another attempt included. */
  readonly #busy = new Set<string>();
  readonly #queues = new Map<string, QueueInfo>();
  /** Those that wait, and how to let them go on. */
  readonly #pauses = new Map<TimerId, () => void>();
  #underWay = 0;
  #leading = false;
  /** The newest transfer that the lanes were looked through for. */
  #seenId = 0;

  /**
   * @param shard Whose outbox.
   * @param context The node around it.
   */
  constructor(shard: OutboxSource, context: OutboxKeeperContext) {
    this.#shard = shard;
    this.#context = context;
  }

  /** This node begins or ceases to lead the shard. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.#seenId = 0;
    if (leading) return this.check();
    for (const [timer, goOn] of this.#pauses) {
      this.#context.clock.clearTimeout(timer);
      goOn();
    }
    this.#pauses.clear();
  }

  /** Something may have come into the outbox: brings it on its way. */
  check(): void {
    const { machine } = this.#shard;
    if (!this.#leading || machine.outboxSize === 0 || machine.newestTransferId === this.#seenId) {
      return;
    }
    for (const { target } of machine.transferLanes()) {
      if (this.#underWay >= UNDER_WAY_MAX) return;
      const key = keyOf(target);
      if (this.#busy.has(key)) continue;
      this.#busy.add(key);
      this.#underWay++;
      void this.#serve(target, key);
    }
    this.#seenId = machine.newestTransferId;
  }

  /** Brings all that goes to one partition there, unless something is in the way. */
  async #serve(target: TransferTarget, key: string): Promise<void> {
    let pauseMs = RETRY_MS_MIN;
    while (this.#leading && this.#shard.machine.transferLane(target) !== undefined) {
      try {
        await this.#move(target);
        pauseMs = RETRY_MS_MIN;
      } catch (error) {
        if (!this.#leading) break;
        this.#queues.delete(target.queue);
        this.#context.log.debug("Could not bring messages to a queue yet", {
          shard: this.#shard.id,
          queue: target.queue,
          error: error instanceof Error ? error.message : String(error),
        });
        // Others have their turn meanwhile.
        this.#release();
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX);
        this.#underWay++;
      }
    }
    this.#busy.delete(key);
    this.#release();
  }

  /** One more may be under way now. */
  #release(): void {
    this.#underWay--;
    this.#seenId = 0;
    this.check();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#context.clock.setTimeout(() => {
        this.#pauses.delete(timer);
        resolve();
      }, ms);
      this.#pauses.set(timer, resolve);
    });
  }

  /** Moves one batch. */
  async #move(target: TransferTarget): Promise<void> {
    const { client, log } = this.#context;
    const place = await this.#placeOf(target);
    const transfers = this.#shard.machine.transferLane(target)?.transfers;
    if (!this.#leading || transfers === undefined) return;
    if (place === undefined) {
      const ids = [...transfers.keys()].slice(0, BATCH_COUNT_MAX);
      log.info("Messages for a queue that was deleted are dropped", {
        shard: this.#shard.id,
        queue: target.queue,
        messages: ids.length,
      });
      return client.submit(this.#shard.id, { kind: "transferDone", ids });
    }
    const { ids, command } = this.#read(transfers, place.partitionId);
    const takenId = await client.transfer(place.shard, command);
    const done = ids.filter((id) => id <= takenId);
    await client.submit(this.#shard.id, { kind: "transferDone", ids: done });
  }

  /** Reads the first messages of a lane out of the log. */
  #read(
    transfers: ReadonlyMap<number, Transfer>,
    partitionId: number,
  ): { ids: number[]; command: Uint8Array } {
    const messages = new PublishBatch(new PublishArena());
    const bounds: MessageBounds = { start: 0, end: 0 };
    const ids: number[] = [];
    let entry: Entry | undefined;
    for (const transfer of transfers.values()) {
      const { id, entryIndex, position } = transfer;
      if (ids.length === BATCH_COUNT_MAX || messages.bytes >= BATCH_BYTES_MAX) break;
      if (entry?.index !== entryIndex) entry = this.#entry(entryIndex);
      messageBoundsIn(entry.data, position, bounds);
      addTransferred(messages, transfer, entry.data, bounds);
      ids.push(id);
    }
    const head = {
      partitionId,
      sourceShard: this.#shard.id,
      firstId: ids[0]!,
      lastId: ids.at(-1)!,
    };
    return { ids, command: encodeTransfer(head, messages) };
  }

  #entry(index: number): Entry {
    try {
      return this.#shard.store.entry(index);
    } catch (error) {
      this.#context.fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  /** @returns Where a partition is, or `undefined` when there is no such thing any more. */
  async #placeOf({ queue: name, partition }: TransferTarget): Promise<Place | undefined> {
    const known = placeIn(this.#queues.get(name), partition);
    if (known !== undefined) return known;
    // What was known may be of before the queue was made, or got more partitions.
    const queue = await this.#find(name);
    if (queue === undefined) return undefined;
    if (this.#queues.size >= PLACES_MAX) this.#queues.clear();
    this.#queues.set(name, queue);
    return placeIn(queue, partition);
  }

  async #find(name: string): Promise<QueueInfo | undefined> {
    const { client, shardCount } = this.#context;
    const found = await client.findQueue(name);
    if (found !== undefined || !isDeadLetterQueue(name)) return found;
    await client.submit(0, {
      kind: "createQueue",
      name,
      settings: DEAD_LETTER_SETTINGS,
      shardCount,
      acceptExisting: true,
    });
    const made = await client.findQueue(name);
    if (made === undefined) throw new Error(`Queue ${JSON.stringify(name)} is gone again`);
    return made;
  }
}

/**
 * Lays a message out as it arrives. What it asked for when it was published has been done, but for the
 * priority; a message that is brought back lives anew, and a dead letter does not expire.
 */
function addTransferred(
  messages: PublishBatch,
  { death, replayOf }: Transfer,
  data: Uint8Array,
  { start, end }: MessageBounds,
): void {
  if (death === undefined && replayOf === undefined) {
    return void messages.addRecord(data.subarray(start, end));
  }
  const { key, headers, options, body } = decodeMessage(data, start, end);
  const { ttlMs, priority = 0 } = options;
  if (death !== undefined) {
    const noted = encodeHeaders(withDeathNote(headers, death, ttlMs));
    messages.add(body, key, noted, encodeMessageOptions({ priority }));
  } else {
    const noted = encodeHeaders(withReplayNote(headers, replayOf!));
    const lives = ttlMs === undefined ? {} : { ttlMs };
    messages.add(body, key, noted, encodeMessageOptions({ priority, ...lives }));
  }
}

function placeIn(queue: QueueInfo | undefined, partition: number): Place | undefined {
  const found = queue?.partitions.find(({ number }) => number === partition);
  return found === undefined ? undefined : { partitionId: found.id, shard: found.shard };
}

function keyOf({ queue, partition }: TransferTarget): string {
  return `${partition}/${queue}`;
}

/** A queue for dead letters keeps what it has. */
const DEAD_LETTER_SETTINGS = queueSettings({ maxDeliveries: 0 });
