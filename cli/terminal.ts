/**
 * What a command sees of the world: its streams, its environment, the wish to stop it.
 *
 * Commands get it as an argument, so that a test can be the terminal.
 *
 * @module
 */

import * as ansi from "@std/fmt/colors";

/** Marks text up for people, or leaves it alone where nobody could see the marks. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** One of the two streams a command writes to. */
export interface Output {
  /** Whether a person watches it. */
  readonly isTerminal: boolean;
  /** Columns of the terminal; 100 where there is none. */
  readonly columns: number;
  readonly paint: Paint;
  /** Writes a line at once. */
  line(text: string): void;
  /** Writes text as it is, at once: for lines that are written over. */
  text(text: string): void;
  /** Writes all of the bytes; resolves when the system has taken them. */
  write(bytes: Uint8Array): Promise<void>;
}

/** The world of a command. */
export interface Terminal {
  readonly stdin: ReadableStream<Uint8Array>;
  readonly stdinIsTerminal: boolean;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Looks a variable of the environment up. */
  environment(name: string): string | undefined;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal;
}

const plain: Paint = {
  bold: (text) => text,
  dim: (text) => text,
  red: (text) => text,
  green: (text) => text,
  yellow: (text) => text,
  cyan: (text) => text,
};

// Written out, as the functions are untyped; bright variants of grey differ between terminals.
const colored: Paint = {
  bold: (text) => ansi.bold(text),
  dim: (text) => ansi.dim(text),
  red: (text) => ansi.red(text),
  green: (text) => ansi.green(text),
  yellow: (text) => ansi.yellow(text),
  cyan: (text) => ansi.cyan(text),
};

/**
 * Chooses how text is marked up.
 *
 * @param colors Whether marks are wanted.
 * @returns Marks, or functions that leave the text alone.
 */
export function paintFor(colors: boolean): Paint {
  return colors ? colored : plain;
}

/** Where a stream writes; `Deno.stdout` is one. */
interface Sink {
  isTerminal(): boolean;
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

/** {@linkcode Output} on a stream of the process. */
class StreamOutput implements Output {
  readonly #sink: Sink;
  readonly #encoder = new TextEncoder();
  readonly isTerminal: boolean;
  readonly paint: Paint;

  constructor(sink: Sink, colors: boolean) {
    this.#sink = sink;
    this.isTerminal = sink.isTerminal();
    this.paint = paintFor(this.isTerminal && colors);
  }

  get columns(): number {
    if (!this.isTerminal) return 100;
    try {
      return Deno.consoleSize().columns || 100;
    } catch {
      return 100; // stdin, stdout and stderr are no terminal after all
    }
  }

  line(text: string): void {
    this.text(text + "\n");
  }

  text(text: string): void {
    const bytes = this.#encoder.encode(text);
    for (let done = 0; done < bytes.length;) {
      try {
        done += this.#sink.writeSync(bytes.subarray(done));
      } catch (error) {
        // A pipe in non-blocking mode (shared with another program) that is full for the moment.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      }
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#sink.write(bytes.subarray(done));
    }
  }
}

/**
 * The terminal of this process. Takes SIGINT and SIGTERM over: the first asks the command to stop,
 * the second stops the process.
 *
 * @param exitAtOnce Called by the second signal.
 * @returns The world of a command.
 */
export function processTerminal(exitAtOnce: () => void): Terminal {
  const controller = new AbortController();
  function interrupt(): void {
    if (controller.signal.aborted) exitAtOnce();
    controller.abort(new DOMException("Interrupted", "AbortError"));
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupt);
  const colors = !Deno.noColor;
  return {
    get stdin() {
      return Deno.stdin.readable;
    },
    stdinIsTerminal: Deno.stdin.isTerminal(),
    stdout: new StreamOutput(Deno.stdout, colors),
    stderr: new StreamOutput(Deno.stderr, colors),
    environment: (name) => Deno.env.get(name),
    interrupted: controller.signal,
  };
}
