import { assertEquals, assertThrows } from "@std/assert";
import { array, assert, nat, property, tuple, uint8Array } from "fast-check";
import { encodeCbor } from "./cbor.ts";
import {
  type ClientRequest,
  PushType,
  ReplyType,
  RequestType,
  type ServerReply,
} from "./client_messages.ts";
import {
  decodeConsumerEnded,
  decodeDrained,
  decodeQueueGrown,
  decodeReply,
  decodeSessionEnded,
  encodeConsumerEnded,
  encodeDrained,
  encodeError,
  encodeQueueGrown,
  encodeReply,
  encodeSessionEnded,
} from "./client_replies.ts";
import { decodeRequest, encodeRequest } from "./client_requests.ts";
import { ErrorCode, errorName } from "./error_codes.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame } from "./frame.ts";
import { queueSettings } from "../queue/mod.ts";

const settings = queueSettings({ partitions: 3, leaseMs: 30_000 });
const queue = {
  id: 4,
  name: "orders",
  settings,
  paused: true,
  revision: 7,
  partitions: [{ id: 9, number: 0, shard: 1 }],
  state: "ready",
} as const;

const requests: ClientRequest[] = [
  { kind: "hello", protocol: 1, clientName: "test" },
  { kind: "ping" },
  { kind: "metadata" },
  { kind: "nodeStatus" },
  { kind: "stateHash", mark: 2 ** 52 },
  { kind: "markState", mark: 0 },
  { kind: "openSession", timeoutMs: 5, clientName: "test" },
  { kind: "attachSession", sessionId: 2 ** 50 },
  { kind: "closeSession", sessionId: 3 },
  { kind: "publish", command: new Uint8Array([1, 2, 3]) },
  { kind: "settle", command: new Uint8Array([4]) },
  { kind: "settleAndPublish", command: new Uint8Array([5, 6]) },
  {
    kind: "attachConsumer",
    sessionId: 3,
    consumerId: 4,
    partitionId: 5,
    prefetch: 6,
    drain: false,
    held: [{ offset: 2 ** 40, deliveryCount: 2 }, { offset: 8, deliveryCount: 1 }],
  },
  {
    kind: "attachConsumer",
    sessionId: 3,
    consumerId: 4,
    partitionId: 5,
    prefetch: 6,
    drain: true,
    leaseMs: 700,
    partitionCount: 1_024,
    held: [],
  },
  { kind: "detachConsumer", sessionId: 3, consumerId: 4, partitionId: 5 },
  { kind: "createQueue", name: "orders", settings, acceptExisting: true },
  { kind: "deleteQueue", name: "orders" },
  { kind: "editQueue", name: "orders", settings: { leaseMs: 500 }, paused: false },
  { kind: "editQueue", name: "orders", settings: {} },
  { kind: "purgePartition", partitionId: 5 },
  { kind: "findQueue", name: "orders" },
  { kind: "listQueues" },
  { kind: "queueStats", partitionIds: [1, 2, 3] },
  { kind: "queueStorage", partitionIds: [4, 5] },
  {
    kind: "addSchedule",
    partitionId: 9,
    id: "daily",
    timing: { cron: "0 6 * * *", timeZone: "UTC" },
    message: { key: "k", headers: { a: "b" }, body: new Uint8Array([1, 2]) },
  },
  {
    kind: "addSchedule",
    partitionId: 9,
    id: "often",
    timing: { everyMs: 5_000 },
    message: { headers: {}, body: new Uint8Array(0) },
  },
  { kind: "removeSchedule", partitionId: 9, id: "daily" },
  { kind: "pauseSchedule", partitionId: 9, id: "daily" },
  { kind: "resumeSchedule", partitionId: 9, id: "daily" },
  { kind: "listSchedules", partitionId: 9 },
  {
    kind: "peek",
    partitionId: 3,
    fromOffset: 2 ** 40,
    count: 100,
    state: "leased",
    key: "table-7",
    fromMs: 1_700_000_000_000,
    toMs: 1_700_000_000_001,
  },
  { kind: "findMessage", partitionId: 3, offset: 2 ** 40 },
  { kind: "removeMessage", partitionId: 3, offset: 2 ** 40 },
  { kind: "messageHistory", partitionId: 3, offset: 2 ** 40 },
  { kind: "replay", partitionId: 3, sinceMs: 2 ** 40, untilIndex: 2 ** 41 },
  { kind: "inspect", partitionIds: [4, 5] },
];

const schedule = {
  id: "daily",
  timing: { cron: "0 6 * * *", timeZone: "UTC" },
  key: "k",
  bodyBytes: 12,
  paused: true,
  nextMs: 1_800_000_000_000,
  lastMs: 0,
  fired: 3,
};

const away = {
  sessionId: 2 ** 45,
  consumerId: 4,
  clientName: "mailer",
  prefetch: 10,
  held: 0,
} as const;
const consumer = { ...away, address: "10.0.0.1:4000", receiving: true, held: 2, heldSinceMs: 7 };
const peeked = {
  offset: 2 ** 41,
  deliveryCount: 3,
  term: 4,
  index: 2 ** 42,
  publishedAtMs: 1_700_000_000_000,
  record: new Uint8Array([0, 65]),
};

const replies: ServerReply[] = [
  { kind: "stateHashReply", index: 2 ** 50, term: 3, hash: "0badcafe-1f" },
  {
    kind: "welcome",
    protocol: 1,
    version: "0.1.0",
    clusterId: "c",
    nodeId: 1,
    limits: { frameBytesMax: 1, messageBytesMax: 2, batchCountMax: 3 },
    shardCount: 4,
  },
  { kind: "pong" },
  {
    kind: "metadataReply",
    clusterId: "c",
    nodeId: 1,
    nodes: [{ id: 1, address: "a:1", connected: true }, { id: 2, address: null, connected: false }],
    shards: [{ id: 0, leader: 1, term: 7 }],
  },
  {
    kind: "nodeStatusReply",
    nodeId: 1,
    version: "0.1.0",
    address: "a:1",
    peerAddress: "a:2",
    uptimeMs: 1.5,
    memoryBytes: 2 ** 33,
    diskFreeBytes: null,
    isDiskLow: true,
    shards: [{
      id: 0,
      role: "leader",
      leader: 1,
      term: 2,
      commitIndex: 3,
      appliedIndex: 4,
      lastIndex: 5,
      durableIndex: 6,
      logBytes: 7,
      sessions: 8,
    }],
  },
  { kind: "sessionOpened", sessionId: 2 ** 45, term: 1, index: 2 },
  {
    kind: "sessionOpened",
    sessionId: 7,
    producers: [{ partitionId: 5, nextSequence: 2 ** 40 }],
    term: 1,
    index: 2,
  },
  { kind: "done", term: 1, index: 2 },
  { kind: "purged", count: 2 ** 40, term: 1, index: 2 },
  {
    kind: "published",
    partitionId: 5,
    count: 32,
    firstOffset: 2 ** 41,
    term: 3,
    index: 2 ** 42,
    duplicate: true,
    publishedAtMs: 1_700_000_000_000,
  },
  {
    kind: "published",
    partitionId: 5,
    count: 32,
    firstOffset: 2 ** 41,
    term: 3,
    index: 2 ** 42,
    duplicate: false,
    publishedAtMs: 1_700_000_000_000,
    repeats: [
      { position: 0, offset: 2 ** 40, index: 2 ** 39, term: 2 },
      { position: 31, offset: 7, index: 8, term: 1 },
    ],
  },
  { kind: "settled", partitionId: 5, term: 6, index: 7, statuses: new Uint8Array([0, 1, 0]) },
  { kind: "queueReply", queue, created: true },
  { kind: "queueList", queues: [queue, { ...queue, state: "creating", partitions: [] }] },
  {
    kind: "queueStatsReply",
    partitions: [{
      partitionId: 9,
      published: 1,
      acked: 2,
      purged: 2,
      dropped: 1,
      ready: 3,
      leased: 4,
      bytesPublished: 5,
      redelivered: 6,
      consumers: 7,
      nextOffset: 8,
      delayed: 9,
      dead: 10,
      expired: 11,
      repeated: 14,
    }],
  },
  {
    kind: "peekReply",
    nowMs: 1_700_000_000_009,
    messages: [
      { ...peeked, state: "ready" },
      { ...peeked, state: "leased", lease: { consumer, sinceMs: 3, endsAtMs: 4 } },
      { ...peeked, state: "delayed", dueAtMs: 2 ** 41 },
    ],
    nextOffset: 12,
  },
  {
    kind: "findMessageReply",
    nowMs: 5,
    state: "ready",
    nextOffset: 9,
    message: { ...peeked, state: "ready" },
  },
  {
    kind: "findMessageReply",
    nowMs: 5,
    state: "acked",
    nextOffset: 9,
    message: { ...peeked, state: "acked" },
  },
  {
    kind: "messageHistoryReply",
    nowMs: 5,
    state: "gone",
    nextOffset: 2 ** 40,
    historyMs: 60_000,
    sinceMs: 3,
    happenings: [
      { what: "published", atMs: 4, index: 8 },
      {
        what: "nacked",
        atMs: 5,
        index: 9,
        sessionId: 3,
        clientName: "mailer",
        consumerId: 1,
        deliveryCount: 2,
        detail: "no such address",
      },
    ],
  },
  { kind: "replayed", count: 3, term: 2, index: 9 },
  {
    kind: "inspectReply",
    nowMs: 5,
    index: 77,
    partitions: [{
      partitionId: 9,
      paused: true,
      oldestAtMs: 4,
      rates: { published: 1.5, delivered: 0.25, acked: 0, windowMs: 7_300.5 },
      consumerCount: 1_001,
      consumers: [consumer, { ...away, address: null, receiving: false, sessionEndsAtMs: 8 }],
      history: { sinceMs: 1, happenings: 2, bytes: 164, replayable: 3, replaying: 4 },
    }],
  },
  {
    kind: "queueStorageReply",
    nodeId: 2,
    partitions: [{
      partitionId: 9,
      records: 1,
      bytes: 2 ** 40,
      segments: 3,
      segmentBytes: 2 ** 41,
      oldestAtMs: 1_700_000_000_000,
      historyRecords: 1,
      historyBytes: 2 ** 39,
    }],
  },
  { kind: "scheduleReply", schedule, created: true },
  { kind: "scheduleList", schedules: [schedule, { ...schedule, timing: { everyMs: 1_000 } }] },
  {
    kind: "error",
    code: 10,
    name: "notLeader",
    message: "not here",
    maybeApplied: false,
    leader: 3,
  },
  { kind: "error", code: 99, name: "internal", message: "oh", maybeApplied: true },
];

Deno.test("decodeRequest() gives back every request that encodeRequest() was given", () => {
  assertEquals(new Set(requests.map(({ kind }) => kind)).size, Object.keys(RequestType).length);
  for (const request of requests) {
    const frame = decodeFrame(encodeRequest(request, 7, 0xffff_ffff));
    assertEquals([frame.type, frame.shard, frame.correlationId], [
      RequestType[request.kind],
      7,
      0xffff_ffff,
    ]);
    assertEquals(decodeRequest(frame.type, frame.payload), request);
  }
});

Deno.test("decodeRequest() reads a peek that asks for nothing special", () => {
  const peek = { kind: "peek", partitionId: 3, fromOffset: 0, count: 1 } as const;
  const frame = decodeFrame(encodeRequest(peek, 0, 1));
  assertEquals(decodeRequest(frame.type, frame.payload), peek);
  const strange = encodeCbor({ ...peek, state: "lost" });
  assertThrows(() => decodeRequest(RequestType.peek, strange), MalformedFrameError, "lost");
});

Deno.test("decodeReply() gives back every reply that encodeReply() was given", () => {
  assertEquals(new Set(replies.map(({ kind }) => kind)).size, Object.keys(ReplyType).length);
  for (const reply of replies) {
    const frame = decodeFrame(encodeReply(reply, 7, 8));
    assertEquals([frame.type, frame.shard, frame.correlationId], [ReplyType[reply.kind], 7, 8]);
    assertEquals(decodeReply(frame.type, frame.payload), reply);
  }
});

Deno.test("decodeRequest() does not know types of a later version, and says so without an error", () => {
  for (const type of [0, 7, 99, 128, 200, 255]) {
    assertEquals(decodeRequest(type, encodeCbor({})), undefined);
  }
});

Deno.test("decodeRequest() ignores fields of a later version", () => {
  assertEquals(decodeRequest(RequestType.findQueue, encodeCbor({ name: "orders", limit: 5 })), {
    kind: "findQueue",
    name: "orders",
  });
});

Deno.test("decodeRequest() names the field that is wrong", () => {
  const decode = (type: number, fields: unknown) => () => decodeRequest(type, encodeCbor(fields));
  const cases: [() => unknown, string][] = [
    [decode(RequestType.hello, { protocol: 1 }), "clientName"],
    [decode(RequestType.hello, { protocol: -1, clientName: "" }), "protocol"],
    [decode(RequestType.openSession, { timeoutMs: 1.5, clientName: "" }), "timeoutMs"],
    [decode(RequestType.attachSession, { sessionId: "4" }), "sessionId"],
    [
      decode(RequestType.createQueue, { name: "a", settings: [], acceptExisting: true }),
      "settings",
    ],
    [decode(RequestType.createQueue, { name: "a", settings, acceptExisting: 1 }), "acceptExisting"],
    [decode(RequestType.queueStats, { partitionIds: [1, null] }), "partitionIds"],
    [
      decode(RequestType.attachConsumer, {
        sessionId: 1,
        consumerId: 2,
        partitionId: 3,
        prefetch: 4,
        drain: true,
        held: [[1, 2, 3]],
      }),
      "held",
    ],
  ];
  for (const [run, field] of cases) assertThrows(run, MalformedFrameError, field);
});

Deno.test("decodeRequest() and decodeReply() throw MalformedFrameError and nothing else on damaged bytes", () => {
  const frames = [
    ...requests.map((request) => decodeFrame(encodeRequest(request, 0, 1))),
    ...replies.map((reply) => decodeFrame(encodeReply(reply, 0, 1))),
  ];
  const damage = array(tuple(nat({ max: 200 }), nat({ max: 255 })), { maxLength: 3 });
  const check = (type: number, payload: Uint8Array) => {
    for (const decode of [decodeRequest, decodeReply]) {
      try {
        decode(type, payload);
      } catch (error) {
        if (!(error instanceof MalformedFrameError)) throw error;
      }
    }
  };
  assert(
    property(
      tuple(nat({ max: frames.length - 1 }), damage, nat({ max: 5 })),
      ([which, changes, cut]: [number, [number, number][], number]) => {
        const { type, payload } = frames[which]!;
        const bytes = payload.slice(0, Math.max(0, payload.length - cut));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        check(type, bytes);
      },
    ),
    { numRuns: 2_000 },
  );
  assert(property(tuple(nat({ max: 255 }), uint8Array()), ([type, bytes]: [number, Uint8Array]) => {
    check(type, bytes);
  }));
});

Deno.test("the small pushes come back as they went", () => {
  const drained = { term: 9, consumerId: 3, partitionId: 4 };
  const ended = { sessionId: 2 ** 44, reason: "timedOut" };
  const drainedFrame = decodeFrame(encodeDrained(2, drained));
  assertEquals([drainedFrame.type, drainedFrame.shard, drainedFrame.correlationId], [
    PushType.drained,
    2,
    0,
  ]);
  assertEquals(decodeDrained(drainedFrame.payload), drained);
  const gone = { consumerId: 3, partitionId: 4, reason: "queueDeleted" };
  assertEquals(decodeConsumerEnded(decodeFrame(encodeConsumerEnded(2, gone)).payload), gone);
  const grown = { consumerId: 3, partitionId: 4, partitionCount: 16 };
  assertEquals(decodeQueueGrown(decodeFrame(encodeQueueGrown(2, grown)).payload), grown);
  assertEquals(decodeSessionEnded(decodeFrame(encodeSessionEnded(2, ended)).payload), ended);
});

Deno.test("encodeError() puts the name of the code beside it", () => {
  const error = { code: ErrorCode.queueNotFound, message: "no such queue", maybeApplied: false };
  const frame = decodeFrame(encodeError(error, 0, 5));
  assertEquals(decodeReply(frame.type, frame.payload), {
    kind: "error",
    name: "queueNotFound",
    ...error,
  });
});

Deno.test("errorName() knows every code, and no code twice", () => {
  const codes = Object.entries(ErrorCode);
  assertEquals(new Set(codes.map(([, code]) => code)).size, codes.length);
  for (const [name, code] of codes) assertEquals(errorName(code), name);
  assertEquals(errorName(1_000), undefined);
});
