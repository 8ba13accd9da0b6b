/**
 * The recurring schedules of a queue, as a client holds them.
 *
 * @module
 */

import {
  type ClientRequest,
  ErrorCode,
  type MessageHeaders,
  type ReplyOf,
  type ScheduleInfo,
  type ScheduleTiming,
  type ServerReply,
} from "../wire/mod.ts";
import { asQueueError, checkOpen, type ClientCore, type WaitOptions } from "./core.ts";
import { FlowMQError } from "./errors.ts";
import { encodeProperties } from "./message_properties.ts";

/** What a schedule publishes, and when: by a cron expression or at equal distances. */
export interface ScheduleOptions extends WaitOptions {
  /** What the schedule is called in its queue. @default {eight letters and digits, at random} */
  readonly id?: string;
  /**
   * When it is due: minute, hour, day of the month, month, day of the week; with six fields, the first
   * one is the second. Also `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
   */
  readonly cron?: string;
  /** The time zone in which `cron` is read, such as `Europe/Berlin`. @default {"UTC"} */
  readonly timeZone?: string;
  /** Instead of `cron`: due every so many milliseconds, 1,000 or more, from now on. */
  readonly everyMs?: number;
  /** The body of each message: 65,535 bytes with key and headers. @default {""} */
  readonly body?: string | Uint8Array;
  /** The key of each message; the queue must have one partition. */
  readonly key?: string;
  /** The headers of each message, besides those that tell the schedule and the due time. */
  readonly headers?: MessageHeaders;
  /** Each message expires so many milliseconds after it was published: up to ten years. */
  readonly ttlMs?: number;
  /** From 0 to 9: messages of a higher one are delivered first. @default {0} */
  readonly priority?: number;
}

/** What `Schedules.add()` did. */
export interface AddedSchedule {
  /** The schedule. */
  readonly schedule: ScheduleInfo;
  /** Whether it was not there before. */
  readonly created: boolean;
}

const encoder = new TextEncoder();

/** The schedules of one queue; see `Queue.schedules`. */
export class Schedules {
  readonly #core: ClientCore;
  readonly #queue: string;

  /**
   * Made by `Queue.schedules`.
   *
   * @param core The client.
   * @param queue The queue's name.
   */
  constructor(core: ClientCore, queue: string) {
    this.#core = core;
    this.#queue = queue;
  }

  /**
   * Makes a schedule: from now on its message is published to the queue whenever it is due, once for each
   * due time. One of the same id that does the same is fine. The queue must be there.
   *
   * Each message says in the header `flowmq-schedule` which schedule it is of, and in
   * `flowmq-schedule-due-at` for which time.
   *
   * @param options When, and what.
   * @returns The schedule.
   * @throws {TypeError} when there is neither `cron` nor `everyMs`, or both.
   * @throws {RangeError} when there is a key, and the queue has several partitions, or a time to live or
   * a priority is out of its range.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {FlowMQError} with the code `scheduleExists` when one of the id does something else, with
   * `invalidArgument` when an option cannot be used.
   *
   * @example Usage
   * ```ts ignore
   * await client.queue("reports").schedules.add({ id: "daily", cron: "0 6 * * *", body: "sales" });
   * ```
   */
  async add(options: ScheduleOptions): Promise<AddedSchedule> {
    const { cron, everyMs, timeZone = "UTC", key, headers = {}, body = "" } = options;
    const { ttlMs, priority = 0 } = options;
    encodeProperties(options, this.#core.runtime.clock);
    if ((cron === undefined) === (everyMs === undefined)) {
      throw new TypeError("Cannot make a schedule as it takes either cron or everyMs");
    }
    const timing: ScheduleTiming = cron === undefined ? { everyMs: everyMs! } : { cron, timeZone };
    const id = options.id ?? randomId(this.#core.runtime.random);
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const message = {
      ...(key === undefined ? {} : { key }),
      headers,
      body: bytes,
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(priority === 0 ? {} : { priority }),
    };
    const { schedule, created } = await this.#call(
      `add schedule ${JSON.stringify(id)}`,
      (partitionId, partitions) => {
        if (key !== undefined && partitions > 1) {
          throw new RangeError(
            `Cannot make a schedule with a key as the queue must have one partition: it has ${partitions}`,
          );
        }
        return { kind: "addSchedule", partitionId, id, timing, message };
      },
      "scheduleReply",
      options,
    );
    return { schedule, created };
  }

  /**
   * Lists the schedules of the queue.
   *
   * @param options How long to wait.
   * @returns All of them, in the order in which they were made.
   * @throws {QueueNotFoundError} when there is no such queue.
   */
  async list(options: WaitOptions = {}): Promise<readonly ScheduleInfo[]> {
    const { schedules } = await this.#call(
      `list the schedules of queue ${JSON.stringify(this.#queue)}`,
      (partitionId) => ({ kind: "listSchedules", partitionId }),
      "scheduleList",
      options,
    );
    return schedules;
  }

  /**
   * Takes a schedule away. What it has published stays.
   *
   * @param id What it is called.
   * @param options How long to wait.
   * @throws {FlowMQError} with the code `scheduleNotFound` when there is none.
   */
  async remove(id: string, options: WaitOptions = {}): Promise<void> {
    try {
      await this.#call(
        `remove schedule ${JSON.stringify(id)}`,
        (partitionId) => ({ kind: "removeSchedule", partitionId, id }),
        "done",
        options,
      );
    } catch (error) {
      // It had to be asked twice, and the first time did it.
      const isDone = error instanceof FlowMQError && error.maybeApplied &&
        error.code === ErrorCode.scheduleNotFound;
      if (!isDone) throw error;
    }
  }

  /**
   * Lets a schedule rest: what it is due for meanwhile is not published, now or later.
   *
   * @param id What it is called.
   * @param options How long to wait.
   * @returns The schedule.
   * @throws {FlowMQError} with the code `scheduleNotFound` when there is none.
   */
  async pause(id: string, options: WaitOptions = {}): Promise<ScheduleInfo> {
    const { schedule } = await this.#call(
      `pause schedule ${JSON.stringify(id)}`,
      (partitionId) => ({ kind: "pauseSchedule", partitionId, id }),
      "scheduleReply",
      options,
    );
    return schedule;
  }

  /**
   * Lets a schedule that rests go on, with the next due time after now. One at equal distances begins
   * anew.
   *
   * @param id What it is called.
   * @param options How long to wait.
   * @returns The schedule.
   * @throws {FlowMQError} with the code `scheduleNotFound` when there is none.
   */
  async resume(id: string, options: WaitOptions = {}): Promise<ScheduleInfo> {
    const { schedule } = await this.#call(
      `resume schedule ${JSON.stringify(id)}`,
      (partitionId) => ({ kind: "resumeSchedule", partitionId, id }),
      "scheduleReply",
      options,
    );
    return schedule;
  }

  /** Asks the shard of the first partition, which is where the schedules of a queue are. */
  async #call<K extends ServerReply["kind"]>(
    what: string,
    request: (partitionId: number, partitions: number) => ClientRequest,
    kind: K,
    options: WaitOptions,
  ): Promise<ReplyOf<K>> {
    const core = this.#core;
    checkOpen(core);
    const ask = async (find: "findQueue" | "refreshQueue") => {
      const { partitions } = await core[find](this.#queue, options);
      const { id, shard } = partitions[0]!;
      return await core.call(what, request(id, partitions.length), shard, kind, options);
    };
    try {
      return await ask("findQueue");
    } catch (error) {
      // The queue that we knew was deleted: there may be another one of its name.
      const isOld = error instanceof FlowMQError && error.code === ErrorCode.partitionNotFound;
      if (!isOld) throw asQueueError(error, this.#queue);
    }
    return await ask("refreshQueue");
  }
}

function randomId(random: () => number): string {
  return Array.from({ length: 8 }, () => Math.floor(random() * 36).toString(36)).join("");
}
