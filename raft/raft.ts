/**
 * One node of a Raft group.
 *
 * @module
 */

import type { RaftConfig } from "./config.ts";
import { Core } from "./core.ts";
import { campaign, countVote } from "./elections.ts";
import { invariant } from "./invariant.ts";
import { type ConfigChange, encodeConfigChange } from "./membership.ts";
import type { Message } from "./messages.ts";
import { admit, admitChange } from "./proposals.ts";
import { requestRead } from "./reads.ts";
import type {
  Leadership,
  ProposalResult,
  RaftStatus,
  ReadResult,
  Ready,
  Refusal,
  RefusalReason,
  Role,
  TransferResult,
} from "./ready.ts";
import { applyChange, leaveJointIfDue } from "./reconfigure.ts";
import {
  acknowledgeOwn,
  appendOwn,
  broadcastHeartbeat,
  flushSends,
  quorumActive,
  tellCommit,
} from "./replication.ts";
import { statusOf } from "./status.ts";
import { step } from "./step.ts";
import { startTransfer } from "./transfer.ts";
import { becomeFollower } from "./transitions.ts";
import { type Configuration, type Entry, EntryKind, type HardState, type NodeId } from "./types.ts";

/**
 * The consensus core of one node: fed with events, asked for what there is to do.
 *
 * @example A group of one
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bootstrapConfiguration, MemoryStorage } from "./mod.ts";
 *
 * const storage = new MemoryStorage(bootstrapConfiguration([1]));
 * const raft = new Raft({ id: 1, storage, random: () => 0 });
 * const applied: string[] = [];
 * function work() {
 *   while (raft.hasReady()) {
 *     const ready = raft.ready();
 *     if (ready.hardState !== undefined) storage.setHardState(ready.hardState);
 *     storage.append(ready.entries);
 *     for (const entry of ready.committedEntries) {
 *       applied.push(new TextDecoder().decode(entry.data));
 *       raft.applied(entry.index);
 *     }
 *     raft.persisted(ready);
 *   }
 * }
 *
 * raft.campaign();
 * work();
 * assertEquals(raft.propose([new TextEncoder().encode("hello")]).kind, "accepted");
 * work();
 * assertEquals(applied, ["", "hello"]);
 * ```
 */
export class Raft {
  readonly #core: Core;
  /** Handed out and not yet reported durable, oldest first. */
  readonly #writing: Ready[] = [];
  /** Membership changes handed out and not yet applied, oldest first. */
  readonly #changes: Entry[] = [];

  /**
   * @param config The node's settings.
   * @throws {RangeError} when a setting is out of its range.
   */
  constructor(config: RaftConfig) {
    this.#core = new Core(config);
  }

  /** This node's id. */
  get id(): NodeId {
    return this.#core.id;
  }

  /** The part that this node plays. */
  get role(): Role {
    return this.#core.role;
  }

  /** The leader of the current term, or 0 while unknown. */
  get leader(): NodeId {
    return this.#core.leader;
  }

  /** The current term. */
  get term(): number {
    return this.#core.term;
  }

  /** Everything up to here is committed. */
  get commitIndex(): number {
    return this.#core.log.commitIndex;
  }

  /** Everything up to here is applied. */
  get appliedIndex(): number {
    return this.#core.log.appliedIndex;
  }

  /** The end of the log, not all of it durable. */
  get lastIndex(): number {
    return this.#core.log.lastIndex;
  }

  /** The members, as of the applied index. */
  get configuration(): Configuration {
    return this.#core.configuration;
  }

  /**
   * Takes a message from another node.
   *
   * @param message The message, addressed to this node.
   */
  step(message: Message): void {
    step(this.#core, message);
  }

  /** A tick of the clock has passed. */
  tick(): void {
    const core = this.#core;
    core.ticks++;
    core.electionElapsed++;
    if (core.role === "leader") {
      this.#tickLeader();
    } else if (core.electionElapsed >= core.electionTimeout && core.promotable) {
      core.electionElapsed = 0;
      campaign(core, false);
    }
  }

  #tickLeader(): void {
    const core = this.#core;
    core.heartbeatElapsed++;
    if (core.electionElapsed >= core.settings.electionTicks) {
      core.electionElapsed = 0;
      if (core.settings.checkQuorum && !quorumActive(core)) {
        becomeFollower(core, core.term, 0);
        return;
      }
      // The target had its time.
      core.transferee = 0;
    }
    if (core.heartbeatElapsed >= core.settings.heartbeatTicks) broadcastHeartbeat(core);
    if (core.settings.commitNews === "tick") tellCommit(core);
  }

  /**
   * Asks for commands to be put into the log, all or none, in this order.
   *
   * @param data One entry each. The bytes are kept, not copied: they must not change any more.
   * @returns Where they are, or why they are not.
   * @throws {RangeError} when there are none.
   */
  propose(data: readonly Uint8Array[]): ProposalResult {
    if (data.length === 0) {
      throw new RangeError("Cannot propose as there must be a command: current value is []");
    }
    const core = this.#core;
    if (core.role !== "leader") return this.#forward(EntryKind.command, data);
    const reason = admit(core, data);
    if (reason !== undefined) return this.#refuse(reason);
    const firstIndex = appendOwn(core, EntryKind.command, data);
    return { kind: "accepted", firstIndex, term: core.term };
  }

  /**
   * Asks for a change of members.
   *
   * @param change What to change; without steps, to leave a joint configuration.
   * @returns Where it is, or why it is not. It takes effect when that index is applied.
   * @throws {RangeError} when an id is not a positive safe integer.
   */
  proposeConfigChange(change: ConfigChange): ProposalResult {
    const core = this.#core;
    const data = encodeConfigChange(change);
    if (core.role !== "leader") return this.#forward(EntryKind.configChange, [data]);
    const reason = admitChange(core, data);
    if (reason !== undefined) return this.#refuse(reason);
    const firstIndex = appendOwn(core, EntryKind.configChange, [data]);
    core.pendingChangeIndex = firstIndex;
    return { kind: "accepted", firstIndex, term: core.term };
  }

  #forward(kind: EntryKind, data: readonly Uint8Array[]): ProposalResult {
    const core = this.#core;
    const { id: from, leader: to, term } = core;
    if (to === 0 || !core.settings.forwardProposals) return this.#refuse("notLeader");
    const entries = data.map((bytes): Entry => ({ index: 0, term: 0, kind, data: bytes }));
    core.send({ kind: "forwardProposal", from, to, term, entries });
    return { kind: "forwarded", leader: to };
  }

  #refuse(reason: RefusalReason): Refusal {
    return { kind: "refused", reason, leader: this.#core.leader };
  }

  /**
   * Asks for an index to read at: once it is applied, a read sees everything that was confirmed
   * before this call. A follower asks its leader.
   *
   * @param context Comes back with the answer; kept, not copied.
   * @returns Whether an answer can be expected. None comes if leadership is lost or a message is.
   */
  readIndex(context: Uint8Array): ReadResult {
    const core = this.#core;
    const { id: from, leader: to, term } = core;
    if (core.role === "leader") {
      if (core.reads.size >= core.settings.pendingReadsMax) return this.#refuse("overloaded");
      requestRead(core, from, context);
      return { kind: "accepted" };
    }
    if (to === 0) return this.#refuse("notLeader");
    core.send({ kind: "readIndexRequest", from, to, term, context });
    return { kind: "forwarded", leader: to };
  }

  /**
   * Hands leadership over, or asks the leader to. Until it has changed hands, or an election time-out
   * has passed, proposals are refused.
   *
   * @param to Who is to lead.
   * @returns Whether it has begun.
   */
  transferLeadership(to: NodeId): TransferResult {
    const core = this.#core;
    const { id: from, leader, term } = core;
    if (core.role === "leader") {
      const reason = startTransfer(core, to);
      return reason === undefined ? { kind: "accepted" } : { kind: "refused", reason, leader };
    }
    if (leader === 0) return { kind: "refused", reason: "notLeader", leader };
    core.send({ kind: "transferRequest", from, to: leader, term, transferee: to });
    return { kind: "forwarded", leader };
  }

  /** Campaigns now, as if the election time-out had passed: when the leader's connection is lost. */
  campaign(): void {
    const core = this.#core;
    if (core.settings.readMode === "lease" && core.hearsLeader) return;
    campaign(core, false);
  }

  /**
   * Takes the leader for gone: this node votes for others without waiting for its time-out. Does
   * nothing on a leader, and in lease mode, where the leader relies on that wait.
   */
  forgetLeader(): void {
    const core = this.#core;
    if (core.role === "follower" && core.settings.readMode !== "lease") core.leader = 0;
  }

  /**
   * Sets the number of ticks after which this node campaigns, until its role changes next: for
   * tests and scripted runs.
   *
   * @param ticks The time-out.
   */
  fixElectionTimeout(ticks: number): void {
    this.#core.electionTimeout = ticks;
  }

  /**
   * The connection to a follower was lost, and with it perhaps what was on its way.
   *
   * @param id The follower.
   */
  reportUnreachable(id: NodeId): void {
    const progress = this.#core.progress.get(id);
    if (this.#core.role === "leader" && progress?.state === "replicate") progress.becomeProbe();
  }

  /**
   * A snapshot's transport has ended.
   *
   * @param id The follower it was for.
   * @param delivered Whether it has arrived as a whole.
   */
  reportSnapshot(id: NodeId, delivered: boolean): void {
    const core = this.#core;
    const progress = core.progress.get(id);
    if (core.role !== "leader" || progress?.state !== "snapshot") return;
    if (!delivered) progress.snapshotIndex = 0;
    progress.becomeProbe();
    // The follower's acknowledgement, or its next heartbeat, sets things going again.
    progress.paused = true;
  }

  /**
   * An entry that this node has acknowledged and no longer has, or 0: its disk was rolled back. What it
   * voted for is then forgotten as well, and it must not go on under its id.
   */
  get lostIndex(): number {
    return this.#core.lostIndex;
  }

  /**
   * Whether there is something to do.
   *
   * @returns Whether it is worth calling `ready()`.
   */
  hasReady(): boolean {
    const core = this.#core;
    return core.log.hasUnwritten ||
      core.hasOutput || core.sendsDue || core.heartbeatDue ||
      core.log.hasCommitted(core.settings.applyBeforeDurable) ||
      this.#hardStateChanged() ||
      core.role !== core.toldLeadership.role || core.leader !== core.toldLeadership.leader ||
      core.configuration !== core.toldConfiguration;
  }

  /**
   * Takes what there is to do. Each thing is handed out once; see {@linkcode Ready} for the order in
   * which to do it.
   *
   * @returns The work.
   */
  ready(): Ready {
    const core = this.#core;
    if (core.role === "leader") flushSends(core);
    const { applyBeforeDurable, committedBytesMax } = core.settings;
    const { entries, snapshot } = core.log.takeBatch();
    const hardState = this.#takeHardState();
    const committedEntries = core.log.takeCommitted(applyBeforeDurable, committedBytesMax);
    this.#noteHandedOut(committedEntries);
    const ready: Ready = {
      hardState,
      entries,
      snapshot,
      mustPersist: hardState !== undefined || entries.length > 0 || snapshot !== undefined,
      messages: core.takeMessages(),
      messagesAfterPersist: core.takeMessagesAfterPersist(),
      committedEntries,
      readStates: core.takeReadStates(),
      leadership: this.#takeLeadership(),
      configuration: this.#takeConfiguration(),
    };
    this.#writing.push(ready);
    return ready;
  }

  #noteHandedOut(entries: readonly Entry[]): void {
    const core = this.#core;
    let bytes = 0;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.kind === EntryKind.configChange) this.#changes.push(entry);
      else if (entry.index >= core.termFirstIndex) bytes += entry.data.byteLength;
    }
    if (core.role === "leader") core.uncommittedBytes -= bytes;
  }

  /** What may be written as committed: not what a crash could yet put something else in place of. */
  get #commitHint(): number {
    const { log } = this.#core;
    return Math.min(log.commitIndex, log.durableIndex);
  }

  #hardStateChanged(): boolean {
    const { term, vote, toldHardState: told, settings, appliedChangeIndex } = this.#core;
    if (term !== told.term || vote !== told.vote) return true;
    // Of the commit index alone only a change of members is worth a write.
    const news = settings.persistCommit ? told.commit + 1 : appliedChangeIndex;
    return news > told.commit && this.#commitHint >= news;
  }

  #takeHardState(): HardState | undefined {
    if (!this.#hardStateChanged()) return undefined;
    const core = this.#core;
    // After a snapshot has arrived, the log starts over: the hint stays what it was.
    const commit = Math.max(this.#commitHint, core.toldHardState.commit);
    core.toldHardState = { term: core.term, vote: core.vote, commit };
    return core.toldHardState;
  }

  #takeLeadership(): Leadership | undefined {
    const core = this.#core;
    const { toldLeadership: told, role, leader, term } = core;
    if (role === told.role && leader === told.leader && term === told.term) return undefined;
    core.toldLeadership = { role, leader, term };
    return core.toldLeadership;
  }

  #takeConfiguration(): Configuration | undefined {
    const core = this.#core;
    if (core.configuration === core.toldConfiguration) return undefined;
    core.toldConfiguration = core.configuration;
    return core.configuration;
  }

  /**
   * A ready, and those before it, are durable: what this node wrote counts from now on. Its
   * `messagesAfterPersist` may be sent.
   *
   * @param ready The oldest ready that was not yet reported.
   */
  persisted(ready: Ready): void {
    invariant(this.#writing.shift() === ready, "readies become durable in their order");
    const core = this.#core;
    if (core.log.batchDurable(ready.snapshot)) {
      // The snapshot stands for everything that was handed out before it.
      this.#changes.length = 0;
      core.rebuildProgress(ready.snapshot!.metadata.configuration);
    }
    if (core.role === "leader") {
      acknowledgeOwn(core);
    } else if (
      core.role === "candidate" && ready.hardState?.term === core.term &&
      ready.hardState.vote === core.id && !core.votes.has(core.id)
    ) {
      countVote(core, core.id, true);
    }
  }

  /**
   * Committed entries are applied; membership changes among them take effect.
   *
   * @param index The last one.
   */
  applied(index: number): void {
    const core = this.#core;
    core.log.appliedTo(index);
    while (this.#changes.length > 0 && this.#changes[0]!.index <= index) {
      applyChange(core, this.#changes.shift()!);
    }
    leaveJointIfDue(core);
  }

  /**
   * Looks at everything at once; for people, metrics and tests.
   *
   * @returns What this node knows.
   */
  status(): RaftStatus {
    return statusOf(this.#core);
  }
}
