/**
 * One node of a scenario: a core, a disk, and the work that waits for the disk and the state machine.
 *
 * @module
 */

import {
  type Configuration,
  type Entry,
  MemoryStorage,
  type Message,
  type NodeId,
  Raft,
  type RaftConfig,
  type Ready,
  type Snapshot,
} from "../../raft/mod.ts";

/** How the nodes of a scenario are set up. */
export interface NodeOptions {
  readonly configuration: Configuration;
  /** The nodes start from a snapshot at this index, of term 1; 0 for nothing at all. */
  readonly index: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly inflightMessagesMax: number;
  /** Disk and state machine finish their work when a command says so. */
  readonly asyncWrites: boolean;
  /** Write the commit index whenever it has moved, as the recorded core does. */
  readonly persistCommit: boolean;
}

const NO_DATA = new Uint8Array(0);

/** A log whose newest snapshot is always that of the applied index. */
export class ScenarioDisk extends MemoryStorage {
  /** What the state machine would be restored from. */
  latest: Snapshot | undefined;

  override snapshot(): Snapshot | undefined {
    return this.latest;
  }

  /** Drops the log up to an index. */
  compactTo(index: number): void {
    const term = this.term(index)!;
    const { configuration } = this.latest!.metadata;
    super.compact({ metadata: { index, term, configuration }, data: NO_DATA });
  }
}

/** Something on its way to a node: a message, or a report of its own disk or state machine. */
export type Delivery =
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "report"; readonly to: NodeId; readonly run: () => void };

/** A node of a scenario. */
export class ScenarioNode {
  readonly id: NodeId;
  readonly options: NodeOptions;
  readonly disk: ScenarioDisk;
  raft: Raft;
  /** Readies whose writes are queued; with `asyncWrites` only. */
  appendQueue: Ready[] = [];
  /** Committed entries whose application is queued; with `asyncWrites` only. */
  applyQueue: (readonly Entry[])[] = [];
  /** Told about everything that the node does. */
  readonly #trace: (line: string) => void;
  readonly #random: () => number;

  /**
   * @param id The node.
   * @param options How it is set up.
   * @param random For election time-outs.
   * @param trace Takes lines of what happens.
   */
  constructor(
    id: NodeId,
    options: NodeOptions,
    random: () => number,
    trace: (line: string) => void,
  ) {
    this.id = id;
    this.options = options;
    this.#random = random;
    this.#trace = trace;
    this.disk = new ScenarioDisk(options.configuration);
    if (options.index > 0) {
      const { index, configuration } = options;
      const snapshot = { metadata: { index, term: 1, configuration }, data: NO_DATA };
      this.disk.installSnapshot(snapshot);
      this.disk.latest = snapshot;
    }
    this.raft = this.#start();
  }

  #start(): Raft {
    const { preVote, checkQuorum, inflightMessagesMax, asyncWrites, persistCommit } = this.options;
    const config: RaftConfig = {
      id: this.id,
      storage: this.disk,
      random: this.#random,
      electionTicks: 3,
      heartbeatTicks: 1,
      preVote,
      checkQuorum,
      inflightMessagesMax,
      forwardProposals: true,
      applyBeforeDurable: !asyncWrites,
      persistCommit,
    };
    return new Raft(config);
  }

  /** Loses everything that is not on disk, and starts again from there. */
  restart(): void {
    this.appendQueue = [];
    this.applyQueue = [];
    this.raft = this.#start();
  }

  /** Does what the core wants done. Returns what it has to say. */
  processReady(): Delivery[] {
    const ready = this.raft.ready();
    this.#traceReady(ready);
    if (this.options.asyncWrites) {
      this.appendQueue.push(ready);
      if (ready.committedEntries.length > 0) this.applyQueue.push(ready.committedEntries);
      return deliveries(ready.messages);
    }
    this.#write(ready);
    this.#apply(ready.committedEntries);
    this.raft.persisted(ready);
    return deliveries([...ready.messages, ...ready.messagesAfterPersist]);
  }

  /** Finishes one queued write. Returns what may be sent now, the report to the core first. */
  processAppend(): Delivery[] {
    const ready = this.appendQueue.shift();
    if (ready === undefined) return [];
    this.#write(ready);
    const { raft } = this;
    const report: Delivery = { kind: "report", to: this.id, run: () => raft.persisted(ready) };
    return [report, ...deliveries(ready.messagesAfterPersist)];
  }

  /** Finishes one queued application. Returns the report to the core. */
  processApply(): Delivery[] {
    const entries = this.applyQueue.shift();
    if (entries === undefined) return [];
    return [{ kind: "report", to: this.id, run: () => this.#apply(entries) }];
  }

  #write(ready: Ready): void {
    const { disk } = this;
    if (ready.snapshot !== undefined) {
      disk.installSnapshot(ready.snapshot);
      disk.latest = ready.snapshot;
    }
    if (ready.hardState !== undefined) disk.setHardState(ready.hardState);
    disk.append(ready.entries);
  }

  #apply(entries: readonly Entry[]): void {
    for (const { index, term } of entries) {
      this.raft.applied(index);
      const { configuration } = this.raft;
      this.disk.latest = { metadata: { index, term, configuration }, data: NO_DATA };
    }
  }

  #traceReady(ready: Ready): void {
    const { leadership, hardState, snapshot, entries, committedEntries, readStates } = ready;
    if (leadership !== undefined) {
      this.#trace(
        `${this.id} ${leadership.role} term ${leadership.term} leader ${leadership.leader}`,
      );
    }
    if (hardState !== undefined) {
      const { term, vote, commit } = hardState;
      this.#trace(`${this.id} hard state: term ${term} vote ${vote} commit ${commit}`);
    }
    if (snapshot !== undefined) {
      const { index, term } = snapshot.metadata;
      this.#trace(`${this.id} installs snapshot ${index}/${term}`);
    }
    if (entries.length > 0) this.#trace(`${this.id} writes ${spanText(entries)}`);
    if (committedEntries.length > 0) {
      this.#trace(`${this.id} applies ${spanText(committedEntries)}`);
    }
    for (const { index, context } of readStates) {
      this.#trace(`${this.id} reads ${new TextDecoder().decode(context)} at ${index}`);
    }
  }
}

function deliveries(messages: readonly Message[]): Delivery[] {
  return messages.map((message) => ({ kind: "message", message }));
}

/** Consecutive entries in words. */
export function spanText(entries: readonly Entry[]): string {
  const first = entries[0]!;
  const last = entries.at(-1)!;
  return entries.length === 1
    ? `${first.index}/${first.term}`
    : `${first.index}/${first.term}..${last.index}/${last.term}`;
}
