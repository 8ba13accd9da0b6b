/**
 * The client: a connection to the cluster, from which everything else is made.
 *
 * @module
 */

import {
  type ClusterMetadata,
  ErrorCode,
  type NodeStatus,
  type QueueInfo,
  type QueueSettings,
} from "../wire/mod.ts";
import { parseAddress, parseServers } from "./address.ts";
import { compareReplicas, type ShardComparison } from "./comparison.ts";
import { expectReply } from "./connection.ts";
import { asQueueError, checkOpen, ClientCore, type WaitOptions } from "./core.ts";
import { denoClientRuntime } from "./deno_runtime.ts";
import { ConnectionLostError, FlowMQError, RequestTimeoutError } from "./errors.ts";
import { explain } from "./explain.ts";
import type { Explanation } from "./explanation.ts";
import { messageHistory, type MessageHistoryReport } from "./history.ts";
import { findMessage, messagePlace, type MessageReport } from "./look.ts";
import { type ConnectOptions, resolveOptions } from "./options.ts";
import type { MessagePlace } from "./message_id.ts";
import { Publisher } from "./publisher.ts";
import { Queue } from "./queue.ts";
import { type Removal, removeMessage } from "./remove_message.ts";
import { untilAborted } from "./waiting.ts";

/** Settings of the queue that `createQueue()` makes, and how long to wait. */
export interface CreateQueueOptions extends Partial<QueueSettings>, WaitOptions {}

/** Settings of a queue that `editQueue()` changes, and how long to wait. */
export interface EditQueueOptions extends Partial<QueueSettings>, WaitOptions {}

/** Settings of `close()`. */
export interface CloseOptions {
  /** How long to wait for what is under way. @default {the client's requestTimeoutMs} */
  readonly timeoutMs?: number;
}

/**
 * Connects to a cluster.
 *
 * @param servers One address, several separated by commas, or a list: `host:port`, port 7400 where it is
 * left out. One node is enough to find the others; more are better where one may be down.
 * @param options Settings.
 * @returns A client, once one node has answered.
 * @throws {ConnectionLostError} when no node answers in time.
 * @throws {TypeError} when an address cannot be read.
 * @throws The signal's reason when it is aborted.
 *
 * @example Usage
 * ```ts ignore
 * import { connect } from "@flowmq/flowmq";
 *
 * await using client = await connect("127.0.0.1:7400");
 * await client.queue("greetings").publish("hello");
 * ```
 */
export async function connect(
  servers: string | readonly string[] = "127.0.0.1:7400",
  options: ConnectOptions = {},
): Promise<Client> {
  const addresses = parseServers(servers);
  const settings = resolveOptions(options);
  const runtime = options.runtime ?? denoClientRuntime();
  options.signal?.throwIfAborted();
  const core = new ClientCore(addresses, settings, runtime);
  const attempt = new AbortController();
  const timer = runtime.clock.setTimeout(() => attempt.abort(), settings.connectTimeoutMs);
  const giveUp = () => attempt.abort();
  options.signal?.addEventListener("abort", giveUp, { once: true });
  try {
    await core.cluster.acquireAny(attempt.signal);
    return new Client(core);
  } catch (error) {
    core.close();
    options.signal?.throwIfAborted();
    throw error instanceof ConnectionLostError ? error : new ConnectionLostError(
      `Cannot connect to any node within ${settings.connectTimeoutMs} ms`,
      { cause: error },
    );
  } finally {
    runtime.clock.clearTimeout(timer);
    options.signal?.removeEventListener("abort", giveUp);
  }
}

/** A connection to a cluster; made by {@linkcode connect}. */
export class Client implements AsyncDisposable {
  readonly #core: ClientCore;
  readonly #publishers = new Map<string, Publisher>();
  #closing: Promise<void> | undefined;

  /**
   * Clients are made by {@linkcode connect}.
   *
   * @param core The shared parts.
   */
  constructor(core: ClientCore) {
    this.#core = core;
  }

  /**
   * A queue to publish to or consume from. Nothing is asked of the cluster yet.
   *
   * @param name The queue's name.
   * @returns The queue.
   */
  queue(name: string): Queue {
    return new Queue(name, {
      core: this.#core,
      publisher: (queue) => this.#publisher(queue),
    });
  }

  /**
   * Makes a queue. Making one again with the same settings does nothing.
   *
   * @param name Up to 255 bytes of UTF-8 without control characters.
   * @param options Settings of the queue, and how long to wait.
   * @returns The queue as it is on record, once all its partitions are ready.
   * @throws {FlowMQError} with code `queueExists` when there is one with other settings,
   *   `queueNameInvalid` or `settingsInvalid` when the cluster refuses a name or a setting.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async createQueue(name: string, options: CreateQueueOptions = {}): Promise<QueueInfo> {
    checkOpen(this.#core);
    const { signal: _signal, timeoutMs: _timeoutMs, ...settings } = options;
    return await this.#core.createQueue(name, settings, false, options);
  }

  /**
   * Changes settings of a queue while it is in use. What is not named stays as it is; asking for what
   * is so already does nothing.
   *
   * @param name The queue's name.
   * @param options The settings to change, and how long to wait.
   * @returns The queue as it is on record, once all its partitions work by it.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {FlowMQError} with code `settingsInvalid` when the cluster refuses a value, or a setting
   *   cannot be changed.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async editQueue(name: string, options: EditQueueOptions): Promise<QueueInfo> {
    checkOpen(this.#core);
    const { signal: _signal, timeoutMs: _timeoutMs, ...settings } = options;
    return await this.#core.editQueue(name, { settings }, options);
  }

  /**
   * Deletes a queue with everything in it.
   *
   * @param name The queue's name.
   * @param options How long to wait.
   * @throws {QueueNotFoundError} when there is no such queue, and this call has not removed it either.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async deleteQueue(name: string, options: WaitOptions = {}): Promise<void> {
    checkOpen(this.#core);
    const what = `delete queue ${JSON.stringify(name)}`;
    try {
      await this.#core.call(what, { kind: "deleteQueue", name }, 0, "done", options);
    } catch (error) {
      // An attempt whose answer was lost may have removed it: it is gone, as it was to be.
      const isGone = error instanceof FlowMQError && error.code === ErrorCode.queueNotFound;
      if (isGone && error.maybeApplied) return;
      throw asQueueError(error, name);
    } finally {
      this.#core.forgetQueue(name);
    }
  }

  /**
   * All queues of the cluster.
   *
   * @param options How long to wait.
   * @returns As they are on record, by name.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async queues(options: WaitOptions = {}): Promise<QueueInfo[]> {
    checkOpen(this.#core);
    const reply = await this.#core.call(
      "list the queues",
      { kind: "listQueues" },
      0,
      "queueList",
      options,
    );
    return [...reply.queues].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  }

  /**
   * The map of the cluster: nodes, and who leads which shard.
   *
   * @param options How long to wait.
   * @returns As one node sees it.
   * @throws {ConnectionLostError} when no node answers.
   */
  async metadata(options: WaitOptions = {}): Promise<ClusterMetadata> {
    checkOpen(this.#core);
    return await this.#ask(
      "get the map of the cluster",
      async () => {
        await this.#core.cluster.acquireAny();
        return await this.#core.cluster.metadata();
      },
      options,
    );
  }

  /**
   * What a node says about itself.
   *
   * @param address Where it takes clients; any node where this is left out.
   * @param options How long to wait.
   * @returns Its replicas, its memory, how long it has been up.
   * @throws {ConnectionLostError} when it does not answer.
   * @throws {TypeError} when the address cannot be read.
   */
  async nodeStatus(address?: string, options: WaitOptions = {}): Promise<NodeStatus> {
    checkOpen(this.#core);
    const { kind: _kind, ...status } = await this.#ask("get the status of a node", async () => {
      const connection = address === undefined
        ? await this.#core.cluster.acquireAny()
        : await this.#core.cluster.connectTo(parseAddress(address));
      return expectReply(await connection.request({ kind: "nodeStatus" }, 0), "nodeStatusReply");
    }, options);
    return status;
  }

  /**
   * Looks at one message without taking it.
   *
   * @param id `QUEUE/PARTITION/OFFSET`, as in `orders/0/17`.
   * @param options How long to wait.
   * @returns What there is to know of it, be it gone.
   * @throws {TypeError} when that is no id.
   * @throws {FlowMQError} with code `partitionNotFound` when the queue has no such partition.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async message(id: string, options: WaitOptions = {}): Promise<MessageReport> {
    return await findMessage(this.#core, messagePlace(id), options);
  }

  /**
   * Takes a message out of its queue that waits, ready or delayed: what was published with a delay is
   * called off. It is not delivered any more, and nothing else tells of it. Removing it again is fine.
   *
   * @param message Its id, `QUEUE/PARTITION/OFFSET`, or where it is: the queue's name, and the receipt
   *   of its publish.
   * @param options How long to wait.
   * @returns Whether it was taken out, or was gone before.
   * @throws {TypeError} when that is no id.
   * @throws {FlowMQError} with code `messageLeased` when a consumer holds it, `messageNotFound` when it
   *   was never published, `partitionNotFound` when the queue has no such partition.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time; it may be removed all the same.
   *
   * @example Usage
   * ```ts ignore
   * const receipt = await client.queue("mails").publish("Your coffee is cold", { delayMs: 600_000 });
   * const removal = await client.removeMessage({ queue: "mails", ...receipt });
   * if (removal === "gone") console.log("Too late: somebody has read it");
   * ```
   */
  async removeMessage(
    message: string | MessagePlace,
    options: WaitOptions = {},
  ): Promise<Removal> {
    const place = typeof message === "string" ? messagePlace(message) : message;
    return await removeMessage(this.#core, place, options);
  }

  /**
   * Tells what happened to a message, as far as its queue remembers (`historyMs`): also after it was
   * acked.
   *
   * @param id `QUEUE/PARTITION/OFFSET`, as in `orders/0/17`.
   * @param options How long to wait.
   * @returns What happened, oldest first; nothing where the queue keeps no history.
   * @throws {TypeError} when that is no id.
   * @throws {FlowMQError} with code `partitionNotFound` when the queue has no such partition.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time.
   *
   * @example Usage
   * ```ts ignore
   * const { happenings } = await client.messageHistory("orders/0/17");
   * for (const { what, clientName } of happenings) console.log(what, clientName);
   * ```
   */
  async messageHistory(id: string, options: WaitOptions = {}): Promise<MessageHistoryReport> {
    return await messageHistory(this.#core, messagePlace(id), options);
  }

  /**
   * Says in a sentence why a message, or what a queue has waiting, is not being delivered. Works while
   * shards have no leader, too, as long as some node answers.
   *
   * @param target A queue, or the id of a message: `QUEUE/PARTITION/OFFSET`.
   * @param options How long to wait.
   * @returns One explanation, or one for each partition of the queue in which something waits.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {FlowMQError} with code `partitionNotFound` when the queue has no such partition.
   */
  async explain(target: string, options: WaitOptions = {}): Promise<Explanation[]> {
    checkOpen(this.#core);
    return await explain(this, target, options);
  }

  /**
   * Compares the replicas of every shard: the state of each, hashed at the same place in its log.
   *
   * @param options How long to wait for nodes that do not answer.
   * @returns What each node says, shard by shard.
   * @throws {RequestTimeoutError} when a shard has no leader.
   */
  async compareReplicas(options: WaitOptions = {}): Promise<ShardComparison[]> {
    checkOpen(this.#core);
    return await compareReplicas(this.#core, options);
  }

  /**
   * Ends the client: waits for what was published and settled, gives back what consumers hold, ends its
   * sessions and its connections. What is not done in time fails.
   *
   * @param options How long to wait.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? this.#core.settings.requestTimeoutMs);
    return this.#closing;
  }

  /** Closes the client at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #publisher(queue: string): Publisher {
    let publisher = this.#publishers.get(queue);
    if (publisher === undefined) {
      publisher = new Publisher(this.#core, queue);
      this.#publishers.set(queue, publisher);
    }
    return publisher;
  }

  async #close(timeoutMs: number): Promise<void> {
    const timeUp = new AbortController();
    const { clock } = this.#core.runtime;
    const timer = clock.setTimeout(() => timeUp.abort(), timeoutMs);
    const work = Promise.all([
      ...[...this.#publishers.values()].map((publisher) => publisher.flushed()),
      ...[...this.#core.consumers].map((consumer) => consumer.close()),
    ]);
    await untilAborted(work, timeUp.signal).catch(() => {});
    await this.#core.sessions.close(timeUp.signal);
    clock.clearTimeout(timer);
    for (const publisher of this.#publishers.values()) publisher.close();
    for (const consumer of this.#core.consumers) consumer.abandon();
    this.#core.close();
  }

  /** Asks a node something that needs no shard, within the time there is. */
  async #ask<T>(what: string, ask: () => Promise<T>, options: WaitOptions): Promise<T> {
    const timeoutMs = options.timeoutMs ?? this.#core.settings.requestTimeoutMs;
    const timeUp = new AbortController();
    const { clock } = this.#core.runtime;
    const timer = clock.setTimeout(
      () => timeUp.abort(new RequestTimeoutError(what, timeoutMs, { maybeApplied: false })),
      timeoutMs,
    );
    const signals = [timeUp.signal, this.#core.cluster.closed];
    if (options.signal !== undefined) signals.push(options.signal);
    try {
      return await untilAborted(ask(), AbortSignal.any(signals));
    } finally {
      clock.clearTimeout(timer);
    }
  }
}
