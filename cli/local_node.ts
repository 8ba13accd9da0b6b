/**
 * One node of a local cluster: a process of this program, its ports, its data directory and its log
 * file. The process can be killed, paused and started again; the node keeps its identity.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { CommandError } from "./failures.ts";
import { ExitCode } from "./exit_codes.ts";
import { parseReadyLine } from "./ready_line.ts";
import type { SelfCommand } from "./self_command.ts";

/** How a node is started, each time. */
export interface LocalNodeSettings {
  readonly id: number;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly dataDirectory: string;
  /** Gets what the process writes to stderr. */
  readonly logPath: string;
  /** All arguments, from the word `serve` on. */
  readonly serveArguments: readonly string[];
  readonly program: SelfCommand;
  /** More variables for the process. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** How a process ended, in words for a person. */
function describeEnd(status: Deno.CommandStatus): string {
  return status.signal === null ? `exit code ${status.code}` : status.signal;
}

/** A node as a process. */
export class LocalNode {
  readonly settings: LocalNodeSettings;
  #child: Deno.ChildProcess | undefined;
  /** Resolves when the process has ended and its output is read. */
  #ended: Promise<Deno.CommandStatus> | undefined;
  #running = false;
  #lastLogLine = "";

  /**
   * Describes a node; `start()` starts it.
   *
   * @param settings What it is started with.
   */
  constructor(settings: LocalNodeSettings) {
    this.settings = settings;
  }

  /** The node's number in the cluster. */
  get id(): number {
    return this.settings.id;
  }

  /** Where its clients connect. */
  get clientAddress(): string {
    return this.settings.clientAddress;
  }

  /** Whether its process is alive, paused or not. */
  get running(): boolean {
    return this.#running;
  }

  /** The process, for those who measure it; `undefined` where it is not running. */
  get pid(): number | undefined {
    return this.#running ? this.#child?.pid : undefined;
  }

  /**
   * Starts the process.
   *
   * @returns Resolves when the node has said that it is ready.
   * @throws {CommandError} If it ends instead; the message has its last words.
   */
  async start(): Promise<void> {
    if (this.#running) {
      throw new TypeError(`Cannot start node ${this.id} as it is running`);
    }
    const { program, serveArguments, logPath, environment } = this.settings;
    const child = new Deno.Command(program.path, {
      args: [...program.args, ...serveArguments],
      env: { ...inheritedEnvironment(), ...environment },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // Ctrl-C in the terminal is for whoever started the node, which then stops it in good order.
      detached: true,
    }).spawn();
    this.#child = child;
    this.#running = true;
    const logged = this.#keepLog(child.stderr, logPath);
    const ready = Promise.withResolvers<boolean>();
    const read = readLinesOf(child.stdout, (line) => {
      if (parseReadyLine(line) !== undefined) ready.resolve(true);
    });
    this.#ended = child.status.then(async (status) => {
      this.#running = false;
      ready.resolve(false);
      await Promise.all([logged, read]);
      await child.stdin.close().catch(() => {});
      return status;
    });
    if (await ready.promise) return;
    const status = await this.#ended;
    throw new CommandError(
      `node ${this.id} did not start (${describeEnd(status)}): ` +
        (this.#lastLogLine.replace(/^flowmq: /, "") || `see ${logPath}`),
      status.code === ExitCode.addressInUse || status.code === ExitCode.dataDirectory
        ? status.code
        : ExitCode.failed,
    );
  }

  /**
   * Ends the process at once: what it had not synced is lost to it.
   *
   * @returns Resolves when it is gone.
   */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /**
   * Asks the process to stop, and waits for it.
   *
   * @returns Resolves when it is gone; after five seconds it is killed.
   */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#signal("SIGKILL"), 5_000);
    try {
      await this.#end("SIGTERM");
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops the process in its tracks: connections stay, answers do not come. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  /** Lets a paused process go on. */
  resume(): void {
    this.#signal("SIGCONT");
  }

  /**
   * Waits for the process to end by itself or by any of the above.
   *
   * @returns How it ended, in words; at once where it is not running.
   */
  async ended(): Promise<string> {
    return this.#ended === undefined ? "not started" : describeEnd(await this.#ended);
  }

  async #end(signal: Deno.Signal): Promise<void> {
    this.#signal(signal);
    if (signal !== "SIGKILL") this.#signal("SIGCONT"); // a paused process hears nothing else
    await this.#ended;
  }

  #signal(signal: Deno.Signal): void {
    if (!this.#running) return;
    try {
      this.#child?.kill(signal);
    } catch (error) {
      // It has just ended by itself.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #keepLog(stream: ReadableStream<Uint8Array>, path: string): Promise<void> {
    const file = await Deno.open(path, { create: true, append: true });
    try {
      const encoder = new TextEncoder();
      await readLinesOf(stream, (line) => {
        if (line.trim() !== "") this.#lastLogLine = line;
        file.writeSync(encoder.encode(line + "\n"));
      });
    } finally {
      file.close();
    }
  }
}

async function readLinesOf(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const lines = (stream as ReadableStream<Uint8Array<ArrayBuffer>>)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream() as TransformStream<string, string>);
  for await (const line of lines) onLine(line);
}

/** Our environment without our own variables: a node gets its settings from its arguments only. */
function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("FLOWMQ_")),
  );
}
