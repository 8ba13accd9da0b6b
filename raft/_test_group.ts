/**
 * A group of cores with disks in memory, for unit tests: everything happens when the test says so.
 *
 * @module
 */

import {
  bootstrapConfiguration,
  type Configuration,
  type Entry,
  type EntryKind,
  MemoryStorage,
  type Message,
  type NodeId,
  Raft,
  type RaftConfig,
  type ReadState,
  type Ready,
  type Snapshot,
} from "./mod.ts";

/** What tests of a single core leave open. */
export type TestConfig = Partial<Omit<RaftConfig, "storage">> & {
  voters?: readonly NodeId[];
  storage?: MemoryStorage;
};

/** Bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of bytes. */
export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** Entries with the given terms, from index 1 on. */
export function entriesOf(terms: readonly number[], firstIndex = 1): Entry[] {
  return terms.map((term, i) => ({ index: firstIndex + i, term, kind: 0, data: bytes(`${term}`) }));
}

/** Storage that holds entries of the given terms. */
export function storageOf(
  voters: readonly NodeId[],
  terms: readonly number[],
  term = terms.at(-1) ?? 0,
): MemoryStorage {
  const storage = new MemoryStorage(bootstrapConfiguration(voters));
  storage.setHardState({ term, vote: 0, commit: 0 });
  storage.append(entriesOf(terms));
  return storage;
}

/** Makes a single core. */
export function makeRaft(config: TestConfig = {}): Raft {
  const { voters = [1, 2, 3], ...rest } = config;
  const storage = config.storage ?? new MemoryStorage(bootstrapConfiguration(voters));
  return new Raft({ id: 1, random: () => 0, ...rest, storage });
}

/** A core, its disk and what it has applied. */
export class TestNode {
  readonly id: NodeId;
  readonly storage: MemoryStorage;
  readonly config: TestConfig;
  raft: Raft;
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];
  /** With `holdWrites`, readies that are not yet durable. */
  writing: Ready[] = [];
  holdWrites = false;

  constructor(config: TestConfig & { id: NodeId }) {
    this.id = config.id;
    this.config = config;
    this.storage = config.storage ??
      new MemoryStorage(bootstrapConfiguration(config.voters ?? []));
    this.raft = makeRaft({ ...config, storage: this.storage });
  }

  /** Does one ready; returns the messages that may be sent. */
  work(): Message[] {
    const ready = this.raft.ready();
    const messages = [...ready.messages];
    this.applied.push(...ready.committedEntries);
    this.reads.push(...ready.readStates);
    this.writing.push(ready);
    // Reads see at once what is being written; a crash is not simulated here.
    if (ready.snapshot !== undefined) this.storage.installSnapshot(ready.snapshot);
    if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
    this.storage.append(ready.entries);
    for (const entry of ready.committedEntries) this.raft.applied(entry.index);
    if (!this.holdWrites) messages.push(...this.finishWrites());
    return messages;
  }

  /** All writes so far are durable; returns the answers that may be sent. */
  finishWrites(): Message[] {
    const messages: Message[] = [];
    for (const ready of this.writing.splice(0)) {
      this.raft.persisted(ready);
      messages.push(...ready.messagesAfterPersist);
    }
    return messages;
  }

  /** Starts again from the disk. */
  restart(): void {
    this.writing = [];
    this.raft = makeRaft({ ...this.config, storage: this.storage });
  }

  /** Makes a snapshot of what is applied and drops the log behind it. */
  compact(): Snapshot {
    const index = this.raft.appliedIndex;
    const { configuration } = this.raft;
    const metadata = { index, term: this.storage.term(index)!, configuration };
    const snapshot = { metadata, data: bytes(`state at ${index}`) };
    this.storage.compact(snapshot);
    return snapshot;
  }

  /** Data of the applied commands. */
  get texts(): string[] {
    return this.applied.filter(({ kind }) => kind === 0).map(({ data }) => text(data));
  }

  /** Terms of the log on disk. */
  get terms(): number[] {
    const { storage } = this;
    const terms: number[] = [];
    for (let i = storage.firstIndex(); i <= storage.lastIndex(); i++) terms.push(storage.term(i)!);
    return terms;
  }
}

/** Some nodes and what is in flight between them. */
export class TestGroup {
  readonly nodes = new Map<NodeId, TestNode>();
  inFlight: Message[] = [];
  /** Everything that was delivered. */
  readonly delivered: Message[] = [];
  /** Messages that are lost. */
  loses: (message: Message) => boolean = () => false;

  constructor(ids: readonly NodeId[], config: TestConfig = {}) {
    for (const id of ids) this.add(id, { voters: ids, ...config });
  }

  /** Adds a node. */
  add(id: NodeId, config: TestConfig): TestNode {
    // Time-outs differ, so that elections are not split for ever.
    const node = new TestNode({ random: () => (id % 8) / 8, ...config, id });
    this.nodes.set(id, node);
    return node;
  }

  node(id: NodeId): TestNode {
    return this.nodes.get(id)!;
  }

  raft(id: NodeId): Raft {
    return this.node(id).raft;
  }

  /** Cuts a node off; none heals everything. */
  isolate(...ids: NodeId[]): void {
    this.loses = ({ from, to }) => ids.includes(from) !== ids.includes(to);
  }

  /** Works and delivers until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      for (const node of this.nodes.values()) {
        while (node.raft.hasReady()) this.inFlight.push(...node.work());
      }
      if (this.inFlight.length === 0) return;
      for (const message of this.inFlight.splice(0)) {
        if (this.loses(message)) continue;
        this.delivered.push(message);
        this.nodes.get(message.to)?.raft.step(message);
      }
    }
    throw new Error("The group does not settle");
  }

  /** Ticks nodes, all if none are named. */
  tick(count = 1, ...ids: NodeId[]): void {
    for (let i = 0; i < count; i++) {
      for (const id of ids.length > 0 ? ids : this.nodes.keys()) this.raft(id).tick();
      this.settle();
    }
  }

  /** Makes a node the leader. */
  elect(id: NodeId): Raft {
    this.raft(id).campaign();
    this.settle();
    if (this.raft(id).role !== "leader") throw new Error(`Node ${id} is not elected`);
    return this.raft(id);
  }

  /** Proposes texts, one entry each, and settles. */
  propose(id: NodeId, ...texts: string[]): void {
    const result = this.raft(id).propose(texts.map(bytes));
    if (result.kind !== "accepted") throw new Error(`Not accepted: ${JSON.stringify(result)}`);
    this.settle();
  }
}

/** The only message of a kind. */
export function only<K extends Message["kind"]>(
  messages: readonly Message[],
  kind: K,
): Extract<Message, { kind: K }> {
  const found = messages.filter((message): message is Extract<Message, { kind: K }> =>
    message.kind === kind
  );
  if (found.length !== 1) throw new Error(`${found.length} messages of kind ${kind}`);
  return found[0]!;
}

/** A message of an append without the noise. */
export function append(
  message: { from: NodeId; to: NodeId; term: number },
  previous: readonly [index: number, term: number],
  entries: readonly (readonly [index: number, term: number])[] = [],
  commit = 0,
): Message {
  return {
    kind: "appendRequest",
    ...message,
    previousIndex: previous[0],
    previousTerm: previous[1],
    commit,
    entries: entries.map(([index, term]) => ({
      index,
      term,
      kind: 0 as EntryKind,
      data: bytes(`${term}`),
    })),
  };
}

/** A configuration in short: `[[1, 2], [3]]` are voters 1 and 2, and 3 in the outgoing half. */
export function configurationOf(
  voters: readonly NodeId[],
  votersOutgoing: readonly NodeId[] = [],
  learners: readonly NodeId[] = [],
  learnersNext: readonly NodeId[] = [],
): Configuration {
  return { voters, votersOutgoing, learners, learnersNext, autoLeave: false };
}
