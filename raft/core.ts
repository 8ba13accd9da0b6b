/**
 * The state of one node, and the small things that every part of the algorithm does with it. The
 * parts are functions over this state: `transitions.ts` changes roles, `elections.ts` campaigns and
 * votes, `replication.ts` feeds followers, `reads.ts` serves reads, `reconfigure.ts` changes members,
 * and the `step_*.ts` files take messages. `Raft` is the door to all of it.
 *
 * @module
 */

import { type RaftConfig, resolveConfig, type Settings } from "./config.ts";
import { InflightWindow } from "./inflight.ts";
import { isVoter, members } from "./membership.ts";
import type { AppendResponse, Message } from "./messages.ts";
import { Progress } from "./progress.ts";
import { RaftLog } from "./raft_log.ts";
import { ReadQueue } from "./reads.ts";
import type { Leadership, ReadState, Role } from "./ready.ts";
import type { Configuration, HardState, NodeId } from "./types.ts";

/** Everything that one node knows. */
export class Core {
  readonly id: NodeId;
  readonly settings: Settings;
  readonly log: RaftLog;

  term: number;
  vote: NodeId;
  role: Role = "follower";
  /** The leader of `term`, or 0. */
  leader: NodeId = 0;

  configuration: Configuration;
  /** Whether this node is a voter. */
  voting = false;
  /** One for each member, this node included. */
  progress: Map<NodeId, Progress> = new Map();

  /** Ticks since a leader was heard or a campaign began; on a leader, since the quorum check. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Ticks of silence until this node campaigns; drawn anew with every change of role. */
  electionTimeout = 0;
  /** Ticks since the start. */
  ticks = 0;

  /** Answers to this node's campaign. */
  readonly votes: Map<NodeId, boolean> = new Map();

  /** The node that leadership is being handed to, or 0. */
  transferee: NodeId = 0;
  /** A leader that handed leadership over, or tried to, can no longer rely on its lease. */
  leaseBroken = false;
  /** A new membership change has to wait until this index is applied. */
  pendingChangeIndex = 0;
  /** What a leader knows this node to have had and it no longer has; 0 if there is no such thing. */
  lostIndex = 0;
  /** The newest membership change applied here. */
  appliedChangeIndex = 0;
  /** First index of the leader's own term. */
  termFirstIndex = 0;
  /** Bytes of proposals not yet handed out as committed. */
  uncommittedBytes = 0;
  /** Counts broadcasts of heartbeats in this term. */
  heartbeatRound = 0;
  readonly reads: ReadQueue = new ReadQueue();

  #messages: Message[] = [];
  #messagesAfterPersist: Message[] = [];
  #readStates: ReadState[] = [];
  /** Some follower's `due` is set. */
  sendsDue = false;
  /** Followers are to be told what is committed, also where there is nothing else to send. */
  commitNewsDue = false;
  /** A broadcast of heartbeats is to go out with the next ready. */
  heartbeatDue = false;

  /** What the last ready told. */
  toldHardState: HardState;
  toldLeadership: Leadership;
  toldConfiguration: Configuration;

  /** @param config The caller's settings. */
  constructor(config: RaftConfig) {
    const settings = resolveConfig(config);
    const { hardState, configuration } = settings.storage.initialState();
    this.id = settings.id;
    this.settings = settings;
    this.log = new RaftLog(settings.storage, hardState.commit, settings.appliedIndex);
    this.term = hardState.term;
    this.vote = hardState.vote;
    this.configuration = configuration;
    this.drawElectionTimeout();
    this.rebuildProgress(configuration);
    this.toldHardState = { term: this.term, vote: this.vote, commit: this.log.commitIndex };
    this.toldLeadership = { role: this.role, leader: this.leader, term: this.term };
    this.toldConfiguration = configuration;
  }

  /** Draws the next election time-out: between one and two times `electionTicks`. */
  drawElectionTimeout(): void {
    const { electionTicks, random } = this.settings;
    this.electionTimeout = electionTicks + Math.floor(random() * electionTicks);
  }

  /** Makes the progress of every member afresh. */
  rebuildProgress(configuration: Configuration): void {
    this.configuration = configuration;
    this.voting = isVoter(configuration, this.id);
    this.progress = new Map();
    for (const id of members(configuration)) this.progress.set(id, this.newProgress(false));
  }

  /** The progress of a member of whom nothing is known. */
  newProgress(recentlyActive: boolean): Progress {
    const { inflightMessagesMax, inflightBytesMax } = this.settings;
    const window = new InflightWindow(inflightMessagesMax, inflightBytesMax);
    return new Progress(Math.max(this.log.lastIndex, 1), 0, recentlyActive, window);
  }

  /** For quorums: the index that a member is known to hold on its disk. */
  readonly matchOf = (id: NodeId): number => this.progress.get(id)?.matchIndex ?? 0;

  /** For quorums: the heartbeat round that a member has answered. */
  readonly roundOf = (id: NodeId): number =>
    id === this.id ? this.heartbeatRound : this.progress.get(id)?.ackedRound ?? 0;

  /** This node may campaign: it votes, and its log is whole. */
  get promotable(): boolean {
    return this.voting && !this.log.hasPendingSnapshot;
  }

  /** A leader was heard within the shortest election time-out. */
  get hearsLeader(): boolean {
    if (this.leader !== 0) return this.electionElapsed < this.settings.electionTicks;
    // It may have promised its silence to a leader just before it restarted.
    return this.settings.readMode === "lease" && this.ticks < this.settings.electionTicks;
  }

  /** The leader has committed an entry of its own term. */
  get termCommitted(): boolean {
    return this.log.commitIndex >= this.termFirstIndex;
  }

  /** Whether there is something to say. */
  get hasOutput(): boolean {
    return this.#messages.length > 0 || this.#messagesAfterPersist.length > 0 ||
      this.#readStates.length > 0;
  }

  /** Puts a message among those to send at once. */
  send(message: Message): void {
    this.#messages.push(message);
  }

  /** Puts an answer among those to send once everything so far is durable. */
  sendAfterPersist(message: Message): void {
    this.#messagesAfterPersist.push(message);
  }

  /** Answers a read of this node. */
  answerRead(state: ReadState): void {
    this.#readStates.push(state);
  }

  // What was taken belongs to a ready and never changes again: an empty list must not be handed out
  // and then go on being filled here.

  /** Takes the messages to send at once. */
  takeMessages(): readonly Message[] {
    const taken = this.#messages;
    if (taken.length === 0) return NO_MESSAGES;
    this.#messages = [];
    return taken;
  }

  /** Takes the answers to send once everything so far is durable. */
  takeMessagesAfterPersist(): readonly Message[] {
    const taken = this.#messagesAfterPersist;
    if (taken.length === 0) return NO_MESSAGES;
    this.#messagesAfterPersist = [];
    return taken;
  }

  /** Takes the answers to reads. */
  takeReadStates(): readonly ReadState[] {
    const taken = this.#readStates;
    if (taken.length === 0) return NO_READS;
    this.#readStates = [];
    return taken;
  }

  /** Acknowledges the log up to an index. One answer takes the place of those before it. */
  acknowledge(to: NodeId, index: number): void {
    const waiting = this.#messagesAfterPersist;
    const last = waiting[waiting.length - 1];
    const merge = last !== undefined && last.kind === "appendResponse" && !last.rejected &&
      last.to === to && last.term === this.term;
    if (merge && last.index >= index) return;
    const message: AppendResponse = {
      kind: "appendResponse",
      from: this.id,
      to,
      term: this.term,
      rejected: false,
      index,
      hintIndex: 0,
      hintTerm: 0,
    };
    if (merge) waiting[waiting.length - 1] = message;
    else waiting.push(message);
  }
}

const NO_MESSAGES: readonly Message[] = [];
const NO_READS: readonly ReadState[] = [];
