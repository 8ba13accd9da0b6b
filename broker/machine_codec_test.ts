import { assertEquals, assertThrows } from "@std/assert";
import { queueSettings, ShardMachine } from "../queue/mod.ts";
import { concatBytes } from "../wire/mod.ts";
import { encodeMachine, MachineDecoder, MalformedStateError } from "./machine_codec.ts";

/** A machine in which there is some of everything. */
function busyMachine(): ShardMachine {
  const machine = new ShardMachine({ shard: 0 });
  let index = 0;
  const apply = (command: Parameters<ShardMachine["apply"]>[1]) =>
    machine.apply({ index: ++index, term: 2, timestampMs: 1_700_000_000_000 + index }, command);
  const settings = queueSettings({ partitions: 2, leaseMs: 5_000 });
  apply({ kind: "createQueue", name: "jobs é", settings, shardCount: 1, acceptExisting: false });
  for (const { partitionId, queueId, queueName, partitionNumber } of machine.partitionsToSettle()) {
    const names = { partitionId, queueId, queueName, partitionNumber, settings };
    apply({ kind: "createPartition", ...names });
    apply({ kind: "partitionSettled", partitionId, action: "create" });
  }
  const sessionId = index + 1;
  apply({ kind: "openSession", timeoutMs: 10_000, clientName: "a client" });
  const consumer = { sessionId, consumerId: 7, partitionId: 1 };
  apply({ kind: "attachConsumer", ...consumer, prefetch: 5, drain: false });
  for (let i = 0; i < 20; i++) {
    apply({ kind: "publish", sessionId, partitionId: 1, baseSequence: 3 * i, count: 3, bytes: 99 });
  }
  apply({ kind: "publish", sessionId, partitionId: 2, baseSequence: 0, count: 1, bytes: 9 });
  apply({ kind: "settle", ...consumer, operation: 0, offsets: [0, 2], deliveryCounts: [1, 1] });
  apply({ kind: "settle", ...consumer, operation: 1, offsets: [3], deliveryCounts: [1] });
  apply({ kind: "openSession", timeoutMs: 10_000, clientName: "another" });
  apply({ kind: "detachSession", sessionId: index, attachIndex: index });
  const message = { key: "é", headers: { a: "b" }, body: new Uint8Array([1, 0, 255]) };
  const cron = { cron: "0 6 * * *", timeZone: "Europe/Berlin" };
  const schedule = { kind: "addSchedule", partitionId: 1, nextMs: 1_800_000_000_000 } as const;
  apply({ ...schedule, id: "daily", timing: cron, message });
  apply({
    ...schedule,
    id: "often",
    timing: { everyMs: 5_000 },
    message: { ...message, headers: {} },
  });
  apply({ kind: "pauseSchedule", partitionId: 1, id: "often" });
  return machine;
}

function encoded(machine: ShardMachine): Uint8Array {
  return concatBytes([...encodeMachine(machine.capture().parts())]);
}

/** Decodes bytes that come in pieces of a size. */
function decoded(shard: number, bytes: Uint8Array, pieceBytes = bytes.length): ShardMachine {
  const decoder = new MachineDecoder(shard);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    decoder.push(bytes.slice(at, at + pieceBytes));
    while (decoder.step());
  }
  return decoder.finish();
}

Deno.test("MachineDecoder makes the machine again, in whatever pieces its bytes come", () => {
  const machine = busyMachine();
  const bytes = encoded(machine);
  for (const pieceBytes of [1, 3, 100, bytes.length]) {
    const again = decoded(0, bytes, pieceBytes);
    assertEquals(again.stateHash(), machine.stateHash());
    assertEquals([...again.capture().parts()], [...machine.capture().parts()]);
    assertEquals(again.lowestLiveEntryIndex(), machine.lowestLiveEntryIndex());
  }
});

Deno.test("MachineDecoder throws on bytes that are cut off, too long, or of another kind", () => {
  const bytes = encoded(busyMachine());
  for (let length = 0; length < bytes.length; length += 7) {
    assertThrows(() => decoded(0, bytes.slice(0, length), 1_000), MalformedStateError);
  }
  assertThrows(() => decoded(0, concatBytes([bytes, new Uint8Array(1)])), MalformedStateError);
  assertThrows(() => decoded(1, bytes), MalformedStateError, "shard 1");
  const newer = bytes.slice();
  newer[0] = 3;
  assertThrows(() => decoded(0, newer), MalformedStateError, "format");
  const huge = bytes.slice();
  huge.fill(0xff, 4, 8);
  assertThrows(() => decoded(0, huge), MalformedStateError, "of 4294967");
});
