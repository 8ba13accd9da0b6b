/**
 * The harness behind the commands: nodes, and one list of what is in flight between them. Nothing
 * happens between commands.
 *
 * @module
 */

import {
  bootstrapConfiguration,
  type ConfigChange,
  type ConfigChangeStep,
  EMPTY_CONFIGURATION,
  isVoter,
  type NodeId,
} from "../../raft/mod.ts";
import type { Command } from "./command.ts";
import { messageText, RECORDED_KINDS } from "./message_text.ts";
import { type Delivery, ScenarioNode } from "./node.ts";
import { configurationText, entryText, type NodeRecord, recordNode } from "./record.ts";

const encoder = new TextEncoder();
/** Ticks of one election time-out, as set in node.ts. */
const ELECTION_TICKS = 3;

/** The nodes of a scenario. */
export class ScenarioCluster {
  readonly #nodes: ScenarioNode[] = [];
  #inFlight: Delivery[] = [];
  /** Membership changes that wait for their leader's first own commit. */
  readonly #postponed = new Map<NodeId, ConfigChange>();
  readonly #persistCommit: boolean;
  #trace: string[] = [];

  /** @param persistCommit Nodes write their commit index whenever it has moved. */
  constructor(persistCommit = false) {
    this.#persistCommit = persistCommit;
  }

  /** How much is in flight. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** What every node looks like. */
  records(): NodeRecord[] {
    return this.#nodes.map(recordNode);
  }

  /**
   * Runs one command.
   *
   * @param command The command.
   * @returns What happened, in lines.
   * @throws {SyntaxError} when there is no such command, or no such node.
   */
  run(command: Command): string[] {
    this.#trace = [];
    this.#dispatch(command);
    return this.#trace;
  }

  #dispatch(command: Command): void {
    switch (command.name) {
      case "add-nodes":
        return this.#addNodes(command);
      case "campaign":
        return this.#first(command).raft.campaign();
      case "propose":
        return this.#propose(command);
      case "propose-conf-change":
        return this.#proposeChange(command);
      case "read-index":
        this.#tell(this.#first(command).raft.readIndex(encoder.encode(command.words[1])).kind);
        return;
      case "process-ready":
        return this.#ids(command.words).forEach((id) => this.#processReady(this.#node(id)));
      case "process-append-thread":
        return this.#ids(command.words).forEach((id) => this.#processAppend(this.#node(id)));
      case "process-apply-thread":
        return this.#ids(command.words).forEach((id) => this.#processApply(this.#node(id)));
      case "deliver-msgs":
        return this.#deliverMessages(command);
      case "stabilize":
        return this.#stabilize(this.#ids(command.words));
      case "tick-election":
        return this.#tick(this.#first(command), ELECTION_TICKS);
      case "tick-heartbeat":
        return this.#tick(this.#first(command), 1);
      case "set-randomized-election-timeout":
        return this.#first(command).raft.fixElectionTimeout(Number(option(command, "timeout")));
      case "transfer-leadership": {
        const from = this.#node(Number(option(command, "from")));
        this.#tell(from.raft.transferLeadership(Number(option(command, "to"))).kind);
        return;
      }
      case "forget-leader":
        return this.#first(command).raft.forgetLeader();
      case "compact":
        return this.#first(command).disk.compactTo(Number(command.words[1]));
      case "report-unreachable":
        return this.#first(command).raft.reportUnreachable(Number(command.words[1]));
      case "send-snapshot":
        return this.#sendSnapshot(command);
      case "restart":
        return this.#first(command).restart();
      case "log-level":
        return;
      case "raft-log":
        return this.#tellLog(this.#first(command));
      case "raft-state":
        return this.#nodes.forEach((node) => this.#tellState(node));
      case "status":
        return this.#tellProgress(this.#first(command));
      default:
        throw new SyntaxError(`Cannot run a command as it is not known: ${command.name}`);
    }
  }

  #tell(line: string): void {
    this.#trace.push(line);
  }

  #node(id: NodeId): ScenarioNode {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new SyntaxError(`Cannot run a command as there is no node ${id}`);
    return node;
  }

  #first(command: Command): ScenarioNode {
    return this.#node(Number(command.words[0]));
  }

  #ids(words: readonly string[]): NodeId[] {
    return words.length > 0 ? words.map(Number) : this.#nodes.map((node) => node.id);
  }

  #addNodes(command: Command): void {
    const voters = (command.options.get("voters") ?? []).map(Number);
    const learners = (command.options.get("learners") ?? []).map(Number);
    const options = {
      configuration: voters.length === 0
        ? EMPTY_CONFIGURATION
        : bootstrapConfiguration(voters, learners),
      index: Number(option(command, "index") ?? 0),
      preVote: option(command, "prevote") === "true",
      checkQuorum: option(command, "checkquorum") === "true",
      inflightMessagesMax: Number(option(command, "inflight") ?? 1_000_000),
      asyncWrites: option(command, "async-storage-writes") === "true",
      persistCommit: this.#persistCommit,
    };
    for (let count = Number(command.words[0]); count > 0; count--) {
      const id = this.#nodes.length + 1;
      // The longest time-out: followers are patient unless a command makes them campaign.
      const random = () => 0.999;
      this.#nodes.push(new ScenarioNode(id, options, random, (line) => this.#tell(line)));
    }
  }

  #propose(command: Command): void {
    const result = this.#first(command).raft.propose([encoder.encode(command.words[1] ?? "")]);
    this.#tell(result.kind === "refused" ? `refused: ${result.reason}` : result.kind);
  }

  #proposeChange(command: Command): void {
    const node = this.#first(command);
    const transition = option(command, "transition") ?? "auto";
    if (transition !== "auto" && transition !== "implicit" && transition !== "explicit") {
      throw new SyntaxError(`Cannot run propose-conf-change as transition is ${transition}`);
    }
    const steps = command.input.split(/\s+/).filter(Boolean).map((word) => changeStep(node, word));
    this.#tryChange(node, { steps, transition });
  }

  #tryChange(node: ScenarioNode, change: ConfigChange): void {
    const result = node.raft.proposeConfigChange(change);
    this.#tell(result.kind === "refused" ? `refused: ${result.reason}` : result.kind);
    if (result.kind !== "refused") return;
    if (result.reason === "termNotCommitted") {
      // The recorded core takes a change before its leader has committed an entry of its own term;
      // ours does not, and the proposer asks again.
      this.#postponed.set(node.id, change);
    } else if (result.reason !== "notLeader" && result.reason !== "transferring") {
      // The recorded core puts an empty entry in the place of a change that does not fit.
      node.raft.propose([new Uint8Array(0)]);
    }
  }

  #processReady(node: ScenarioNode): boolean {
    if (!node.raft.hasReady()) return false;
    this.#post(node.processReady());
    const change = this.#postponed.get(node.id);
    if (change !== undefined) {
      this.#postponed.delete(node.id);
      this.#tryChange(node, change);
    }
    return true;
  }

  #processAppend(node: ScenarioNode): boolean {
    const sent = node.processAppend();
    this.#post(sent);
    return sent.length > 0;
  }

  #processApply(node: ScenarioNode): boolean {
    const sent = node.processApply();
    this.#post(sent);
    return sent.length > 0;
  }

  #post(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.#inFlight.push(delivery);
      if (delivery.kind === "message") this.#tell(messageText(delivery.message));
    }
  }

  #deliverMessages(command: Command): void {
    const drop = (command.options.get("drop") ?? []).map(Number);
    const type = option(command, "type");
    const kind = type === undefined ? undefined : RECORDED_KINDS[type] ?? type;
    for (const id of command.words.map(Number)) this.#deliver(id, kind);
    const dropped = this.#take((delivery) =>
      delivery.kind === "message" && drop.includes(delivery.message.to) &&
      (kind === undefined || delivery.message.kind === kind)
    );
    for (const delivery of dropped) {
      if (delivery.kind === "message") this.#tell(`lost: ${messageText(delivery.message)}`);
    }
  }

  /** Delivers what is in flight to one node; says whether there was anything. */
  #deliver(id: NodeId, kind?: string): boolean {
    const deliveries = this.#take((delivery) =>
      delivery.kind === "report"
        ? delivery.to === id && kind === undefined
        : delivery.message.to === id && (kind === undefined || delivery.message.kind === kind)
    );
    for (const delivery of deliveries) {
      if (delivery.kind === "report") delivery.run();
      else this.#node(id).raft.step(delivery.message);
    }
    return deliveries.length > 0;
  }

  #take(wanted: (delivery: Delivery) => boolean): Delivery[] {
    const taken = this.#inFlight.filter(wanted);
    this.#inFlight = this.#inFlight.filter((delivery) => !taken.includes(delivery));
    return taken;
  }

  #stabilize(ids: readonly NodeId[]): void {
    const nodes = ids.map((id) => this.#node(id));
    for (let busy = true; busy;) {
      busy = false;
      for (const node of nodes) if (this.#processReady(node)) busy = true;
      for (const id of ids) if (this.#deliver(id)) busy = true;
      for (const node of nodes) if (this.#processAppend(node)) busy = true;
      for (const node of nodes) if (this.#processApply(node)) busy = true;
    }
  }

  #tick(node: ScenarioNode, count: number): void {
    for (let i = 0; i < count; i++) node.raft.tick();
  }

  #sendSnapshot(command: Command): void {
    const from = this.#first(command);
    const to = Number(command.words[1]);
    const snapshot = from.disk.snapshot();
    if (snapshot === undefined) throw new SyntaxError("Cannot run send-snapshot as there is none");
    const { term } = from.raft;
    this.#post([{
      kind: "message",
      message: { kind: "installSnapshot", from: from.id, to, term, snapshot },
    }]);
  }

  #tellLog(node: ScenarioNode): void {
    const { log } = recordNode(node).stable;
    for (const entry of log) this.#tell(entryText(entry));
  }

  #tellState(node: ScenarioNode): void {
    const { id, role, term, leader, configuration } = node.raft.status();
    this.#tell(`${id} ${role} term ${term} leader ${leader} ${configurationText(configuration)}`);
  }

  #tellProgress(node: ScenarioNode): void {
    for (const progress of node.raft.status().progress) {
      const { id, state, matchIndex, nextIndex, learner, inflightMessages } = progress;
      this.#tell(
        `${id} ${state} match ${matchIndex} next ${nextIndex}` +
          (inflightMessages > 0 ? ` in flight ${inflightMessages}` : "") +
          (learner ? " learner" : ""),
      );
    }
  }
}

function option(command: Command, name: string): string | undefined {
  return command.options.get(name)?.[0];
}

function changeStep(node: ScenarioNode, word: string): ConfigChangeStep {
  const id = Number(word.slice(1));
  switch (word[0]) {
    case "v":
      return { kind: "addVoter", node: id };
    case "l":
      return { kind: "addLearner", node: id };
    case "r":
      return { kind: "remove", node: id };
    case "u":
      // An update of what is there changes nothing.
      return { kind: isVoter(node.raft.configuration, id) ? "addVoter" : "addLearner", node: id };
    default:
      throw new SyntaxError(`Cannot read a change as it is v, l, r or u: current value is ${word}`);
  }
}
