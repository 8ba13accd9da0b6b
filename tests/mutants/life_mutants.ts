/**
 * Mistakes in the life of messages: delays, times to live, priorities, deaths, unique texts, names.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

export const LIFE_MUTANTS: readonly Mutant[] = [
  {
    name: "delivers-before-it-is-due",
    breaks: "a delayed message is delivered when the time of the log has come, and not before",
    edits: [{
      file: "queue/partition.ts",
      find: "backlog.takeDue(nowMs)",
      replace: "backlog.takeDue(nowMs + 50)",
    }],
    foundBy: "cluster",
  },
  {
    name: "delivers-what-has-expired",
    breaks: "what comes back when its time is over expires",
    edits: [{
      file: "queue/outcomes.ts",
      find: "    if (this.#backlog.isExpired(offset, nowMs)) " +
        "return this.#expire(offset, deliveryCount, nowMs);\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "leaves-expiries-out-of-the-snapshot",
    breaks: "a snapshot holds when messages expire",
    edits: [{
      file: "queue/partition_capture.ts",
      find: 'yield { kind: "expiries", firstOffset, expiresAtMs: value };',
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "what-comes-back-has-no-priority",
    breaks: "a message keeps its priority when it comes back",
    edits: [{
      file: "queue/outcomes.ts",
      find: "priority: leases.priorityAt(slot),",
      replace: "priority: 0,",
    }],
    foundBy: "cluster",
  },
  {
    name: "dies-one-delivery-too-late",
    breaks: "a message dies of the failure of delivery number maxDeliveries",
    edits: [{
      file: "queue/outcomes.ts",
      find: "deliveryCount >= maxDeliveries &&",
      replace: "deliveryCount > maxDeliveries &&",
    }],
    foundBy: "cluster",
  },
  {
    name: "moves-a-dead-letter-twice",
    breaks: "what leaves the outbox of a shard arrives once",
    edits: [{
      file: "queue/outbox_commands.ts",
      find: "if (firstId <= takenId) return",
      replace: "if (lastId < takenId) return",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-what-a-batch-did-not-store",
    breaks: "a repeated batch is told again which of its messages were there before",
    edits: [{
      file: "queue/producer_window.ts",
      find: "    const repeats = this.#repeats?.get(this.#ring[place]!);",
      replace: "    const repeats = undefined;",
    }],
    foundBy: "cluster",
  },
  {
    name: "a-leased-message-frees-its-unique-text",
    breaks: "no message with the same unique text is stored until the first is acked",
    edits: [{
      file: "queue/partition.ts",
      find: "    this.#backlog.has(offset) || this.#find(offset) !== NO_SLOT;",
      replace: "    this.#backlog.has(offset);",
    }],
    foundBy: "cluster",
  },
  {
    name: "an-acked-message-keeps-its-unique-text",
    breaks: "what was acked keeps nothing out",
    edits: [{
      file: "queue/partition.ts",
      find: "if (earlier === undefined || !this.#isAlive(earlier.offset)) {",
      replace: "if (earlier === undefined || earlier.offset < this.#lowOffset) {",
    }],
    foundBy: "cluster",
  },
  {
    name: "leaves-unique-texts-out-of-the-snapshot",
    breaks: "a snapshot holds the texts that messages are unique by",
    edits: [{
      file: "queue/partition_capture.ts",
      find: 'for (const part of state.uniques?.parts() ?? []) yield { kind: "uniques", ...part };',
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "a-producer-leaves-its-numbers-to-nobody",
    breaks: "a named producer goes on where the last one of its name has ended",
    edits: [{
      file: "queue/session_commands.ts",
      find: "    tables.publishers.move(before.id, sessionId);\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
];
