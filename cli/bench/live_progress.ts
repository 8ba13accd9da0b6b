/**
 * The line that says how far a measurement is, on the terminal of whoever waits for it.
 *
 * @module
 */

import { formatCount } from "../format.ts";
import { ProgressLine } from "../progress.ts";
import type { Output } from "../terminal.ts";

/** How often the line changes, and the stretch of time that its rate is about, in milliseconds. */
const intervalMs = 500;

/** Shows one stage of the work after the other. */
export class LiveProgress implements Disposable {
  readonly #line: ProgressLine;
  readonly #timer: number | undefined;
  #what = "";
  #done: () => number = () => 0;
  #before = 0;

  /**
   * Begins to show.
   *
   * @param output Where; nothing is shown where nobody watches.
   */
  constructor(output: Output) {
    this.#line = new ProgressLine(output);
    // A number in some versions of Deno, in others an object that stands for one.
    if (output.isTerminal) this.#timer = Number(setInterval(() => this.#show(), intervalMs));
  }

  /**
   * A stage begins.
   *
   * @param what The work, in words.
   * @param done Tells how many messages are done.
   */
  stage(what: string, done: () => number): void {
    this.#what = what;
    this.#done = done;
    this.#before = 0;
    this.#line.update(() => what);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#line.clear();
  }

  #show(): void {
    const done = this.#done();
    const rate = Math.max(0, done - this.#before) / (intervalMs / 1_000);
    this.#before = done;
    this.#line.update(() =>
      done === 0
        ? this.#what
        : `${this.#what}: ${formatCount(done)} messages, ${formatCount(rate)} /s`
    );
  }
}
