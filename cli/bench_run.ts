/**
 * Measures a cluster: the clients of `flowmq bench`, all in this process, through the same module that
 * every user imports.
 *
 * @module
 */

import { type Client, connect, type Queue } from "../mod.ts";
import type { BenchLoad } from "./bench_load.ts";
import { Histogram } from "./histogram.ts";

/** What came of a load. */
export interface BenchResult {
  readonly messages: number;
  readonly seconds: number;
  /**
   * From the call to the confirmation; where messages are consumed, from the call that publishes to
   * the delivery.
   */
  readonly latency: Histogram;
}

/** Where and with what it is measured. */
export interface BenchContext {
  readonly servers: readonly string[];
  /** Hears that the warm-up is over. */
  onMeasuring(): void;
  /** Hears how many messages are done. */
  onProgress(done: number): void;
  /** Stops the measurement. */
  readonly signal: AbortSignal;
}

/** Bytes at the start of a body that say when it was published. */
const timestampBytes = 8;

/** Runs loads on queues that are made for it and removed again. */
class Bench {
  readonly #context: BenchContext;
  readonly #load: BenchLoad;
  readonly #queueName: string;
  readonly #latency = new Histogram();
  #done = 0;

  constructor(context: BenchContext, load: BenchLoad, queueName: string) {
    this.#context = context;
    this.#load = load;
    this.#queueName = queueName;
  }

  async run(): Promise<BenchResult> {
    const { clients, consumers, partitions } = this.#load;
    await using stack = new AsyncDisposableStack();
    const admin = await this.#connect("admin", stack);
    await admin.createQueue(this.#queueName, { partitions });
    stack.defer(async () => {
      if (!this.#context.signal.aborted) await admin.deleteQueue(this.#queueName);
    });
    const publishers: Client[] = [];
    for (let i = 0; i < clients; i++) {
      publishers.push(await this.#connect(`publisher ${i + 1}`, stack));
    }
    const takers: Client[] = [];
    for (let i = 0; i < consumers; i++) {
      takers.push(await this.#connect(`consumer ${i + 1}`, stack));
    }
    const each = Math.max(1, Math.round(this.#load.messages / clients / this.#load.batch));
    const messages = each * clients * this.#load.batch;

    const startedAt = performance.now();
    const acked = takers.length === 0 ? [] : [this.#consumeAll(takers, messages)];
    const published = publishers.map((client) =>
      this.#publishAll(client.queue(this.#queueName), each)
    );
    const work = [...published, ...acked];
    for (const one of work) one.catch(() => {}); // all may fail, and only the first is thrown
    await Promise.all(work);
    const seconds = (performance.now() - startedAt) / 1_000;
    return { messages, seconds, latency: this.#latency };
  }

  /** Connects a client that is closed with the stack. */
  async #connect(name: string, stack: AsyncDisposableStack): Promise<Client> {
    const { servers, signal } = this.#context;
    const client = await connect(servers, { name: `flowmq bench ${name}`, signal });
    // Where it was interrupted the cluster may be gone already, and nobody waits for it.
    stack.defer(() => client.close({ timeoutMs: signal.aborted ? 1 : 10_000 }));
    return client;
  }

  /** One publisher: keeps its window full until every call is confirmed. */
  #publishAll(queue: Queue, calls: number): Promise<void> {
    const { batch, window, consumers } = this.#load;
    const underWayMax = Math.max(1, Math.floor(window / batch));
    const confirmations = consumers === 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { signal } = this.#context;
    const publish = this.#publishCall(queue);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    let sent = 0;
    let confirmed = 0;
    const fill = (): void => {
      if (signal.aborted) return;
      while (sent < calls && sent - confirmed < underWayMax) {
        sent++;
        const calledAt = performance.now();
        publish(calledAt).then(() => {
          confirmed++;
          if (confirmations) {
            this.#latency.record(performance.now() - calledAt);
            this.#progress(batch);
          }
          if (confirmed === calls) resolve();
          else fill();
        }, reject);
      }
    };
    fill();
    return promise;
  }

  /** What one call publishes. A body that is consumed says when it was published. */
  #publishCall(queue: Queue): (now: number) => Promise<unknown> {
    const { batch, size, consumers } = this.#load;
    const stamped = consumers > 0 && size >= timestampBytes;
    function body(now: number): Uint8Array {
      const bytes = new Uint8Array(size);
      if (stamped) new DataView(bytes.buffer).setFloat64(0, now);
      return bytes;
    }
    if (batch === 1) {
      if (stamped) return (now) => queue.publish(body(now));
      const same = body(0);
      return () => queue.publish(same);
    }
    const same = Array.from({ length: batch }, () => ({ body: body(0) }));
    if (!stamped) return () => queue.publishBatch(same);
    return (now) => {
      const message = { body: body(now) };
      return queue.publishBatch(new Array(batch).fill(message));
    };
  }

  /** The consumers: resolves when every message is acked. */
  async #consumeAll(takers: readonly Client[], messages: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { prefetch, size } = this.#load;
    const { signal } = this.#context;
    const stamped = size >= timestampBytes;
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    const onAcked = (): void => {
      this.#progress(1);
      if (this.#done === messages) resolve();
    };
    const consumers = takers.map((client) => client.queue(this.#queueName).consume({ prefetch }));
    const loops = consumers.map(async (deliveries) => {
      for await (const delivery of deliveries) {
        if (stamped) {
          const { body } = delivery;
          const publishedAt = new DataView(body.buffer, body.byteOffset).getFloat64(0);
          this.#latency.record(performance.now() - publishedAt);
        }
        delivery.ack().then(onAcked, reject);
      }
    });
    Promise.all(loops).catch(reject);
    await promise;
    await Promise.all(consumers.map((consumer) => consumer.close()));
  }

  #progress(messages: number): void {
    this.#done += messages;
    this.#context.onProgress(this.#done);
  }
}

/**
 * Measures one load, after a smaller run of the same that warms everything up.
 *
 * @param context Where.
 * @param load What.
 * @returns Time and latencies of the second run.
 */
export async function measure(context: BenchContext, load: BenchLoad): Promise<BenchResult> {
  const name = `bench-${crypto.randomUUID()}`;
  const warmUp = { ...load, messages: warmUpMessages(load.messages) };
  await new Bench({ ...context, onProgress() {} }, warmUp, `${name}-warm-up`).run();
  context.onMeasuring();
  return await new Bench(context, load, name).run();
}

/**
 * Tells how many messages warm a measurement up.
 *
 * @param messages How many are measured.
 * @returns A tenth, but no more than 20,000.
 */
export function warmUpMessages(messages: number): number {
  return Math.min(20_000, Math.ceil(messages / 10));
}
