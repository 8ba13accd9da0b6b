/**
 * Checks consensus: what the nodes write, count and apply, against the rules of the Raft paper
 * (figure 3), over the whole history of a run, crashes included.
 *
 * For each node the checker keeps two logs of its own: what the node was told to write, and what it
 * knows to be durable. The second survives the node's crashes, as its disk should; when the node comes
 * back, its log is compared with it.
 *
 * Checked are: election safety, one vote a term, terms and votes that never go back, leader append-only,
 * log matching, leader completeness, state-machine safety, that nothing is applied anywhere before it
 * is durable on a majority, and that replicas at the same index have the same state: also those that
 * were restored from a snapshot. A snapshot stands for the entries that were applied up to its index, so
 * those count as written and durable wherever it is; of the messages that are alive in it, every one must
 * still be found in the log as it was.
 *
 * @module
 */

import type { Configuration, Entry, Message, Ready } from "../../raft/mod.ts";
import { liveSetOf } from "../../broker/live_set.ts";
import { nodeOf } from "../../broker/mod.ts";
import type { Shard } from "../../broker/shard.ts";
import type { Rewritten } from "../../storage/mod.ts";
import { digestOf } from "./digest.ts";
import type { World } from "./world.ts";

/** What is at a log index, wherever it was written in this term. */
interface Written {
  readonly previousTerm: number;
  readonly digest: number;
}

interface Applied {
  readonly term: number;
  readonly digest: number;
  /** No leader of a later term may lack it. */
  readonly committedInTerm: number;
}

/** What the disk of a node has done to it. */
export interface DiskFaults {
  /** It was damaged, or replaced: a replica on it may be given up. */
  readonly isForgetful: boolean;
  /** It holds an old state: what it says is not what it said before. */
  readonly isRolledBack: boolean;
}

const RELIABLE: DiskFaults = { isForgetful: false, isRolledBack: false };

/** One node's part in one shard: that of the replica that it has now. */
class NodeLog {
  /** Its id, 0 before the first start. */
  replica = 0;
  /** Terms of the log as handed to the disk, by index; index 0 stands for the beginning. */
  written: number[] = [0];
  /** Terms of the log as far as the node knows it to be durable. */
  durable: number[] = [0];
  durableTerm = 0;
  durableVote = 0;
  /** What the node was last told to write, durable or not. */
  term = 0;
  vote = 0;
  /** The first index of each write that is not yet known to be durable. */
  readonly unsettled = new Map<Ready, number>();
  role = "follower";
  appliedIndex = 0;
  commitIndex = 0;
  /** The term in which the commit index was looked at on a leader, or 0. */
  commitTerm = 0;
  shard: Shard | undefined;
}

/** State hashes cost time in proportion to the state, which grows with the log: so do these steps. */
const HASH_STEP_MIN = 8;
const HASH_STEP_SHARE = 1 / 16;

/** One shard's history. */
class ShardHistory {
  readonly id: number;
  readonly #world: World;
  readonly nodes = new Map<number, NodeLog>();
  readonly #leaders = new Map<number, number>();
  #highestTerm = 0;
  /** By index, then term. */
  readonly #entries: Map<number, Written>[] = [];
  readonly applied: Applied[] = [{ term: 0, digest: 0, committedInTerm: 0 }];
  /** What was durable of replicas that were given up. */
  readonly #lost = new Map<number, readonly number[]>();
  /** The newest configuration in which an entry was first applied, and the one before. */
  #configuration: Configuration | undefined;
  #previous: Configuration | undefined;
  readonly #hashes = new Map<number, { readonly node: number; readonly hash: string }>();

  constructor(id: number, world: World, voters: readonly number[]) {
    this.id = id;
    this.#world = world;
    for (const voter of voters) this.nodes.set(voter, new NodeLog());
  }

  opened(node: number, shard: Shard, { isForgetful, isRolledBack }: DiskFaults): void {
    let log = this.nodes.get(node)!;
    if (log.replica !== shard.replica || isRolledBack) {
      if (log.replica !== 0) {
        this.#replaced(node, log, shard.replica, isForgetful);
        this.#lost.set(log.replica, log.durable);
      }
      log = new NodeLog();
      log.replica = shard.replica;
      this.nodes.set(node, log);
    }
    const { term, vote } = shard.status();
    const back = term < log.durableTerm ||
      (term === log.durableTerm && log.durableVote !== 0 && vote !== log.durableVote);
    if (back) {
      this.#violated(
        "term and vote never go back",
        `node ${node} restarted with term ${term} and vote ${vote}, after it knew term ` +
          `${log.durableTerm} and vote ${log.durableVote} to be durable`,
      );
    }
    const { store } = shard;
    const found = this.#foundBy(node, shard);
    // A write that was under way may have replaced what follows.
    const sure = Math.min(log.durable.length, ...log.unsettled.values());
    for (let i = 1; i < sure; i++) {
      if (found[i] === log.durable[i]) continue;
      this.#violated(
        "what was durable survives",
        `entry ${i} of term ${log.durable[i]} was durable on node ${node} and is ` +
          (found[i] === undefined ? "gone" : `of term ${found[i]}`) + " after a restart",
      );
    }
    if (found.length < log.written.length) this.#world.counters.add("raft: tails lost at restart");
    log.written = found;
    log.durable = [...found];
    log.durableTerm = log.term = term;
    log.durableVote = log.vote = vote;
    log.unsettled.clear();
    log.role = "follower";
    log.commitIndex = 0;
    log.commitTerm = 0;
    log.appliedIndex = store.storedSnapshot?.index ?? 0;
    log.shard = shard;
    if (log.appliedIndex === 0) return;
    this.#world.counters.add("snapshot: restored at a start");
    if (!isForgetful) this.checkLiveEntries(node, shard);
    this.compareState(node, shard, log.appliedIndex);
  }

  /** A node may begin anew, as somebody else, only if its disk has forgotten something. */
  #replaced(node: number, { replica }: NodeLog, next: number, isForgetful: boolean): void {
    this.#world.note(`node ${node} replaces replica ${replica} of shard ${this.id} by ${next}`);
    this.#world.counters.add("replica: given up");
    if (isForgetful) return;
    this.#violated(
      "a replica is given up only when its disk has forgotten",
      `node ${node} replaced ${replica} by ${next}`,
    );
  }

  /** The terms of a node's log; a snapshot stands for what was applied up to its index. */
  #foundBy(node: number, { store }: Shard): number[] {
    const found = this.#appliedTo(node, store.storedSnapshot);
    for (let i = Math.max(1, store.firstIndex()); i <= store.lastIndex(); i++) {
      const term = store.term(i)!;
      if (found[i] !== undefined && found[i] !== term) {
        this.#violated(
          "a log agrees with its snapshot",
          `node ${node} has entry ${i} of term ${term}, which was applied with term ${found[i]}`,
        );
      }
      found[i] = term;
    }
    return found;
  }

  /** The terms of what a snapshot stands for. */
  #appliedTo(node: number, snapshot: { index: number; term: number } | undefined): number[] {
    const { index, term } = snapshot ?? { index: 0, term: 0 };
    if (this.applied[index]?.term !== term) {
      this.#violated(
        "a snapshot stands for what was applied",
        `node ${node} has one of entry ${index} of term ${term}`,
      );
    }
    return this.applied.slice(0, index + 1).map((entry) => entry.term);
  }

  /** Every entry that holds a message is there, wherever its record went. */
  checkLiveEntries(node: number, { machine, store }: Shard): void {
    for (const index of liveSetOf(machine).from(0)) {
      const { term, data, kind } = store.entry(index);
      const known = this.applied[index];
      if (known?.term === term && known.digest === digestOf(data) + kind) continue;
      this.#violated(
        "what is rewritten stays as it was",
        `node ${node} has another entry ${index} than was applied`,
      );
    }
    this.#world.counters.add("log: live entries checked");
  }

  /** A node goes on from another one's snapshot. */
  restored(node: number, shard: Shard, index: number): void {
    const log = this.nodes.get(node)!;
    this.#world.counters.add("snapshot: installed");
    this.#world.note(`node ${node} goes on from a snapshot of shard ${this.id} at ${index}`);
    if (index <= log.appliedIndex) {
      this.#violated(
        "a machine never goes back",
        `node ${node} has applied ${log.appliedIndex} and goes on from ${index}`,
      );
    }
    log.appliedIndex = index;
    this.compareState(node, shard, index);
    this.checkLiveEntries(node, shard);
  }

  ready(node: number, ready: Ready): void {
    const log = this.nodes.get(node)!;
    if (ready.hardState !== undefined) this.#hardState(node, log, ready.hardState);
    const wasLeading = log.role === "leader";
    if (ready.leadership !== undefined) this.#leadership(node, log, ready.leadership);
    if (ready.snapshot !== undefined) {
      // The new log may lack what the old one has behind what was applied.
      log.unsettled.set(ready, log.appliedIndex + 1);
      log.written = this.#appliedTo(node, ready.snapshot.metadata);
    }
    const first = ready.entries[0];
    if (first === undefined) {
      if (ready.mustPersist && ready.snapshot === undefined) log.unsettled.set(ready, Infinity);
      return;
    }
    if (ready.snapshot === undefined) log.unsettled.set(ready, first.index);
    if (first.index > log.written.length) {
      this.#violated("logs have no gaps", `node ${node} writes ${first.index} behind a gap`);
    }
    if (first.index < log.written.length) {
      this.#world.counters.add("raft: truncations");
      if (wasLeading && log.role === "leader") {
        this.#violated(
          "leader append-only",
          `node ${node} leads and replaces entry ${first.index} of its own log`,
        );
      }
      const committed = Math.min(this.applied.length, log.written.length);
      for (let i = first.index; i < committed; i++) {
        const entry = ready.entries[i - first.index];
        if (this.applied[i]!.term !== log.written[i]) break;
        if (entry !== undefined && entry.term === log.written[i]) continue;
        this.#violated(
          "committed entries stay",
          `node ${node} gives up entry ${i} of term ${log.written[i]}, which was applied`,
        );
      }
      log.written.length = first.index;
    }
    for (const entry of ready.entries) this.#write(node, log, entry);
  }

  /** What others are told must be on the disk of whoever says it. */
  received(message: Message): void {
    const { from, to, term } = message;
    const sender = this.nodes.get(nodeOf(from))!;
    // What a replica said before it was given up was true then.
    if (sender.replica !== from || sender.durableTerm > term) return;
    if (message.kind === "appendResponse" && !message.rejected) {
      const last = sender.durable.length - 1;
      if (sender.durableTerm === term && message.index <= last) return;
      this.#violated(
        "nobody acknowledges before the sync",
        `node ${from} acknowledged ${message.index} in term ${term}; its disk has ${last}, and ` +
          `term ${sender.durableTerm}`,
      );
    }
    if (message.kind === "voteResponse" && message.granted) {
      if (sender.durableTerm === term && sender.durableVote === to) return;
      this.#violated(
        "nobody votes before the sync",
        `node ${from} voted for ${to} in term ${term}; its disk has term ${sender.durableTerm} and ` +
          `vote ${sender.durableVote}`,
      );
    }
  }

  /** What a leader commits is of its own term (Raft paper, section 5.4.2). */
  look(node: number, shard: Shard): void {
    const log = this.nodes.get(node)!;
    const { role, term, commitIndex } = shard.status();
    const news = commitIndex > log.commitIndex;
    log.commitIndex = commitIndex;
    if (role !== "leader" || log.commitTerm !== term) {
      // What a new leader knows to be committed it has heard from others.
      log.commitTerm = role === "leader" ? term : 0;
    } else if (news && log.written[commitIndex] !== term) {
      this.#violated(
        "a leader commits by entries of its own term",
        `node ${node} leads in term ${term} and commits ${commitIndex}, of term ` +
          `${log.written[commitIndex]}`,
      );
    }
  }

  durable(ready: Ready, node: number): void {
    const log = this.nodes.get(node)!;
    log.unsettled.delete(ready);
    if (ready.hardState !== undefined) {
      log.durableTerm = ready.hardState.term;
      log.durableVote = ready.hardState.vote;
    }
    if (ready.snapshot !== undefined) {
      log.durable = this.#appliedTo(node, ready.snapshot.metadata);
    }
    const first = ready.entries[0];
    if (first === undefined) return;
    log.durable.length = Math.min(log.durable.length, first.index);
    for (const { index, term } of ready.entries) log.durable[index] = term;
  }

  /** @returns Whether no other node applied this entry before. */
  apply(node: number, shard: Shard, entry: Entry): boolean {
    const log = this.nodes.get(node)!;
    const { index, term } = entry;
    const digest = digestOf(entry.data) + entry.kind;
    if (index !== log.appliedIndex + 1) {
      this.#violated(
        "entries are applied in order",
        `node ${node} applied ${index} after ${log.appliedIndex}`,
      );
    }
    log.appliedIndex = index;
    const before = this.applied[index];
    if (before === undefined) {
      this.applied[index] = { term, digest, committedInTerm: this.#highestTerm };
      this.#checkDurable(index, term, shard.configuration);
    } else if (before.term !== term || before.digest !== digest) {
      this.#violated(
        "state machine safety",
        `node ${node} applied another entry at ${index} (term ${term}) than was applied there ` +
          `before (term ${before.term})`,
      );
    }
    if (index % hashStep(index) === 0) this.compareState(node, shard, index);
    return before === undefined;
  }

  compareState(node: number, shard: Shard, index: number): void {
    const hash = shard.machine.stateHash();
    const known = this.#hashes.get(index);
    if (known === undefined) this.#hashes.set(index, { node, hash });
    else if (known.hash !== hash) {
      this.#violated(
        "same index, same state",
        `after entry ${index} node ${node} has state ${hash}, node ${known.node} has ${known.hash}`,
      );
    }
  }

  #hardState(node: number, log: NodeLog, { term, vote }: { term: number; vote: number }): void {
    if (term < log.term || (term === log.term && log.vote !== 0 && vote !== log.vote)) {
      this.#violated(
        "one vote a term",
        `node ${node} goes from term ${log.term} and vote ${log.vote} to ${term} and ${vote}`,
      );
    }
    if (term > log.term) this.#world.counters.add("raft: terms begun");
    log.term = term;
    log.vote = vote;
  }

  #leadership(node: number, log: NodeLog, { role, term }: { role: string; term: number }): void {
    if (role === "leader" && log.role !== "leader") {
      this.#world.counters.add("raft: elections won");
      this.#world.note(`node ${node} leads shard ${this.id} in term ${term}`);
      const other = this.#leaders.get(term);
      if (other !== undefined && other !== node) {
        this.#violated("election safety", `nodes ${other} and ${node} both lead in term ${term}`);
      }
      this.#leaders.set(term, node);
      if (log.durableTerm !== term || log.durableVote !== log.replica) {
        this.#violated(
          "a candidate's own vote is durable before it leads",
          `node ${node} leads in term ${term}; its disk has term ${log.durableTerm} and vote ` +
            `${log.durableVote}`,
        );
      }
      this.#highestTerm = Math.max(this.#highestTerm, term);
      for (let i = 1; i < this.applied.length; i++) {
        const { term: appliedTerm, committedInTerm } = this.applied[i]!;
        // A candidate of an old term may win late, when a later leader has long gone on.
        if (log.written[i] === appliedTerm || committedInTerm >= term) continue;
        this.#violated(
          "leader completeness",
          `node ${node} leads in term ${term} without entry ${i} of term ` +
            `${this.applied[i]!.term}, which was applied`,
        );
      }
    }
    if (role !== "leader" && log.role === "leader") {
      this.#world.counters.add("raft: leaders deposed");
    }
    log.role = role;
  }

  #write(node: number, log: NodeLog, entry: Entry): void {
    const { index, term } = entry;
    const previousTerm = log.written[index - 1]!;
    if (term < previousTerm) {
      this.#violated("terms rise along a log", `node ${node} writes term ${term} at ${index}`);
    }
    log.written[index] = term;
    const digest = digestOf(entry.data) + entry.kind;
    const terms = this.#entries[index] ??= new Map();
    const known = terms.get(term);
    if (known === undefined) terms.set(term, { previousTerm, digest });
    else if (known.previousTerm !== previousTerm || known.digest !== digest) {
      this.#violated(
        "log matching",
        `node ${node} writes another entry ${index} of term ${term} than was written before`,
      );
    }
  }

  /**
   * Called when an entry is first applied anywhere: it must be there to stay, under the configuration
   * that is in force here or under the one before, which the leader may still have had.
   */
  #checkDurable(index: number, term: number, configuration: Configuration): void {
    const replicas = new Set<number>();
    for (const { replica, durable } of this.nodes.values()) {
      if (durable[index] === term) replicas.add(replica);
    }
    // What a replica had acknowledged before it was lost was counted then.
    for (const [replica, durable] of this.#lost) {
      if (durable[index] === term) replicas.add(replica);
    }
    if (configuration !== this.#configuration) {
      this.#previous = this.#configuration ?? configuration;
      this.#configuration = configuration;
    }
    if (isQuorum(configuration, replicas) || isQuorum(this.#previous!, replicas)) return;
    this.#violated(
      "applied entries are durable on a majority",
      `entry ${index} of term ${term} was applied, and is known to be durable on ` +
        `${[...replicas]} of ${JSON.stringify(configuration)}`,
    );
  }

  #violated(invariant: string, details: string): never {
    throw this.#world.violated(invariant, `shard ${this.id}: ${details}`);
  }
}

/** At multiples of this, near an index, states are compared. */
function hashStep(index: number): number {
  const powerOfTwo = 2 ** Math.floor(Math.log2(index));
  return Math.max(HASH_STEP_MIN, powerOfTwo * HASH_STEP_SHARE);
}

/** Whether replicas are a majority of the voters, of both halves where there are two. */
function isQuorum(configuration: Configuration, replicas: ReadonlySet<number>): boolean {
  const { voters, votersOutgoing } = configuration;
  return [voters, votersOutgoing].every((half) => {
    return half.length === 0 || half.filter((id) => replicas.has(id)).length * 2 > half.length;
  });
}

/** All shards of a cluster. */
export class RaftChecker {
  readonly #world: World;
  readonly #shards: ShardHistory[];

  /**
   * @param world Told what broke.
   * @param shardCount How many shards there are.
   * @param voters The nodes.
   */
  constructor(world: World, shardCount: number, voters: readonly number[]) {
    this.#world = world;
    this.#shards = Array.from(
      { length: shardCount },
      (_, id) => new ShardHistory(id, world, voters),
    );
  }

  opened(node: number, shard: Shard, faults: DiskFaults = RELIABLE): void {
    this.#shards[shard.id]!.opened(node, shard, faults);
  }

  /** Counts what nodes say to each other. */
  received(_node: number, shard: Shard, message: Message): void {
    this.#world.counters.add(`raft: ${message.kind} received`);
    this.#shards[shard.id]!.received(message);
  }

  snapshotTaken(node: number, shard: Shard, index: number): void {
    this.#world.counters.add("snapshot: taken");
    this.#shards[shard.id]!.compareState(node, shard, index);
  }

  restored(node: number, shard: Shard, index: number): void {
    this.#shards[shard.id]!.restored(node, shard, index);
  }

  compacted(_node: number, _shard: Shard, _firstIndex: number): void {
    this.#world.counters.add("log: prefixes given back");
  }

  rewritten(node: number, shard: Shard, { segments, merged }: Rewritten): void {
    this.#world.counters.add("log: segments rewritten", segments - merged);
    this.#world.counters.add("log: segments merged", merged);
    this.#shards[shard.id]!.checkLiveEntries(node, shard);
  }

  ready(node: number, shard: Shard, ready: Ready): void {
    this.#shards[shard.id]!.ready(node, ready);
    this.#shards[shard.id]!.look(node, shard);
  }

  durable(node: number, shard: Shard, ready: Ready): void {
    this.#shards[shard.id]!.durable(ready, node);
  }

  /** @returns Whether the entry was applied for the first time anywhere. */
  applied(node: number, shard: Shard, entry: Entry): boolean {
    return this.#shards[shard.id]!.apply(node, shard, entry);
  }

  /** How many entries of a shard were applied anywhere. */
  lastApplied(shard: number): number {
    return this.#shards[shard]!.applied.length - 1;
  }

  /** A node's process has ended: it leads nothing. */
  ended(node: number): void {
    for (const history of this.#shards) history.nodes.get(node)!.role = "follower";
  }

  /** Whether a node believes to lead a shard. */
  leads(node: number): boolean {
    return this.#shards.some((history) => history.nodes.get(node)!.role === "leader");
  }

  /** What runs a shard on the nodes. */
  shards(shard: number): Shard[] {
    return [...this.#shards[shard]!.nodes.values()].map((log) => log.shard!);
  }

  /** Whether a node has ever opened its replica of a shard. */
  hasOpened(node: number, shard: number): boolean {
    return this.#shards[shard]!.nodes.get(node)!.shard !== undefined;
  }

  /** How far a node got with a shard. */
  appliedBy(node: number, shard: number): number {
    return this.#shards[shard]!.nodes.get(node)!.appliedIndex;
  }

  /** Compares the state of all nodes, which must have applied everything. */
  compareFinalStates(): void {
    for (const history of this.#shards) {
      for (const [node, { shard, appliedIndex }] of history.nodes) {
        shard!.machine.checkInvariants();
        history.compareState(node, shard!, appliedIndex);
      }
    }
  }
}
