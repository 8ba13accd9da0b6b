/**
 * One line on a terminal that says how far the work is, written over again and again.
 *
 * @module
 */

import { visibleLength } from "./format.ts";
import type { Output } from "./terminal.ts";

/** How often the line changes, in milliseconds. */
const intervalMs = 100;

/** The line. Where nobody watches it does nothing. */
export class ProgressLine implements Disposable {
  readonly #output: Output;
  readonly #now: () => number;
  #shownAt = -Infinity;
  #shown = false;

  /**
   * Makes a line that is not shown yet.
   *
   * @param output Where it goes, if that is a terminal.
   * @param now A monotonic clock in milliseconds.
   */
  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  /**
   * Shows the line anew, unless that was done a moment ago.
   *
   * @param text Makes the line; called only when it is shown.
   */
  update(text: () => string): void {
    if (!this.#output.isTerminal) return;
    const now = this.#now();
    if (now - this.#shownAt < intervalMs) return;
    this.#shownAt = now;
    this.#shown = true;
    this.#output.text(`\r${cut(text(), this.#output.columns - 1)}\x1b[K`);
  }

  /** Takes the line away, so that something else can be written. */
  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#shownAt = -Infinity;
    this.#output.text("\r\x1b[K");
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/** A line that is wider than the terminal would leave parts behind when it is written over. */
function cut(text: string, columns: number): string {
  return visibleLength(text) <= columns ? text : [...text].slice(0, Math.max(0, columns)).join("");
}
