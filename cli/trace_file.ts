/**
 * The file of `serve --raft-trace`: lines are gathered and written a few times a second, so that a
 * trace costs a busy node little. A process that is killed loses the last moments of its trace.
 *
 * @module
 */

/** So much is written at once, whenever it has come together. */
const gatherBytesMax = 64 * 1024;

/** Nothing waits longer than this, in milliseconds. */
const flushIntervalMs = 200;

/** A file of lines that grows. */
export class TraceFile implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #length = 0;

  /**
   * Opens the file, or makes it; lines go behind those it has.
   *
   * @param path Where it is.
   */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { append: true, create: true });
    this.#timer = setInterval(() => this.flush(), flushIntervalMs);
    Deno.unrefTimer(Number(this.#timer));
  }

  /** Adds a line, given without its line break. */
  write(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= gatherBytesMax) this.flush();
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.#lines.length === 0) return;
    const bytes = this.#encoder.encode(this.#lines.join("\n") + "\n");
    this.#lines = [];
    this.#length = 0;
    for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
  }

  /** Writes what was gathered, and closes the file. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.flush();
    this.#file.close();
  }
}
