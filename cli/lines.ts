/**
 * Lines of a byte stream, as bytes: text that is not UTF-8 passes unharmed.
 *
 * @module
 */

import { DelimiterStream } from "@std/streams";

const newline = 10;
const carriageReturn = 13;

/** A line is longer than anything that could be sent. */
export class LineTooLongError extends Error {
  override readonly name = "LineTooLongError";
  /** Counted from 1. */
  readonly lineNumber: number;

  /**
   * Makes the error.
   *
   * @param lineNumber Which line, counted from 1.
   * @param bytesMax How long a line may be.
   */
  constructor(lineNumber: number, bytesMax: number) {
    super(`Cannot read line ${lineNumber} as lines end at ${bytesMax} bytes`);
    this.lineNumber = lineNumber;
  }
}

/** Passes chunks on, counts line ends, and stops a line without end before it fills the memory. */
class LineGuard extends TransformStream<Uint8Array, Uint8Array> {
  /** Line ends in what has passed. */
  ends = 0;

  constructor(bytesMax: number) {
    let lineBytes = 0;
    super({
      transform: (chunk, controller): void => {
        let start = 0;
        for (let end; (end = chunk.indexOf(newline, start)) >= 0; start = end + 1) {
          if (lineBytes + end - start > bytesMax) {
            throw new LineTooLongError(this.ends + 1, bytesMax);
          }
          lineBytes = 0;
          this.ends++;
        }
        lineBytes += chunk.length - start;
        if (lineBytes > bytesMax) throw new LineTooLongError(this.ends + 1, bytesMax);
        controller.enqueue(chunk);
      },
    });
  }
}

/**
 * Splits a stream at line ends, which are `\n` or `\r\n`. The last line needs no end; what follows
 * the last end is no line if it is empty.
 *
 * @param stream Bytes in chunks of any size.
 * @param lineBytesMax How long a line may be.
 * @yields Each line without its end.
 * @throws {LineTooLongError} When a line is longer than `lineBytesMax`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const stream = new Blob(["one\r\n", "\ntw", "o"]).stream();
 * const lines = await Array.fromAsync(readLines(stream, 100));
 * assertEquals(lines.map((line) => new TextDecoder().decode(line)), ["one", "", "two"]);
 * ```
 */
export async function* readLines(
  stream: ReadableStream<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<Uint8Array> {
  const splitter = new DelimiterStream(
    Uint8Array.of(newline),
  ) as TransformStream<Uint8Array, Uint8Array>;
  const guard = new LineGuard(lineBytesMax);
  let number = 0;
  for await (const line of stream.pipeThrough(guard).pipeThrough(splitter)) {
    // Behind the last line end the splitter always has one more piece, which may be empty.
    number++;
    if (line.length > 0 || number <= guard.ends) yield withoutReturn(line);
  }
}

function withoutReturn(line: Uint8Array): Uint8Array {
  return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line;
}
