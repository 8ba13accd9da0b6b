/**
 * Mistakes in the queue machine.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

export const QUEUE_MUTANTS: readonly Mutant[] = [
  {
    name: "fires-a-schedule-for-a-due-time-again",
    breaks: "a schedule is fired once for each due time",
    edits: [{
      file: "queue/schedule_commands.ts",
      find: "schedule.nextMs > 0 && dueMs >= schedule.nextMs &&",
      replace: "schedule.nextMs > 0 &&",
    }, {
      file: "broker/schedule_keeper.ts",
      find: "this.#shard.propose(command, (outcome) => {",
      replace: "this.#shard.propose(command.slice(), () => {});\n" +
        "    this.#shard.propose(command, (outcome) => {",
    }],
    foundBy: "cluster",
  },
  {
    name: "passes-over-due-times",
    breaks: "while there is a leader, no due time is passed over",
    edits: [{
      file: "broker/schedule_times.ts",
      find: "return { dueMs: newestMs, nextMs: this.after(newestMs) };",
      replace: "return { dueMs: newestMs, nextMs: this.after(this.after(newestMs)) };",
    }],
    foundBy: "cluster",
  },
  {
    name: "leaves-schedules-out-of-the-snapshot",
    breaks: "a snapshot holds the schedules",
    edits: [{
      file: "queue/shard_tables.ts",
      find: "this.schedules.capture(),",
      replace: "[],",
    }],
    foundBy: "cluster",
  },
  {
    name: "replays-what-was-acked-after-the-question",
    breaks: "a replay that is repeated brings nothing back twice",
    edits: [{
      file: "queue/happenings.ts",
      find: "if (chunk.index[at]! > untilIndex) return;",
      replace: "",
    }],
    foundBy: "model",
    why: "it takes an answer that is lost, and an ack at the same time",
  },
  {
    name: "gives-the-log-of-its-history-back",
    breaks: "what can be brought back stays in the log",
    edits: [{
      file: "queue/live_entries.ts",
      find: "const isKept = kept.some((ranges) => ranges.meets(lastOffset, offset));",
      replace: "const isKept = false;",
    }],
    foundBy: "model",
    why: "segments are rewritten seldom in so short a time",
  },
  {
    name: "leaves-the-history-out-of-the-snapshot",
    breaks: "a snapshot holds the history",
    edits: [{
      file: "queue/partition_capture.ts",
      find: "if (state.history !== undefined) yield* partsOfHistory(state.history);",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "delivers-what-was-removed",
    breaks: "a removed message is not delivered",
    edits: [{
      file: "queue/partition.ts",
      find: "    this.#backlog.remove(offset);\n    this.#backlog.forget(offset);\n",
      replace: "    this.#backlog.forget(offset);\n",
    }],
    foundBy: "cluster",
  },
  {
    name: "stores-a-repeated-batch-again",
    breaks: "a message is stored once, however often it is sent",
    edits: [{
      file: "queue/partition_commands.ts",
      find: "return repeated(verdict.answer, count, partitionId);",
      replace: "break;",
    }],
    foundBy: "cluster",
  },
  {
    name: "new-leader-forgets-the-dedupe-table",
    breaks: "producer windows outlive a change of leader",
    edits: [{
      file: "queue/session_commands.ts",
      find: "for (const session of tables.sessions.values()) detach(tables, session);",
      replace: "for (const session of tables.sessions.values()) {\n" +
        "    detach(tables, session);\n" +
        "    tables.publishers.forgetSession(session.id);\n" +
        "  }",
    }, {
      file: "queue/partition_commands.ts",
      find: "if (partition !== undefined && baseSequence > 0) return sequenceGap(baseSequence, 0);",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "leaves-the-dedupe-table-out-of-the-snapshot",
    breaks: "a snapshot holds the producer windows",
    edits: [{
      file: "queue/shard_tables.ts",
      find: "this.publishers.capture(),",
      replace: "[],",
    }],
    foundBy: "cluster",
  },
  {
    name: "remembers-too-few-batches",
    breaks: "a producer window remembers as many batches as a client has under way",
    edits: [{
      file: "queue/producer_window.ts",
      find: "if (this.#size < this.#capacityMax) {",
      replace: "if (this.#size < CAPACITY_MIN) {",
    }],
    foundBy: "cluster",
  },
  {
    name: "answers-a-repeat-with-another-receipt",
    breaks: "a repeated batch gets the receipt of the first one",
    edits: [{
      file: "queue/producer_window.ts",
      find: "answer: this.#answerAt(low) }",
      replace: "answer: this.#answerAt(this.#size - 1) }",
    }],
    foundBy: "cluster",
  },
  {
    name: "accepts-a-stale-ack",
    breaks: "an ack counts for the delivery that it is about",
    edits: [{
      file: "queue/partition.ts",
      find: "consumer === undefined || leases.holderAt(slot) !== consumer ||\n" +
        "        leases.deliveryCountAt(slot) !== deliveryCounts[at]",
      replace: "consumer === undefined || leases.holderAt(slot) === undefined",
    }],
    foundBy: "cluster",
  },
  {
    name: "leases-end-while-nobody-leads",
    breaks: "with a new leader every lease gets its full time again",
    edits: [{
      file: "queue/session_commands.ts",
      find:
        "for (const partition of tables.partitions.values()) partition.renewLeases(tables.nowMs);",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "new-leader-does-not-rearm-sessions",
    breaks: "with a new leader every session counts as detached until its client is back",
    edits: [{
      file: "queue/session_commands.ts",
      find: "for (const session of tables.sessions.values()) detach(tables, session);",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "an-old-connection-detaches-the-session",
    breaks: "the end of an older connection does nothing to a session that has a newer one",
    edits: [{
      file: "queue/session_commands.ts",
      find: "if (session?.attachIndex === command.attachIndex) detach(tables, session);",
      replace: "if (session !== undefined) detach(tables, session);",
    }],
    foundBy: "model",
    why: "a broker stays silent about connections that it has replaced",
  },
  {
    name: "a-gone-consumer-keeps-its-leases",
    breaks: "what a closed consumer held is ready again at once, for others",
    edits: [{
      file: "queue/partition.ts",
      find: "for (const slot of this.#leases.slotsOf(consumer)) {",
      replace: "for (const slot of [] as number[]) {",
    }],
    foundBy: "model",
    why: "the leases end by themselves before it looks",
  },
  {
    name: "delivers-without-a-lease",
    breaks: "a message is leased to one consumer at a time",
    edits: [{
      file: "queue/partition.ts",
      find: "      if (consumer.held < consumer.prefetch) ring.rotate();",
      replace:
        "      if (deliveryCount === 1) this.#outcomes.return(leases.find(offset), nowMs);\n" +
        "      if (consumer.held < consumer.prefetch) ring.rotate();",
    }],
    foundBy: "cluster",
  },
  {
    name: "extends-a-lease-in-words-only",
    breaks: "an extended lease gets its full time again",
    edits: [{
      file: "queue/partition.ts",
      find: "leases.extend(slot, nowMs);",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "gives-one-more-than-the-prefetch",
    breaks: "a consumer never holds more than it asked for",
    edits: [{
      file: "queue/consumer.ts",
      find: "return this.receiving && this.held < this.prefetch;",
      replace: "return this.receiving && this.held <= this.prefetch;",
    }, {
      file: "queue/partition.ts",
      find: "if (consumer.held < consumer.prefetch) ring.rotate();",
      replace: "if (consumer.held <= consumer.prefetch) ring.rotate();",
    }],
    foundBy: "cluster",
  },
  {
    name: "overwrites-a-window-that-a-capture-has",
    breaks: "a capture holds the state of its moment, however the machine goes on",
    edits: [{
      file: "queue/producer_window.ts",
      find: "    this.#isShared = true;\n    return capture;",
      replace: "    return capture;",
    }],
    foundBy: "model",
    why: "windows go round only after a thousand batches",
  },
  {
    name: "a-capture-grows-with-the-batches",
    breaks: "a capture holds the batch records of its moment, however the machine goes on",
    edits: [{
      file: "queue/batch_index.ts",
      find: "const end = at === this.#chunks.length - 1 ? this.#length : length;",
      replace: "const end = length;",
    }],
    foundBy: "cluster",
  },
  {
    name: "dead-messages-keep-their-bytes",
    breaks: "the bytes of a queue are those of the messages that wait or are leased",
    edits: [{
      file: "queue/outcomes.ts",
      find: "    this.dead++;\n    this.#backlog.forget(offset);",
      replace: "    this.dead++;",
    }],
    foundBy: "model",
    why: "its queues have a limit of bytes too seldom to fill up",
  },
  {
    name: "fresh-messages-overtake-returned-ones",
    breaks: "what comes back is delivered before what was never delivered",
    edits: [{
      file: "queue/waiting_messages.ts",
      find: "lines[0]!.firstOffset < freshOffset",
      replace: "freshOffset === Infinity",
    }],
    foundBy: "cluster",
  },
  {
    name: "does-not-count-what-came-back",
    breaks: "published = ready + leased + acked, at every moment",
    edits: [{
      file: "queue/partition.ts",
      find: "    const { ready, delayed, nextOffset } = this.#backlog;",
      replace: "    const { delayed, nextOffset } = this.#backlog;\n" +
        "    const ready = nextOffset - this.#backlog.freshOffset;",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-what-comes-back-often",
    breaks: "a message is there until it is acked, however often it comes back",
    edits: [{
      file: "queue/outcomes.ts",
      find: "    if (waitMs > 0) this.#backlog.delay",
      replace: "    if (deliveryCount > 3) return;\n    if (waitMs > 0) this.#backlog.delay",
    }],
    foundBy: "cluster",
  },
  {
    name: "a-restored-lease-is-not-counted",
    breaks: "a replica that went on from a snapshot counts as the others do",
    edits: [{
      file: "queue/partition.ts",
      find: "    const leased = this.#leases.size;",
      replace: "    const leased = this.#leases.size - this.#leases.restored;",
    }, {
      file: "queue/partition_restorer.ts",
      find: "      leases.lease(\n",
      replace: "      leases.restored++;\n      leases.lease(\n",
    }, {
      file: "queue/lease_table.ts",
      find: "export class LeaseTable {\n",
      replace: "export class LeaseTable {\n  restored = 0;\n",
    }],
    foundBy: "cluster",
  },
  {
    name: "serves-one-consumer-until-it-is-full",
    breaks: "consumers take turns, message by message",
    edits: [{
      file: "queue/partition.ts",
      find: "if (consumer.held < consumer.prefetch) ring.rotate();\n      else ring",
      replace: "if (consumer.held >= consumer.prefetch) ring",
    }],
    foundBy: "model",
    why: "its checker does not say whose turn it is",
  },
  {
    name: "a-failed-message-does-not-wait",
    breaks: "a message waits for its back-off before it is delivered again",
    edits: [{
      file: "queue/outcomes.ts",
      find: "    if (waitMs > 0) this.#backlog.delay",
      replace: "    if (waitMs > 1e9) this.#backlog.delay",
    }],
    foundBy: "cluster",
  },
  {
    name: "leaves-delayed-messages-out-of-the-snapshot",
    breaks: "a snapshot holds the messages that wait for a time",
    edits: [{
      file: "queue/partition_capture.ts",
      find: "groups(waiting.delayed())",
      replace: "groups([])",
    }],
    foundBy: "cluster",
  },
  {
    name: "lets-two-of-a-key-be-in-flight",
    breaks: "in an order by key, a message goes when the one before is done with",
    edits: [{
      file: "queue/key_line.ts",
      find: "leased[key]! < this.#limits.concurrency &&",
      replace: "leased[key]! <= this.#limits.concurrency &&",
    }],
    foundBy: "cluster",
  },
  {
    name: "a-back-off-does-not-hold-its-key",
    breaks: "in an order by key, what comes back goes before the others of its key",
    edits: [{
      file: "queue/key_line.ts",
      find: "      !(this.#limits.holds && returned[key]! > 0);",
      replace: "      returned[key]! >= 0;",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-a-key-that-was-settled",
    breaks: "a key whose message is done with goes on",
    edits: [{
      file: "queue/keyed_messages.ts",
      find: "    this.#line.wake(key);\n",
      replace: "    if (state !== KeyedState.leased) this.#line.wake(key);\n",
    }, {
      file: "queue/key_line.ts",
      find: "      invariant(places[key] !== Place.none || !this.#mayGo(key), " +
        '"A key that may go has a turn");',
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-the-rates-of-keys-in-a-snapshot",
    breaks: "what a key has used of its rate outlives a restart",
    edits: [{
      file: "queue/key_line.ts",
      find: "      this.#keys.restedAtMs[key] = atMs[at]!;",
      replace: "      this.#keys.restedAtMs[key] = 0;",
    }],
    foundBy: "model",
    why: "a key has its whole rate again so soon that few of its checks would see it",
  },
  {
    name: "lets-a-removed-message-come-back",
    breaks: "what was taken out of the middle of a line is not delivered",
    edits: [{
      file: "queue/waiting_messages.ts",
      find: "    while (heap.size > 0 && !live.has(heap.firstOffset)) heap.pop();",
      replace: "",
    }],
    foundBy: "model",
    why: "its applications remove nothing",
  },
];
