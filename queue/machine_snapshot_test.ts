import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { Command } from "./commands.ts";
import { InvariantError } from "./invariant.ts";
import { ShardMachine } from "./machine.ts";
import type { SnapshotPart } from "./machine_snapshot.ts";
import { queueSettings } from "./settings.ts";
import { JobsShard, LEASE_MS } from "./_jobs_shard.ts";

function snapshotOf(machine: ShardMachine): SnapshotPart[] {
  return structuredClone([...machine.capture().parts()]);
}

Deno.test("ShardMachine.stateHash() tells different states apart and survives a restart", () => {
  const shard = new JobsShard();
  const seen = new Set([shard.machine.stateHash()]);
  const look = () => {
    const hash = shard.machine.stateHash();
    seen.add(hash);
    shard.restart();
    assertEquals(shard.machine.stateHash(), hash);
  };
  shard.partition(1);
  look();
  const session = shard.session();
  look();
  shard.attach(session);
  look();
  shard.publish(session, 0, 5);
  look();
  shard.settle(session, [0]);
  look();
  shard.settle(session, [1], { operation: 1 });
  look();
  shard.apply({ kind: "beginTerm" });
  look();
  assertEquals(seen.size, 8);
  const other = new JobsShard();
  other.index = shard.index - 1;
  other.apply({ kind: "beginTerm" });
  assertNotEquals(other.machine.stateHash(), shard.machine.stateHash());
});

Deno.test("ShardMachine.capture() does not change with the machine", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session, { prefetch: 2 });
  shard.publish(session, 0, 4);
  const before = snapshotOf(shard.machine);
  const capture = shard.machine.capture();
  shard.settle(session, [0, 1]);
  shard.publish(session, 4, 4);
  shard.pass(LEASE_MS);
  shard.partition(2);
  shard.apply({ kind: "closeSession", sessionId: session });
  assertEquals([...capture.parts()], before);
});

Deno.test("ShardMachine.restore() throws on another version and on another shard", () => {
  const [first, ...rest] = snapshotOf(new ShardMachine({ shard: 3 }));
  assertThrows(
    () => ShardMachine.restore({ shard: 3 }, [{ ...first, version: 1 } as SnapshotPart, ...rest]),
    RangeError,
    "Cannot restore a snapshot as its version must be 2: current value is 1",
  );
  assertThrows(
    () => ShardMachine.restore({ shard: 0 }, [first!, ...rest]),
    RangeError,
    "Cannot restore a snapshot as it must be of shard 0: current value is 3",
  );
});

Deno.test("ShardMachine.restore() throws on parts that are missing or out of place", () => {
  const shard = new JobsShard();
  shard.partition(1);
  shard.publish(shard.session(), 0, 2);
  const parts = snapshotOf(shard.machine);
  for (const at of parts.keys()) {
    const without = parts.filter((_, other) => other !== at);
    assertThrows(() => ShardMachine.restore({ shard: 0 }, without), RangeError);
    assertThrows(() => ShardMachine.restore({ shard: 0 }, parts.slice(0, at)), RangeError);
  }
  assertThrows(() => ShardMachine.restore({ shard: 0 }, [...parts, parts[0]!]), RangeError);
  assertThrows(() => ShardMachine.restore({ shard: 0 }, [parts[0]!, ...parts]), RangeError);
});

Deno.test("ShardMachine.restore() stops the process on a snapshot that contradicts itself", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const session = shard.session();
  shard.attach(session);
  shard.publish(session, 0, 2);
  const parts = snapshotOf(shard.machine);
  const changed = (kind: SnapshotPart["kind"], change: object) =>
    parts.map((part) => part.kind === kind ? { ...part, ...change } as SnapshotPart : part);
  ShardMachine.restore({ shard: 0 }, parts);
  for (
    const damaged of [
      changed("sessions", { sessions: [] }),
      changed("shard", { tombstones: new Uint32Array([1]) }),
      changed("batches", { firstOffset: 1 }),
      changed("partition", { freshOffset: 3 }),
      changed("ring", { consumers: new Uint32Array(0) }),
      changed("consumers", { consumers: [] }),
    ]
  ) {
    assertThrows(() => ShardMachine.restore({ shard: 0 }, damaged), InvariantError);
  }
});

Deno.test("ShardMachine makes parts of bounded size, and goes on from many as it would have", () => {
  const shard = new JobsShard();
  shard.partition(1);
  const sessions = Array.from({ length: 300 }, () => shard.session());
  for (const session of sessions) shard.attach(session, { prefetch: 80 });
  const [sessionId] = sessions as [number];
  const apply = (command: Command) =>
    shard.machine.apply({ index: ++shard.index, term: 1, timestampMs: shard.nowMs }, command);
  const publish = { kind: "publish", sessionId, partitionId: 1, bytes: 10 } as const;
  for (let baseSequence = 0; baseSequence < 40_000; baseSequence++) {
    apply({ ...publish, baseSequence, count: 1 });
  }
  // What the first ones held has nowhere to go: the others have no credit left.
  for (const other of sessions.slice(1, 150)) apply({ kind: "closeSession", sessionId: other });
  const parts = snapshotOf(shard.machine);
  const kinds = Object.entries(Object.groupBy(parts, ({ kind }) => kind));
  assertEquals(Object.fromEntries(kinds.map(([kind, { length }]) => [kind, length])), {
    shard: 1,
    sessions: 1,
    producers: 1,
    partition: 1,
    consumers: 1,
    batches: 2,
    leases: 2,
    returned: 2,
    end: 1,
  });
  const restored = ShardMachine.restore({ shard: 0 }, parts);
  assertEquals(restored.stateHash(), shard.machine.stateHash());
});

Deno.test("ShardMachine.restore() fills in settings that an older snapshot does not have", () => {
  const shard = new JobsShard();
  shard.apply({
    kind: "createQueue",
    name: "jobs",
    settings: queueSettings(),
    shardCount: 1,
    acceptExisting: false,
  });
  shard.partition(1, queueSettings().leaseMs, queueSettings().backoffFirstMs);
  const older = [...shard.machine.capture().parts()].map((part) => {
    if (part.kind === "partition") return { ...part, settings: { partitions: 1 } };
    if (part.kind !== "queues") return part;
    return { ...part, queues: part.queues.map((queue) => ({ ...queue, settings: {} })) };
  }) as SnapshotPart[];
  const restored = ShardMachine.restore({ shard: 0 }, older);
  assertEquals(restored.stateHash(), shard.machine.stateHash());
});
