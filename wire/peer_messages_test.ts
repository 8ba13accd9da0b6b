import { assertEquals, assertThrows } from "@std/assert";
import { array, assert, nat, property, tuple, uint8Array } from "fast-check";
import type { Message } from "../raft/messages.ts";
import { concatBytes } from "./bytes.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame, encodeFrame } from "./frame.ts";
import { frameBytesMax, peerFrameBytesMax } from "./limits.ts";
import {
  decodeForgot,
  decodePeerHello,
  decodePeerStanding,
  decodeRaftMessage,
  decodeRelayAddress,
  decodeReplicaFrame,
  encodeForgot,
  encodePeerHello,
  encodePeerStanding,
  encodeRaftMessage,
  encodeRelayClose,
  encodeRelayHead,
  encodeReplicaFrame,
  PeerFrameType,
  relayedFrame,
} from "./peer_messages.ts";

const envelope = { from: 1, to: 2 ** 45, term: 2 ** 46 };
const context = new Uint8Array([5, 6, 7]);

const messages: Message[] = [
  {
    kind: "appendRequest",
    ...envelope,
    previousIndex: 2 ** 47,
    previousTerm: 3,
    commit: 2 ** 48,
    entries: [],
  },
  { kind: "appendResponse", ...envelope, rejected: true, index: 9, hintIndex: 8, hintTerm: 7 },
  { kind: "appendResponse", ...envelope, rejected: false, index: 9, hintIndex: 0, hintTerm: 0 },
  { kind: "heartbeat", ...envelope, commit: 4, round: 5 },
  { kind: "heartbeatResponse", ...envelope, round: 5 },
  { kind: "voteRequest", ...envelope, lastIndex: 4, lastTerm: 5, leaderTransfer: true },
  { kind: "voteResponse", ...envelope, granted: true, commit: 6, commitTerm: 2 },
  { kind: "preVoteRequest", ...envelope, lastIndex: 4, lastTerm: 5 },
  { kind: "preVoteResponse", ...envelope, granted: false, commit: 0, commitTerm: 0 },
  {
    kind: "installSnapshot",
    ...envelope,
    snapshot: {
      metadata: {
        index: 11,
        term: 12,
        configuration: {
          voters: [1, 2, 3],
          votersOutgoing: [1],
          learners: [4],
          learnersNext: [],
          autoLeave: true,
        },
      },
      data: new Uint8Array([9, 9, 9]),
    },
  },
  { kind: "timeoutNow", ...envelope },
  { kind: "transferRequest", ...envelope, transferee: 3 },
  {
    kind: "forwardProposal",
    ...envelope,
    entries: [
      { index: 0, term: 0, kind: 0, data: new Uint8Array([1, 2]) },
      { index: 0, term: 0, kind: 1, data: new Uint8Array(0) },
    ],
  },
  { kind: "readIndexRequest", ...envelope, context },
  { kind: "readIndexResponse", ...envelope, index: 6, context },
];

Deno.test("decodeRaftMessage() gives back every message that encodeRaftMessage() was given", () => {
  for (const message of messages) {
    const frame = decodeFrame(encodeRaftMessage(3, message));
    assertEquals([frame.type, frame.shard], [PeerFrameType.raft, 3]);
    assertEquals(decodeRaftMessage(frame.payload), { message, records: new Uint8Array(0) });
  }
});

Deno.test("decodeRaftMessage() gives the log records of an append request apart", () => {
  const records = new Uint8Array([1, 2, 3, 4, 5]);
  const head = encodeRaftMessage(3, messages[0]!, records.length);
  const frame = decodeFrame(concatBytes([head, records]));
  assertEquals(decodeRaftMessage(frame.payload), { message: messages[0]!, records });
});

Deno.test("decodeRaftMessage() throws MalformedFrameError and nothing else on damaged bytes", () => {
  const payloads = messages.map((message) => decodeFrame(encodeRaftMessage(0, message)).payload);
  const damage = array(tuple(nat({ max: 120 }), nat({ max: 255 })), { maxLength: 3 });
  const check = (bytes: Uint8Array) => {
    try {
      decodeRaftMessage(bytes);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
    }
  };
  assert(
    property(
      tuple(nat({ max: payloads.length - 1 }), damage, nat({ max: 8 })),
      ([which, changes, cut]: [number, [number, number][], number]) => {
        const payload = payloads[which]!;
        const bytes = payload.slice(0, Math.max(0, payload.length - cut));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        check(bytes);
      },
    ),
    { numRuns: 2_000 },
  );
  assert(property(uint8Array({ maxLength: 100 }), check));
});

Deno.test("a peer's hello comes back as it went", () => {
  const hello = {
    protocol: 1,
    clusterId: "c-1",
    nodeId: 3,
    clientAddress: "127.0.0.1:7400",
    shardCount: 8,
  };
  const frame = decodeFrame(encodePeerHello(hello));
  assertEquals(frame.type, PeerFrameType.hello);
  assertEquals(decodePeerHello(frame.payload), hello);
});

Deno.test("a standing comes back as it went, with and without founders", () => {
  const standing = {
    incarnation: "a1",
    isBlank: true,
    isLost: false,
    isDiskLow: false,
    replicas: [],
  };
  const member = {
    incarnation: "b2",
    isBlank: false,
    isLost: true,
    isDiskLow: true,
    founders: { 1: "b2", 3: "c3" },
    replicas: [{ replica: 2 ** 50, term: 7 }, { replica: 1, term: 0 }],
  };
  for (const one of [standing, member]) {
    const frame = decodeFrame(encodePeerStanding(one));
    assertEquals(frame.type, PeerFrameType.standing);
    assertEquals(decodePeerStanding(frame.payload), one);
  }
});

Deno.test("frames about replicas come back as they went, and nothing else passes", () => {
  for (const type of ["join", "stale"] as const) {
    const frame = decodeFrame(encodeReplicaFrame(type, 2, 2 ** 50));
    assertEquals([frame.type, frame.shard], [PeerFrameType[type], 2]);
    assertEquals(decodeReplicaFrame(frame.payload), 2 ** 50);
    assertThrows(() => decodeReplicaFrame(frame.payload.subarray(1)), MalformedFrameError);
  }
  const forgot = { replica: 2 ** 50, term: 9 };
  const frame = decodeFrame(encodeForgot(1, forgot));
  assertEquals([frame.type, frame.shard], [PeerFrameType.forgot, 1]);
  assertEquals(decodeForgot(frame.payload), forgot);
  assertThrows(() => decodeForgot(frame.payload.subarray(1)), MalformedFrameError);
});

Deno.test("relay frames carry a whole client frame in either direction", () => {
  const clientFrame = encodeFrame(20, 3, 77, new Uint8Array([1, 2, 3]));
  for (const toLeader of [true, false]) {
    const relay = { connectionId: 2 ** 40, toLeader };
    const frame = decodeFrame(
      concatBytes([encodeRelayHead(relay, clientFrame.length), clientFrame]),
    );
    assertEquals(frame.type, PeerFrameType.relayFrame);
    assertEquals(decodeRelayAddress(frame.payload), relay);
    const inner = decodeFrame(relayedFrame(frame.payload));
    assertEquals([inner.type, inner.shard, inner.correlationId], [20, 3, 77]);
    assertEquals(inner.payload, new Uint8Array([1, 2, 3]));
    const close = decodeFrame(encodeRelayClose(relay));
    assertEquals([close.type, decodeRelayAddress(close.payload)], [
      PeerFrameType.relayClose,
      relay,
    ]);
  }
});

Deno.test("decodeRelayAddress() refuses what is cut off", () => {
  const { payload } = decodeFrame(encodeRelayClose({ connectionId: 1, toLeader: true }));
  for (let length = 0; length < payload.length; length++) {
    assertThrows(() => decodeRelayAddress(payload.subarray(0, length)), MalformedFrameError);
  }
});

Deno.test("the largest client frame fits into a relay frame", () => {
  const head = encodeRelayHead({ connectionId: 1, toLeader: true }, 4 + frameBytesMax);
  assertEquals(head.length - 4 + 4 + frameBytesMax <= peerFrameBytesMax, true);
});
