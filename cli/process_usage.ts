/**
 * What processes of this machine use, where the system tells (`/proc` on Linux).
 *
 * @module
 */

/** Use of one or more processes. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  /** The highest that it ever was. */
  readonly memoryPeakBytes: number;
}

/** The kernel counts processor time for `/proc` in hundredths of a second. */
const ticksPerSecond = 100;

/**
 * Adds up what processes have used so far.
 *
 * @param pids The processes.
 * @returns Processor time since their start and resident memory, or `undefined` where that cannot be
 * told.
 */
export function processUsage(pids: readonly number[]): ProcessUsage | undefined {
  let cpuSeconds = 0;
  let memoryBytes = 0;
  let memoryPeakBytes = 0;
  for (const pid of pids) {
    try {
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      // The name in brackets may hold anything; fields 14 and 15 are user and system time.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      cpuSeconds += (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      memoryBytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
      memoryPeakBytes += Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
    } catch {
      return undefined;
    }
  }
  return { cpuSeconds, memoryBytes, memoryPeakBytes };
}
