/**
 * Tables of two pure functions, in their text form: what a configuration has committed, and how a
 * vote stands.
 *
 * ```text
 * committed cfg=(1,2,3) cfgj=(2) idx=(100,101,_)
 * ----
 * …a picture…
 * 100
 * ```
 *
 * `cfg` lists the voters and `cfgj` the other half of a joint configuration; `idx` and `votes` list
 * what each member, in the order of their first mention, has reached or answered, `_` for nothing.
 *
 * @module
 */

import { type Configuration, EMPTY_CONFIGURATION, type NodeId } from "../../raft/mod.ts";
import { quorumIndex, quorumVote } from "../../raft/quorum.ts";
import { type Command, parseStory } from "./command.ts";

/**
 * Runs a table.
 *
 * @param text The file's content.
 * @returns How many cases there are, and what differs.
 */
export function runQuorumTable(text: string): { cases: number; differences: string[] } {
  const { paragraphs } = parseStory(text);
  const differences: string[] = [];
  for (const { line, command, expected } of paragraphs) {
    const want = expected.trim().split("\n").at(-1)!.replace("<empty majority quorum>", "");
    const have = command.name === "committed" ? committed(command) : vote(command);
    if (want !== have) differences.push(`${line}: expected ${want}, got ${have}`);
  }
  return { cases: paragraphs.length, differences };
}

function configurationOf(command: Command): Configuration {
  const half = (name: string) =>
    (command.options.get(name) ?? []).filter((id) => id !== "zero").map(Number);
  return { ...EMPTY_CONFIGURATION, voters: half("cfg"), votersOutgoing: half("cfgj") };
}

/** The given values by member, in the order of their first mention; `_` for none. */
function valuesOf(command: Command, name: string): Map<NodeId, string> {
  const { voters, votersOutgoing } = configurationOf(command);
  const values = new Map<NodeId, string>();
  const given = command.options.get(name) ?? [];
  let at = 0;
  for (const id of new Set([...voters, ...votersOutgoing])) {
    const value = given[at++] ?? "_";
    if (value !== "_") values.set(id, value);
  }
  return values;
}

function committed(command: Command): string {
  const reached = valuesOf(command, "idx");
  const index = quorumIndex(configurationOf(command), (id) => Number(reached.get(id) ?? 0));
  return index === Infinity ? "∞" : String(index);
}

function vote(command: Command): string {
  const votes = new Map<NodeId, boolean>();
  for (const [id, value] of valuesOf(command, "votes")) votes.set(id, value === "y");
  const names = { won: "VoteWon", lost: "VoteLost", pending: "VotePending" };
  return names[quorumVote(configurationOf(command), votes)];
}
