/**
 * One direction of a connection: packets arrive in their order, each in its time, unless the link is down.
 *
 * @module
 */

import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Socket } from "./socket.ts";

/** What travels in a pipe. */
export type Packet = Uint8Array | "end" | "reset";

/** One direction of a connection. */
export class Pipe {
  readonly from: Socket;
  readonly to: Socket;
  readonly #network: Network;
  #packets: { readonly packet: Packet; readonly dueMs: number }[] = [];
  #underWay = false;
  #stuckSince: number | undefined;
  #lastDueMs = 0;
  #bytes = 0;
  /** Nothing gets in any more. */
  #sealed = false;

  constructor(network: Network, from: Socket, to: Socket) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  /** Bytes on their way. */
  get bytes(): number {
    return this.#bytes;
  }

  send(packet: Packet): void {
    if (this.#sealed) return;
    if (packet === "end" || packet === "reset") this.#sealed = true;
    const { world } = this.#network;
    const travelMs = this.#network.travelMs(this.from.process.machine, this.to.process.machine);
    const dueMs = this.#lastDueMs = Math.max(this.#lastDueMs, world.nowMs + travelMs);
    if (typeof packet !== "string") this.#bytes += packet.length;
    this.#packets.push({ packet, dueMs });
    this.#next();
  }

  /** What is under way comes in later, and then the other end hears of the reset. */
  linger(ms: number): void {
    const { world } = this.#network;
    this.send("reset");
    const packets = this.#packets;
    this.#packets = packets.map(({ packet, dueMs }) => ({ packet, dueMs: dueMs + ms }));
    // One that is about to come in comes when it was due: the others wait behind it.
    world.trace(() => `${this.from.process.name}: ${packets.length} packets come ${ms} ms late`);
  }

  /** Cuts off what is under way at a random byte. */
  tear(random: Random): void {
    const left = random.below(this.#packets.length + 1);
    const kept = this.#packets.slice(0, left);
    const last = kept.at(-1);
    if (last !== undefined && typeof last.packet !== "string") {
      const bytes = last.packet.subarray(0, random.below(last.packet.length + 1));
      kept[left - 1] = { packet: bytes, dueMs: last.dueMs };
    }
    // Arrives at once: the reset is right behind.
    for (const { packet } of kept) this.to.arrived(packet);
    this.stop();
  }

  /** Nothing arrives any more, and nobody is told. */
  stop(): void {
    this.#sealed = true;
    this.#packets = [];
    this.#network.closed(this);
  }

  /** The link may be open again. */
  retry(): void {
    if (this.#stuckSince === undefined) return;
    const { from, to } = this;
    if (!this.#network.open(from.process.machine, to.process.machine)) return;
    this.#stuckSince = undefined;
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#network.world.nowMs);
    this.#underWay = true;
    this.#network.world.timeline.after(this.#network.repeatMs(), () => this.#arrive());
  }

  #next(): void {
    if (this.#underWay || this.#stuckSince !== undefined) return;
    const first = this.#packets[0];
    if (first === undefined) return;
    this.#underWay = true;
    const { timeline, nowMs } = this.#network.world;
    timeline.after(first.dueMs - nowMs, () => this.#arrive());
  }

  #arrive(): void {
    this.#underWay = false;
    const first = this.#packets[0];
    if (first === undefined) return;
    if (!this.#network.open(this.from.process.machine, this.to.process.machine)) {
      return this.#stick();
    }
    this.#packets.shift();
    const { packet } = first;
    if (typeof packet !== "string") this.#bytes -= packet.length;
    this.to.arrived(packet);
    if (typeof packet === "string") this.stop();
    else {
      this.from.roomMayBeThere();
      this.#next();
    }
  }

  #stick(): void {
    const { world, settings } = this.#network;
    const since = this.#stuckSince = world.nowMs;
    world.timeline.after(settings.giveUpMs, () => {
      if (this.#stuckSince !== since) return;
      world.counters.add("network: connections given up");
      this.stop();
      this.from.fail("Connection timed out");
    });
  }
}
