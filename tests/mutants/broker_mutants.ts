/**
 * Mistakes in the shell around core and machine, and in the client.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

export const BROKER_MUTANTS: readonly Mutant[] = [
  {
    name: "takes-time-from-its-own-clock",
    breaks: "time reaches the queue machine through the log only",
    edits: [{
      file: "broker/shard.ts",
      find: "const timestampMs = commandTimestampMs(entry.data);",
      replace:
        "const timestampMs = Math.max(commandTimestampMs(entry.data), this.#host.clock.now());",
    }],
    foundBy: "cluster",
  },
  {
    name: "answers-a-read-without-asking-raft",
    breaks: "a read is answered once a quorum has confirmed the leader",
    edits: [{
      file: "broker/shard.ts",
      find:
        'this.#reads.ask((context) => this.#raft.readIndex(context).kind === "accepted", done);',
      replace: "done(true);",
    }],
    foundBy: "cluster",
  },
  {
    name: "answers-a-read-before-its-index-is-applied",
    breaks: "a read is answered once its index is applied",
    edits: [{
      file: "broker/pending_reads.ts",
      find: "    this.#waiting.push({ index, done });",
      replace: "    done(index > 0);",
    }],
    foundBy: "cluster",
  },
  {
    name: "confirms-when-proposed",
    breaks: "a publish is confirmed when it is committed and applied",
    edits: [{
      file: "broker/request_handler.ts",
      find: "    local.shard.propose(frame.payload, (outcome) => {\n" +
        '      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);\n' +
        "      const { reply } = outcome;\n" +
        '      if (reply.kind !== "published")',
      replace: "    const early = commandPartitionId(frame.payload);\n" +
        "    const { term, lastIndex } = local.shard.status();\n" +
        "    const stats = local.shard.machine.stats(early);\n" +
        "    const count = new DataView(frame.payload.buffer, frame.payload.byteOffset)\n" +
        "      .getUint32(32, true);\n" +
        "    const firstOffset = stats?.published ?? 0;\n" +
        "    const index = lastIndex + 1;\n" +
        "    const duplicate = false;\n" +
        "    link.send(encodePublished(\n" +
        "      { partitionId: early, count, firstOffset, term, index, publishedAtMs: 0, duplicate },\n" +
        "      frame.shard,\n" +
        "      frame.correlationId,\n" +
        "    ));\n" +
        "    local.shard.propose(frame.payload, (outcome) => {\n" +
        "      if (index > 0) return;\n" +
        '      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);\n' +
        "      const { reply } = outcome;\n" +
        '      if (reply.kind !== "published")',
    }],
    foundBy: "cluster",
  },
  {
    name: "a-deposed-leader-delivers",
    breaks: "only the leader delivers, and only to those who have attached to it",
    edits: [{
      file: "broker/local_shard.ts",
      find: "return this.flow.begin(this.shard.machine);\n    this.deliveries.clear();",
      replace: "return this.flow.begin(this.shard.machine);",
    }, {
      file: "broker/shard.ts",
      find: "if (this.#leading) this.#host.carryOut(this, this.#machine.effects);",
      replace: "this.#host.carryOut(this, this.#machine.effects);",
    }],
    foundBy: "cluster",
  },
  {
    name: "a-replaying-leader-delivers-of-old",
    breaks: "a leader that applies its log delivers nothing of what was delivered long ago",
    edits: [{
      file: "broker/delivery_sender.ts",
      find: "      if (this.#bindings.link(sessionId[i]!) === undefined) continue;\n",
      replace: "",
    }, {
      file: "broker/local_shard.ts",
      find: "    this.deliveries.forget(sessionId);\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "takes-the-log-of-a-snapshot-without-its-state",
    breaks: "a snapshot is installed as a whole: log and state",
    edits: [{
      file: "broker/shard.ts",
      find: "    this.#machine = arrived.machine;\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "says-that-a-lost-proposal-surely-failed",
    breaks: "what a deposed leader had in its log may have been applied",
    edits: [{
      file: "broker/answers.ts",
      find:
        'refuse(link, frame, "leadershipLost", `Shard ${frame.shard} lost its leader meanwhile`, true);',
      replace: 'refuse(link, frame, "internal", `Shard ${frame.shard} lost its leader meanwhile`);',
    }],
    foundBy: "cluster",
  },
  {
    name: "does-not-send-again-after-a-reconnect",
    breaks: "what is unconfirmed when a connection breaks is sent again over the next",
    edits: [{
      file: "client/partition_producer.ts",
      find: "  down(): void {\n    this.#goBack();",
      replace: "  down(): void {",
    }, {
      file: "client/partition_producer.ts",
      find: "  lost(error: FlowMQError): void {\n    this.producer.refused(this, error);",
      replace: "  lost(_error: FlowMQError): void {",
    }],
    foundBy: "cluster",
  },
  {
    name: "sends-again-under-a-new-session",
    breaks: "a batch that was sent stays with the session that it was sent under",
    edits: [{
      file: "client/partition_producer.ts",
      find: "    const sent = this.#takeSent();\n    const unsent = this.#batches;\n" +
        "    this.#batches = sent;",
      replace: "    const unsent = this.#batches;\n    this.#goBack();\n" +
        "    for (const batch of unsent) batch.baseSequence = -1;\n    this.#batches = [];",
    }],
    foundBy: "cluster",
  },
  {
    name: "reorders-after-a-time-out",
    breaks: "messages of a publisher keep their order, also when one before them timed out",
    edits: [{
      file: "client/partition_producer.ts",
      find: "    if (!predecessor.isIdle) {",
      replace: "    if (predecessor === this) {",
    }],
    foundBy: "stories",
    why: "its applications seldom publish on behind a time-out",
  },
  {
    name: "does-not-attach-its-consumers-again",
    breaks: "consumers go on after a reconnect",
    edits: [{
      file: "client/partition_consumer.ts",
      find:
        '    if (this.#state === "open" || this.#state === "lingering") void this.#attach(connection);',
      replace: "    if (this.#detachingOn === undefined) void this.#attach(connection);\n" +
        "    this.#detachingOn = connection;",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-what-it-holds",
    breaks: "a delivery reaches the application once, over reconnects too",
    edits: [{
      file: "client/partition_consumer.ts",
      find: "held: [...this.#held].map(([offset, deliveryCount]) => ({ offset, deliveryCount })),",
      replace: "held: [],",
    }, {
      file: "client/partition_consumer.ts",
      find: "if (heldCount === deliveryCount) return;",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "takes-back-its-old-name",
    breaks: "a node whose disk was replaced does not speak under its old identity",
    edits: [{
      file: "broker/replica_opener.ts",
      find: "return await this.#open(id, isFounder ? this.#config.nodeId : newcomer);",
      replace: "return await this.#open(id, this.#config.nodeId);",
    }],
    foundBy: "cluster",
  },
  {
    name: "repairs-under-its-old-name",
    breaks: "a damaged replica is given up with its votes and what it acknowledged",
    edits: [{
      file: "broker/replica_opener.ts",
      find: "      return await this.#open(id, newcomer);",
      replace: "      return await this.#open(id, this.#config.nodeId);",
    }],
    foundBy: "cluster",
  },
  {
    name: "founds-a-cluster-alone",
    breaks: "a new cluster begins when all of its nodes are there and blank",
    edits: [{
      file: "broker/formation.ts",
      find: "    if (all.length < this.#others.length) return;\n",
      replace: "",
    }],
    foundBy: "stories",
    why: "its nodes all start at the same moment",
  },
  {
    name: "trusts-a-disk-that-was-rolled-back",
    breaks: "a replica that lacks what it acknowledged is given up",
    edits: [{
      file: "broker/shard.ts",
      find: "if (lostIndex > 0) {",
      replace: "if (lostIndex < 0) {",
    }],
    foundBy: "stories",
    why: "its disks lose all or nothing of what was synced",
  },
  {
    name: "hears-a-late-hello",
    breaks: "what a peer said on a connection that it has given up does not count",
    edits: [{
      file: "broker/peer_network.ts",
      find: "if (number < newest) throw",
      replace: "if (number < 0) throw",
    }],
    foundBy: "peers",
    why: "it takes a hello that is on its way for longer than the next connection needs",
  },
];
