import { assert, assertEquals } from "@std/assert";
import { encodeFrame, FrameParser, PeerFrameType } from "../../wire/mod.ts";
import { Counters } from "./counters.ts";
import { type FrameFaults, FrameShuffler, ORDERLY_FRAMES } from "./frame_shuffler.ts";
import { Random } from "./random.ts";

const COUNT = 500;

/** Sends frames, every other one of Raft, in pieces; says which came out, by number and type. */
function shuffled(faults: FrameFaults, counters = new Counters()) {
  const random = new Random(7);
  const shuffler = new FrameShuffler(() => faults, random, counters);
  const came: { number: number; type: number }[] = [];
  const parser = new FrameParser(({ correlationId: number, type }) => came.push({ number, type }));
  const stream: number[] = [];
  for (let i = 0; i < COUNT; i++) {
    const type = i % 2 === 0 ? PeerFrameType.raft : PeerFrameType.relayFrame;
    stream.push(...encodeFrame(type, 0, i, new Uint8Array(random.below(100))));
  }
  const bytes = new Uint8Array(stream);
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + random.integer(1, 150));
    for (const piece of shuffler.take(bytes.subarray(at, end))) parser.push(piece);
    at = end;
  }
  assertEquals(parser.pendingBytes, 0);
  return came;
}

const numbers = (came: { number: number }[]) => came.map(({ number }) => number);

Deno.test("an orderly stream stays as it is, however it is cut", () => {
  assertEquals(numbers(shuffled(ORDERLY_FRAMES)), Array.from({ length: COUNT }, (_, i) => i));
});

Deno.test("frames of Raft come twice", () => {
  const counters = new Counters();
  const came = numbers(shuffled({ duplicateChance: 0.2, lateChance: 0 }, counters));
  assertEquals(new Set(came).size, COUNT);
  const twice = counters.get("network: frames duplicated");
  // The last ones may still wait for others to overtake them.
  assert(came.length > COUNT + twice - 20 && came.length <= COUNT + twice && twice > 20);
});

Deno.test("frames of Raft come late, and no others", () => {
  const came = shuffled({ duplicateChance: 0, lateChance: 0.2 });
  const isRising = (all: number[]) => all.every((one, i) => i === 0 || all[i - 1]! < one);
  assert(!isRising(numbers(came.filter(({ type }) => type === PeerFrameType.raft))));
  assert(isRising(numbers(came.filter(({ type }) => type !== PeerFrameType.raft))));
  assertEquals(came.filter(({ type }) => type !== PeerFrameType.raft).length, COUNT / 2);
});
