/**
 * A port of a machine on which a process takes connections.
 *
 * @module
 */

import type { Address, Listener } from "../../broker/runtime.ts";
import type { ByteStream } from "../../client/runtime.ts";
import type { Socket } from "./socket.ts";
import type { Process } from "./world.ts";

/** A port that takes connections. */
export class PortListener implements Listener {
  readonly process: Process;
  readonly address: Address;
  readonly #release: () => void;
  readonly #waiting: Socket[] = [];
  #acceptor: ((stream: ByteStream | null) => void) | undefined;
  #closed = false;

  constructor(process: Process, address: Address, release: () => void) {
    this.process = process;
    this.address = address;
    this.#release = release;
    process.whenDead(() => this.#end());
  }

  accept(): Promise<ByteStream | null> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(null);
      const socket = this.#waiting.shift();
      if (socket !== undefined) resolve(socket);
      else this.#acceptor = resolve;
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#end();
    this.#acceptor?.(null);
  }

  /** A connection came about; the system holds it until the process asks. */
  take(socket: Socket): void {
    this.#waiting.push(socket);
    this.process.deliver(() => {
      const acceptor = this.#acceptor;
      if (acceptor === undefined) return;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#acceptor = undefined;
      acceptor(next);
    });
  }

  #end(): void {
    this.#closed = true;
    this.#release();
    for (const socket of this.#waiting.splice(0)) socket.close();
  }
}
