/**
 * One Raft group on one node: the consensus core, its log on disk, and the queue machine, driven by
 * one loop.
 *
 * Work comes in from everywhere (requests, peers, the clock, a finished sync) and only marks the
 * shard; the loop runs once the current callback has returned. So all that one socket read brought
 * becomes one batch of entries, one write and one message a follower, without any timer or linger.
 *
 * A turn of the loop takes what the core wants done and does it in the order that makes it safe
 * (thesis, section 10.2.1):
 *
 * 1. hand new entries and hard state to the disk, and do not wait;
 * 2. send what does not depend on the disk: a leader's appends overlap its own write;
 * 3. apply what is committed, answer its proposers, collect deliveries;
 * 4. once the disk is done, tell the core, and send what had to wait: votes and acknowledgements.
 *
 * Every so many bytes the machine's state is kept as a snapshot, and the log given back that is not
 * needed beside it (`snapshot_keeper.ts`). A node that starts begins with the state of its snapshot; one
 * that is too far behind gets log and snapshot of another node (`snapshot_sender.ts`, `snapshot_receiver.ts`).
 *
 * @module
 */

import { EntryKind, members, Raft } from "../raft/mod.ts";
import type {
  Configuration,
  Entry,
  InstallSnapshot,
  Leadership,
  Message,
  NodeId,
  RaftStatus,
  Ready,
} from "../raft/mod.ts";
import type { ShardMachine } from "../queue/mod.ts";
import type { Effects, Reply } from "../queue/mod.ts";
import { ForgottenEntriesError, type ShardStore, type StagedShard } from "../storage/mod.ts";
import {
  commandTimestampMs,
  decodeCommand,
  type EncodableCommand,
  encodeCommand,
  stampCommand,
} from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";
import type { RaftTimings, ShardLimits } from "./config.ts";
import { liveSetOf } from "./live_set.ts";
import { openMachine } from "./machine_codec.ts";
import type { ShardObserver } from "./observer.ts";
import { PendingReads, type ReadCallback } from "./pending_reads.ts";
import { type Admission, admitReplica, laterReplica } from "./replacement.ts";
import { nodeOf, type ReplicaId } from "./replica_id.ts";
import { SnapshotKeeper } from "./snapshot_keeper.ts";
import { StateHashes } from "./state_hashes.ts";

/** What became of a proposal. */
export type Outcome =
  /** Committed and applied: final. */
  | {
    readonly kind: "applied";
    readonly reply: Reply;
    readonly index: number;
    readonly term: number;
  }
  /** Never entered the log: this node does not lead. */
  | { readonly kind: "notLeader"; readonly leader: NodeId }
  /** Entered the log of a leader that was deposed: it may still be applied, or never. */
  | { readonly kind: "leadershipLost" };

/** Told, once, what became of a proposal; runs inside the shard's loop and must not throw. */
export type OutcomeCallback = (outcome: Outcome) => void;

/** What a shard needs of the node around it. */
export interface ShardHost {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: ShardObserver | undefined;
  /** Sends, or drops: Raft repeats what matters. */
  sendToPeer(shard: Shard, to: NodeId, message: Message): void;
  /** Leadership or the known leader changed. */
  leaderChanged(shard: Shard): void;
  /** This node leads, and has applied everything from before its term. */
  termBegun(shard: Shard): void;
  /** Carries out the effects of an applied command; called on the leader only. */
  carryOut(shard: Shard, effects: Effects): void;
  /** A turn of the loop is over: flush what was collected. */
  turnEnded(shard: Shard): void;
  /** The disk failed or is damaged, or an invariant broke: the process must stop at once. */
  fail(error: Error, shard: Shard): void;
}

interface Proposal {
  readonly command: Uint8Array;
  readonly done: OutcomeCallback | undefined;
}

interface Pending {
  readonly term: number;
  readonly done: OutcomeCallback;
}

interface Written {
  readonly ready: Ready;
  durable: boolean;
}

/** Log and state of another node that have arrived as a whole. */
interface Arrived {
  readonly message: InstallSnapshot;
  readonly staged: StagedShard;
  readonly machine: ShardMachine;
}

/** Bytes of committed entries in one ready: a few milliseconds of applying. */
const APPLY_BYTES_MAX = 256 << 10;

/** How much a turn applies before others get theirs: this many entries, or for so long. */
const APPLY_ENTRIES_MAX = 4_096;
const APPLY_MS_MAX = 10;

/** Bytes of proposals that may wait for room. */
const WAITING_BYTES_MAX = 64 << 20;

/** Bytes that are proposed in one go: as much as goes into one message to a follower. */
const PROPOSE_BYTES_MAX = 1 << 20;

/** How often, and how soon, a node campaigns that has lost the connection to its leader. */
const CAMPAIGNS_MAX = 8;
const TURN_MS = 20;
const CAMPAIGN_PAUSE_MS_MAX = 40;

/** How long a vote may take before it counts as failed; up to twice as long, at random. */
const VOTE_PAUSE_MS = 80;

/** A Raft group on this node. */
export class Shard {
  readonly id: number;
  readonly store: ShardStore;
  /** Hashes of the state at marks in the log. */
  readonly hashes: StateHashes;
  #machine: ShardMachine;
  readonly #raft: Raft;
  readonly #snapshots: SnapshotKeeper;
  /** Given to the core, which is about to say whether it wants it. */
  #arrived: Arrived | undefined;
  readonly #host: ShardHost;
  #scheduled = false;
  #closed = false;
  /** Readies that the core has not been told are durable, in order. */
  readonly #written: Written[] = [];
  /** Waiting for the next turn, or for room in the uncommitted tail. */
  #proposals: Proposal[] = [];
  /** Proposed and not applied, by log index. */
  readonly #pending = new Map<number, Pending>();
  readonly #reads = new PendingReads();
  #leader: NodeId = 0;
  #leading = false;
  #hasBegunTerm = false;
  #tickProposed = false;
  #congested = false;
  #waitingBytes = 0;
  #lastStampMs = 0;
  /** The log's time when this node began to lead. */
  #logTimeBase = { ms: 0, monotonicMs: 0 };
  #roomWaiters: (() => void)[] = [];

  constructor(
    id: number,
    store: ShardStore,
    host: ShardHost,
    timings: RaftTimings,
    limits: ShardLimits,
  ) {
    this.id = id;
    this.store = store;
    this.#host = host;
    this.hashes = new StateHashes(host.clock);
    this.#machine = openMachine(id, store.readState());
    if (store.storedSnapshot !== undefined) store.noteLive(liveSetOf(this.#machine));
    this.#raft = new Raft({
      id: store.replica,
      electionTicks: timings.electionTicks,
      heartbeatTicks: timings.heartbeatTicks,
      storage: store,
      appliedIndex: store.storedSnapshot?.index ?? 0,
      appendBytesMax: limits.appendBytesMax,
      inflightMessagesMax: limits.inflightMessagesMax,
      inflightBytesMax: limits.inflightBytesMax,
      uncommittedBytesMax: limits.uncommittedBytesMax,
      committedBytesMax: APPLY_BYTES_MAX,
      // Followers are in no hurry to apply: while there is traffic, the next append tells them.
      commitNews: "tick",
      random: host.random,
    });
    const { observer } = host;
    this.#snapshots = new SnapshotKeeper(store, this.#raft, host.clock, limits.snapshotBytes, {
      taken: (index) => observer?.snapshotTaken?.(this, index),
      compacted: (firstIndex) => observer?.compacted?.(this, firstIndex),
      rewritten: (done) => observer?.rewritten?.(this, done),
      failed: (error) => this.#fail(error),
    });
    observer?.opened(this);
  }

  /** The queue machine. Another one takes its place when a snapshot arrives. */
  get machine(): ShardMachine {
    return this.#machine;
  }

  /** Whether this node leads: it takes proposals, and {@linkcode read} says when its state is current. */
  get leading(): boolean {
    return this.#leading;
  }

  /**
   * Whether this node leads and has applied everything from before its term. Until then its machine may be
   * behind what clients know.
   */
  get hasBegunTerm(): boolean {
    return this.#hasBegunTerm;
  }

  /** The id of this replica in Raft. */
  get replica(): ReplicaId {
    return this.store.replica;
  }

  /** Who takes part, as of what is applied here. */
  get configuration(): Configuration {
    return this.#raft.configuration;
  }

  /** The node that leads as far as this one knows, or 0. */
  get leader(): NodeId {
    return this.#leader;
  }

  /** The newest term this node knows of: its own, where it leads. */
  get term(): number {
    return this.#raft.term;
  }

  /** Raft's own view, for the status page. */
  status(): RaftStatus {
    return this.#raft.status();
  }

  /**
   * Puts a command into the log.
   *
   * @param command Its bytes, owned by the shard from here on; the timestamp is written into them.
   * @param done Told what became of it.
   */
  propose(command: Uint8Array, done?: OutcomeCallback): void {
    if (this.#closed) return done?.({ kind: "notLeader", leader: 0 });
    this.#proposals.push({ command, done });
    this.#waitingBytes += command.length;
    this.#schedule();
  }

  /** Encodes a command and proposes it. */
  proposeCommand(command: EncodableCommand, done?: OutcomeCallback): void {
    this.propose(encodeCommand(command), done);
  }

  /**
   * A linearizable read (thesis, section 6.4): `done(true)` runs when a quorum has confirmed this
   * leader and the machine has caught up; `done(false)` if it does not lead, or no longer.
   */
  read(done: ReadCallback): void {
    if (!this.#leading || this.#closed) return done(false);
    this.#enter(() => {
      this.#reads.ask((context) => this.#raft.readIndex(context).kind === "accepted", done);
    });
  }

  /** The time that a command proposed now gets, where this node leads. */
  get nowMs(): number {
    return this.#stampMs();
  }

  /** Whether so much is uncommitted that whoever proposes should wait for {@linkcode room}. */
  get congested(): boolean {
    return this.#congested;
  }

  /**
   * Whether so much waits that requests of clients must be refused. Those who read their own clients
   * stop long before; it takes clients that others relay to get here.
   */
  get full(): boolean {
    return this.#waitingBytes > WAITING_BYTES_MAX;
  }

  /** Resolves when proposals are taken again. */
  room(): Promise<void> {
    if (!this.#congested) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** A message of a peer. */
  step(message: Message): void {
    this.#enter(() => {
      this.#host.observer?.received?.(this, message);
      this.#raft.step(message);
      const { lostIndex } = this.#raft;
      if (lostIndex > 0) {
        throw new ForgottenEntriesError(this.id, lostIndex, this.store.lastIndex());
      }
    });
  }

  /** A tick of Raft's clock; also the moment to notice deadlines of the queue machine. */
  tick(): void {
    const { leader, term } = this.#raft;
    this.#enter(() => this.#raft.tick());
    if (leader !== 0 && this.#raft.role === "preCandidate") {
      // The others may have heard the leader a moment later, and refuse for that moment more.
      this.#seekLeader(CAMPAIGNS_MAX, term, this.#host.random() * CAMPAIGN_PAUSE_MS_MAX);
    }
    this.#noticeDeadlines();
  }

  /** The connection to the leader broke: do not wait for a time-out to look for another. */
  leaderUnreachable(leader: NodeId): void {
    if (this.#leader !== leader || leader === this.#host.nodeId) return;
    this.#enter(() => this.#raft.forgetLeader());
    this.#seekLeader(CAMPAIGNS_MAX, this.#raft.term, this.#turnMs(leader));
  }

  /** When this node campaigns after the loss of a leader: one after the other, so that no vote is split. */
  #turnMs(leader: NodeId): number {
    const { nodeId, random } = this.#host;
    const nodes = this.#raft.configuration.voters.map(nodeOf);
    const others = nodes.filter((id) => id !== leader && id < nodeId);
    return others.length * TURN_MS + random() * TURN_MS / 4;
  }

  /**
   * Looks for a leader again and again, sooner than by time-out, since it is known that there is none.
   * Pre-votes are asked for in turns, then after short random pauses: whoever has not noticed the
   * leader's end yet refuses. Once somebody has got past them, which shows in the term, a vote of two
   * syncs and two hops is under way, and asking again too soon would only depose its winner.
   *
   * @param term The term of the leader that was lost.
   * @param pauseMs How long to wait before the first of the attempts.
   */
  #seekLeader(attempts: number, term: number, pauseMs: number): void {
    const { clock, random } = this.#host;
    const votingSeen = this.#raft.term > term;
    clock.setTimeout(() => {
      if (this.#closed || this.#raft.leader !== 0) return;
      // A vote that began during a short pause gets its time.
      if (votingSeen || this.#raft.term === term) this.#enter(() => this.#raft.campaign());
      if (attempts <= 1) return;
      const nextPauseMs = this.#raft.term > term
        ? VOTE_PAUSE_MS * (1 + random())
        : random() * CAMPAIGN_PAUSE_MS_MAX;
      this.#seekLeader(attempts - 1, votingSeen ? this.#raft.term : term, nextPauseMs);
    }, pauseMs);
  }

  /** The connection to a peer broke: what was on its way may be lost. */
  peerUnreachable(peer: NodeId): void {
    this.#enter(() => {
      for (const replica of members(this.#raft.configuration)) {
        if (nodeOf(replica) === peer) this.#raft.reportUnreachable(replica);
      }
    });
  }

  /** Another node's replica asks for a vote: see {@linkcode admitReplica}. */
  admit(replica: ReplicaId): Admission {
    if (!this.#leading || this.#closed) return { kind: "ignored" };
    let admission: Admission = { kind: "ignored" };
    this.#enter(() => admission = admitReplica(this.#raft, replica));
    return admission;
  }

  /** The replica of a node that counts, if it is a later one than `replica`; else 0. */
  laterThan(replica: ReplicaId): ReplicaId {
    return laterReplica(this.#raft.configuration, replica);
  }

  /** The transport of a snapshot to a follower has ended. */
  snapshotSent(to: ReplicaId, delivered: boolean): void {
    this.#enter(() => this.#raft.reportSnapshot(to, delivered));
  }

  /** Whether all that a snapshot stands for is known to be here, so that it would be of no use. */
  coversSnapshot(index: number, term: number): boolean {
    return index <= this.#raft.commitIndex || this.store.term(index) === term;
  }

  /**
   * A snapshot of another node has arrived, with the log that it needs.
   *
   * @param message The leader's message.
   * @param staged Log and snapshot, which belong to the shard from now on.
   * @param machine The machine that the snapshot is of.
   */
  snapshotArrived(message: InstallSnapshot, staged: StagedShard, machine: ShardMachine): void {
    if (this.#closed) return staged.abandon();
    this.#discardArrived();
    this.#arrived = { message, staged, machine };
    this.step(message);
  }

  /** Hands leadership to the follower that is furthest, where there is one. */
  handOver(mayLead: (node: NodeId) => boolean = () => true): void {
    if (!this.#leading) return;
    const status = this.#raft.status();
    const candidates = status.progress.filter(({ id, learner }) => {
      return !learner && id !== this.replica && mayLead(nodeOf(id));
    });
    const [best] = candidates.sort((a, b) =>
      Number(b.recentlyActive) - Number(a.recentlyActive) || b.matchIndex - a.matchIndex
    );
    if (best === undefined) return;
    this.#enter(() => void this.#raft.transferLeadership(best.id));
  }

  /** Starts the loop; call once after everything is wired. */
  start(): void {
    // Nobody else could lead: no need to wait for a time-out.
    const { voters } = this.#raft.configuration;
    if (voters.length === 1 && voters[0] === this.replica) this.#enter(() => this.#raft.campaign());
    // A crash may have come before the log was given back that the snapshot does not need.
    this.#snapshots.reclaim().catch((error) => this.#fail(error));
    this.#schedule();
  }

  /** Asks for a turn of the loop. */
  wake(): void {
    this.#schedule();
  }

  /** Stops the loop, waits for the disk, and closes the log. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#arrived?.staged.abandon();
    this.hashes.close();
    this.#failPending();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    await this.store.close().catch((error) => this.#fail(error));
  }

  /** Something of this shard that was read outside its loop is damaged: the node stops. */
  damaged(error: unknown): void {
    if (!this.#closed) this.#fail(error);
  }

  /** Lets time pass in the queue machine, when it has something to do by now. */
  #noticeDeadlines(): void {
    if (!this.#leading || this.#tickProposed) return;
    const deadlineMs = this.#machine.nextDeadlineMs();
    if (deadlineMs === undefined || deadlineMs > this.#stampMs()) return;
    this.#tickProposed = true;
    this.proposeCommand({ kind: "tick" }, ({ kind }) => {
      this.#tickProposed = false;
      // One command does only so much, and there may be more.
      if (kind === "applied") this.#noticeDeadlines();
    });
  }

  /** Does something to the core. What it throws is a bug: the node stops before it does harm. */
  #enter(work: () => void): void {
    if (this.#closed) return;
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
    this.#schedule();
  }

  #fail(error: unknown): void {
    this.#closed = true;
    this.#host.fail(error instanceof Error ? error : new Error(String(error)), this);
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#run());
  }

  #run(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    try {
      this.#proposeWaiting();
      let endMs: number | undefined;
      let entries = 0;
      while (this.#raft.hasReady()) {
        const ready = this.#raft.ready();
        this.#handle(ready);
        entries += this.#applyAll(ready.committedEntries);
        // Most turns end here, and need not ask for the time.
        if (entries >= APPLY_ENTRIES_MAX || !this.#raft.hasReady()) break;
        const nowMs = this.#host.clock.monotonic();
        endMs ??= nowMs + APPLY_MS_MAX;
        if (nowMs > endMs) break;
      }
      this.#reads.serve(this.#raft.appliedIndex);
      this.#snapshots.check(this.#machine);
      // A node that catches up has a lot to apply, and lets others have their turn in between.
      if (this.#raft.hasReady()) this.#host.clock.setTimeout(() => this.#schedule(), 0);
      this.#host.turnEnded(this);
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#congested) { for (const resolve of this.#roomWaiters.splice(0)) resolve(); }
  }

  #proposeWaiting(): void {
    this.#congested = false;
    if (this.#proposals.length === 0) return;
    const nowMs = this.#stampMs();
    let next = 0;
    while (next < this.#proposals.length && !this.#congested) {
      const end = this.#endOfBatch(next);
      const batch = this.#proposals.slice(next, end);
      for (const { command } of batch) stampCommand(command, nowMs);
      const result = this.#raft.propose(batch.map((proposal) => proposal.command));
      if (result.kind === "accepted") {
        this.#notePending(batch, result.firstIndex, result.term);
        next = end;
      } else if (result.kind === "refused" && result.reason === "overloaded") {
        // That passes: the proposals wait, and so do their senders.
        this.#congested = true;
      } else {
        const isMoving = result.kind === "refused" && result.reason === "transferring";
        const leader = isMoving ? 0 : nodeOf(result.leader);
        for (const { done } of this.#takeProposals(next)) done?.({ kind: "notLeader", leader });
      }
    }
    this.#proposals.splice(0, next);
  }

  /** Where a batch ends that begins at proposal `start`: it has at least one. */
  #endOfBatch(start: number): number {
    let bytes = 0;
    let end = start;
    while (end < this.#proposals.length && bytes < PROPOSE_BYTES_MAX) {
      bytes += this.#proposals[end++]!.command.length;
    }
    return end;
  }

  #notePending(batch: readonly Proposal[], firstIndex: number, term: number): void {
    for (let i = 0; i < batch.length; i++) {
      const { command, done } = batch[i]!;
      this.#waitingBytes -= command.length;
      if (done !== undefined) this.#pending.set(firstIndex + i, { term, done });
    }
  }

  /**
   * The leader's stamp: the wall clock, but never behind the log's time. Where the log is ahead of our
   * clock, by the doing of an earlier leader, its time goes on at the pace of ours.
   */
  #stampMs(): number {
    const { clock } = this.#host;
    const logMs = this.#logTimeBase.ms + clock.monotonic() - this.#logTimeBase.monotonicMs;
    this.#lastStampMs = Math.floor(
      Math.max(this.#lastStampMs, this.#machine.timestampMs, logMs, clock.now()),
    );
    return this.#lastStampMs;
  }

  #handle(ready: Ready): void {
    this.#host.observer?.ready(this, ready);
    const written: Written = { ready, durable: !ready.mustPersist };
    this.#written.push(written);
    if (ready.snapshot !== undefined) this.#install(ready);
    else this.#discardArrived();
    if (ready.mustPersist) {
      this.store.persist(ready.hardState, ready.entries).then(
        () => {
          written.durable = true;
          this.#enter(() => this.#afterPersist());
        },
        (error) => this.#fail(error),
      );
    }
    this.#send(ready.messages);
    this.#afterPersist();
    if (ready.leadership !== undefined) this.#noteLeadership(ready.leadership);
    for (const { index, context } of ready.readStates) this.#reads.confirmed(index, context);
  }

  /** Goes on from the state and the log of another node. `persist()` waits until they are durable. */
  #install({ snapshot, hardState }: Ready): void {
    const arrived = this.#arrived;
    if (arrived === undefined || arrived.message.snapshot !== snapshot) {
      throw new Error("The core installs a snapshot that has not arrived");
    }
    this.#arrived = undefined;
    this.store.installSnapshot(hardState, arrived.staged).catch((error) => this.#fail(error));
    this.#machine = arrived.machine;
    this.#snapshots.restored();
    this.#host.observer?.restored?.(this, snapshot.metadata.index);
  }

  /** The core had no use for what arrived: all of it was here. */
  #discardArrived(): void {
    const staged = this.#arrived?.staged;
    this.#arrived = undefined;
    staged?.discard().catch((error) => this.#fail(error));
  }

  /** Tells the core what is durable, in the order it was handed out, and sends what waited for it. */
  #afterPersist(): void {
    while (this.#written.length > 0 && this.#written[0]!.durable) {
      const { ready } = this.#written.shift()!;
      this.#host.observer?.durable(this, ready);
      this.#raft.persisted(ready);
      this.#send(ready.messagesAfterPersist);
    }
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) this.#host.sendToPeer(this, message.to, message);
  }

  #noteLeadership({ leader: replica, role }: Leadership): void {
    const leader = nodeOf(replica);
    const led = this.#leading;
    const leads = role === "leader";
    if (leader === this.#leader && leads === led) return;
    this.#leader = leader;
    if (led && !leads) this.#failPending();
    this.#leading = leads;
    this.#hasBegunTerm &&= leads;
    if (leads && !led) {
      this.#tickProposed = false;
      const ms = Math.max(this.#lastStampMs, this.#machine.timestampMs);
      this.#logTimeBase = { ms, monotonicMs: this.#host.clock.monotonic() };
      this.proposeCommand({ kind: "beginTerm" }, ({ kind }) => {
        if (kind !== "applied") return;
        this.#hasBegunTerm = true;
        this.#host.termBegun(this);
      });
    }
    this.#host.leaderChanged(this);
  }

  /** Takes back the proposals from `start` on, none of which is in the log. */
  #takeProposals(start = 0): Proposal[] {
    const proposals = this.#proposals.splice(start);
    for (const { command } of proposals) this.#waitingBytes -= command.length;
    return proposals;
  }

  #failPending(): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done } of pending) done({ kind: "leadershipLost" });
    for (const { done } of this.#takeProposals()) {
      done?.({ kind: "notLeader", leader: this.#leader });
    }
    this.#reads.failAll();
  }

  /** @returns How many entries there were. */
  #applyAll(entries: readonly Entry[]): number {
    if (entries.length === 0) return 0;
    let bytes = 0;
    for (const entry of entries) {
      this.#apply(entry);
      bytes += entry.data.length;
    }
    this.#raft.applied(entries.at(-1)!.index);
    this.#snapshots.applied(bytes);
    return entries.length;
  }

  #apply(entry: Entry): void {
    const { index, term } = entry;
    const { observer } = this.#host;
    if (entry.kind !== EntryKind.command || entry.data.length === 0) {
      return observer?.applied(this, entry, undefined);
    }
    const timestampMs = commandTimestampMs(entry.data);
    const command = decodeCommand(entry.data);
    const reply = this.#machine.apply({ index, term, timestampMs }, command);
    observer?.applied(this, entry, reply);
    if (command.kind === "tick" && command.mark !== undefined) {
      this.hashes.applied(command.mark, index, term, this.#machine);
    }
    const pending = this.#pending.get(index);
    if (pending !== undefined) {
      this.#pending.delete(index);
      pending.done(
        pending.term === term
          ? { kind: "applied", reply, index, term }
          : { kind: "leadershipLost" },
      );
    }
    if (this.#leading) this.#host.carryOut(this, this.#machine.effects);
  }
}
