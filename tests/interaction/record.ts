/**
 * What a node looks like to a scenario, in the form of the recordings, and what must agree.
 *
 * @module
 */

import { decodeConfigChange, EntryKind, type Role } from "../../raft/mod.ts";
import type { Configuration, Entry, NodeId } from "../../raft/mod.ts";
import type { ScenarioNode } from "./node.ts";

/** An entry as recorded: index, term, type, data. */
export type EntryRecord = readonly [index: number, term: number, type: string, data: string];

/** A node as recorded. */
export interface NodeRecord {
  readonly id: NodeId;
  readonly role: string;
  readonly lead: NodeId;
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
  readonly applied: number;
  readonly config: string;
  /** What is on its disk. */
  readonly stable: {
    readonly term: number;
    readonly vote: NodeId;
    readonly commit: number;
    readonly first: number;
    readonly last: number;
    readonly log: readonly EntryRecord[];
  };
}

const ROLES: Record<Role, string> = {
  follower: "StateFollower",
  preCandidate: "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};

/**
 * Records a node.
 *
 * @param node The node.
 * @returns What it looks like.
 */
export function recordNode(node: ScenarioNode): NodeRecord {
  const { disk } = node;
  const { id, role, leader, term, vote, commitIndex, appliedIndex, configuration } = node.raft
    .status();
  const first = disk.firstIndex();
  const last = disk.lastIndex();
  const log = last < first ? [] : disk.entries(first, last + 1, Infinity);
  return {
    applied: appliedIndex,
    commit: commitIndex,
    config: configurationText(configuration),
    id,
    lead: leader,
    role: ROLES[role],
    stable: {
      commit: disk.hardState.commit,
      first,
      last,
      log: log.map(recordEntry),
      term: disk.hardState.term,
      vote: disk.hardState.vote,
    },
    term,
    vote,
  };
}

/** A configuration in words. */
export function configurationText(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext } = configuration;
  let text = `voters=(${voters.join(" ")})`;
  if (votersOutgoing.length > 0) text += `&&(${votersOutgoing.join(" ")})`;
  if (learners.length > 0) text += ` learners=(${learners.join(" ")})`;
  if (learnersNext.length > 0) text += ` learners_next=(${learnersNext.join(" ")})`;
  return text;
}

function recordEntry(entry: Entry): EntryRecord {
  const { index, term, kind, data } = entry;
  if (kind === EntryKind.command) {
    return [index, term, "EntryNormal", new TextDecoder().decode(data)];
  }
  return [index, term, "EntryConfChangeV2", recordedChange(data)];
}

const RECORDED_TRANSITIONS = ["auto", "implicit", "explicit"] as const;
const RECORDED_STEPS = ["addVoter", "remove", "update", "addLearner"] as const;

/** A membership change in the bytes of the recordings, which are protocol buffers. */
function recordedChange(data: Uint8Array): string {
  const { steps, transition } = decodeConfigChange(data);
  if (steps.length === 0) return "";
  const bytes = [0x08, RECORDED_TRANSITIONS.indexOf(transition)];
  for (const { kind, node } of steps) {
    bytes.push(0x12, 4, 0x08, RECORDED_STEPS.indexOf(kind), 0x10, node);
  }
  return String.fromCharCode(...bytes);
}

/** The same change, whichever of its several forms in the recordings: sorted steps in words. */
function normalChange(type: string, data: string): string {
  const bytes = [...data].map((char) => char.charCodeAt(0));
  if (type === "EntryConfChange") {
    // Field 2 is the kind, field 3 the node.
    return `auto ${RECORDED_STEPS[bytes[bytes.indexOf(0x10) + 1] ?? 0]} ${bytes.at(-1)}`;
  }
  const transition = RECORDED_TRANSITIONS[bytes[0] === 0x08 ? bytes[1]! : 0];
  const steps: string[] = [];
  for (let at = bytes[0] === 0x08 ? 2 : 0; at < bytes.length; at += 6) {
    steps.push(`${RECORDED_STEPS[bytes[at + 3]!]} ${bytes[at + 5]}`);
  }
  return steps.length === 0 ? "leave" : `${transition} ${steps.join(" ")}`;
}

/** An entry in words that two records of the same entry agree in. */
export function entryText([index, term, type, data]: EntryRecord): string {
  const text = type === "EntryNormal" ? JSON.stringify(data) : normalChange(type, data);
  return `${index}/${term} ${text}`;
}

/** What must agree after every step, for the nodes that the command named. */
export const STEP_FIELDS = ["role", "term", "vote"] as const;
/** What must agree when everything has settled, for every node. */
export const SETTLED_FIELDS = ["lead", "term", "commit", "log"] as const;
/** Everything that is recorded; agreement in all of it is not required. */
export const ALL_FIELDS = [
  "role",
  "lead",
  "term",
  "vote",
  "commit",
  "applied",
  "config",
  "log",
] as const;

/** Something that a record tells. */
export type Field = (typeof ALL_FIELDS)[number];

function fieldText(record: NodeRecord, field: Field): string {
  if (field !== "log") return String(record[field]);
  const { first, log } = record.stable;
  return [`first ${first}`, ...log.map(entryText)].join(", ");
}

/**
 * Compares two records of a node.
 *
 * @param expected The one to agree with.
 * @param actual The other one.
 * @param fields What to compare.
 * @returns The first difference in words, or `undefined`.
 */
export function difference(
  expected: NodeRecord,
  actual: NodeRecord | undefined,
  fields: readonly Field[],
): string | undefined {
  if (actual === undefined) return `node ${expected.id} is missing`;
  for (const field of fields) {
    const want = fieldText(expected, field);
    const have = fieldText(actual, field);
    if (want !== have) return `node ${expected.id} ${field}: expected ${want}, got ${have}`;
  }
  return undefined;
}
