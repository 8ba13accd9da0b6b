/**
 * How a node that is new finds out whether its cluster begins now, or has long begun without it.
 *
 * A blank directory says nothing by itself: the node may start for the first time together with the
 * others, or its disk may have been replaced. Were it to take the second for the first, it would vote
 * although it has forgotten what it voted for and acknowledged before. So nodes tell each other their
 * **standing** whenever they connect:
 *
 * - The node with the lowest number founds the cluster, once *all* others have said that they are blank.
 *   It notes their incarnations, which are different after every wipe, and says so.
 * - A blank node that finds its own incarnation among the founders is one of them, and notes that before
 *   it makes anything: interrupted, it goes on with it.
 * - Any other blank node that meets members of the cluster has no part in it yet, or no longer: it gets
 *   new replicas, which come in as learners (`replacement.ts`). It passes on who the founders were, so
 *   that one of them which has not begun yet hears of it whomever it meets first.
 *
 * No founder runs before it has all of its replicas, and then it is a member: one that is still founding
 * has promised nothing, and may make them once more.
 *
 * The first start of a cluster therefore needs all of its nodes; every later one a majority.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";
import type { DataDirectory, Founders } from "../storage/mod.ts";
import type { PeerStanding } from "../wire/mod.ts";

/** Decides, once, how a node comes by its replicas. */
export class Formation {
  readonly #nodeId: NodeId;
  readonly #others: readonly NodeId[];
  readonly #directory: DataDirectory;
  readonly #announce: () => void;
  readonly #heard = new Map<NodeId, PeerStanding>();
  readonly #decided = Promise.withResolvers<boolean>();
  #isDeciding = false;

  /**
   * @param nodeId This node.
   * @param members All nodes, this one among them.
   * @param directory Knows how far this node has come.
   * @param announce Tells the others this node's standing, which has changed.
   */
  constructor(
    nodeId: NodeId,
    members: readonly NodeId[],
    directory: DataDirectory,
    announce: () => void,
  ) {
    this.#nodeId = nodeId;
    this.#others = members.filter((id) => id !== nodeId);
    this.#directory = directory;
    this.#announce = announce;
    const { standing } = directory.meta;
    if (standing === "blank") this.#consider();
    else this.#decided.resolve(standing === "founding");
  }

  /**
   * Whether this node is one of those that the cluster begins with, and has not come further yet.
   * Resolves once that is known, and on disk.
   */
  get isFounder(): Promise<boolean> {
    return this.#decided.promise;
  }

  /** What this node tells the others, besides its replicas. */
  get standing(): Omit<PeerStanding, "replicas" | "isDiskLow"> {
    const { incarnation, standing, founders } = this.#directory.meta;
    return {
      incarnation,
      isBlank: standing === "blank",
      isLost: standing === "lost",
      ...(founders && { founders }),
    };
  }

  /** Nodes that have not said anything yet. */
  get missing(): NodeId[] {
    return this.#others.filter((id) => !this.#heard.has(id));
  }

  /** Another node has told its standing. */
  heard(from: NodeId, standing: PeerStanding): void {
    this.#heard.set(from, standing);
    this.#consider();
  }

  /** Another node is gone; what it said last may not be true of its next life. */
  lost(node: NodeId): void {
    this.#heard.delete(node);
  }

  #consider(): void {
    if (this.#isDeciding || this.#directory.meta.standing !== "blank") return;
    const { incarnation } = this.#directory.meta;
    const all = [...this.#heard.values()];
    const told = all.filter(({ founders }) => founders !== undefined).map((one) => one.founders!);
    const ours = told.find((founders) => founders[this.#nodeId] === incarnation);
    if (ours !== undefined) return this.#decide(true, ours);
    // A node that has lost everything does not know whether this one was there from the beginning.
    if (all.some((one) => !one.isBlank && !one.isLost)) return this.#decide(false, told[0]);
    if (all.length < this.#others.length) return;
    // There was a cluster, and none of its members is left: this node must not make up another one.
    if (all.some((one) => one.isLost)) return this.#decide(false);
    if (this.#others.some((id) => id < this.#nodeId)) return;
    const founders: Record<NodeId, string> = { [this.#nodeId]: incarnation };
    for (const [id, one] of this.#heard) founders[id] = one.incarnation;
    this.#decide(true, founders);
  }

  #decide(isFounder: boolean, founders?: Founders): void {
    this.#isDeciding = true;
    this.#directory.setStanding(isFounder ? "founding" : "blank", founders).then(() => {
      this.#announce();
      this.#decided.resolve(isFounder);
    }, (error) => this.#decided.reject(error));
  }
}
