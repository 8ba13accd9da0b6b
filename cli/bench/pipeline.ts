/**
 * Measures the bare pipeline: starts its three processes and is their client.
 *
 * @module
 */

import { confirmationBytes, FramedConnection } from "./pipeline_roles.ts";
import { CommandError } from "../failures.ts";
import { Histogram } from "./histogram.ts";
import { NodeMeter, type NodesUsage } from "./node_meter.ts";
import { sendOnSchedule } from "./schedule.ts";
import { selfCommand } from "../self_command.ts";
import { sleep } from "../waiting.ts";

/** What is sent. */
export interface PipelineLoad {
  /** Bytes a message. */
  readonly size: number;
  /** Messages a frame. */
  readonly batch: number;
  /** Messages of one connection that are not confirmed yet. */
  readonly window: number;
  readonly clients: number;
  readonly messages: number;
  /** Messages a second of all connections together; 0 stands for as many as the window lets through. */
  readonly rate: number;
}

/** What came of it. */
export interface PipelineResult {
  readonly messages: number;
  readonly seconds: number;
  /** From sending a frame, or from the time at which it was due, to its confirmation. */
  readonly latency: Histogram;
  /** What its three processes used, where the system tells. */
  readonly usage: NodesUsage | undefined;
}

/** A role of the pipeline as a process. */
interface RoleProcess {
  readonly child: Deno.ChildProcess;
  readonly port: number;
}

/** A running pipeline. */
export class Pipeline implements AsyncDisposable {
  readonly #directory: string;
  readonly #roles: RoleProcess[] = [];

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Starts a leader and two followers.
   *
   * @returns The pipeline, ready for clients.
   */
  static async start(): Promise<Pipeline> {
    const pipeline = new Pipeline(await Deno.makeTempDir({ prefix: "flowmq-pipeline-" }));
    try {
      const one = await pipeline.#start("follower", "follower-1");
      const two = await pipeline.#start("follower", "follower-2");
      await pipeline.#start("leader", "leader", String(one.port), String(two.port));
    } catch (error) {
      await pipeline[Symbol.asyncDispose]();
      throw error;
    }
    return pipeline;
  }

  /**
   * Sends messages and waits for all confirmations.
   *
   * @param load How many, and how.
   * @returns Time, latencies, and what the three processes used.
   */
  async measure(load: PipelineLoad): Promise<PipelineResult> {
    const latency = new Histogram();
    const port = this.#roles.at(-1)!.port;
    const connections = await Promise.all(
      Array.from({ length: load.clients }, () => FramedConnection.open(port)),
    );
    const framesEach = Math.max(1, Math.ceil(load.messages / load.clients / load.batch));
    using meter = new NodeMeter(() => this.#roles.map(({ child }) => child.pid));
    const startedAt = performance.now();
    await (load.rate > 0 ? sendAtRate(connections, load, framesEach, latency) : Promise.all(
      connections.map((connection) => sendInWindow(connection, load, framesEach, latency)),
    ));
    const seconds = (performance.now() - startedAt) / 1_000;
    const usage = meter.usage();
    for (const connection of connections) connection.close();
    return { messages: framesEach * load.batch * load.clients, seconds, latency, usage };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#roles) child.kill("SIGKILL");
    await Promise.all(this.#roles.map(({ child }) => child.status));
    await Deno.remove(this.#directory, { recursive: true });
  }

  async #start(role: string, file: string, ...ports: string[]): Promise<RoleProcess> {
    const program = selfCommand();
    const child = new Deno.Command(program.path, {
      args: [...program.args, "bench-role", role, `${this.#directory}/${file}`, ...ports],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const port = Number(new TextDecoder().decode(value));
    if (!(port > 0)) throw new CommandError(`the ${role} of the bare pipeline did not start`);
    void reader.read().catch(() => {}); // ends with the process
    const process = { child, port };
    this.#roles.push(process);
    return process;
  }
}

/** A frame that says when it was sent, or due: the confirmation says so again. */
function frameOf({ batch, size }: PipelineLoad, from: number): Uint8Array {
  const frame = new Uint8Array(confirmationBytes + batch * size);
  new DataView(frame.buffer).setFloat64(0, from, true);
  return frame;
}

/** Reads confirmations until there were enough. */
async function readConfirmations(
  connection: FramedConnection,
  frames: number,
  latency: Histogram,
  onConfirmed: (confirmed: number) => void,
): Promise<void> {
  const done = Promise.withResolvers<void>();
  let confirmed = 0;
  void connection.read((confirmation) => {
    const view = new DataView(confirmation.buffer, confirmation.byteOffset);
    latency.record(performance.now() - view.getFloat64(0, true));
    if (++confirmed === frames) done.resolve();
    else onConfirmed(confirmed);
  }).then(() => done.reject(new CommandError("the bare pipeline ended before its work was done")));
  await done.promise;
}

/** One client: keeps its window full until every frame is confirmed. */
async function sendInWindow(
  connection: FramedConnection,
  load: PipelineLoad,
  frames: number,
  latency: Histogram,
): Promise<void> {
  const underWayMax = Math.max(1, Math.floor(load.window / load.batch));
  let sent = 0;
  function fill(confirmed: number): void {
    for (; sent < frames && sent - confirmed < underWayMax; sent++) {
      connection.send(frameOf(load, performance.now()));
    }
  }
  const confirmed = readConfirmations(connection, frames, latency, fill);
  fill(0);
  await confirmed;
}

/** All clients: send in turn when a frame is due, whatever became of the ones before. */
async function sendAtRate(
  connections: readonly FramedConnection[],
  load: PipelineLoad,
  framesEach: number,
  latency: Histogram,
): Promise<void> {
  const confirmed = connections.map((connection) =>
    readConfirmations(connection, framesEach, latency, () => {})
  );
  const plan = { ratePerSecond: load.rate, messages: framesEach * connections.length };
  const clock = { now: () => performance.now(), sleep };
  await Promise.all([
    ...confirmed,
    sendOnSchedule(plan, clock, (number, dueAt) => {
      connections[number % connections.length]!.send(frameOf(load, dueAt));
    }),
  ]);
}
