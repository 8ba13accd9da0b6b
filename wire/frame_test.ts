import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { array, assert, nat, property, record, tuple, uint8Array } from "fast-check";
import { concatBytes, writeU32 } from "./bytes.ts";
import { ErrorCode } from "./error_codes.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame, encodeFrame, encodeFrameHeader, type Frame, FrameParser } from "./frame.ts";

interface Plain {
  readonly type: number;
  readonly shard: number;
  readonly correlationId: number;
  readonly payload: Uint8Array;
}

const anyFrame = record({
  type: nat({ max: 255 }),
  shard: nat({ max: 0xffff }),
  correlationId: nat({ max: 0xffff_ffff }),
  payload: uint8Array({ maxLength: 300 }),
});

function encode(frame: Plain): Uint8Array {
  return encodeFrame(frame.type, frame.shard, frame.correlationId, frame.payload);
}

function plain(frame: Frame): Plain {
  const { type, shard, correlationId, payload } = frame;
  return { type, shard, correlationId, payload };
}

Deno.test("FrameParser finds the same frames wherever the stream is cut, in chunks of any size", () => {
  const cuts = array(nat({ max: 120 }), { minLength: 1, maxLength: 8 });
  assert(property(
    tuple(array(anyFrame, { maxLength: 12 }), cuts, nat({ max: 400 })),
    ([frames, steps, chunk]: [Plain[], number[], number]) => {
      const stream = concatBytes(frames.map(encode));
      const found: Frame[] = [];
      const parser = new FrameParser((frame) => found.push(frame), { chunkBytes: chunk + 16 });
      for (let at = 0, i = 0; at < stream.length; i++) {
        const space = parser.space();
        const count = Math.min(space.length, steps[i % steps.length]! + 1, stream.length - at);
        space.set(stream.subarray(at, at + count));
        parser.filled(count);
        at += count;
      }
      // Looked at only now: payloads stay valid while the parser goes on.
      assertEquals(found.map(plain), frames);
      assertEquals(concatBytes(found.map((frame) => frame.bytes)), stream);
      assertEquals(parser.pendingBytes, 0);
    },
  ));
});

Deno.test("FrameParser throws MalformedFrameError and nothing else on any bytes", () => {
  assert(property(uint8Array({ maxLength: 100 }), (bytes: Uint8Array) => {
    try {
      new FrameParser(() => {}, { frameBytesMax: 1_000 }).push(bytes);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
    }
  }));
});

Deno.test("FrameParser refuses a length over the limit as soon as it can be read", () => {
  const length = new Uint8Array(4);
  writeU32(length, 0, 1_001);
  const error = assertThrows(
    () => new FrameParser(() => {}, { frameBytesMax: 1_000 }).push(length),
    MalformedFrameError,
  );
  assertEquals(error.code, ErrorCode.frameTooLarge);
  writeU32(length, 0, 7);
  assertThrows(() => new FrameParser(() => {}).push(length), MalformedFrameError, "shorter");
});

Deno.test("FrameParser does not allocate what a length only claims", () => {
  const parser = new FrameParser(() => {}, { chunkBytes: 1_024 });
  parser.push(encodeFrameHeader(1, 0, 1, 16_000_000));
  assertEquals(parser.space().length <= 4_096, true);
});

Deno.test("FrameParser takes a frame of many chunks", () => {
  const payload = crypto.getRandomValues(new Uint8Array(60_000));
  const found: Frame[] = [];
  const parser = new FrameParser((frame) => found.push(frame), { chunkBytes: 1_024 });
  parser.push(encodeFrame(9, 0, 1));
  parser.push(encodeFrame(20, 3, 7, payload));
  assertEquals(found[1]!.payload, payload);
});

Deno.test("decodeFrame() takes exactly one frame, as a view", () => {
  const bytes = encodeFrame(20, 3, 7, new Uint8Array([1, 2]));
  const frame = decodeFrame(bytes);
  assertEquals(plain(frame), {
    type: 20,
    shard: 3,
    correlationId: 7,
    payload: new Uint8Array([1, 2]),
  });
  assertStrictEquals(frame.payload.buffer, bytes.buffer);
  for (let length = 0; length < bytes.length; length++) {
    assertThrows(() => decodeFrame(bytes.subarray(0, length)), MalformedFrameError);
  }
  assertThrows(() => decodeFrame(new Uint8Array([...bytes, 0])), MalformedFrameError);
});
