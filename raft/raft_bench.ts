/** What the core itself costs: three nodes in memory, no disk, no network. */

import { bootstrapConfiguration, type Message, Raft, type Ready } from "./mod.ts";
import type { Entry, HardState, LogStorage } from "./types.ts";

/** A log that remembers positions only: the core must not need more on its hot path. */
class HollowStorage implements LogStorage {
  #last = 0;
  #term = 0;
  hardState: HardState = { term: 0, vote: 0, commit: 0 };
  initialState() {
    return { hardState: this.hardState, configuration: bootstrapConfiguration([1, 2, 3]) };
  }
  firstIndex(): number {
    return 1;
  }
  lastIndex(): number {
    return this.#last;
  }
  term(index: number): number | undefined {
    return index === 0 ? 0 : this.#term;
  }
  entries(): Entry[] {
    throw new Error("The hot path reads from storage");
  }
  snapshot(): undefined {
    return undefined;
  }
  write(ready: Ready): void {
    const last = ready.entries.at(-1);
    if (last === undefined) return;
    this.#last = last.index;
    this.#term = last.term;
  }
}

class Node {
  readonly storage = new HollowStorage();
  readonly raft: Raft;
  constructor(id: number) {
    this.raft = new Raft({ id, storage: this.storage, random: () => 0 });
  }
  work(out: Message[]): void {
    const ready = this.raft.ready();
    this.storage.write(ready);
    for (const message of ready.messages) out.push(message);
    const { committedEntries } = ready;
    if (committedEntries.length > 0) this.raft.applied(committedEntries.at(-1)!.index);
    this.raft.persisted(ready);
    for (const message of ready.messagesAfterPersist) out.push(message);
  }
}

function settle(nodes: readonly Node[]): void {
  let messages: Message[] = [];
  for (;;) {
    for (const node of nodes) while (node.raft.hasReady()) node.work(messages);
    if (messages.length === 0) return;
    const batch = messages;
    messages = [];
    for (const message of batch) nodes[message.to - 1]!.raft.step(message);
  }
}

for (const batch of [1, 32, 1000]) {
  const nodes = [1, 2, 3].map((id) => new Node(id));
  nodes[0]!.raft.campaign();
  settle(nodes);
  const data = Array.from({ length: batch }, () => new Uint8Array(256));
  Deno.bench(`${batch} entries proposed, replicated, committed and applied on three nodes`, () => {
    nodes[0]!.raft.propose(data);
    settle(nodes);
  });
}
