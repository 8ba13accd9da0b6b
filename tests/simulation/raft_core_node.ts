/**
 * A node in the simulation of the bare core: tight limits, and a hash for a state machine.
 *
 * @module
 */

import { type Entry, type NodeId, Raft, type Ready } from "../../raft/mod.ts";
import type { SimulatedDisk } from "./raft_core_disk.ts";
import type { SeededRandom } from "./raft_core_random.ts";

/** A core, its disk, and its state machine. */
export class SimulatedNode {
  readonly id: NodeId;
  readonly disk: SimulatedDisk;
  raft: Raft;
  /** Readies whose writes are under way. */
  writing: Ready[] = [];
  /** What the state machine has seen: a running hash. */
  machine = 0;
  readonly options: { preVote: boolean; checkQuorum: boolean; applyBeforeDurable: boolean };
  readonly #random: SeededRandom;

  constructor(
    id: NodeId,
    disk: SimulatedDisk,
    random: SeededRandom,
    options: SimulatedNode["options"],
  ) {
    this.id = id;
    this.disk = disk;
    this.options = options;
    this.#random = random;
    this.raft = this.start();
  }

  /** Starts from the disk. */
  start(): Raft {
    this.writing = [];
    const snapshot = this.disk.snapshot();
    this.machine = snapshot === undefined ? 0 : machineOf(snapshot.data);
    this.raft = new Raft({
      id: this.id,
      storage: this.disk,
      random: () => this.#random.next(),
      electionTicks: 6,
      heartbeatTicks: 2,
      appendBytesMax: 24,
      inflightMessagesMax: 4,
      inflightBytesMax: 64,
      uncommittedBytesMax: 200,
      committedBytesMax: 64,
      ...this.options,
    });
    return this.raft;
  }

  /** Applies an entry to the state machine. */
  apply(entry: Entry): void {
    let hash = Math.imul(this.machine ^ entry.index, 0x01000193);
    for (const byte of entry.data) hash = Math.imul(hash ^ byte, 0x01000193);
    this.machine = hash;
  }
}

/** The state machine of a snapshot. */
export function machineOf(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset).getInt32(0);
}
