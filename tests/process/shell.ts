/**
 * Command lines as a person would type them: `seq 100 | flowmq pub numbers`, run by bash with the
 * program under test as `flowmq`. `shell.log` in its directory has every command line and what it printed.
 *
 * @module
 */

import type { SelfCommand } from "../../cli/self_command.ts";
import { until, waitSeconds } from "./waiting.ts";

/** How much of an output goes into messages and the log. */
const shownMax = 2_000;

/** How a command line ended. */
export interface ShellResult {
  /** Of the command line, as bash has it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line that runs. */
export class ShellCommand implements AsyncDisposable {
  /** What it has printed so far. */
  stdout = "";
  stderr = "";
  readonly #line: string;
  readonly #child: Deno.ChildProcess;
  readonly #result: Promise<ShellResult>;
  #ended = false;

  /** Made by {@linkcode Shell.start}. */
  constructor(line: string, child: Deno.ChildProcess, logPath: string) {
    this.#line = line;
    this.#child = child;
    const read = Promise.all([
      collect(child.stdout, (text) => this.stdout += text),
      collect(child.stderr, (text) => this.stderr += text),
    ]);
    this.#result = child.status.then(async ({ code, signal }) => {
      await read;
      this.#ended = true;
      const how = signal ?? `exit code ${code}`;
      Deno.writeTextFileSync(
        logPath,
        `$ ${line}\n${this.stdout.slice(-shownMax)}${this.stderr.slice(-shownMax)}[${how}]\n\n`,
        { append: true },
      );
      return { code, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** The process: bash, or with `exec flowmq …` the program itself. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Waits until something was printed on stdout. */
  async printed(pattern: RegExp, seconds: number = waitSeconds): Promise<RegExpExecArray> {
    let match: RegExpExecArray | null = null;
    await until(`\`${this.#line}\` prints ${pattern}`, () => {
      match = pattern.exec(this.stdout);
      if (match === null && this.#ended) {
        throw new Error(`\`${this.#line}\` ended without printing ${pattern}: ${this.#output()}`);
      }
      return match !== null;
    }, seconds);
    return match!;
  }

  /** Sends a signal to the process, and to nobody it has started. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for its end; after the deadline it is killed, and that is a failure. */
  async result(seconds: number = waitSeconds): Promise<ShellResult> {
    const timer = setTimeout(() => this.#killAll(), seconds * 1_000);
    const started = performance.now();
    const result = await this.#result;
    clearTimeout(timer);
    if (performance.now() - started >= seconds * 1_000) {
      throw new Error(`\`${this.#line}\` did not end within ${seconds} s: ${this.#output()}`);
    }
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#killAll();
    await this.#result;
  }

  /** Ends it with everything it has started. */
  #killAll(): void {
    try {
      Deno.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // All of them have ended.
    }
  }

  #output(): string {
    return `stdout ${JSON.stringify(this.stdout.slice(-shownMax))}, ` +
      `stderr ${JSON.stringify(this.stderr.slice(-shownMax))}`;
  }
}

/** A place to type command lines. */
export class Shell {
  readonly #directory: string;
  readonly #environment: Record<string, string>;

  private constructor(directory: string, environment: Record<string, string>) {
    this.#directory = directory;
    this.#environment = environment;
  }

  /**
   * Opens a shell.
   *
   * @param directory Where command lines run; gets the program's wrapper.
   * @param program What `flowmq` is.
   * @param servers What `flowmq` takes for its `--server`.
   * @returns The shell.
   */
  static async open(
    directory: string,
    program: SelfCommand,
    servers: readonly string[],
  ): Promise<Shell> {
    const bin = `${directory}/bin`;
    await Deno.mkdir(bin, { recursive: true });
    const words = [program.path, ...program.args].map(quote).join(" ");
    await Deno.writeTextFile(`${bin}/flowmq`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
    const inherited = Object.entries(Deno.env.toObject())
      .filter(([name]) => !name.startsWith("FLOWMQ_"));
    return new Shell(directory, {
      ...Object.fromEntries(inherited),
      PATH: `${bin}:${Deno.env.get("PATH") ?? ""}`,
      NO_COLOR: "1",
      ...(servers.length === 0 ? {} : { FLOWMQ_SERVER: servers.join(",") }),
    });
  }

  /** Starts a command line. */
  start(line: string): ShellCommand {
    const child = new Deno.Command("bash", {
      args: ["-c", line],
      cwd: this.#directory,
      env: this.#environment,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    return new ShellCommand(line, child, `${this.#directory}/shell.log`);
  }

  /** Runs a command line to its end. */
  async run(line: string, seconds: number = waitSeconds): Promise<ShellResult> {
    return await this.start(line).result(seconds);
  }

  /** Runs a command line that has to succeed. @returns What it printed. */
  async output(line: string, seconds: number = waitSeconds): Promise<string> {
    const { code, stdout, stderr } = await this.run(line, seconds);
    if (code !== 0) {
      throw new Error(`\`${line}\` ended with exit code ${code}: ${stderr || stdout}`);
    }
    return stdout;
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  add: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) add(decoder.decode(chunk, { stream: true }));
}
