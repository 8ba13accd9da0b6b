/**
 * Simulates a cluster of bare cores under faults, from one seed:
 *
 * ```text
 * deno run -A tests/simulation/raft_core.ts --seed 7 [--count 1000] [--steps 4000]
 * ```
 *
 * Messages are lost, repeated, reordered and held back by partitions; nodes crash and lose what was
 * not synced; writes finish late; members come and go; leadership is handed over; logs are compacted.
 * How often each of these happens is drawn from the seed. After the faults everything heals, and the
 * cluster has to commit and to converge.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import {
  bootstrapConfiguration,
  type ConfigChangeStep,
  type Entry,
  EntryKind,
  isJoint,
  LEAVE_JOINT,
  type Message,
  type NodeId,
} from "../../raft/mod.ts";
import { SafetyChecks, SafetyError } from "./raft_core_checks.ts";
import { SimulatedDisk } from "./raft_core_disk.ts";
import { machineOf, SimulatedNode } from "./raft_core_node.ts";
import { SeededRandom } from "./raft_core_random.ts";

/** How often things happened. */
export type Counters = Map<string, number>;

/** More than this is never in flight. */
const NETWORK_MAX = 2000;

/** One run. */
export class RaftCoreSimulation {
  readonly #random: SeededRandom;
  readonly #nodes = new Map<NodeId, SimulatedNode>();
  readonly #checks: SafetyChecks;
  readonly counters: Counters = new Map();
  #network: Message[] = [];
  /** Pairs of nodes that hear nothing from one another, `from->to`. */
  #cut = new Set<string>();
  /** Reads asked for: what was committed then, by context. */
  readonly #reads: number[] = [];
  /** The state machine's hash, by applied index. */
  readonly #machines: number[] = [];
  readonly #actions: { weight: number; run: () => void }[];
  readonly #options: SimulatedNode["options"];
  /** How often a message overtakes others. */
  readonly #disorder: number;
  readonly #founders: readonly NodeId[];
  #spareId: NodeId;
  #proposals = 0;

  /** @param seed Decides everything. */
  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#checks = new SafetyChecks(this.#nodes);
    this.#options = {
      preVote: random.next() < 0.7,
      checkQuorum: random.next() < 0.7,
      applyBeforeDurable: random.next() < 0.7,
    };
    this.#disorder = random.next() ** 2;
    const size = random.pick([1, 3, 3, 3, 4, 5]);
    const ids = Array.from({ length: size }, (_, i) => i + 1);
    this.#founders = ids;
    for (const id of ids) this.#addNode(id);
    this.#spareId = size + 1;
    /** A fault happens often in one run, hardly ever in the next. */
    const swarm = (most: number) => random.next() < 0.25 ? 0 : most * random.next() ** 2;
    this.#actions = [
      { weight: 40, run: () => this.#deliver() },
      { weight: 1 + random.below(12), run: () => this.#tick() },
      { weight: 30, run: () => this.#ready(this.#anyNode()) },
      { weight: 5 + random.below(30), run: () => this.#sync(this.#anyNode()) },
      { weight: 6, run: () => this.#propose() },
      { weight: swarm(8), run: () => this.#lose() },
      { weight: swarm(6), run: () => this.#repeat() },
      { weight: swarm(1), run: () => this.#crash(this.#anyNode()) },
      { weight: swarm(0.5), run: () => this.#partition() },
      { weight: 0.3 + swarm(2), run: () => this.#cut.clear() },
      { weight: swarm(2), run: () => this.#changeMembers() },
      { weight: swarm(3), run: () => this.#transfer() },
      { weight: swarm(3), run: () => this.#compact(this.#anyNode()) },
      { weight: swarm(3), run: () => this.#read() },
      { weight: swarm(1), run: () => this.#report() },
      { weight: swarm(0.5), run: () => this.#impatience() },
    ];
  }

  /** Runs the faults, then the recovery. */
  run(steps: number): void {
    const total = this.#actions.reduce((sum, { weight }) => sum + weight, 0);
    for (let step = 0; step < steps; step++) {
      let at = this.#random.next() * total;
      const action = this.#actions.find(({ weight }) => (at -= weight) < 0) ?? this.#actions[0]!;
      action.run();
    }
    this.#recover();
  }

  #count(what: string): void {
    this.counters.set(what, (this.counters.get(what) ?? 0) + 1);
  }

  #addNode(id: NodeId): void {
    const disk = new SimulatedDisk(bootstrapConfiguration(this.#founders));
    const node = new SimulatedNode(id, disk, this.#random, this.#options);
    this.#nodes.set(id, node);
    this.#checks.restarted(node);
    this.#checks.look(node);
  }

  #anyNode(): SimulatedNode {
    return this.#random.pick([...this.#nodes.values()]);
  }

  #leader(): SimulatedNode | undefined {
    const leaders = [...this.#nodes.values()].filter(({ raft }) => raft.role === "leader");
    return leaders.length === 0 ? undefined : this.#random.pick(leaders);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#checks.sent(message);
      if (message.kind === "installSnapshot") this.#count("snapshots sent");
      if (message.kind === "appendResponse" && message.rejected) this.#count("appends refused");
      if (message.kind === "timeoutNow") this.#count("transfers begun");
      if (this.#network.length < NETWORK_MAX) this.#network.push(message);
      else this.#drop(message);
    }
  }

  #drop(message: Message): void {
    this.#count("messages lost");
    // A transport notices when it does not get a snapshot across.
    if (message.kind !== "installSnapshot") return;
    this.#nodes.get(message.from)!.raft.reportSnapshot(message.to, false);
  }

  #deliver(): void {
    const { length } = this.#network;
    if (length === 0) return;
    // Mostly in order, at times from far behind.
    const at = this.#random.next() < this.#disorder ? this.#random.below(length) : 0;
    const [message] = this.#network.splice(at, 1);
    if (this.#cut.has(`${message!.from}->${message!.to}`)) {
      this.#count("messages cut off");
      this.#drop(message!);
    } else {
      this.#step(message!);
    }
  }

  #step(message: Message): void {
    const node = this.#nodes.get(message.to);
    if (node === undefined) return;
    node.raft.step(message);
    this.#look(node);
    if (message.kind !== "installSnapshot") return;
    const sender = this.#nodes.get(message.from)!;
    sender.raft.reportSnapshot(message.to, this.#random.next() < 0.8);
    this.#look(sender);
  }

  #look(node: SimulatedNode): void {
    const { role, term } = node.raft;
    this.#checks.look(node);
    if (role === "leader" && !this.counters.has(`term ${term}`)) {
      this.counters.set(`term ${term}`, 1);
      this.#count("elections won");
    }
  }

  #lose(): void {
    if (this.#network.length === 0) return;
    const [lost] = this.#network.splice(this.#random.below(this.#network.length), 1);
    this.#drop(lost!);
  }

  #repeat(): void {
    if (this.#network.length === 0) return;
    this.#network.push(this.#random.pick(this.#network));
    this.#count("messages repeated");
  }

  #tick(): void {
    // Clocks run at about the same pace.
    for (const node of this.#nodes.values()) {
      if (this.#random.next() < 0.1) continue;
      node.raft.tick();
      this.#look(node);
    }
  }

  #ready(node: SimulatedNode): void {
    const { raft, disk } = node;
    if (!raft.hasReady()) return;
    const last = disk.lastIndex();
    const ready = raft.ready();
    this.#checks.ready(node, ready);
    const { hardState, entries, snapshot } = ready;
    if (snapshot !== undefined) this.#count("snapshots installed");
    else if (entries.length > 0 && entries[0]!.index <= last) this.#count("entries overwritten");
    disk.write({ hardState, entries, snapshot });
    node.writing.push(ready);
    this.#send(ready.messages);
    for (const { index, context } of ready.readStates) {
      this.#checks.read(node.id, index, this.#reads[contextNumber(context)]!);
      this.#count("reads answered");
    }
    for (const entry of ready.committedEntries) this.#apply(node, entry);
    const { inflightMessages = 0 } = raft.status().progress[0] ?? {};
    if (inflightMessages > 4 || raft.status().uncommittedBytes < 0) {
      throw new SafetyError(`node ${node.id} is out of bounds: ${JSON.stringify(raft.status())}`);
    }
    this.#look(node);
  }

  #apply(node: SimulatedNode, entry: Entry): void {
    if (node.disk.durable.term(entry.index) !== entry.term) {
      if (!this.#options.applyBeforeDurable) {
        throw new SafetyError(`node ${node.id} applies ${entry.index} before it is durable`);
      }
      this.#count("applied before durable");
    }
    node.apply(entry);
    this.#checkMachine(node, entry.index);
    node.raft.applied(entry.index);
    if (entry.kind === EntryKind.configChange) {
      this.#count(isJoint(node.raft.configuration) ? "joint entered" : "members changed");
    }
  }

  #checkMachine(node: SimulatedNode, index: number): void {
    const known = this.#machines[index];
    if (known === undefined) this.#machines[index] = node.machine;
    else if (known !== node.machine) {
      throw new SafetyError(`the state machine of node ${node.id} differs at ${index}`);
    }
  }

  #sync(node: SimulatedNode): void {
    const ready = node.writing.shift();
    if (ready === undefined) return;
    node.disk.sync();
    if (ready.snapshot !== undefined) {
      node.machine = machineOf(ready.snapshot.data);
      this.#checkMachine(node, ready.snapshot.metadata.index);
    }
    node.raft.persisted(ready);
    this.#send(ready.messagesAfterPersist);
    this.#look(node);
  }

  #crash(node: SimulatedNode): void {
    const { disk } = node;
    this.#count(disk.unsynced > 0 ? "crashes with unsynced writes" : "crashes");
    const random = this.#random;
    disk.crash(random.below(disk.unsynced + 1), random.below(4));
    if (random.next() < 0.3) {
      // What was on its way is lost with its connections.
      const network = this.#network;
      this.#network = network.filter(({ from, to }) => from !== node.id && to !== node.id);
      for (const message of network) if (!this.#network.includes(message)) this.#drop(message);
    }
    node.start();
    this.#checks.restarted(node);
    this.#look(node);
  }

  #propose(): void {
    const node = this.#random.next() < 0.8 ? this.#leader() : this.#anyNode();
    if (node === undefined) return;
    const count = 1 + this.#random.below(3);
    const data = Array.from({ length: count }, () => {
      const size = 4 + this.#random.below(12);
      const bytes = new Uint8Array(size);
      new DataView(bytes.buffer).setUint32(0, this.#proposals++);
      return bytes;
    });
    const result = node.raft.propose(data);
    this.#count(result.kind === "refused" ? `refused: ${result.reason}` : "proposals taken");
    this.#look(node);
  }

  #partition(): void {
    const side = new Set([...this.#nodes.keys()].filter(() => this.#random.next() < 0.4));
    const oneWay = this.#random.next() < 0.3;
    for (const from of this.#nodes.keys()) {
      for (const to of this.#nodes.keys()) {
        if (side.has(from) && !side.has(to)) this.#cut.add(`${from}->${to}`);
        if (!oneWay && !side.has(from) && side.has(to)) this.#cut.add(`${from}->${to}`);
      }
    }
    this.#count("partitions");
  }

  #changeMembers(): void {
    const leader = this.#leader();
    if (leader === undefined) return;
    const random = this.#random;
    const { raft } = leader;
    if (isJoint(raft.configuration) && random.next() < 0.5) {
      raft.proposeConfigChange(LEAVE_JOINT);
    } else {
      const steps: ConfigChangeStep[] = [];
      for (let count = 1 + random.below(3); count > 0; count--) {
        if (this.#spareId <= 7 && random.next() < 0.2) this.#addNode(this.#spareId++);
        const kind = random.pick(["addVoter", "addVoter", "addLearner", "remove"] as const);
        steps.push({ kind, node: random.pick([...this.#nodes.keys()]) });
      }
      const transition = random.pick(["auto", "implicit", "explicit"] as const);
      const result = raft.proposeConfigChange({ steps, transition });
      this.#count(result.kind === "refused" ? `change refused: ${result.reason}` : "change taken");
    }
    this.#look(leader);
  }

  #transfer(): void {
    const node = this.#anyNode();
    node.raft.transferLeadership(this.#random.pick([...this.#nodes.keys()]));
    this.#look(node);
  }

  #compact(node: SimulatedNode): void {
    const { disk, raft } = node;
    const index = raft.appliedIndex;
    if (disk.unsynced > 0 || index < disk.firstIndex() || index > disk.lastIndex()) return;
    const data = new Uint8Array(4);
    new DataView(data.buffer).setInt32(0, node.machine);
    const { configuration } = raft;
    disk.compact({ metadata: { index, term: disk.term(index)!, configuration }, data });
    this.#count("logs compacted");
  }

  #read(): void {
    const node = this.#anyNode();
    const context = new Uint8Array(4);
    new DataView(context.buffer).setUint32(0, this.#reads.length);
    this.#reads.push(Math.max(this.#checks.committedIndex, 0));
    node.raft.readIndex(context);
    this.#look(node);
  }

  #report(): void {
    const node = this.#anyNode();
    const other = this.#anyNode().id;
    if (this.#random.next() < 0.5) node.raft.reportUnreachable(other);
    else node.raft.reportSnapshot(other, this.#random.next() < 0.5);
    this.#look(node);
  }

  #impatience(): void {
    const node = this.#anyNode();
    node.raft.forgetLeader();
    if (this.#random.next() < 0.7) node.raft.campaign();
    this.#count("impatient campaigns");
    this.#look(node);
  }

  /** Heals everything and requires progress. */
  #recover(): void {
    this.#cut.clear();
    const goal = this.#checks.committedIndex;
    let proposed = 0;
    for (let round = 0; round < 600; round++) {
      for (const node of this.#nodes.values()) {
        node.raft.tick();
        this.#look(node);
      }
      this.#settle();
      const leader = this.#leader();
      if (leader === undefined) continue;
      if (isJoint(leader.raft.configuration)) leader.raft.proposeConfigChange(LEAVE_JOINT);
      if (leader.raft.propose([new Uint8Array(4)]).kind === "accepted") proposed++;
      this.#settle();
      if (proposed > 3 && this.#converged(leader, goal)) return;
    }
    const states = [...this.#nodes.values()].map(({ raft }) => JSON.stringify(raft.status()));
    throw new SafetyError(`the cluster does not recover:\n${states.join("\n")}`);
  }

  #settle(): void {
    for (let turn = 0; turn < 50; turn++) {
      for (const node of this.#nodes.values()) {
        while (node.raft.hasReady() || node.writing.length > 0) {
          this.#ready(node);
          this.#sync(node);
        }
      }
      const messages = this.#network;
      this.#network = [];
      if (messages.length === 0) return;
      for (const message of messages) this.#step(message);
    }
  }

  #converged(leader: SimulatedNode, goal: number): boolean {
    const { commitIndex, configuration, term } = leader.raft;
    if (commitIndex <= goal || isJoint(configuration)) return false;
    const members = [...configuration.voters, ...configuration.learners];
    return members.every((id) => {
      const { raft } = this.#nodes.get(id)!;
      return raft.term === term && raft.leader === leader.id && raft.appliedIndex >= commitIndex;
    });
  }
}

function contextNumber(context: Uint8Array): number {
  return new DataView(context.buffer, context.byteOffset).getUint32(0);
}

/**
 * Runs one seed.
 *
 * @param seed Decides everything.
 * @param steps The length of the fault phase.
 * @param counters Added to.
 * @throws {Error} when anything is unsafe or stuck, with the command that replays it.
 */
export function simulateRaftCore(seed: number, steps: number, counters: Counters): void {
  const simulation = new RaftCoreSimulation(seed);
  try {
    simulation.run(steps);
  } catch (cause) {
    const command = `deno run -A tests/simulation/raft_core.ts --seed ${seed} --steps ${steps}`;
    throw new Error(`Seed ${seed} failed, replay it with: ${command}`, { cause });
  }
  for (const [what, count] of simulation.counters) {
    if (!what.startsWith("term ")) counters.set(what, (counters.get(what) ?? 0) + count);
  }
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { default: { seed: 1, count: 1, steps: 4000 } });
  const counters: Counters = new Map();
  const end = args.seed + args.count;
  for (let seed = args.seed; seed < end; seed++) simulateRaftCore(seed, args.steps, counters);
  for (const [what, count] of [...counters].sort()) console.log(`${count}`.padStart(10), what);
  console.log(`${args.count} seeds from ${args.seed}: clean`);
}
