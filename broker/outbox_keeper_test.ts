import { assertEquals } from "@std/assert";
import { queueSettings, ShardMachine, type SnapshotPart, type Transfer } from "../queue/mod.ts";
import { EntryKind } from "../raft/mod.ts";
import {
  deathNoteOf,
  decodeCommand,
  decodeMessage,
  type EncodableCommand,
  encodePublishCommand,
  messageEnd,
  messageStart,
} from "../wire/mod.ts";
import { denoNodeRuntime } from "./deno_runtime.ts";
import { silentLogger } from "./logger.ts";
import { OutboxKeeper } from "./outbox_keeper.ts";

/** A shard with messages in its outbox, and a cluster that is one other shard with one queue. */
class Rig {
  readonly machine: ShardMachine;
  readonly target = new ShardMachine({ shard: 0 });
  /** What was asked for, in order. */
  readonly asked: string[] = [];
  /** How many times the target does what it should, and the answer is lost. */
  answersLost = 0;
  existing = new Set(["next"]);
  partitions = [{ id: 9, number: 0, shard: 0 }];
  bodies: string[] = [];
  notes: unknown[] = [];
  readonly keeper: OutboxKeeper;
  #index = 0;
  #sourceIndex = 50;

  constructor(transfers: readonly Transfer[]) {
    const [shard] = new ShardMachine({ shard: 1 }).capture().parts();
    const parts: SnapshotPart[] = [
      { ...shard!, appliedIndex: 50 } as SnapshotPart,
      { kind: "outbox", nextId: 1 + Math.max(...transfers.map(({ id }) => id)) },
      { kind: "transfers", transfers },
      { kind: "end", parts: 3 },
    ];
    this.machine = ShardMachine.restore({ shard: 1 }, parts);
    this.applyAtTarget({
      kind: "createPartition",
      partitionId: 9,
      queueId: 1,
      queueName: "next",
      partitionNumber: 0,
      settings: queueSettings(),
      paused: false,
      revision: 0,
    });
    const entry = (index: number) => ({
      index,
      term: 1,
      kind: EntryKind.command,
      data: encodePublishCommand({ partitionId: 1, sessionId: 1, baseSequence: 0 }, [
        { body: `${index}/0`, key: "k" },
        { body: `${index}/1`, headers: { a: "b" } },
      ]),
    });
    this.keeper = new OutboxKeeper({ id: 1, machine: this.machine, store: { entry } }, {
      client: {
        findQueue: (name) => Promise.resolve(this.#find(name)),
        submit: (shard, command) => this.#submit(shard, command),
        transfer: (shard, command) => this.#transfer(shard, command),
      },
      shardCount: 2,
      clock: denoNodeRuntime().clock,
      log: silentLogger,
      fail: (error) => {
        throw error;
      },
    });
  }

  /** Lets the keeper work until nothing is left. */
  async finish(): Promise<void> {
    this.keeper.lead(true);
    while (this.machine.outboxSize > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    this.keeper.lead(false);
    this.machine.checkInvariants();
  }

  #find(name: string) {
    if (!this.existing.has(name)) return undefined;
    return {
      id: 1,
      name,
      settings: queueSettings(),
      paused: false,
      revision: 0,
      partitions: this.partitions,
      state: "ready" as const,
    };
  }

  #submit(shard: number, command: EncodableCommand): Promise<void> {
    this.asked.push(`${command.kind} in ${shard}`);
    if (command.kind === "createQueue") this.existing.add(command.name);
    else {
      const meta = { index: ++this.#sourceIndex, term: 1, timestampMs: 1 };
      this.machine.apply(meta, command);
    }
    return Promise.resolve();
  }

  #transfer(shard: number, bytes: Uint8Array): Promise<number> {
    const command = decodeCommand(bytes);
    if (command.kind !== "transfer") throw new Error(command.kind);
    this.asked.push(`transfer ${command.firstId} to ${command.lastId} in ${shard}`);
    const reply = this.applyAtTarget(command);
    if (reply.kind !== "transferred") throw new Error(reply.kind);
    for (let i = 0; reply.firstOffset !== undefined && i < command.count; i++) {
      const message = decodeMessage(bytes, messageStart(bytes, i), messageEnd(bytes, i));
      this.bodies.push(`${message.key ?? "-"} ${new TextDecoder().decode(message.body)}`);
      this.notes.push(deathNoteOf(message.headers));
    }
    if (this.answersLost-- > 0) return Promise.reject(new Error("The connection was lost"));
    return Promise.resolve(reply.takenId);
  }

  applyAtTarget(command: Parameters<ShardMachine["apply"]>[1]) {
    return this.target.apply({ index: ++this.#index, term: 1, timestampMs: 1 }, command);
  }
}

const next = { queue: "next", partition: 0 };

function transfers(...ids: number[]): Transfer[] {
  return ids.map((id) => ({ id, target: next, entryIndex: 10 + id, position: id % 2 }));
}

Deno.test("OutboxKeeper brings messages to their partition as they are, and in order", async () => {
  const rig = new Rig(transfers(1, 2, 5));
  await rig.finish();
  assertEquals(rig.asked, ["transfer 1 to 5 in 0", "transferDone in 1"]);
  assertEquals(rig.bodies, ["- 11/1", "k 12/0", "- 15/1"]);
});

Deno.test("OutboxKeeper looks a queue up again for a partition that it did not have", async () => {
  const rig = new Rig([
    ...transfers(1),
    { id: 2, target: { queue: "next", partition: 1 }, entryIndex: 12, position: 0 },
  ]);
  // The queue gets it as soon as it was looked up.
  const before = rig.partitions;
  let looks = 0;
  Object.defineProperty(rig, "partitions", {
    get: () => looks++ === 0 ? before : [...before, { id: 10, number: 1, shard: 0 }],
  });
  rig.applyAtTarget({
    kind: "createPartition",
    partitionId: 10,
    queueId: 1,
    queueName: "next",
    partitionNumber: 1,
    settings: queueSettings(),
  });
  await rig.finish();
  assertEquals(rig.bodies.toSorted(), ["- 11/1", "k 12/0"]);
});

Deno.test("OutboxKeeper stores a message once though answers are lost", async () => {
  const rig = new Rig(transfers(1, 2));
  rig.answersLost = 2;
  await rig.finish();
  assertEquals(rig.bodies, ["- 11/1", "k 12/0"]);
  assertEquals(rig.target.stats(9)?.published, 2);
});

Deno.test("OutboxKeeper goes on behind what another keeper has brought", async () => {
  const rig = new Rig(transfers(1, 2, 3));
  // What the other one did to the target, as if it had been stopped before it said so in the source.
  rig.applyAtTarget({
    kind: "transfer",
    partitionId: 9,
    sourceShard: 1,
    firstId: 1,
    lastId: 2,
    count: 2,
    bytes: 1,
  });
  await rig.finish();
  assertEquals(rig.bodies, ["- 13/1"]);
  assertEquals(rig.target.stats(9)?.published, 3);
});

Deno.test("OutboxKeeper makes a dead-letter queue that is missing, and tells how messages died", async () => {
  const death = {
    queue: "mail",
    partition: 3,
    offset: 17,
    deliveryCount: 10,
    reason: "maxDeliveries" as const,
    detail: "no such address",
    atMs: 1_700_000_000_000,
  };
  const target = { queue: "mail.dead", partition: 0 };
  const rig = new Rig([{ id: 4, target, entryIndex: 20, position: 0, death }]);
  await rig.finish();
  assertEquals(rig.asked, ["createQueue in 0", "transfer 4 to 4 in 0", "transferDone in 1"]);
  assertEquals(rig.bodies, ["k 20/0"]);
  assertEquals(rig.notes, [death]);
});

Deno.test("OutboxKeeper drops what was on its way to a queue that is gone", async () => {
  const rig = new Rig(transfers(1, 2));
  rig.existing.clear();
  await rig.finish();
  assertEquals(rig.asked, ["transferDone in 1"]);
  assertEquals(rig.bodies, []);
});
