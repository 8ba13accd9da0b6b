/**
 * Serves requests: answers what this node knows itself, proposes or reads where it leads the shard, and
 * relays or refuses the rest.
 *
 * @module
 */

import { isVoter, type NodeId } from "../raft/mod.ts";
import {
  type Command,
  type QueueInfo,
  queueSettings,
  queueSettingsProblem,
  type Reply,
} from "../queue/mod.ts";
import {
  checkPublishCommand,
  checkSettleAndPublish,
  checkSettleCommand,
  type ClientRequest,
  type ClusterMetadata,
  commandPartitionId,
  decodeCommand,
  decodeRequest,
  type EncodableCommand,
  encodePublished,
  encodeSettled,
  type Frame,
  type LookRequest,
  type NodeStatus,
  publishBaseSequence,
  publishCount,
  publishDetails,
  publishPartitionCount,
  publishSessionId,
  type WireLimits,
} from "../wire/mod.ts";
import {
  answer,
  answerDone,
  type Applied,
  refuse,
  refuseCatalogMoved,
  refuseConflict,
  refuseForRoom,
  refuseFull,
  refuseNoShard,
  refuseNotLeader,
  refuseOutcome,
  refuseReply,
  refuseTooLarge,
  refuseTooMany,
  STATS_COUNT_MAX,
} from "./answers.ts";
import type { CatalogKeeper } from "./catalog_keeper.ts";
import type { DiskSpace } from "./disk_space.ts";
import type { PublishRoom } from "./publish_room.ts";
import type { ClientLink } from "./client_link.ts";
import {
  type CommandAnswer,
  encodeCommandReply,
  type InternalClient,
  InternalFrameType,
} from "./internal_client.ts";
import type { LocalShard } from "./local_shard.ts";
import { look } from "./look.ts";
import { partitionStorage } from "./partition_storage.ts";
import { serveScheduleRequest } from "./schedule_requests.ts";
import type { PeerNetwork } from "./peer_network.ts";
import type { RelayOutbox } from "./relay.ts";
import type { NodeRuntime } from "./runtime.ts";
import type { OutcomeCallback, Shard } from "./shard.ts";
import { version } from "./version.ts";

/** What the handler needs to know of its node. */
export interface RequestContext {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly members: readonly NodeId[];
  readonly shards: readonly LocalShard[];
  readonly peers: PeerNetwork;
  readonly outbox: RelayOutbox;
  readonly keeper: CatalogKeeper;
  readonly disk: DiskSpace;
  readonly room: PublishRoom;
  readonly internal: InternalClient;
  readonly runtime: NodeRuntime;
  readonly limits: WireLimits;
  readonly autoCreate: boolean;
  readonly clientAddress: string;
  readonly peerAddress: string;
}

/** The commands that nodes send each other. */
const INTERNAL_KINDS: ReadonlySet<Command["kind"]> = new Set([
  "createPartition",
  "updatePartition",
  "deletePartition",
  "partitionSettled",
  "createQueue",
  "transfer",
  "transferDone",
]);

/** Requests that a node answers by itself, whoever leads. */
type LocalKind = "hello" | "ping" | "metadata" | "nodeStatus" | "stateHash";

/** Serves the requests of all clients of a node. */
export class RequestHandler {
  readonly #context: RequestContext;
  readonly #startedAt: number;

  constructor(context: RequestContext) {
    this.#context = context;
    this.#startedAt = context.runtime.clock.monotonic();
  }

  /**
   * Serves, relays or refuses one request. Exactly one reply goes to `link`, now or later.
   *
   * @throws {MalformedFrameError} If the payload is not what the type asks for: the connection of the
   *   client has to be closed.
   */
  handle(link: ClientLink, frame: Frame): void {
    if (frame.type === InternalFrameType.command) return this.#handleInternal(link, frame);
    const request = decodeRequest(frame.type, frame.payload);
    if (request === undefined || request.kind === "hello") {
      return refuse(link, frame, "unknownRequest", `Type ${frame.type} is no request here`);
    }
    switch (request.kind) {
      case "ping":
        return answer(link, frame, { kind: "pong" });
      case "metadata":
        return answer(link, frame, { kind: "metadataReply", ...this.#metadata() });
      case "nodeStatus":
        return answer(link, frame, { kind: "nodeStatusReply", ...this.#nodeStatus() });
      case "stateHash":
        return this.#stateHash(link, frame, request.mark);
      default: {
        const local = this.#leadingShard(link, frame);
        if (local !== undefined) this.#serve(link, frame, local, request);
      }
    }
  }

  /** Commands of the cluster itself come from this node, or from a node that relays its own. */
  #handleInternal(link: ClientLink, frame: Frame): void {
    if (link !== this.#context.internal && !link.relayed) {
      return refuse(link, frame, "unknownRequest", `Type ${frame.type} is no request here`);
    }
    // What is in the log is carried out by every node: nothing gets there that cannot be.
    if (!INTERNAL_KINDS.has(decodeCommand(frame.payload).kind)) {
      return refuse(link, frame, "invalidArgument", "Nodes do not send each other this command");
    }
    this.#leadingShard(link, frame)?.shard.propose(frame.payload, (outcome) => {
      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);
      const { reply } = outcome;
      link.send(encodeCommandReply(frame.correlationId, answerOf(reply)));
    });
  }

  /** The shard of a request, if it is led here; if not, the request is relayed or refused. */
  #leadingShard(link: ClientLink, frame: Frame): LocalShard | undefined {
    const { shards, outbox } = this.#context;
    const local = shards[frame.shard];
    if (local?.shard.leading) return local;
    if (local === undefined) {
      refuseNoShard(link, frame, shards.length);
      return undefined;
    }
    const { leader } = local.shard;
    const relayed = leader !== 0 && !link.relayed && outbox.forward(link, leader, frame);
    if (!relayed) refuseNotLeader(link, frame, leader);
    return undefined;
  }

  #serve(
    link: ClientLink,
    frame: Frame,
    local: LocalShard,
    request: Exclude<ClientRequest, { kind: LocalKind }>,
  ): void {
    switch (request.kind) {
      case "publish":
        return this.#publish(link, frame, local);
      case "settle":
        return this.#settle(link, frame, local);
      case "settleAndPublish":
        return this.#settleAndPublish(link, frame, local);
      case "openSession":
        return this.#propose(link, frame, local, request, ({ reply, term, index }) => {
          if (reply.kind !== "sessionOpened") return refuseReply(link, frame, reply);
          local.bind(reply.sessionId, link, index);
          answer(link, frame, { ...reply, term, index });
        });
      case "attachSession":
        return this.#propose(link, frame, local, request, (done) => {
          local.bind(request.sessionId, link, done.index);
          answerDone(link, frame, done);
        });
      case "markState":
        return this.#propose(link, frame, local, { kind: "tick", mark: request.mark }, (done) => {
          answerDone(link, frame, done);
        });
      case "closeSession":
        return this.#propose(link, frame, local, request, (done) => {
          local.bindings.release(request.sessionId);
          answerDone(link, frame, done);
        });
      case "attachConsumer": {
        const { held, partitionCount, ...command } = request;
        const { sessionId, consumerId, partitionId } = command;
        if (local.bindings.link(sessionId) !== link) return refuseConflict(link, frame, sessionId);
        return this.#propose(link, frame, local, command, (done) => {
          if (local.bindings.link(sessionId) !== link) {
            return refuseConflict(link, frame, sessionId);
          }
          answerDone(link, frame, done);
          local.tellIfGrown(sessionId, consumerId, partitionId, partitionCount);
          local.deliverMissing(sessionId, consumerId, partitionId, held);
        });
      }
      case "detachConsumer":
      case "removeMessage":
        return this.#propose(link, frame, local, request, (done) => answerDone(link, frame, done));
      case "createQueue":
        return this.#createQueue(link, frame, local, request);
      case "deleteQueue":
        return this.#propose(link, frame, local, request, (done) => {
          this.#whenReady(link, frame, request.name, () => answerDone(link, frame, done));
        });
      case "editQueue":
        return this.#editQueue(link, frame, local, request);
      case "purgePartition":
        return this.#propose(link, frame, local, request, ({ reply, term, index }) => {
          if (reply.kind !== "purged") return refuseReply(link, frame, reply);
          answer(link, frame, { ...reply, term, index });
        });
      case "replay":
        return this.#propose(link, frame, local, request, ({ reply, term, index }) => {
          if (reply.kind !== "replayed") return refuseReply(link, frame, reply);
          answer(link, frame, { ...reply, term, index });
        });
      case "findQueue":
        return this.#findQueue(link, frame, local, request.name);
      case "listQueues":
        return this.#read(link, frame, local, () => {
          answer(link, frame, { kind: "queueList", queues: local.shard.machine.queues() });
        });
      case "queueStats":
        if (request.partitionIds.length > STATS_COUNT_MAX) {
          return refuseTooMany(link, frame, request.partitionIds.length);
        }
        return this.#read(link, frame, local, () => {
          const partitions = request.partitionIds.map((id) => local.shard.machine.stats(id))
            .filter((stats) => stats !== undefined);
          answer(link, frame, { kind: "queueStatsReply", partitions });
        });
      case "queueStorage":
        if (request.partitionIds.length > STATS_COUNT_MAX) {
          return refuseTooMany(link, frame, request.partitionIds.length);
        }
        return this.#queueStorage(link, frame, local, request.partitionIds);
      case "addSchedule":
      case "removeSchedule":
      case "pauseSchedule":
      case "resumeSchedule":
      case "listSchedules":
        return serveScheduleRequest(link, frame, local, request);
      case "peek":
      case "findMessage":
      case "messageHistory":
      case "inspect":
        return this.#look(link, frame, local, request);
      default:
        return request satisfies never;
    }
  }

  /** Looks at what partitions hold, and answers when all has been counted. */
  #queueStorage(
    link: ClientLink,
    frame: Frame,
    { shard }: LocalShard,
    partitionIds: readonly number[],
  ): void {
    const { nodeId, runtime: { clock } } = this.#context;
    shard.read((current) => {
      if (!current) return refuseNotLeader(link, frame, shard.leader);
      void partitionStorage(shard, partitionIds, clock).then((partitions) => {
        answer(link, frame, { kind: "queueStorageReply", nodeId, partitions });
      });
    });
  }

  /** Shows what is in a queue, once what is known here is known to be current. */
  #look(link: ClientLink, frame: Frame, local: LocalShard, request: LookRequest): void {
    if (request.kind === "inspect" && request.partitionIds.length > STATS_COUNT_MAX) {
      return refuseTooMany(link, frame, request.partitionIds.length);
    }
    this.#read(link, frame, local, () => {
      look(local, request, this.#context.runtime.clock).then((reply) => {
        if (reply !== undefined) return answer(link, frame, reply);
        refuse(link, frame, "partitionNotFound", "The partition to look into is not there");
      }).catch((error) => local.shard.damaged(error));
    });
  }

  /** Answers when the mark is applied here, or will not be waited for any more. */
  #stateHash(link: ClientLink, frame: Frame, mark: number): void {
    const { shards } = this.#context;
    const local = shards[frame.shard];
    if (local === undefined) return refuseNoShard(link, frame, shards.length);
    local.shard.hashes.want(mark, (hash) => {
      if (hash !== undefined) return answer(link, frame, { kind: "stateHashReply", ...hash });
      refuse(link, frame, "overloaded", `Shard ${frame.shard} waits for no more marks`);
    });
  }

  #publish(link: ClientLink, frame: Frame, local: LocalShard): void {
    if (local.shard.full) return refuseFull(link, frame);
    const { limits, room } = this.#context;
    const lacking = room.missing(local.shard.configuration);
    if (lacking.length > 0) return refuseForRoom(link, frame, lacking);
    const tooLarge = checkPublishCommand(frame.payload, limits);
    if (tooLarge >= 0) return refuseTooLarge(link, frame, tooLarge, limits);
    const refusal = this.#earlyRefusal(frame.payload, local.shard);
    if (refusal !== undefined) return refuseReply(link, frame, refusal);
    local.shard.propose(frame.payload, (outcome) => {
      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);
      const { reply } = outcome;
      if (reply.kind !== "published") return refuseReply(link, frame, reply);
      const partitionId = commandPartitionId(frame.payload);
      const published = { partitionId, ...reply };
      link.send(encodePublished(published, frame.shard, frame.correlationId));
    });
  }

  /** What is known to be refused need not go through the log, where what is known is not of the past. */
  #earlyRefusal(command: Uint8Array, { hasBegunTerm, machine }: Shard): Reply | undefined {
    if (!hasBegunTerm) return undefined;
    return machine.earlyRefusal({
      sessionId: publishSessionId(command),
      partitionId: commandPartitionId(command),
      baseSequence: publishBaseSequence(command),
      count: publishCount(command),
      partitionCount: publishPartitionCount(command),
      details: publishDetails(command),
    });
  }

  #settle(link: ClientLink, frame: Frame, local: LocalShard): void {
    if (local.shard.full) return refuseFull(link, frame);
    checkSettleCommand(frame.payload);
    this.#proposeSettle(link, frame, local);
  }

  #settleAndPublish(link: ClientLink, frame: Frame, local: LocalShard): void {
    if (local.shard.full) return refuseFull(link, frame);
    const { limits, room } = this.#context;
    const lacking = room.missing(local.shard.configuration);
    if (lacking.length > 0) return refuseForRoom(link, frame, lacking);
    const tooLarge = checkSettleAndPublish(frame.payload, limits);
    if (tooLarge >= 0) return refuseTooLarge(link, frame, tooLarge, limits);
    this.#proposeSettle(link, frame, local);
  }

  /** Proposes the settle command in a frame, which is checked. */
  #proposeSettle(link: ClientLink, frame: Frame, local: LocalShard): void {
    local.shard.propose(frame.payload, (outcome) => {
      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);
      const { reply, term, index } = outcome;
      if (reply.kind !== "settled") return refuseReply(link, frame, reply);
      const partitionId = commandPartitionId(frame.payload);
      const { statuses } = reply;
      const settled = { partitionId, term, index, statuses };
      link.send(encodeSettled(settled, frame.shard, frame.correlationId));
    });
  }

  /** Proposes a command; a refusal is answered here, anything else by `applied`. */
  #propose(
    link: ClientLink,
    frame: Frame,
    local: LocalShard,
    command: EncodableCommand,
    applied: (done: Applied) => void,
  ): void {
    const done: OutcomeCallback = (outcome) => {
      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);
      if (outcome.reply.kind === "refused") return refuseReply(link, frame, outcome.reply);
      applied(outcome);
    };
    local.shard.proposeCommand(command, done);
  }

  /** Answers from the machine's state once that is known to be current. */
  #read(link: ClientLink, frame: Frame, local: LocalShard, serve: () => void): void {
    local.shard.read((current) => {
      if (current) serve();
      else refuseNotLeader(link, frame, local.shard.leader);
    });
  }

  #createQueue(
    link: ClientLink,
    frame: Frame,
    local: LocalShard,
    request: Extract<ClientRequest, { kind: "createQueue" }>,
  ): void {
    const { autoCreate, shards } = this.#context;
    const { name, acceptExisting } = request;
    // "Accept an existing one" is what publishing to an unknown queue says.
    if (acceptExisting && !autoCreate) return this.#findQueue(link, frame, local, name);
    const problem = queueSettingsProblem(request.settings);
    if (problem !== undefined) return refuse(link, frame, "settingsInvalid", problem);
    const settings = queueSettings(request.settings);
    const command = { ...request, settings, shardCount: shards.length };
    this.#propose(link, frame, local, command, ({ reply }) => {
      const created = reply.kind === "queue" && reply.created;
      this.#whenReady(
        link,
        frame,
        name,
        () => this.#sendQueue(link, frame, local, name, created),
      );
    });
  }

  /** Changes a queue, and answers when all its partitions have heard of it. */
  #editQueue(
    link: ClientLink,
    frame: Frame,
    local: LocalShard,
    request: Extract<ClientRequest, { kind: "editQueue" }>,
  ): void {
    const problem = queueSettingsProblem(request.settings);
    if (problem !== undefined) return refuse(link, frame, "settingsInvalid", problem);
    const { name } = request;
    const command = { ...request, shardCount: this.#context.shards.length };
    this.#propose(link, frame, local, command, () => {
      this.#context.keeper.whenSettled(name, (settled) => {
        if (settled) this.#sendQueue(link, frame, local, name, false);
        else refuseCatalogMoved(link, frame);
      });
    });
  }

  #findQueue(link: ClientLink, frame: Frame, local: LocalShard, name: string): void {
    this.#read(link, frame, local, () => {
      this.#whenReady(link, frame, name, () => this.#sendQueue(link, frame, local, name, false));
    });
  }

  #sendQueue(
    link: ClientLink,
    frame: Frame,
    local: LocalShard,
    name: string,
    created: boolean,
  ): void {
    const queue: QueueInfo | undefined = local.shard.machine.findQueue(name);
    if (queue === undefined) {
      return refuse(
        link,
        frame,
        "queueNotFound",
        `There is no queue named ${JSON.stringify(name)}`,
      );
    }
    answer(link, frame, { kind: "queueReply", queue, created });
  }

  #whenReady(link: ClientLink, frame: Frame, name: string, serve: () => void): void {
    this.#context.keeper.whenReady(name, (isReady) => {
      if (isReady) serve();
      else refuseCatalogMoved(link, frame);
    });
  }

  #metadata(): ClusterMetadata {
    const { nodeId, clusterId, members, peers, shards } = this.#context;
    return {
      clusterId,
      nodeId,
      nodes: members.map((id) => ({
        id,
        address: peers.clientAddress(id) ?? null,
        connected: id === nodeId || peers.connected(id),
      })),
      shards: shards.map(({ shard }) => {
        const { id, leader, term } = shard;
        return { id, leader, term };
      }),
    };
  }

  #nodeStatus(): NodeStatus {
    const { nodeId, runtime, clientAddress, peerAddress, shards, disk } = this.#context;
    return {
      nodeId,
      version,
      address: clientAddress,
      peerAddress,
      uptimeMs: Math.round(runtime.clock.monotonic() - this.#startedAt),
      memoryBytes: runtime.memoryBytes(),
      diskFreeBytes: Number.isFinite(disk.freeBytes) ? disk.freeBytes : null,
      isDiskLow: disk.isLow,
      shards: shards.map(({ shard, bindings }) => {
        const { role, term, commitIndex, appliedIndex, lastIndex, durableIndex } = shard.status();
        return {
          id: shard.id,
          role: isVoter(shard.configuration, shard.replica) ? role : "learner",
          leader: shard.leader,
          term,
          commitIndex,
          appliedIndex,
          lastIndex,
          durableIndex,
          logBytes: shard.store.logBytes,
          sessions: bindings.size,
        };
      }),
    };
  }
}

function answerOf(reply: Reply): CommandAnswer {
  if (reply.kind === "refused") return { refused: reply.message };
  return reply.kind === "transferred" ? { takenId: reply.takenId } : {};
}
