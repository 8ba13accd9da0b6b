import { assertEquals, assertThrows } from "@std/assert";
import type { InstallSnapshot } from "../raft/messages.ts";
import { concatBytes } from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame } from "./frame.ts";
import { snapshotStateBytesMax } from "./limits.ts";
import { PeerFrameType } from "./peer_messages.ts";
import {
  decodeSnapshotAbort,
  decodeSnapshotAck,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  encodeSnapshotAbort,
  encodeSnapshotAck,
  encodeSnapshotBegin,
  encodeSnapshotChunkHead,
} from "./snapshot_messages.ts";

const configuration = {
  voters: [1, 2, 3],
  votersOutgoing: [],
  learners: [4],
  learnersNext: [],
  autoLeave: false,
};
const message: InstallSnapshot = {
  kind: "installSnapshot",
  from: 1,
  to: 2,
  term: 7,
  snapshot: { metadata: { index: 500, term: 6, configuration }, data: new Uint8Array(0) },
};
const begin = {
  transfer: 2 ** 40,
  neededIndex: 400,
  entries: 7,
  stateBytes: 123_456,
  stateCrc: 0xfedc_ba98,
  message,
};

Deno.test("a snapshot's begin, chunks, acks and abort come back as they were", () => {
  const first = decodeFrame(encodeSnapshotBegin(3, begin));
  assertEquals([first.type, first.shard], [PeerFrameType.snapshotBegin, 3]);
  assertEquals(decodeSnapshotBegin(first.payload), begin);
  const at = { transfer: 9, position: 2 ** 35 };
  const bytes = new Uint8Array([1, 2, 3]);
  const chunk = decodeFrame(concatBytes([encodeSnapshotChunkHead(3, at, 3), bytes]));
  assertEquals([chunk.type, chunk.shard], [PeerFrameType.snapshotChunk, 3]);
  assertEquals(decodeSnapshotChunk(chunk.payload), { ...at, bytes });
  const ack = decodeFrame(encodeSnapshotAck(3, at));
  assertEquals([ack.type, ack.shard], [PeerFrameType.snapshotAck, 3]);
  assertEquals(decodeSnapshotAck(ack.payload), at);
  const abort = decodeFrame(encodeSnapshotAbort(3, 9));
  assertEquals([abort.type, abort.shard], [PeerFrameType.snapshotAbort, 3]);
  assertEquals(decodeSnapshotAbort(abort.payload), 9);
});

Deno.test("decodeSnapshotBegin() throws on what cannot be a snapshot", () => {
  const read = (other: Partial<typeof begin>) =>
    decodeSnapshotBegin(decodeFrame(encodeSnapshotBegin(0, { ...begin, ...other })).payload);
  assertEquals(read({ neededIndex: 501, entries: 0 }).neededIndex, 501);
  assertEquals(read({ entries: 101 }).entries, 101);
  assertThrows(() => read({ entries: 102 }), MalformedFrameError, "102 of the 101");
  assertThrows(() => read({ entries: 0 }), MalformedFrameError, "0 of the 101");
  assertThrows(() => read({ neededIndex: 0 }), MalformedFrameError, "from 0");
  assertThrows(() => read({ neededIndex: 502 }), MalformedFrameError, "from 502");
  assertThrows(() => read({ stateBytes: snapshotStateBytesMax + 1 }), MalformedFrameError);
  const other = { kind: "timeoutNow", from: 1, to: 2, term: 7 } as unknown as InstallSnapshot;
  assertThrows(() => read({ message: other }), MalformedFrameError, "timeoutNow");
});

Deno.test("the frames of a snapshot throw when they are cut off", () => {
  const { payload } = decodeFrame(encodeSnapshotBegin(0, begin));
  for (let length = 0; length < payload.length; length += 5) {
    assertThrows(() => decodeSnapshotBegin(payload.subarray(0, length)), MalformedFrameError);
  }
  assertThrows(() => decodeSnapshotChunk(new Uint8Array(15)), MalformedFrameError);
  assertThrows(() => decodeSnapshotAck(new Uint8Array(15)), MalformedFrameError);
  assertThrows(() => decodeSnapshotAbort(new Uint8Array(7)), MalformedFrameError);
});
