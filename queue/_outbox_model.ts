/**
 * The outbox of the naive model: a list of what is on its way to other queues.
 *
 * @module
 */

import type { Transfer } from "./commands.ts";

/** Everything that a shard sends. */
export class OutboxModel {
  /** In the order of the ids. */
  transfers: Transfer[] = [];
  readonly #max: number;
  #nextId = 1;

  constructor(max: number) {
    this.#max = max;
  }

  /** Replays leave the other half to what dies, and to acks that publish. */
  get isHalfFull(): boolean {
    return this.transfers.length * 2 >= this.#max;
  }

  hasRoomFor(count: number): boolean {
    return this.transfers.length + count <= this.#max;
  }

  put(transfer: Omit<Transfer, "id">): void {
    this.transfers.push({ id: this.#nextId++, ...transfer });
  }

  done(ids: readonly number[]): void {
    this.transfers = this.transfers.filter(({ id }) => !ids.includes(id));
  }
}
