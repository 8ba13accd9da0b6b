/**
 * What the nodes, or the processes of the bare pipeline, use during a measurement, also when some of them
 * are killed and started again.
 *
 * A process that is gone cannot be asked any more, so all are looked at again and again; what a killed
 * one used after the last look is not counted.
 *
 * @module
 */

import { type ProcessUsage, processUsage } from "../process_usage.ts";

/** What the nodes used together. */
export interface NodesUsage {
  readonly cpuSeconds: number;
  /** In the end. */
  readonly memoryBytes: number;
  /** The sum of each node's highest since its start. */
  readonly memoryPeakBytes: number;
}

/** How often the processes are looked at. A look takes time that the processes do not get. */
const intervalMs = 500;

/** One process, over the time. */
interface Observed {
  readonly node: number;
  readonly cpuSecondsAtFirst: number;
  last: ProcessUsage;
}

/** Looks at the processes of nodes. */
export class NodeMeter implements Disposable {
  readonly #pids: () => readonly (number | undefined)[];
  readonly #look: (pid: number) => ProcessUsage | undefined;
  readonly #observed = new Map<number, Observed>();
  readonly #timer: number;

  /**
   * Begins to look.
   *
   * @param pids The process of each node at the moment, where it has one.
   * @param look Asks the system about a process.
   */
  constructor(
    pids: () => readonly (number | undefined)[],
    look: (pid: number) => ProcessUsage | undefined = (pid) => processUsage([pid]),
  ) {
    this.#pids = pids;
    this.#look = look;
    this.sample();
    // A number in some versions of Deno, in others an object that stands for one.
    this.#timer = Number(setInterval(() => this.sample(), intervalMs));
  }

  /** Looks once more. */
  sample(): void {
    for (const [node, pid] of this.#pids().entries()) {
      if (pid === undefined) continue;
      const usage = this.#look(pid);
      if (usage === undefined) continue;
      const observed = this.#observed.get(pid);
      if (observed !== undefined) {
        observed.last = usage;
        continue;
      }
      // A process that was not there at the beginning has worked for this measurement only.
      const isLate = [...this.#observed.values()].some((other) => other.node === node);
      const cpuSecondsAtFirst = isLate ? 0 : usage.cpuSeconds;
      this.#observed.set(pid, { node, cpuSecondsAtFirst, last: usage });
    }
  }

  /**
   * Adds up.
   *
   * @returns What was used since the start, or `undefined` where the system does not tell.
   */
  usage(): NodesUsage | undefined {
    this.sample();
    if (this.#observed.size === 0) return undefined;
    const alive = new Set(this.#pids());
    const peaks = new Map<number, number>();
    let cpuSeconds = 0;
    let memoryBytes = 0;
    for (const [pid, { node, cpuSecondsAtFirst, last }] of this.#observed) {
      cpuSeconds += last.cpuSeconds - cpuSecondsAtFirst;
      if (alive.has(pid)) memoryBytes += last.memoryBytes;
      peaks.set(node, Math.max(peaks.get(node) ?? 0, last.memoryPeakBytes));
    }
    const memoryPeakBytes = [...peaks.values()].reduce((sum, peak) => sum + peak, 0);
    return { cpuSeconds, memoryBytes, memoryPeakBytes };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
