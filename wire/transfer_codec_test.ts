import { assertEquals, assertThrows } from "@std/assert";
import type { TransferCommand } from "../queue/mod.ts";
import { decodeCommand } from "./command_codec.ts";
import { deathNoteOf, withDeathNote, withoutDeathNote } from "./dead_letter.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeMessage, encodeHeaders } from "./message_record.ts";
import { type MessageBounds, PublishArena, PublishBatch } from "./publish_batch.ts";
import {
  checkSettleAndPublish,
  encodeSettleAndPublish,
  encodeTransfer,
  messageBoundsIn,
} from "./transfer_codec.ts";

const limits = { messageBytesMax: 100, batchCountMax: 10 };

function batchOf(...bodies: string[]): PublishBatch {
  const batch = new PublishBatch(new PublishArena());
  for (const body of bodies) batch.add(body, "k", encodeHeaders({ a: "b" }));
  return batch;
}

function textsIn(command: Uint8Array, count: number): string[] {
  const bounds: MessageBounds = { start: 0, end: 0 };
  return Array.from({ length: count }, (_, position) => {
    messageBoundsIn(command, position, bounds);
    const { key, headers, body } = decodeMessage(command, bounds.start, bounds.end);
    assertEquals([key, headers], ["k", { a: "b" }]);
    return new TextDecoder().decode(body);
  });
}

const head = {
  partitionId: 9,
  sessionId: 2 ** 40,
  consumerId: 7,
  offsets: [3, 2 ** 33],
  deliveryCounts: [1, 2],
  sequence: 12,
  answeredBelow: 4,
  targets: [{ queue: "a", partition: 0 }, { queue: "b/ü", partition: 5 }],
};

Deno.test("an ack that publishes is read as it was written, with its messages", () => {
  const command = encodeSettleAndPublish(head, batchOf("one", "two"));
  assertEquals(checkSettleAndPublish(command, limits), -1);
  assertEquals(decodeCommand(command), { kind: "settleAndPublish", ...head });
  assertEquals(textsIn(command, 2), ["one", "two"]);
});

Deno.test("checkSettleAndPublish() tells a message that is too large", () => {
  const command = encodeSettleAndPublish(head, batchOf("one", "x".repeat(101)));
  assertEquals(checkSettleAndPublish(command, limits), 1);
});

Deno.test("checkSettleAndPublish() throws at whatever is cut off, or does not fit together", () => {
  const command = encodeSettleAndPublish(head, batchOf("one", "two"));
  for (let length = 0; length < command.length; length++) {
    assertThrows(
      () => checkSettleAndPublish(command.slice(0, length), limits),
      MalformedFrameError,
    );
  }
  const oneTarget = encodeSettleAndPublish(
    { ...head, targets: head.targets.slice(1) },
    batchOf("one", "two"),
  );
  assertThrows(() => checkSettleAndPublish(oneTarget, limits), MalformedFrameError, "1 targets");
});

Deno.test("a transfer is read as it was written, and holds its messages like a publish", () => {
  const batch = batchOf("one");
  batch.addRecord(batchOf("two").area);
  const transfer = { partitionId: 9, sourceShard: 65_535, firstId: 2 ** 34, lastId: 2 ** 34 + 8 };
  const command = encodeTransfer(transfer, batch);
  const { details, ...decoded } = decodeCommand(command) as TransferCommand;
  assertEquals(decoded, { kind: "transfer", ...transfer, count: 2, bytes: batch.bytes });
  assertEquals([details?.at(0), details?.at(1)], [{ key: "k" }, { key: "k" }]);
  assertEquals(textsIn(command, 2), ["one", "two"]);
});

Deno.test("the headers of a dead letter tell its death, and lose it again", () => {
  const death = {
    queue: "mail",
    partition: 2,
    offset: 17,
    deliveryCount: 3,
    reason: "rejected" as const,
    detail: "no such address",
    atMs: 1_700_000_000_123,
  };
  const headers = withDeathNote({ a: "b", "flowmq-dead-detail": "older" }, death);
  assertEquals(deathNoteOf(headers), death);
  assertEquals(withoutDeathNote(headers), { a: "b" });
  assertEquals(deathNoteOf(withDeathNote(headers, death, 5_000)), { ...death, ttlMs: 5_000 });
  assertEquals(withoutDeathNote(withDeathNote(headers, death, 5_000)), { a: "b" });
  for (const nonsense of ["", "0", "-1", "1.5", "x", "1e99"]) {
    assertEquals(deathNoteOf({ ...headers, "flowmq-dead-ttl-ms": nonsense }), death);
  }
  const { detail: _, ...silent } = death;
  assertEquals(deathNoteOf(withDeathNote(headers, silent)), silent);
  assertEquals(deathNoteOf({ a: "b" }), undefined);
});
