/**
 * How a connection is made: what is lost on the way to the other machine, or on the way back, is sent again.
 *
 * @module
 */

import { type Address, formatAddress } from "../../broker/runtime.ts";
import type { ByteStream } from "../../client/runtime.ts";
import type { Network } from "./network.ts";
import type { PortListener } from "./port_listener.ts";
import { Socket } from "./socket.ts";
import type { Machine, Process } from "./world.ts";

/** How long a dial is tried, in milliseconds. */
const DIAL_MS_MAX = 30_000;

/** One attempt to make a connection. */
export class Dial {
  readonly #network: Network;
  readonly #process: Process;
  readonly #address: Address;
  readonly #machines: ReadonlyMap<string, Machine>;
  readonly #listeners: ReadonlyMap<string, PortListener>;
  readonly #done: (result: ByteStream | Error) => void;
  #over = false;
  #stuck = false;

  constructor(
    network: Network,
    process: Process,
    address: Address,
    machines: ReadonlyMap<string, Machine>,
    listeners: ReadonlyMap<string, PortListener>,
    done: (result: ByteStream | Error) => void,
  ) {
    this.#network = network;
    this.#process = process;
    this.#address = address;
    this.#machines = machines;
    this.#listeners = listeners;
    this.#done = done;
  }

  start(): void {
    const { world } = this.#network;
    world.trace(() => `${this.#process.name} > ${formatAddress(this.#address)}: dials`);
    world.timeline.after(
      DIAL_MS_MAX,
      () => this.#finish(new Deno.errors.TimedOut("Dial timed out")),
    );
    this.#send(0);
  }

  abandon(): void {
    const { world } = this.#network;
    world.trace(() => `${this.#process.name} > ${formatAddress(this.#address)}: gives up`);
    this.#over = true;
  }

  retry(): void {
    if (!this.#stuck) return;
    this.#stuck = false;
    this.#send(this.#network.repeatMs());
  }

  #send(delayMs: number): void {
    const { machine } = this.#process;
    const target = this.#machines.get(this.#address.hostname);
    if (target === undefined) return this.#finish(new Error("No route to host"));
    const travelMs = this.#network.travelMs(machine, target);
    this.#network.world.timeline.after(delayMs + travelMs, () => this.#arrive(target));
  }

  #arrive(target: Machine): void {
    if (this.#over || !this.#process.alive) return;
    const { machine } = this.#process;
    if (!this.#network.open(machine, target) || !this.#network.open(target, machine)) {
      this.#stuck = true;
      return;
    }
    const backMs = this.#network.travelMs(target, machine);
    const listener = this.#listeners.get(formatAddress(this.#address));
    const { timeline } = this.#network.world;
    if (listener === undefined) {
      timeline.after(backMs, () => {
        this.#finish(new Deno.errors.ConnectionRefused("Connection refused"));
      });
      return;
    }
    const here = `${machine.name}:${machine.ephemeralPort()}`;
    const ours = new Socket(this.#network, this.#process, formatAddress(this.#address));
    const theirs = new Socket(this.#network, listener.process, here);
    ours.join(theirs);
    ours.shuffler = this.#network.shuffler(this.#address);
    this.#network.world.counters.add("network: connections");
    listener.take(theirs);
    timeline.after(backMs, () => {
      if (this.#over) ours.close();
      else this.#finish(ours);
    });
  }

  #finish(result: ByteStream | Error): void {
    if (this.#over) return;
    this.#over = true;
    const outcome = result instanceof Error ? result.message : "connected";
    const { world } = this.#network;
    world.trace(() => `${this.#process.name} > ${formatAddress(this.#address)}: ${outcome}`);
    this.#process.deliver(() => this.#done(result));
  }
}
