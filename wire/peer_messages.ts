/**
 * What brokers say to each other. The frame is that of `frame.ts`, with a little more room: a relayed
 * client frame has to fit in. Every type has correlation id 0; nothing is answered by its number.
 *
 * A connection begins with a hello and a standing, two CBOR maps. Everything else is packed.
 *
 * A Raft message (the shard is in the frame's header):
 *
 * ```text
 *  0 u8 kind | 1 u8 flag | 2 u8 × 6 reserved, 0
 *  8 u64 from | 16 u64 to | 24 u64 term | 32 u64 a | 40 u64 b | 48 u64 c | 56 tail
 *
 *  kind                  flag            a              b             c        tail
 *   1 appendRequest                      previousIndex  previousTerm  commit   log records
 *   2 appendResponse     rejected        index          hintIndex     hintTerm
 *   3 heartbeat                          commit         round
 *   4 heartbeatResponse                  round
 *   5 voteRequest        leaderTransfer  lastIndex      lastTerm
 *   6 voteResponse       granted         commit         commitTerm
 *   7 preVoteRequest                     lastIndex      lastTerm
 *   8 preVoteResponse    granted         commit         commitTerm
 *   9 installSnapshot                    index          term                   u32 length of a CBOR
 *                                                                 configuration, that, the snapshot
 *  10 timeoutNow
 *  11 transferRequest                    transferee
 *  12 forwardProposal                    count          per entry: u8 kind, u32 bytes, data
 *  13 readIndexRequest                                                         context
 *  14 readIndexResponse                  index                                 context
 * ```
 *
 * The log records of an append request are the very bytes on the leader's disk; their layout is the
 * business of `storage/`, so they come in and go out as opaque blocks.
 *
 * A join or stale frame is the u64 id of a replica; a forgot frame is that and a u64 term.
 *
 * A relay frame carries a client connection of one node to another, one frame of it at a time:
 *
 * ```text
 *  0 u64 connectionId | 8 u8 direction (0 to the leader, 1 back) | 9 u8 × 7 reserved, 0
 * 16 relayFrame: a whole client frame
 * ```
 *
 * @module
 */

import type { Message } from "../raft/messages.ts";
import type { Configuration, Entry, EntryKind } from "../raft/types.ts";
import { concatBytes, readU32, readU64, writeU32, writeU64 } from "./bytes.ts";
import { decodeCborMap, encodeCbor } from "./cbor.ts";
import { MalformedFrameError } from "./errors.ts";
import { booleanField, mapsField, textField, uintField, uintsField } from "./fields.ts";
import { encodeFrame, frameHeaderBytes, writeFrameHeader } from "./frame.ts";
import { newBytes } from "./new_bytes.ts";

/** The version of the peer protocol that is spoken here. */
export const peerProtocolVersion = 1;

/** Frame types between brokers. */
export const PeerFrameType = {
  /** Who is calling; the first frame. */
  hello: 1,
  /** A Raft message of a shard. */
  raft: 2,
  /** A frame of, or for, a relayed client. */
  relayFrame: 4,
  /** A relayed client has gone, or is no longer served. */
  relayClose: 5,
  /** Is somebody there? Answered by a pong on the same connection, the only thing that ever is. */
  ping: 6,
  pong: 7,
  /** A snapshot is on offer, with the log that it needs (`snapshot_messages.ts`). */
  snapshotBegin: 8,
  /** A piece of it. */
  snapshotChunk: 9,
  /** How much of it has arrived. */
  snapshotAck: 10,
  /** It is not wanted. */
  snapshotAbort: 11,
  /** How far the sender has come: right behind the hello, and again when it changes. */
  standing: 12,
  /** A replica of the sender's asks for a vote in the shard. */
  join: 13,
  /** A replica of the receiver's has been replaced by a later one. */
  stale: 14,
  /** A replica of the receiver's once knew of a later term than it does now. */
  forgot: 15,
} as const;

/** Who a broker is, as it tells another. */
export interface PeerHello {
  /** The version of the peer protocol. */
  readonly protocol: number;
  /** The cluster it belongs to. */
  readonly clusterId: string;
  /** Its number. */
  readonly nodeId: number;
  /** Where clients reach it. */
  readonly clientAddress: string;
  /** How many shards it knows of. */
  readonly shardCount: number;
}

/** How far a broker has come (`formation.ts` in `broker/`). */
export interface PeerStanding {
  /** Its directory's incarnation: another one after every wipe. */
  readonly incarnation: string;
  /** Its directory has never held anything. */
  readonly isBlank: boolean;
  /** It has lost everything and does not know what the cluster began with. */
  readonly isLost: boolean;
  /** Its disk is nearly full. */
  readonly isDiskLow: boolean;
  /** The nodes that the cluster began with, each with its incarnation then, where that is known. */
  readonly founders?: Readonly<Record<number, string>>;
  /** Its replicas, shard by shard, each with the term that it knows of; empty until they are open. */
  readonly replicas: readonly ReplicaTerm[];
}

/** A replica, and a term. */
export interface ReplicaTerm {
  readonly replica: number;
  readonly term: number;
}

/** Which way a relay frame goes. */
export interface RelayAddress {
  /** Chosen by the node that has the client's connection. */
  readonly connectionId: number;
  /** `true` from the node that has the client, `false` back to it. */
  readonly toLeader: boolean;
}

/** A Raft message as it came in. */
export interface ReceivedRaftMessage {
  /** Complete but for the `entries` of an append request, which are empty. */
  readonly message: Message;
  /** The log records of an append request; empty for any other. */
  readonly records: Uint8Array;
}

const raftHeadBytes = 56;
const relayHeadBytes = 16;
const forwardedHeadBytes = 5;
const entryKindMax = 1;

const RaftKindCode = {
  appendRequest: 1,
  appendResponse: 2,
  heartbeat: 3,
  heartbeatResponse: 4,
  voteRequest: 5,
  voteResponse: 6,
  preVoteRequest: 7,
  preVoteResponse: 8,
  installSnapshot: 9,
  timeoutNow: 10,
  transferRequest: 11,
  forwardProposal: 12,
  readIndexRequest: 13,
  readIndexResponse: 14,
} as const satisfies Record<Message["kind"], number>;

/**
 * Makes the frame of a hello.
 *
 * @returns The whole frame.
 */
export function encodePeerHello(hello: PeerHello): Uint8Array {
  return encodeFrame(PeerFrameType.hello, 0, 0, encodeCbor(hello));
}

/**
 * Reads a hello.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodePeerHello(payload: Uint8Array): PeerHello {
  const map = decodeCborMap(payload);
  return {
    protocol: uintField(map, "protocol"),
    clusterId: textField(map, "clusterId"),
    nodeId: uintField(map, "nodeId"),
    clientAddress: textField(map, "clientAddress"),
    shardCount: uintField(map, "shardCount"),
  };
}

/**
 * Makes the frame of a standing.
 *
 * @returns The whole frame.
 */
export function encodePeerStanding({ founders, ...standing }: PeerStanding): Uint8Array {
  const list = Object.entries(founders ?? {})
    .map(([node, incarnation]) => ({ node: Number(node), incarnation }));
  return encodeFrame(PeerFrameType.standing, 0, 0, encodeCbor({ ...standing, founders: list }));
}

/**
 * Reads a standing.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodePeerStanding(payload: Uint8Array): PeerStanding {
  const map = decodeCborMap(payload);
  const founders = mapsField(map, "founders", (founder) => {
    return [uintField(founder, "node"), textField(founder, "incarnation")] as const;
  });
  return {
    incarnation: textField(map, "incarnation"),
    isBlank: booleanField(map, "isBlank"),
    isLost: booleanField(map, "isLost"),
    isDiskLow: booleanField(map, "isDiskLow"),
    ...(founders.length > 0 && { founders: Object.fromEntries(founders) }),
    replicas: mapsField(map, "replicas", (item) => {
      return { replica: uintField(item, "replica"), term: uintField(item, "term") };
    }),
  };
}

/**
 * Makes the frame that tells a replica of a term that it has forgotten.
 *
 * @returns The whole frame.
 */
export function encodeForgot(shard: number, { replica, term }: ReplicaTerm): Uint8Array {
  const payload = new Uint8Array(16);
  writeU64(payload, 0, replica);
  writeU64(payload, 8, term);
  return encodeFrame(PeerFrameType.forgot, shard, 0, payload);
}

/**
 * Reads which term a replica has forgotten.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeForgot(payload: Uint8Array): ReplicaTerm {
  if (payload.length !== 16) {
    throw new MalformedFrameError(`Cannot read a forgotten term of ${payload.length} bytes`);
  }
  return { replica: readU64(payload, 0), term: readU64(payload, 8) };
}

/**
 * Makes the frame in which a replica asks for a vote, or is told that a later one has its place.
 *
 * @param type Which of the two.
 * @param shard The shard.
 * @param replica The replica that asks, or the later one.
 * @returns The whole frame.
 */
export function encodeReplicaFrame(
  type: "join" | "stale",
  shard: number,
  replica: number,
): Uint8Array {
  const payload = new Uint8Array(8);
  writeU64(payload, 0, replica);
  return encodeFrame(PeerFrameType[type], shard, 0, payload);
}

/**
 * Reads which replica a join or stale frame is about.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeReplicaFrame(payload: Uint8Array): number {
  if (payload.length !== 8) {
    throw new MalformedFrameError(`Cannot read a replica's id of ${payload.length} bytes`);
  }
  return readU64(payload, 0);
}

/**
 * Makes the frame of a Raft message, without the log records of an append request: the caller sends
 * those right behind it.
 *
 * @param shard The shard it is about.
 * @param message The `entries` of an append request are not looked at.
 * @param recordsBytes How many bytes of log records follow.
 * @returns The frame up to the records.
 */
export function encodeRaftMessage(shard: number, message: Message, recordsBytes = 0): Uint8Array {
  const tail = encodeTail(message);
  const tailBytes = tail === undefined ? 0 : tail.length;
  const frame = newBytes(frameHeaderBytes + raftHeadBytes + tailBytes);
  const payloadBytes = raftHeadBytes + tailBytes + recordsBytes;
  writeFrameHeader(frame, 0, PeerFrameType.raft, shard, 0, payloadBytes);
  frame[frameHeaderBytes] = RaftKindCode[message.kind];
  writeU64(frame, frameHeaderBytes + 8, message.from);
  writeU64(frame, frameHeaderBytes + 16, message.to);
  writeU64(frame, frameHeaderBytes + 24, message.term);
  writeFields(frame, message);
  if (tail !== undefined) frame.set(tail, frameHeaderBytes + raftHeadBytes);
  return frame;
}

function writeFields(frame: Uint8Array, message: Message): void {
  switch (message.kind) {
    case "appendRequest":
      writeNumbers(frame, false, message.previousIndex, message.previousTerm, message.commit);
      return;
    case "appendResponse":
      writeNumbers(frame, message.rejected, message.index, message.hintIndex, message.hintTerm);
      return;
    case "heartbeat":
      writeNumbers(frame, false, message.commit, message.round);
      return;
    case "heartbeatResponse":
      writeNumbers(frame, false, message.round);
      return;
    case "voteRequest":
      writeNumbers(frame, message.leaderTransfer, message.lastIndex, message.lastTerm);
      return;
    case "preVoteRequest":
      writeNumbers(frame, false, message.lastIndex, message.lastTerm);
      return;
    case "voteResponse":
    case "preVoteResponse":
      writeNumbers(frame, message.granted, message.commit, message.commitTerm);
      return;
    case "installSnapshot": {
      const { index, term } = message.snapshot.metadata;
      writeNumbers(frame, false, index, term);
      return;
    }
    case "transferRequest":
      writeNumbers(frame, false, message.transferee);
      return;
    case "forwardProposal":
      writeNumbers(frame, false, message.entries.length);
      return;
    case "readIndexResponse":
      writeNumbers(frame, false, message.index);
      return;
    case "timeoutNow":
    case "readIndexRequest":
      return;
    default:
      message satisfies never;
  }
}

function writeNumbers(frame: Uint8Array, flag: boolean, a = 0, b = 0, c = 0): void {
  frame[frameHeaderBytes + 1] = flag ? 1 : 0;
  writeU64(frame, frameHeaderBytes + 32, a);
  writeU64(frame, frameHeaderBytes + 40, b);
  writeU64(frame, frameHeaderBytes + 48, c);
}

function encodeTail(message: Message): Uint8Array | undefined {
  switch (message.kind) {
    case "installSnapshot": {
      const configuration = encodeCbor(message.snapshot.metadata.configuration);
      const length = new Uint8Array(4);
      writeU32(length, 0, configuration.length);
      return concatBytes([length, configuration, message.snapshot.data]);
    }
    case "forwardProposal":
      return concatBytes(message.entries.flatMap((entry) => {
        const head = new Uint8Array(forwardedHeadBytes);
        head[0] = entry.kind;
        writeU32(head, 1, entry.data.length);
        return [head, entry.data];
      }));
    case "readIndexRequest":
    case "readIndexResponse":
      return message.context;
    default:
      return undefined;
  }
}

/**
 * Reads a Raft message.
 *
 * @param payload The frame's payload; records, contexts and snapshots are views of it.
 * @returns The message and, apart from it, the log records.
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeRaftMessage(payload: Uint8Array): ReceivedRaftMessage {
  if (payload.length < raftHeadBytes) {
    throw new MalformedFrameError(`Cannot read a Raft message of ${payload.length} bytes`);
  }
  const kind = payload[0]!;
  const tail = payload.subarray(raftHeadBytes);
  if (kind === RaftKindCode.appendRequest) {
    return { message: readMessage(payload, kind, noBytes), records: tail };
  }
  return { message: readMessage(payload, kind, tail), records: noBytes };
}

const noBytes = new Uint8Array(0);

function readMessage(payload: Uint8Array, kind: number, tail: Uint8Array): Message {
  const from = readU64(payload, 8);
  const to = readU64(payload, 16);
  const term = readU64(payload, 24);
  const flag = payload[1] !== 0;
  const a = readU64(payload, 32);
  const b = readU64(payload, 40);
  const c = readU64(payload, 48);
  switch (kind) {
    case RaftKindCode.appendRequest:
      return {
        kind: "appendRequest",
        from,
        to,
        term,
        previousIndex: a,
        previousTerm: b,
        commit: c,
        entries: [],
      };
    case RaftKindCode.appendResponse:
      return {
        kind: "appendResponse",
        from,
        to,
        term,
        rejected: flag,
        index: a,
        hintIndex: b,
        hintTerm: c,
      };
    case RaftKindCode.heartbeat:
      return { kind: "heartbeat", from, to, term, commit: a, round: b };
    case RaftKindCode.heartbeatResponse:
      return { kind: "heartbeatResponse", from, to, term, round: a };
    case RaftKindCode.voteRequest:
      return {
        kind: "voteRequest",
        from,
        to,
        term,
        lastIndex: a,
        lastTerm: b,
        leaderTransfer: flag,
      };
    case RaftKindCode.voteResponse:
      return { kind: "voteResponse", from, to, term, granted: flag, commit: a, commitTerm: b };
    case RaftKindCode.preVoteRequest:
      return { kind: "preVoteRequest", from, to, term, lastIndex: a, lastTerm: b };
    case RaftKindCode.preVoteResponse:
      return { kind: "preVoteResponse", from, to, term, granted: flag, commit: a, commitTerm: b };
    case RaftKindCode.installSnapshot: {
      const { configuration, data } = readSnapshotTail(tail);
      const metadata = { index: a, term: b, configuration };
      return { kind: "installSnapshot", from, to, term, snapshot: { metadata, data } };
    }
    case RaftKindCode.timeoutNow:
      return { kind: "timeoutNow", from, to, term };
    case RaftKindCode.transferRequest:
      return { kind: "transferRequest", from, to, term, transferee: a };
    case RaftKindCode.forwardProposal:
      return { kind: "forwardProposal", from, to, term, entries: readForwarded(tail, a) };
    case RaftKindCode.readIndexRequest:
      return { kind: "readIndexRequest", from, to, term, context: tail };
    case RaftKindCode.readIndexResponse:
      return { kind: "readIndexResponse", from, to, term, index: a, context: tail };
    default:
      throw new MalformedFrameError(`Cannot read a Raft message of unknown kind: ${kind}`);
  }
}

function readSnapshotTail(tail: Uint8Array): { configuration: Configuration; data: Uint8Array } {
  const end = tail.length < 4 ? Infinity : 4 + readU32(tail, 0);
  if (end > tail.length) throw new MalformedFrameError("Cannot read a snapshot that is cut off");
  const map = decodeCborMap(tail.subarray(4, end));
  const configuration = {
    voters: uintsField(map, "voters"),
    votersOutgoing: uintsField(map, "votersOutgoing"),
    learners: uintsField(map, "learners"),
    learnersNext: uintsField(map, "learnersNext"),
    autoLeave: booleanField(map, "autoLeave"),
  };
  return { configuration, data: tail.subarray(end) };
}

function readForwarded(tail: Uint8Array, count: number): Entry[] {
  const entries: Entry[] = [];
  let at = 0;
  while (at < tail.length) {
    const start = at + forwardedHeadBytes;
    const end = start > tail.length ? Infinity : start + readU32(tail, at + 1);
    const kind = tail[at]!;
    if (end > tail.length || kind > entryKindMax) {
      throw new MalformedFrameError(`Cannot read forwarded entry ${entries.length} of ${count}`);
    }
    entries.push({ index: 0, term: 0, kind: kind as EntryKind, data: tail.subarray(start, end) });
    at = end;
  }
  if (entries.length !== count) {
    throw new MalformedFrameError(
      `Cannot read ${count} forwarded entries: found ${entries.length}`,
    );
  }
  return entries;
}

/**
 * Makes the head of the frame that carries one frame of a relayed client; that frame is sent right
 * behind it.
 *
 * @param relay Which client, and which way.
 * @param clientFrameBytes How long the client's frame is, header included.
 * @returns The frame up to the client's frame.
 */
export function encodeRelayHead(relay: RelayAddress, clientFrameBytes: number): Uint8Array {
  return encodeRelay(PeerFrameType.relayFrame, relay, clientFrameBytes);
}

/**
 * Makes the frame that ends the relay of a client's connection.
 *
 * @returns The whole frame.
 */
export function encodeRelayClose(relay: RelayAddress): Uint8Array {
  return encodeRelay(PeerFrameType.relayClose, relay, 0);
}

function encodeRelay(type: number, relay: RelayAddress, following: number): Uint8Array {
  const frame = newBytes(frameHeaderBytes + relayHeadBytes);
  writeFrameHeader(frame, 0, type, 0, 0, relayHeadBytes + following);
  writeU64(frame, frameHeaderBytes, relay.connectionId);
  frame[frameHeaderBytes + 8] = relay.toLeader ? 0 : 1;
  return frame;
}

/**
 * Reads which client a relay frame is about, and which way it goes.
 *
 * @param payload The payload of a relayFrame or relayClose.
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeRelayAddress(payload: Uint8Array): RelayAddress {
  if (payload.length < relayHeadBytes || payload[8]! > 1) {
    throw new MalformedFrameError(`Cannot read a relay frame of ${payload.length} bytes`);
  }
  return { connectionId: readU64(payload, 0), toLeader: payload[8] === 0 };
}

/**
 * The client's frame in a relayFrame, header included: a view for `decodeFrame` or to be sent on.
 *
 * @param payload Of a relayFrame, looked at by {@linkcode decodeRelayAddress} before.
 */
export function relayedFrame(payload: Uint8Array): Uint8Array {
  return payload.subarray(relayHeadBytes);
}
