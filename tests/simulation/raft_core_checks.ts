/**
 * What must hold at all times, whatever is lost, repeated, reordered or crashed. The checks look at
 * messages, readies and disks from outside and share no code with the core.
 *
 * - Election safety: one leader for each term, over all history; elected by durable votes.
 * - One vote for each voter and term, over restarts.
 * - Leader append-only: a leader never overwrites its log.
 * - Log matching: an index and term stand for the same bytes, and the same history, everywhere.
 * - Leader completeness: a new leader has everything that was ever committed.
 * - State machine safety: the same command at the same index everywhere, each once, in order.
 * - Durability: what a leader commits is on the disks of a quorum of each half at that moment.
 * - Reads see what was committed when they were asked for.
 * - A leader changes members only after it has committed an entry of its own term.
 * - Terms, commit index and applied index of a running node never go back; nor terms over restarts.
 *
 * Not checked: that anything happens at all. The simulation's end does that.
 *
 * @module
 */

import { type Entry, EntryKind } from "../../raft/mod.ts";
import type { Message, NodeId, Raft, Ready } from "../../raft/mod.ts";
import type { SimulatedDisk } from "./raft_core_disk.ts";

/** A check failed. */
export class SafetyError extends Error {
  override readonly name = "SafetyError";
}

/** What the checks look at. */
export interface CheckedNode {
  readonly id: NodeId;
  readonly raft: Raft;
  readonly disk: SimulatedDisk;
}

interface Seen {
  term: number;
  leading: boolean;
  commit: number;
  applied: number;
}

/** Watches a whole cluster. */
export class SafetyChecks {
  readonly #nodes: ReadonlyMap<NodeId, CheckedNode>;
  readonly #leaders = new Map<number, NodeId>();
  /** By voter and term. */
  readonly #votes = new Map<string, NodeId>();
  /** Everything ever written: by index and term, the bytes and the term of the entry before. */
  readonly #written = new Map<string, string>();
  /** What was committed, by index. */
  readonly #committed: { term: number; text: string }[] = [];
  readonly #seen = new Map<NodeId, Seen>();
  readonly #durableTerm = new Map<NodeId, number>();

  /** @param nodes The cluster, which may grow. */
  constructor(nodes: ReadonlyMap<NodeId, CheckedNode>) {
    this.#nodes = nodes;
  }

  /** The highest index committed so far. */
  get committedIndex(): number {
    return this.#committed.length - 1;
  }

  /** A node starts again. */
  restarted(node: CheckedNode): void {
    const { hardState } = node.disk.initialState();
    const before = this.#durableTerm.get(node.id) ?? 0;
    check(hardState.term >= before, `node ${node.id} came back in term ${hardState.term}`);
    this.#durableTerm.set(node.id, hardState.term);
    this.#seen.delete(node.id);
  }

  /** Looks at a node after anything has happened to it. */
  look(node: CheckedNode): void {
    const { id, raft } = node;
    const { term, commitIndex, appliedIndex } = raft;
    const seen = this.#seen.get(id);
    if (seen === undefined) {
      this.#seen.set(id, { term, leading: false, commit: commitIndex, applied: appliedIndex });
      return;
    }
    check(term >= seen.term, `node ${id} went back to term ${term}`);
    check(commitIndex >= seen.commit, `node ${id} went back to commit ${commitIndex}`);
    check(appliedIndex >= seen.applied, `node ${id} went back to applied ${appliedIndex}`);
    check(appliedIndex <= commitIndex, `node ${id} applied ${appliedIndex} of ${commitIndex}`);
    if (raft.role === "leader") {
      // What a new leader knows to be committed it has heard from others.
      if (!seen.leading || term > seen.term) this.#elected(node);
      else if (commitIndex > seen.commit) this.#leaderCommitted(node, commitIndex);
    }
    seen.term = term;
    seen.leading = raft.role === "leader";
    seen.commit = commitIndex;
    seen.applied = appliedIndex;
  }

  #elected(node: CheckedNode): void {
    const { id, raft } = node;
    const { term } = raft;
    check(!this.#leaders.has(term), `nodes ${this.#leaders.get(term)} and ${id} lead term ${term}`);
    this.#leaders.set(term, id);
    const own = node.disk.durable.initialState().hardState;
    check(
      own.term === term && own.vote === id,
      `leader ${id} of term ${term} has vote ${own.vote} of term ${own.term} on its disk`,
    );
    // A voter may have moved on to a later term since.
    this.#onQuorum(raft, `the votes for ${id} in term ${term}`, (voter) => {
      const { hardState } = voter.disk.durable;
      return hardState.term > term || (hardState.term === term && hardState.vote === id);
    });
    for (let index = node.disk.firstIndex(); index < this.#committed.length; index++) {
      const has = node.disk.term(index);
      check(
        has === this.#committed[index]!.term,
        `leader ${id} of term ${term} lacks ${index}: term ${has}`,
      );
    }
  }

  #leaderCommitted(node: CheckedNode, index: number): void {
    const { raft } = node;
    this.#onQuorum(raft, `entry ${index} of term ${raft.term}`, ({ disk }) => {
      const { durable } = disk;
      return durable.firstIndex() > index || durable.term(index) === raft.term;
    });
  }

  #onQuorum(raft: Raft, what: string, holds: (node: CheckedNode) => boolean): void {
    const { voters, votersOutgoing } = raft.configuration;
    for (const half of [voters, votersOutgoing]) {
      const count = half.filter((id) => {
        const node = this.#nodes.get(id);
        return node !== undefined && holds(node);
      }).length;
      check(
        half.length === 0 || 2 * count > half.length,
        () => `${what}: on ${count} disks of ${half}: ${this.#disks()}`,
      );
    }
  }

  #disks(): string {
    return [...this.#nodes.values()].map(({ raft, disk }) => {
      const { durable } = disk;
      const first = durable.firstIndex();
      const terms = [];
      for (let i = first; i <= durable.lastIndex(); i++) terms.push(durable.term(i));
      return `\n${JSON.stringify(raft.status())}\n  on disk from ${first}: terms ${terms}`;
    }).join("");
  }

  /** Looks at what a node is going to do. */
  ready(node: CheckedNode, ready: Ready): void {
    const { id, raft } = node;
    const first = ready.entries[0];
    if (first !== undefined && raft.role === "leader") {
      check(
        first.index === node.disk.lastIndex() + 1,
        `leader ${id} overwrites ${first.index} of ${node.disk.lastIndex()}`,
      );
    }
    for (const entry of ready.entries) {
      this.#wrote(node, ready, entry);
      if (entry.kind === EntryKind.configChange && raft.role === "leader") {
        check(
          node.disk.term(raft.commitIndex) === raft.term,
          `leader ${id} changes members before it has committed anything in term ${raft.term}`,
        );
      }
    }
    for (const entry of ready.committedEntries) this.#applies(id, entry);
  }

  #wrote(node: CheckedNode, ready: Ready, entry: Entry): void {
    const { index, term } = entry;
    const before = ready.entries.find((other) => other.index === index - 1)?.term ??
      (ready.snapshot?.metadata.index === index - 1
        ? ready.snapshot.metadata.term
        : node.disk.term(index - 1));
    const text = `${entryText(entry)} after term ${before}`;
    const key = `${index}/${term}`;
    const known = this.#written.get(key);
    check(
      known === undefined || known === text,
      `${key} is ${text} on node ${node.id}, ${known} elsewhere`,
    );
    this.#written.set(key, text);
  }

  #applies(id: NodeId, entry: Entry): void {
    const text = entryText(entry);
    const known = this.#committed[entry.index];
    if (known === undefined) {
      if (this.#committed.length === 0) this.#committed.push({ term: 0, text: "" });
      check(entry.index === this.#committed.length, `node ${id} applies ${entry.index} too early`);
      this.#committed.push({ term: entry.term, text });
      return;
    }
    check(
      known.term === entry.term && known.text === text,
      `node ${id} applies ${text} of term ${entry.term} at ${entry.index}, ` +
        `others ${known.text} of term ${known.term}`,
    );
  }

  /** Looks at a message when it is put on the network. */
  sent(message: Message): void {
    if (message.kind === "voteResponse" && message.granted) {
      const key = `${message.from}/${message.term}`;
      const known = this.#votes.get(key);
      check(
        known === undefined || known === message.to,
        `node ${message.from} votes for ${known} and ${message.to} in term ${message.term}`,
      );
      this.#votes.set(key, message.to);
    }
  }

  /** Looks at the answer to a read. */
  read(id: NodeId, index: number, committedBefore: number): void {
    check(index >= committedBefore, `node ${id} reads at ${index}, behind ${committedBefore}`);
  }
}

function entryText(entry: Entry): string {
  return `${entry.kind}:${entry.data.join(" ")}`;
}

function check(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new SafetyError(typeof message === "string" ? message : message());
}
