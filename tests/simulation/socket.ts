/**
 * One end of a connection, as a process sees it: reads and writes of fewer bytes than asked for, the end of
 * the stream, and errors as those of Deno.
 *
 * @module
 */

import type { ByteStream } from "../../client/runtime.ts";
import type { FrameShuffler } from "./frame_shuffler.ts";
import type { Network } from "./network.ts";
import { type Packet, Pipe } from "./pipe.ts";
import { copyOf } from "./slab.ts";
import type { DeathCause, Process } from "./world.ts";

/** One end of a connection. */
export class Socket implements ByteStream {
  readonly process: Process;
  readonly remoteAddress: string;
  readonly #network: Network;
  /** To the other end. */
  pipe!: Pipe;
  /** What is written goes through this, where it is there. */
  shuffler: FrameShuffler | undefined;
  #peer!: Socket;
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #ended = false;
  #failure: string | undefined;
  #closed = false;
  #reading:
    | {
      buffer: Uint8Array;
      resolve: (count: number | null) => void;
      reject: (error: Error) => void;
    }
    | undefined;
  #writing:
    | { bytes: Uint8Array; resolve: (count: number) => void; reject: (error: Error) => void }
    | undefined;

  constructor(network: Network, process: Process, remoteAddress: string) {
    this.#network = network;
    this.process = process;
    this.remoteAddress = remoteAddress;
    process.whenDead((cause) => this.#orphaned(cause));
  }

  /** Makes a connection of two ends. */
  join(peer: Socket): void {
    this.#peer = peer;
    peer.#peer = this;
    this.pipe = new Pipe(this.#network, this, peer);
    peer.pipe = new Pipe(this.#network, peer, this);
    this.#network.opened(this.pipe);
    this.#network.opened(peer.pipe);
    // The end of a process that died while the connection was being made.
    if (!peer.process.alive) peer.close();
  }

  /** Whether this end is closed or broken. */
  get closed(): boolean {
    return this.#closed || this.#failure !== undefined;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (this.#reading !== undefined) throw new TypeError("Cannot read twice at a time");
      this.#reading = { buffer, resolve, reject };
      this.#serveRead();
    });
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#writing !== undefined) throw new TypeError("Cannot write twice at a time");
      this.#writing = { bytes, resolve, reject };
      this.#serveWrite();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // With bytes unread, the system tells the other end that they got lost.
    this.pipe.send(this.#receivedBytes > 0 ? "reset" : "end");
    this.#received = [];
    this.#receivedBytes = 0;
    this.#reading?.reject(new Deno.errors.Interrupted("The stream was closed"));
    this.#writing?.reject(new Deno.errors.Interrupted("The stream was closed"));
    this.#reading = undefined;
    this.#writing = undefined;
  }

  /** The connection broke at this end. */
  fail(reason: string): void {
    if (this.#closed || this.#failure !== undefined) return;
    const { world } = this.#network;
    world.trace(() => `${this.process.name} > ${this.remoteAddress}: ${reason}`);
    this.#failure = reason;
    this.process.deliver(() => {
      this.#serveRead();
      this.#serveWrite();
    });
  }

  /** Something came out of the pipe. */
  arrived(packet: Packet): void {
    const { world } = this.#network;
    if (packet === "reset") return this.fail("Connection reset by peer");
    if (packet === "end") {
      if (this.#closed) return;
      this.#ended = true;
      return this.process.deliver(() => this.#serveRead());
    }
    if (this.#closed || !this.process.alive) {
      // Nobody is here to take it.
      this.#peer.pipe.stop();
      this.#peer.#resetBy(this);
      return;
    }
    if (this.#failure !== undefined || packet.length === 0) return;
    world.hash.number(world.nowMs);
    world.hash.bytes(packet);
    this.#received.push(packet);
    this.#receivedBytes += packet.length;
    this.process.deliver(() => this.#serveRead());
  }

  /** The pipe or the other end has taken something. */
  roomMayBeThere(): void {
    if (this.#writing !== undefined) this.process.deliver(() => this.#serveWrite());
  }

  /** The other end answers with a reset, as often as it takes: its way back may be cut. */
  #resetBy(peer: Socket, delayMs = 0): void {
    const { world } = this.#network;
    const from = peer.process.machine;
    const to = this.process.machine;
    world.timeline.after(delayMs + this.#network.travelMs(from, to), () => {
      if (this.closed || !this.process.alive) return;
      if (this.#network.open(from, to)) this.fail("Connection reset by peer");
      else this.#resetBy(peer, this.#network.repeatMs());
    });
  }

  #orphaned(cause: DeathCause): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reading = undefined;
    this.#writing = undefined;
    // Not yet joined: join() will see to it.
    if (this.pipe === undefined) return;
    if (cause === "killed") this.pipe.send(this.#receivedBytes > 0 ? "reset" : "end");
    // A machine without power says nothing more; what it had sent is on its way or not.
    else this.pipe.stop();
  }

  #send(bytes: Uint8Array): void {
    if (this.shuffler === undefined) return this.pipe.send(bytes);
    for (const frame of this.shuffler.take(bytes)) this.pipe.send(frame);
  }

  #serveRead(): void {
    const reading = this.#reading;
    if (reading === undefined || !this.process.alive) return;
    const first = this.#received[0];
    if (first !== undefined) {
      this.#reading = undefined;
      let done = 0;
      const wanted = this.#network.short(Math.min(reading.buffer.length, this.#receivedBytes));
      while (done < wanted) {
        const chunk = this.#received[0]!;
        const count = Math.min(chunk.length, wanted - done);
        reading.buffer.set(chunk.subarray(0, count), done);
        if (count === chunk.length) this.#received.shift();
        else this.#received[0] = chunk.subarray(count);
        done += count;
      }
      this.#receivedBytes -= done;
      this.#peer.roomMayBeThere();
      return reading.resolve(done);
    }
    if (this.#failure === undefined && !this.#ended && !this.#closed) return;
    this.#reading = undefined;
    if (this.#failure !== undefined) {
      return reading.reject(new Deno.errors.ConnectionReset(this.#failure));
    }
    if (this.#closed) return reading.reject(new Deno.errors.BadResource("The stream is closed"));
    reading.resolve(null);
  }

  #serveWrite(): void {
    const writing = this.#writing;
    if (writing === undefined || !this.process.alive) return;
    if (this.#failure !== undefined || this.#closed) {
      this.#writing = undefined;
      const reason = this.#failure ?? "The stream is closed";
      return writing.reject(new Deno.errors.BrokenPipe(reason));
    }
    const room = this.#network.settings.bufferBytes - this.pipe.bytes - this.#peer.#receivedBytes;
    if (room <= 0) return;
    this.#writing = undefined;
    const count = this.#network.short(Math.min(room, writing.bytes.length));
    // A copy: the writer may use its buffer again.
    if (count > 0) this.#send(copyOf(writing.bytes.subarray(0, count)));
    writing.resolve(count);
  }
}
