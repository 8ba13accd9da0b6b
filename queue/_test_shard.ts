/**
 * A shard's machine and the log that it is fed with, for tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Command, Reply } from "./commands.ts";
import type { MachineLimits } from "./limits.ts";
import { ShardMachine } from "./machine.ts";

/** A machine, checked after every command. */
export class TestShard {
  machine: ShardMachine;
  /** The time of the next entry. */
  nowMs = 10_000;
  /** The last entry. */
  index = 0;
  readonly #options: { readonly shard: number; readonly limits: Partial<MachineLimits> };

  constructor(limits: Partial<MachineLimits> = {}, shard = 0) {
    this.#options = { shard, limits };
    this.machine = new ShardMachine(this.#options);
  }

  apply(command: Command): Reply {
    const meta = { index: ++this.index, term: 1, timestampMs: this.nowMs };
    const reply = this.machine.apply(meta, command);
    this.machine.checkInvariants();
    return reply;
  }

  /** The reason of a refusal, or the kind of the reply. */
  outcome(command: Command): string {
    const reply = this.apply(command);
    return reply.kind === "refused" ? reply.reason : reply.kind;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.apply({ kind: "tick" });
  }

  /** Another node takes over with a copy of the state. */
  restart(): void {
    const parts = structuredClone([...this.machine.capture().parts()]);
    const hash = this.machine.stateHash();
    this.machine = ShardMachine.restore(this.#options, parts);
    this.machine.checkInvariants();
    assertEquals(this.machine.stateHash(), hash);
  }
}
