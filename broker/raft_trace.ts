/**
 * What Raft does on a node, as lines of JSON: one for each message received, each ready, each time
 * something became durable, and each run of entries applied. `docs/TESTING.md` describes the fields.
 *
 * The lines are for people and for scripts that compare runs. They carry no data of messages: an entry
 * is its index, term, kind and size.
 *
 * @module
 */

import type { Entry, Message, Ready } from "../raft/mod.ts";
import type { ShardObserver } from "./observer.ts";
import type { Shard } from "./shard.ts";

/** Takes one line, without its line break. */
export type WriteLine = (line: string) => void;

/** Writes the trace of a node's shards. */
export class RaftTrace implements ShardObserver {
  readonly #nowMs: () => number;
  readonly #write: WriteLine;

  /**
   * @param nowMs The time in milliseconds that lines are stamped with.
   * @param write Where the lines go.
   */
  constructor(nowMs: () => number, write: WriteLine) {
    this.#nowMs = nowMs;
    this.#write = write;
  }

  opened(shard: Shard): void {
    this.#line("opened", shard, {});
  }

  received(shard: Shard, message: Message): void {
    this.#line("received", shard, { message: describeMessage(message) });
  }

  ready(shard: Shard, ready: Ready): void {
    const { hardState, entries, messages, messagesAfterPersist, committedEntries } = ready;
    this.#line("ready", shard, {
      ...(hardState === undefined ? {} : { hardState }),
      ...(entries.length === 0 ? {} : { persist: describeRange(entries) }),
      ...(committedEntries.length === 0 ? {} : { committed: describeRange(committedEntries) }),
      ...(messages.length === 0 ? {} : { send: messages.map(describeMessage) }),
      ...(messagesAfterPersist.length === 0
        ? {}
        : { sendAfterPersist: messagesAfterPersist.map(describeMessage) }),
    });
  }

  durable(shard: Shard, ready: Ready): void {
    if (!ready.mustPersist) return;
    this.#line("durable", shard, {
      ...(ready.hardState === undefined ? {} : { hardState: ready.hardState }),
      ...(ready.entries.length === 0 ? {} : { persisted: describeRange(ready.entries) }),
    });
  }

  applied(shard: Shard, entry: Entry): void {
    this.#line("applied", shard, { entry: describeEntry(entry) });
  }

  #line(event: string, shard: Shard, fields: Record<string, unknown>): void {
    const { id, role, leader, term, vote, commitIndex, appliedIndex, lastIndex, configuration } =
      shard.status();
    this.#write(JSON.stringify({
      at: this.#nowMs(),
      node: id,
      shard: shard.id,
      event,
      role,
      leader,
      term,
      vote,
      commit: commitIndex,
      applied: appliedIndex,
      last: lastIndex,
      voters: configuration.voters,
      ...(configuration.votersOutgoing.length === 0
        ? {}
        : { votersOutgoing: configuration.votersOutgoing }),
      ...(configuration.learners.length === 0 ? {} : { learners: configuration.learners }),
      ...fields,
    }));
  }
}

function describeEntry({ index, term, kind, data }: Entry) {
  return { index, term, kind, bytes: data.length };
}

/** Consecutive entries by their first and last. */
function describeRange(entries: readonly Entry[]) {
  const [first] = entries as [Entry];
  const last = entries.at(-1)!;
  let bytes = 0;
  for (const { data } of entries) bytes += data.length;
  return {
    first: first.index,
    last: last.index,
    firstTerm: first.term,
    lastTerm: last.term,
    bytes,
  };
}

/** A message with everything but bytes. */
function describeMessage(message: Message): Record<string, unknown> {
  if (message.kind === "installSnapshot") {
    const { snapshot, ...rest } = message;
    return { ...rest, snapshot: { ...snapshot.metadata, bytes: snapshot.data.length } };
  }
  if ("entries" in message) {
    const { entries, ...rest } = message;
    return entries.length === 0 ? rest : { ...rest, entries: describeRange(entries) };
  }
  if ("context" in message) {
    const { context, ...rest } = message;
    return { ...rest, contextBytes: context.length };
  }
  return { ...message };
}
