/**
 * Requests as frames: what a client sends and a broker reads.
 *
 * @module
 */

import type { ClientRequest, HeldDelivery, QueueSettings } from "./client_messages.ts";
import { RequestType } from "./client_messages.ts";
import { type CborMap, decodeCborMap, encodeCbor } from "./cbor.ts";
import { MalformedFrameError } from "./errors.ts";
import {
  arrayField,
  asUint,
  booleanField,
  mapField,
  optionalBooleanField,
  textField,
  uintField,
  uintsField,
} from "./fields.ts";
import { encodeFrame } from "./frame.ts";
import { readScheduledMessage, readScheduleTiming } from "./schedule_codec.ts";
import { readFindMessage, readInspect, readMessageHistory, readPeek } from "./look_messages.ts";

const u32Max = 0xffff_ffff;

/**
 * Makes the frame of a request. Publish and settle frames are better made by `PublishBatch` and
 * `encodeSettleFrame`, which lay the command out in place.
 *
 * @param request What to ask for.
 * @param shard The shard that has to answer, 0 where it does not matter.
 * @param correlationId Comes back with the reply.
 * @returns The whole frame.
 */
export function encodeRequest(
  request: ClientRequest,
  shard: number,
  correlationId: number,
): Uint8Array {
  const type = RequestType[request.kind];
  return encodeFrame(type, shard, correlationId, encodePayload(request));
}

function encodePayload(request: ClientRequest): Uint8Array {
  switch (request.kind) {
    case "publish":
    case "settle":
    case "settleAndPublish":
      return request.command;
    case "attachConsumer": {
      const { kind: _kind, held, ...rest } = request;
      return encodeCbor({ ...rest, held: held.map((one) => [one.offset, one.deliveryCount]) });
    }
    default: {
      const { kind: _kind, ...fields } = request;
      return encodeCbor(fields);
    }
  }
}

/**
 * Reads a request.
 *
 * @param type The frame's type.
 * @param payload The frame's payload; the commands of publish and settle are views of it.
 * @returns The request, or `undefined` for a type this version does not know.
 * @throws {MalformedFrameError} when the payload is not what the type asks for.
 */
export function decodeRequest(type: number, payload: Uint8Array): ClientRequest | undefined {
  // The hot ones first: they have no map to decode.
  if (type === RequestType.publish) return { kind: "publish", command: payload };
  if (type === RequestType.settle) return { kind: "settle", command: payload };
  if (type === RequestType.settleAndPublish) return { kind: "settleAndPublish", command: payload };
  return isRequestType(type) ? decodeStructured(type, decodeCborMap(payload)) : undefined;
}

const requestTypes: ReadonlySet<number> = new Set(Object.values(RequestType));

function isRequestType(type: number): boolean {
  return requestTypes.has(type);
}

function decodeStructured(type: number, map: CborMap): ClientRequest {
  switch (type) {
    case RequestType.hello:
      return {
        kind: "hello",
        protocol: uintField(map, "protocol"),
        clientName: textField(map, "clientName"),
      };
    case RequestType.ping:
      return { kind: "ping" };
    case RequestType.metadata:
      return { kind: "metadata" };
    case RequestType.nodeStatus:
      return { kind: "nodeStatus" };
    case RequestType.stateHash:
      return { kind: "stateHash", mark: uintField(map, "mark") };
    case RequestType.markState:
      return { kind: "markState", mark: uintField(map, "mark") };
    case RequestType.openSession:
      return {
        kind: "openSession",
        timeoutMs: uintField(map, "timeoutMs"),
        clientName: textField(map, "clientName"),
        ...(map["producer"] === undefined ? {} : { producer: textField(map, "producer") }),
      };
    case RequestType.attachSession:
      return { kind: "attachSession", sessionId: uintField(map, "sessionId") };
    case RequestType.closeSession:
      return { kind: "closeSession", sessionId: uintField(map, "sessionId") };
    case RequestType.attachConsumer:
      return {
        kind: "attachConsumer",
        sessionId: uintField(map, "sessionId"),
        consumerId: uintField(map, "consumerId", u32Max),
        partitionId: uintField(map, "partitionId", u32Max),
        prefetch: uintField(map, "prefetch", u32Max),
        drain: booleanField(map, "drain"),
        ...(map["leaseMs"] === undefined ? {} : { leaseMs: uintField(map, "leaseMs") }),
        ...(map["partitionCount"] === undefined
          ? {}
          : { partitionCount: uintField(map, "partitionCount") }),
        held: arrayField(map, "held", readHeld),
      };
    case RequestType.detachConsumer:
      return {
        kind: "detachConsumer",
        sessionId: uintField(map, "sessionId"),
        consumerId: uintField(map, "consumerId", u32Max),
        partitionId: uintField(map, "partitionId", u32Max),
      };
    case RequestType.createQueue:
      return {
        kind: "createQueue",
        name: textField(map, "name"),
        settings: mapField(map, "settings") as Partial<QueueSettings>,
        acceptExisting: booleanField(map, "acceptExisting"),
      };
    case RequestType.editQueue: {
      const paused = optionalBooleanField(map, "paused");
      return {
        kind: "editQueue",
        name: textField(map, "name"),
        settings: mapField(map, "settings") as Partial<QueueSettings>,
        ...(paused === undefined ? {} : { paused }),
      };
    }
    case RequestType.purgePartition:
      return { kind: "purgePartition", partitionId: uintField(map, "partitionId", u32Max) };
    case RequestType.removeMessage:
      return {
        kind: "removeMessage",
        partitionId: uintField(map, "partitionId", u32Max),
        offset: uintField(map, "offset"),
      };
    case RequestType.replay:
      return {
        kind: "replay",
        partitionId: uintField(map, "partitionId", u32Max),
        sinceMs: uintField(map, "sinceMs"),
        untilIndex: uintField(map, "untilIndex"),
      };
    case RequestType.deleteQueue:
      return { kind: "deleteQueue", name: textField(map, "name") };
    case RequestType.findQueue:
      return { kind: "findQueue", name: textField(map, "name") };
    case RequestType.listQueues:
      return { kind: "listQueues" };
    case RequestType.queueStorage:
      return { kind: "queueStorage", partitionIds: uintsField(map, "partitionIds") };
    case RequestType.addSchedule:
      return {
        kind: "addSchedule",
        ...readScheduleName(map),
        timing: readScheduleTiming(mapField(map, "timing")),
        message: readScheduledMessage(mapField(map, "message")),
      };
    case RequestType.removeSchedule:
      return { kind: "removeSchedule", ...readScheduleName(map) };
    case RequestType.pauseSchedule:
      return { kind: "pauseSchedule", ...readScheduleName(map) };
    case RequestType.resumeSchedule:
      return { kind: "resumeSchedule", ...readScheduleName(map) };
    case RequestType.listSchedules:
      return { kind: "listSchedules", partitionId: uintField(map, "partitionId", u32Max) };
    case RequestType.peek:
      return readPeek(map);
    case RequestType.findMessage:
      return readFindMessage(map);
    case RequestType.messageHistory:
      return readMessageHistory(map);
    case RequestType.inspect:
      return readInspect(map);
    default:
      return { kind: "queueStats", partitionIds: uintsField(map, "partitionIds") };
  }
}

function readScheduleName(map: CborMap): { partitionId: number; id: string } {
  return { partitionId: uintField(map, "partitionId", u32Max), id: textField(map, "id") };
}

function readHeld(item: unknown): HeldDelivery {
  if (!Array.isArray(item) || item.length !== 2) {
    throw new MalformedFrameError("Cannot read field held as it is not a list of pairs");
  }
  return { offset: asUint(item[0], "held"), deliveryCount: asUint(item[1], "held") };
}
