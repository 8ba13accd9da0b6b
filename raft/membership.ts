/**
 * Who takes part, and how that changes: pure functions from a configuration and a change to the next
 * configuration (thesis, chapter 4), and the bytes of a change in the log.
 *
 * One step at a time changes the voters by at most one, so that old and new majorities overlap. More
 * steps, or an explicit wish, go through a joint configuration, in which both the old and the new
 * majority must agree, and out of it again by a second entry.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { Configuration, NodeId } from "./types.ts";

/** One thing to change. */
export interface ConfigChangeStep {
  /** `addVoter` also promotes a learner; `addLearner` also demotes a voter. */
  readonly kind: "addVoter" | "addLearner" | "remove";
  readonly node: NodeId;
}

/** A change of the configuration. */
export interface ConfigChange {
  /** What to change; empty to leave a joint configuration. */
  readonly steps: readonly ConfigChangeStep[];
  /**
   * `auto`: directly for one step, else joint, left by the leader itself. `implicit`: joint, left by
   * the leader itself. `explicit`: joint, left by a change without steps.
   */
  readonly transition: "auto" | "implicit" | "explicit";
}

/** Leaves a joint configuration. */
export const LEAVE_JOINT: ConfigChange = { steps: [], transition: "auto" };

/**
 * A configuration without members: a node that waits for a snapshot. It cannot be brought up from the
 * first entry of the log on, since changes there build on the configuration that the cluster was
 * founded with.
 */
export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/**
 * The configuration of a new cluster.
 *
 * @param voters The first members.
 * @param learners Members that only listen.
 * @returns The configuration.
 * @throws {RangeError} when an id is not a positive safe integer or occurs twice.
 *
 * @example Three voters
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bootstrapConfiguration([3, 1, 2]).voters, [1, 2, 3]);
 * ```
 */
export function bootstrapConfiguration(
  voters: readonly NodeId[],
  learners: readonly NodeId[] = [],
): Configuration {
  const all = [...voters, ...learners];
  for (const id of all) {
    if (Number.isSafeInteger(id) && id > 0) continue;
    throw new RangeError(
      `Cannot create a configuration as ids are positive integers: current value is ${id}`,
    );
  }
  if (new Set(all).size !== all.length) {
    throw new RangeError(
      `Cannot create a configuration as ids occur once: current value is ${all.join(", ")}`,
    );
  }
  return { ...EMPTY_CONFIGURATION, voters: sorted(voters), learners: sorted(learners) };
}

/**
 * Whether a configuration has two halves.
 *
 * @param configuration Any configuration.
 * @returns Whether it is joint.
 */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/**
 * Whether a node has a vote.
 *
 * @param configuration Any configuration.
 * @param id A node.
 * @returns Whether the node votes, in either half.
 */
export function isVoter(configuration: Configuration, id: NodeId): boolean {
  return configuration.voters.includes(id) || configuration.votersOutgoing.includes(id);
}

/**
 * Everybody who takes part, with or without a vote.
 *
 * @param configuration Any configuration.
 * @returns Every member once, ascending.
 */
export function members(configuration: Configuration): NodeId[] {
  return sorted(
    new Set([
      ...configuration.voters,
      ...configuration.votersOutgoing,
      ...configuration.learners,
    ]),
  );
}

/**
 * Says why a change does not fit a configuration.
 *
 * @param configuration The configuration that is to change.
 * @param change The change.
 * @returns The reason, or `undefined` if it fits.
 */
export function whyNot(
  configuration: Configuration,
  change: ConfigChange,
): "joint" | "notJoint" | "noVoters" | undefined {
  const leave = change.steps.length === 0;
  if (isJoint(configuration)) return leave ? undefined : "joint";
  if (leave) return "notJoint";
  return withSteps(configuration, change.steps).voters.length === 0 ? "noVoters" : undefined;
}

/**
 * The configuration after a change.
 *
 * @param configuration The configuration so far.
 * @param change A change for which `whyNot` gives no reason.
 * @returns The next configuration.
 */
export function changedConfiguration(
  configuration: Configuration,
  change: ConfigChange,
): Configuration {
  invariant(
    configuration.voters.length > 0,
    "a node that joins is given the cluster's first configuration, or gets a snapshot first",
  );
  const reason = whyNot(configuration, change);
  invariant(reason === undefined, () => `the change fits the configuration: ${reason}`);
  if (change.steps.length === 0) {
    return {
      voters: configuration.voters,
      votersOutgoing: [],
      learners: sorted([...configuration.learners, ...configuration.learnersNext]),
      learnersNext: [],
      autoLeave: false,
    };
  }
  const next = withSteps(configuration, change.steps);
  if (change.transition === "auto" && change.steps.length === 1) {
    return { ...EMPTY_CONFIGURATION, voters: next.voters, learners: next.learners };
  }
  const outgoing = new Set(configuration.voters);
  return {
    voters: next.voters,
    votersOutgoing: configuration.voters,
    // A voter of the outgoing half goes on voting there and becomes a learner afterwards.
    learners: next.learners.filter((id) => !outgoing.has(id)),
    learnersNext: next.learners.filter((id) => outgoing.has(id)),
    autoLeave: change.transition !== "explicit",
  };
}

function withSteps(
  configuration: Configuration,
  steps: readonly ConfigChangeStep[],
): { voters: NodeId[]; learners: NodeId[] } {
  const voters = new Set(configuration.voters);
  const learners = new Set(configuration.learners);
  for (const { kind, node } of steps) {
    voters.delete(node);
    learners.delete(node);
    if (kind === "addVoter") voters.add(node);
    else if (kind === "addLearner") learners.add(node);
  }
  return { voters: sorted(voters), learners: sorted(learners) };
}

function sorted(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => a - b);
}

const LAYOUT_VERSION = 1;
const TRANSITIONS = ["auto", "implicit", "explicit"] as const;
const STEP_KINDS = ["addVoter", "addLearner", "remove"] as const;
const HEADER_BYTES = 4;
const STEP_BYTES = 9;
/** More members than any cluster has. */
const STEPS_MAX = 1024;

/**
 * A change as entry data: `u8 version | u8 transition | u16 count`, then for each step
 * `u8 kind | u64 node`, little-endian.
 *
 * @param change The change.
 * @returns The bytes.
 * @throws {RangeError} when there are too many steps or an id is not a positive safe integer.
 *
 * @example There and back
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const change: ConfigChange = { steps: [{ kind: "remove", node: 3 }], transition: "auto" };
 * assertEquals(decodeConfigChange(encodeConfigChange(change)), change);
 * ```
 */
export function encodeConfigChange(change: ConfigChange): Uint8Array {
  const { steps } = change;
  if (steps.length > STEPS_MAX) {
    throw new RangeError(
      `Cannot encode a change as it has at most ${STEPS_MAX} steps: current value is ${steps.length}`,
    );
  }
  const bytes = new Uint8Array(HEADER_BYTES + STEP_BYTES * steps.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, LAYOUT_VERSION);
  view.setUint8(1, TRANSITIONS.indexOf(change.transition));
  view.setUint16(2, steps.length, true);
  let at = HEADER_BYTES;
  for (const { kind, node } of steps) {
    if (!Number.isSafeInteger(node) || node <= 0) {
      throw new RangeError(
        `Cannot encode a change as ids are positive integers: current value is ${node}`,
      );
    }
    view.setUint8(at, STEP_KINDS.indexOf(kind));
    view.setBigUint64(at + 1, BigInt(node), true);
    at += STEP_BYTES;
  }
  return bytes;
}

/**
 * Reads a change from entry data.
 *
 * @param bytes What `encodeConfigChange` made.
 * @returns The change.
 * @throws {SyntaxError} when the bytes are not a change.
 */
export function decodeConfigChange(bytes: Uint8Array): ConfigChange {
  if (bytes.byteLength < HEADER_BYTES) throw malformed("it is too short", bytes.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== LAYOUT_VERSION) throw malformed("its version is not known", bytes[0]!);
  const transition = TRANSITIONS[bytes[1]!];
  if (transition === undefined) throw malformed("its transition is not known", bytes[1]!);
  const count = view.getUint16(2, true);
  if (bytes.byteLength !== HEADER_BYTES + STEP_BYTES * count) {
    throw malformed("its length does not fit its number of steps", bytes.byteLength);
  }
  const steps: ConfigChangeStep[] = [];
  for (let at = HEADER_BYTES; at < bytes.byteLength; at += STEP_BYTES) {
    const kind = STEP_KINDS[bytes[at]!];
    if (kind === undefined) throw malformed("a step is of no known kind", bytes[at]!);
    const node = Number(view.getBigUint64(at + 1, true));
    if (!Number.isSafeInteger(node) || node === 0) throw malformed("an id is out of range", node);
    steps.push({ kind, node });
  }
  return { steps, transition };
}

function malformed(reason: string, value: number): SyntaxError {
  return new SyntaxError(
    `Cannot decode a membership change as ${reason}: current value is ${value}`,
  );
}
