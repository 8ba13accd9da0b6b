/**
 * Measures the bare pipeline: starts its three processes and is their client.
 *
 * @module
 */

import { confirmationBytes, FramedConnection } from "./bench_pipeline_roles.ts";
import { CommandError } from "./failures.ts";
import { Histogram } from "./histogram.ts";
import { selfCommand } from "./self_command.ts";

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
}

/** What came of it. */
export interface PipelineResult {
  readonly messages: number;
  readonly seconds: number;
  /** From sending a frame to its confirmation. */
  readonly latency: Histogram;
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
   * @returns Time and latencies.
   */
  async measure(load: PipelineLoad): Promise<PipelineResult> {
    const latency = new Histogram();
    const port = this.#roles.at(-1)!.port;
    const connections = await Promise.all(
      Array.from({ length: load.clients }, () => FramedConnection.open(port)),
    );
    const framesEach = Math.ceil(load.messages / load.clients / load.batch);
    const startedAt = performance.now();
    await Promise.all(
      connections.map((connection) => sendFrames(connection, load, framesEach, latency)),
    );
    const seconds = (performance.now() - startedAt) / 1_000;
    for (const connection of connections) connection.close();
    return { messages: framesEach * load.batch * load.clients, seconds, latency };
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

/** One client: keeps its window full until every frame is confirmed. */
async function sendFrames(
  connection: FramedConnection,
  load: PipelineLoad,
  frames: number,
  latency: Histogram,
): Promise<void> {
  const done = Promise.withResolvers<void>();
  const underWayMax = Math.max(1, Math.floor(load.window / load.batch));
  let sent = 0;
  let confirmed = 0;

  function fill(): void {
    while (sent < frames && sent - confirmed < underWayMax) {
      const frame = new Uint8Array(confirmationBytes + load.batch * load.size);
      new DataView(frame.buffer).setFloat64(0, performance.now(), true);
      connection.send(frame);
      sent++;
    }
  }

  void connection.read((confirmation) => {
    const view = new DataView(confirmation.buffer, confirmation.byteOffset);
    latency.record(performance.now() - view.getFloat64(0, true));
    if (++confirmed === frames) done.resolve();
    else fill();
  }).then(() => done.reject(new CommandError("the bare pipeline ended before its work was done")));
  fill();
  await done.promise;
}
