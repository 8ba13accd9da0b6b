import { assertEquals, assertThrows } from "@std/assert";
import { array, assert, maxSafeNat, nat, property, record, tuple, uint8Array } from "fast-check";
import { PushType } from "./client_messages.ts";
import {
  DeliverBuilder,
  deliverConsumerId,
  deliverCount,
  deliverPartitionId,
  visitDeliveries,
} from "./deliver_frame.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame, type Frame } from "./frame.ts";

interface Plain {
  readonly offset: number;
  readonly deliveryCount: number;
  readonly term: number;
  readonly index: number;
  readonly publishedAtMs: number;
  readonly record: Uint8Array;
}

const anyDelivery = record({
  offset: maxSafeNat(),
  deliveryCount: nat({ max: 0xffff_ffff }),
  term: maxSafeNat(),
  index: maxSafeNat(),
  publishedAtMs: maxSafeNat(),
  record: uint8Array({ minLength: 1, maxLength: 120 }),
});

function build(deliveries: readonly Plain[], countLikely: number): Frame {
  const target = { shard: 4, term: 7, consumerId: 5, partitionId: 6 };
  const builder = new DeliverBuilder(target, countLikely);
  for (const { offset, deliveryCount, term, index, publishedAtMs, record } of deliveries) {
    const source = new Uint8Array(record.length + 10);
    source.set(record, 3);
    const end = 3 + record.length;
    builder.add(offset, deliveryCount, term, index, publishedAtMs, source, 3, end);
  }
  assertEquals(builder.count, deliveries.length);
  const frame = builder.finish();
  assertEquals(frame.length, builder.byteLength);
  return decodeFrame(frame);
}

function readAll(payload: Uint8Array): Plain[] {
  const found: Plain[] = [];
  visitDeliveries(payload, (offset, deliveryCount, term, index, publishedAtMs, start, end) => {
    const record = payload.subarray(start, end);
    found.push({ offset, deliveryCount, term, index, publishedAtMs, record });
  });
  return found;
}

Deno.test("visitDeliveries() reads what DeliverBuilder was given", () => {
  const likely = nat({ max: 50 });
  assert(
    property(
      tuple(array(anyDelivery, { maxLength: 40 }), likely),
      ([deliveries, countLikely]: [Plain[], number]) => {
        const frame = build(deliveries, countLikely);
        assertEquals([frame.type, frame.shard, frame.correlationId], [PushType.deliver, 4, 0]);
        assertEquals(deliverConsumerId(frame.payload), 5);
        assertEquals(deliverPartitionId(frame.payload), 6);
        assertEquals(deliverCount(frame.payload), deliveries.length);
        assertEquals(readAll(frame.payload), deliveries);
      },
    ),
  );
});

Deno.test("visitDeliveries() throws MalformedFrameError and nothing else on damaged bytes", () => {
  const damage = array(tuple(nat({ max: 200 }), nat({ max: 255 })), { maxLength: 3 });
  assert(
    property(
      tuple(array(anyDelivery, { maxLength: 3 }), damage, nat({ max: 20 })),
      ([deliveries, changes, cut]: [Plain[], [number, number][], number]) => {
        const { payload } = build(deliveries, 1);
        const bytes = payload.slice(0, Math.max(0, payload.length - cut));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          readAll(bytes);
        } catch (error) {
          if (!(error instanceof MalformedFrameError)) throw error;
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("visitDeliveries() notices every cut", () => {
  const one = { offset: 1, deliveryCount: 1, term: 1, index: 1, publishedAtMs: 1 };
  const { payload } = build([{ ...one, record: new Uint8Array([0, 1]) }], 1);
  for (let length = 0; length < payload.length; length++) {
    assertThrows(() => readAll(payload.subarray(0, length)), MalformedFrameError);
  }
});
