import { assertEquals, assertRejects } from "@std/assert";
import { concatBytes } from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";
import { encodeFrame, FrameParser } from "./frame.ts";
import { type FrameSink, FrameWriter, readFrames } from "./frame_stream.ts";

/** Takes what is written, at most `step` bytes a time, and only while it is open. */
class RecordingSink implements FrameSink {
  readonly writes: Uint8Array[] = [];
  /** The arrays themselves that were handed over, for what may not be copied. */
  readonly buffers: ArrayBufferLike[] = [];
  failure: Error | undefined;

  constructor(readonly step = Infinity) {}

  write(bytes: Uint8Array): Promise<number> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const taken = bytes.slice(0, this.step);
    this.writes.push(taken);
    this.buffers.push(bytes.buffer);
    return Promise.resolve(taken.length);
  }
}

Deno.test("FrameWriter sends all small frames of one turn in one write", async () => {
  const sink = new RecordingSink();
  const writer = new FrameWriter(sink);
  const frames = [1, 2, 3].map((type) =>
    encodeFrame(type, 0, type, new Uint8Array(100).fill(type))
  );
  for (const frame of frames) writer.send(frame.subarray(0, 12), frame.subarray(12));
  assertEquals(writer.waitingBytes, 336);
  assertEquals(sink.writes.length, 0);
  await writer.flushed();
  assertEquals(sink.writes.length, 1);
  assertEquals(sink.writes[0], concatBytes(frames));
  assertEquals(writer.waitingBytes, 0);
});

Deno.test("FrameWriter writes a big part from where it is, in order", async () => {
  const sink = new RecordingSink();
  const writer = new FrameWriter(sink);
  const big = crypto.getRandomValues(new Uint8Array(50_000));
  writer.send(new Uint8Array([1]), big);
  writer.send(new Uint8Array([2]), new Uint8Array([3]));
  await writer.flushed();
  assertEquals(
    concatBytes(sink.writes),
    concatBytes([new Uint8Array([1]), big, new Uint8Array([2, 3])]),
  );
  assertEquals(sink.buffers[1], big.buffer);
});

Deno.test("FrameWriter goes on after short writes", async () => {
  const sink = new RecordingSink(7);
  const writer = new FrameWriter(sink);
  const frame = encodeFrame(1, 0, 1, new Uint8Array(40).map((_, i) => i));
  writer.send(frame);
  writer.send(frame);
  await writer.flushed();
  assertEquals(concatBytes(sink.writes), concatBytes([frame, frame]));
});

Deno.test("FrameWriter tells of a failed write once and drops what is sent later", async () => {
  const sink = new RecordingSink();
  sink.failure = new Error("gone");
  const failures: unknown[] = [];
  const writer = new FrameWriter(sink, (error) => failures.push(error));
  writer.send(new Uint8Array(5));
  await writer.flushed();
  writer.send(new Uint8Array(5));
  await writer.flushed();
  assertEquals(failures, [sink.failure]);
  assertEquals(writer.failed, true);
  assertEquals(writer.waitingBytes, 0);
});

Deno.test("readFrames() hands out the frames of a read, then says that the read is over", async () => {
  const stream = concatBytes([encodeFrame(1, 0, 1), encodeFrame(2, 0, 2), encodeFrame(3, 0, 3)]);
  const reads = [stream.subarray(0, 30), stream.subarray(30)];
  const events: (number | string)[] = [];
  await readFrames(
    {
      read(buffer) {
        const next = reads.shift();
        if (next !== undefined) buffer.set(next);
        return Promise.resolve(next?.length ?? null);
      },
    },
    (frame) => events.push(frame.type),
    { onChunkEnd: () => void events.push("end") },
  );
  assertEquals(events, [1, 2, "end", 3, "end"]);
});

Deno.test("readFrames() rejects on a malformed length", async () => {
  const source = {
    read(buffer: Uint8Array) {
      buffer.fill(0xff, 0, 12);
      return Promise.resolve(12);
    },
  };
  await assertRejects(() => readFrames(source, () => {}), MalformedFrameError);
});

Deno.test("FrameWriter and FrameParser agree on a long random stream", async () => {
  const sink = new RecordingSink(10_000);
  const writer = new FrameWriter(sink);
  const sizes = Array.from({ length: 200 }, (_, i) => (i * i * 37) % 45_000);
  for (const [i, size] of sizes.entries()) {
    writer.send(encodeFrame(1, 0, i + 1, new Uint8Array(size).fill(i)));
    if (i % 7 === 0) await Promise.resolve();
  }
  await writer.flushed();
  const found: number[] = [];
  const parser = new FrameParser((frame) => found.push(frame.payload.length));
  for (const write of sink.writes) parser.push(write);
  assertEquals(found, sizes);
});
