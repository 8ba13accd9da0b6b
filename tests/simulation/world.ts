/**
 * Machines and the processes that run on them.
 *
 * A process reaches the outside through its clock, its sockets and its files, and through nothing else.
 * Everything that happens to it goes through {@linkcode Process.deliver}: so a dead process stays dead,
 * because nothing ever calls it again (its promises simply never settle), and a paused one finds
 * everything that happened meanwhile when it goes on.
 *
 * @module
 */

import type { WriteLine } from "../../broker/mod.ts";
import type { Clock, TimerId } from "../../client/runtime.ts";
import { type PlannedEvent, Timeline } from "./clock.ts";
import { Counters } from "./counters.ts";
import { EventHash } from "./event_hash.ts";
import { Random } from "./random.ts";

/** The wall clocks of a simulation start near here. */
const EPOCH_MS = Date.UTC(2030, 0, 1);

/** A timer may be this late, in milliseconds: event loops are. */
const TIMER_LATE_MS_MAX = 0.5;

/** Something that must not happen did. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** What was broken, in a few words. */
  readonly invariant: string;
  readonly atMs: number;

  constructor(invariant: string, details: string, atMs: number) {
    super(`${invariant}: ${details}`);
    this.invariant = invariant;
    this.atMs = atMs;
  }
}

/** What all parts of one simulation share. */
export class World {
  readonly timeline = new Timeline();
  readonly hash = new EventHash();
  readonly counters = new Counters();
  readonly random: Random;
  readonly #trace: ((line: string) => void) | undefined;
  /** Given every step of Raft on every node, as JSON, where somebody wants to see it. */
  raftTrace: WriteLine | undefined;
  /** Since when there has been room on the disks of all nodes; `Infinity` while there is not. */
  roomSinceMs = 0;

  /**
   * @param seed What chance makes of this world.
   * @param trace Told what happens, line by line.
   */
  constructor(seed: number, trace?: (line: string) => void) {
    this.random = new Random(seed);
    this.#trace = trace;
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  /** Whether anybody reads what {@linkcode note} is given. */
  get tracing(): boolean {
    return this.#trace !== undefined;
  }

  /** Something worth a line happened: goes into the hash and, where wanted, to the trace. */
  note(text: string): void {
    this.hash.number(this.nowMs);
    this.hash.text(text);
    this.#trace?.(`${this.nowMs.toFixed(3).padStart(11)} ${text}`);
  }

  /** A line for the trace alone. */
  trace(text: () => string): void {
    this.#trace?.(`${this.nowMs.toFixed(3).padStart(11)} ${text()}`);
  }

  /** An invariant broke: the run ends. @returns The violation, for those who want to throw it. */
  violated(invariant: string, details: string): Violation {
    const violation = new Violation(invariant, details, this.nowMs);
    this.note(`VIOLATION ${violation.message}`);
    this.timeline.fail(violation);
    return violation;
  }
}

/** A machine: a name in the network, a clock of its own, and the processes on it. */
export class Machine {
  readonly world: World;
  readonly name: string;
  /** Added to the wall clock. */
  wallOffsetMs: number;
  /** How fast this machine's clocks run. */
  readonly rate: number;
  /** Without power nothing answers, not even to say that nobody is there. */
  poweredOn = true;
  readonly #processes = new Set<Process>();
  #nextPort = 40_000;

  constructor(world: World, name: string, wallOffsetMs = 0, rate = 1) {
    this.world = world;
    this.name = name;
    this.wallOffsetMs = wallOffsetMs;
    this.rate = rate;
  }

  /** The processes that run. */
  get processes(): Iterable<Process> {
    return this.#processes;
  }

  /** Starts a process. */
  spawn(name: string, random: Random): Process {
    const process = new Process(this, name, random, () => this.#processes.delete(process));
    this.#processes.add(process);
    return process;
  }

  /** A port that was not used before. */
  ephemeralPort(): number {
    return this.#nextPort++;
  }
}

/** One life of a program. */
export class Process {
  readonly machine: Machine;
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly #ended: () => void;
  #alive = true;
  #paused = false;
  #held: (() => void)[] = [];
  #deathWatchers: ((cause: DeathCause) => void)[] = [];

  constructor(machine: Machine, name: string, random: Random, ended: () => void) {
    this.machine = machine;
    this.name = name;
    this.random = random;
    this.#ended = ended;
    this.clock = new ProcessClock(this);
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Runs code of the process: now, when it goes on, or never.
   *
   * An exception ends a real process; here it ends the simulation.
   */
  deliver(run: () => void): void {
    if (!this.#alive) return;
    if (this.#paused) {
      this.#held.push(run);
      return;
    }
    try {
      run();
    } catch (error) {
      const text = error instanceof Error ? error.stack ?? error.message : String(error);
      this.machine.world.violated("no uncaught exception", `${this.name}: ${text}`);
    }
  }

  /** The process gets no time any more, as with SIGSTOP. */
  pause(): void {
    this.#paused = true;
  }

  /** The process goes on: what it missed comes to it, one thing after the other. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const { timeline } = this.machine.world;
    for (const run of this.#held.splice(0)) timeline.after(0, () => this.deliver(run));
  }

  /** The process is over. Nothing of it runs ever again. */
  die(cause: DeathCause): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#held = [];
    this.#ended();
    for (const watcher of this.#deathWatchers.splice(0)) watcher(cause);
  }

  /** Told when the process ends: sockets and files close themselves by this. */
  whenDead(watcher: (cause: DeathCause) => void): void {
    this.#deathWatchers.push(watcher);
  }
}

/** How a process ended: by itself or killed (the system cleans up behind it), or with its machine. */
export type DeathCause = "killed" | "powerLost";

/** The clocks of a process. */
class ProcessClock implements Clock {
  readonly #process: Process;
  readonly #timers = new Map<TimerId, PlannedEvent>();
  #nextTimer = 1;

  constructor(process: Process) {
    this.#process = process;
  }

  now(): number {
    const { world, rate, wallOffsetMs } = this.#process.machine;
    return Math.floor(EPOCH_MS + world.nowMs * rate + wallOffsetMs);
  }

  monotonic(): number {
    const { world, rate } = this.#process.machine;
    return world.nowMs * rate;
  }

  setTimeout(callback: () => void, ms: number): TimerId {
    const process = this.#process;
    const { world, rate } = process.machine;
    const id = this.#nextTimer++;
    if (!process.alive) return id;
    const late = 0.05 + process.random.next() * TIMER_LATE_MS_MAX;
    const event = world.timeline.after(Math.max(0, ms) / rate + late, () => {
      process.deliver(() => {
        // Called off while the process was paused.
        if (!this.#timers.delete(id)) return;
        world.hash.number(world.nowMs);
        world.hash.text(process.name);
        callback();
      });
    });
    this.#timers.set(id, event);
    return id;
  }

  clearTimeout(id: TimerId): void {
    const event = this.#timers.get(id);
    if (event === undefined) return;
    this.#timers.delete(id);
    this.#process.machine.world.timeline.cancel(event);
  }
}
