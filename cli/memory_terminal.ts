/**
 * A terminal for tests: what a command reads is given, what it writes is kept.
 *
 * @module
 */

import { type Output, type Paint, paintFor, type Terminal } from "./terminal.ts";

/** {@linkcode Output} that keeps what is written. */
export class MemoryOutput implements Output {
  readonly isTerminal: boolean;
  readonly columns = 100;
  readonly paint: Paint;
  #chunks: Uint8Array[] = [];

  /**
   * Makes an empty output.
   *
   * @param isTerminal Whether a command shall think that a person watches.
   */
  constructor(isTerminal = false) {
    this.isTerminal = isTerminal;
    this.paint = paintFor(isTerminal);
  }

  line(text: string): void {
    this.text(text + "\n");
  }

  text(text: string): void {
    this.#chunks.push(new TextEncoder().encode(text));
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#chunks.push(bytes.slice());
    return Promise.resolve();
  }

  /** All that was written, as text. */
  get all(): string {
    return this.#chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
  }

  /** The lines that were written. */
  get lines(): string[] {
    const lines = this.all.split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines;
  }
}

/** {@linkcode Terminal} for tests. */
export class MemoryTerminal implements Terminal {
  readonly stdin: ReadableStream<Uint8Array>;
  readonly stdinIsTerminal: boolean;
  readonly stdout: MemoryOutput;
  readonly stderr = new MemoryOutput();
  readonly #controller = new AbortController();
  readonly #variables: Readonly<Record<string, string>>;

  /**
   * Makes a terminal.
   *
   * @param options What stdin holds, the variables of the environment, whether a person watches.
   */
  constructor(
    options: {
      stdin?: string | Uint8Array;
      variables?: Readonly<Record<string, string>>;
      isTerminal?: boolean;
    } = {},
  ) {
    const { stdin } = options;
    this.stdinIsTerminal = stdin === undefined;
    this.stdin = ReadableStream.from(
      stdin === undefined
        ? []
        : [typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin],
    );
    this.stdout = new MemoryOutput(options.isTerminal);
    this.#variables = options.variables ?? {};
  }

  environment(name: string): string | undefined {
    return this.#variables[name];
  }

  get interrupted(): AbortSignal {
    return this.#controller.signal;
  }

  /** Does what Ctrl-C does. */
  interrupt(): void {
    this.#controller.abort(new DOMException("Interrupted", "AbortError"));
  }
}
